"""Custom objects in the version that is asked for, where their definition has a conversion webhook.

A request sees the store through a window: what it reads has been converted to its version, what it
writes is converted to the stored one (apiextensions, ``pkg/apiserver/conversion``).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.admission.dynamic.webhook_call import CallFailed, post
from kubelite.control.api.wire.documents import encode, load
from kubelite.control.api.wire.status import internal
from kubelite.control.store.store import Store, directory
from kubelite.control.store.watch import Watcher
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Change, Entry, Event, Page

SECONDS = 30
_BATCH = 100
_REVIEW = "apiextensions.k8s.io/v1"
_HEAD = ("kind", "apiVersion", "metadata")
_OWN_METADATA = ("labels", "annotations")


def seen_from(context: Context, res: Resource) -> Context:
    """The context of a request for a resource; with a conversion webhook its store converts."""
    conversion = (res.crd or {}).get("conversion") or {}
    if conversion.get("strategy") != "Webhook":
        return context
    converter = Converter(context.store, res, conversion["webhook"]["clientConfig"])
    return context._replace(store=ConvertingStore(context.store, converter))


class Converter(NamedTuple):
    """Calls the webhook of a resource's definition."""

    store: Store
    res: Resource
    client: Object

    async def converted(self, objs: Sequence[Object], version: str) -> list[Object]:
        """Objects in a group/version; those that are in it already as they are. Raises
        StatusError 500.
        """
        others = [obj for obj in objs if obj["apiVersion"] != version]
        answers: list[Object] = []
        for first in range(0, len(others), _BATCH):
            answers += await self._ask(others[first : first + _BATCH], version)
        answered = iter(answers)
        return [obj if obj["apiVersion"] == version else next(answered) for obj in objs]

    async def _ask(self, objs: list[Object], version: str) -> list[Object]:
        request = {"uid": str(uuid.uuid4()), "desiredAPIVersion": version, "objects": objs}
        review = {"kind": "ConversionReview", "apiVersion": _REVIEW, "request": request}
        try:
            answer = await post(self.store, self.client, review, SECONDS)
            return _checked(answer, request, objs)
        except CallFailed as error:
            kind = f"{objs[0]['apiVersion']}, Kind={self.res.kind}"
            raise internal(f"conversion webhook for {kind} failed: {error}") from error


def _checked(answer: Any, request: Object, objs: list[Object]) -> list[Object]:
    """The converted objects, with the metadata that a webhook may not change. Raises CallFailed."""
    response = answer.get("response") if isinstance(answer, dict) else None
    if not isinstance(response, dict) or response.get("uid") != request["uid"]:
        raise CallFailed("the answer has no response to this request")
    result = response.get("result") or {}
    if result.get("status") != "Success":
        raise CallFailed(str(result.get("message") or "no reason was given"))
    converted = response.get("convertedObjects") or []
    if len(converted) != len(objs):
        raise CallFailed(f"expected {len(objs)} converted objects, got {len(converted)}")
    version = request["desiredAPIVersion"]
    return [_kept(obj, new, version) for obj, new in zip(objs, converted, strict=True)]


def _kept(old: Object, new: Any, version: str) -> Object:
    if not isinstance(new, dict) or new.get("apiVersion") != version:
        raise CallFailed(f"a converted object is not of version {version}")
    given = new.get("metadata") or {}
    metadata = {key: value for key, value in old["metadata"].items() if key not in _OWN_METADATA}
    metadata |= {key: given[key] for key in _OWN_METADATA if key in given}
    rest = {key: value for key, value in new.items() if key not in _HEAD}
    return {"kind": old["kind"], "apiVersion": version, "metadata": metadata, **rest}


class ConvertingStore(Store):
    """The same store as another, as requests for one version see it."""

    def __init__(self, store: Store, converter: Converter) -> None:
        vars(self).update(vars(store))
        self._converter = converter

    async def get(self, prefix: str, namespace: str, name: str) -> Entry | None:
        entry = await super().get(prefix, namespace, name)
        if entry is None or prefix != self._converter.res.prefix:
            return entry
        return (await self._shown([entry]))[0]

    async def page(
        self,
        prefix: str,
        namespace: str = "",
        *,
        after: str = "",
        limit: int = 0,
        revision: int = 0,
    ) -> Page:
        page = await super().page(prefix, namespace, after=after, limit=limit, revision=revision)
        if prefix != self._converter.res.prefix:
            return page
        return page._replace(entries=await self._shown(page.entries))

    async def commit(self, changes: list[Change]) -> int:
        return await super().commit([await self._stored(change) for change in changes])

    def watch(
        self, prefix: str, *, after: int, listener: Callable[[], None] | None = None
    ) -> Watcher:
        watcher = super().watch(prefix, after=after, listener=listener)
        if prefix != self._converter.res.prefix:
            return watcher
        return ConvertingWatcher(watcher, self)

    async def _shown(self, entries: Sequence[Entry]) -> list[Entry]:
        """Entries as a request reads them."""
        version = self._converter.res.gv
        objs = [load(entry) for entry in entries]
        converted = await self._converter.converted(objs, version)
        return [
            entry if new is old else entry._replace(value=encode(new))
            for entry, old, new in zip(entries, objs, converted, strict=True)
        ]

    async def _stored(self, change: Change) -> Change:
        """A write in the stored version; it comes with that version's name already."""
        res = self._converter.res
        if change.value is None or not change.key.startswith(directory(res.prefix)):
            return change
        obj = {**msgspec.json.decode(change.value), "apiVersion": res.gv}
        (stored,) = await self._converter.converted([obj], res.storage_version)
        return change if stored is obj else change._replace(value=encode(stored))

    async def event(self, event: Event) -> Event:
        """An event as a watcher reads it."""
        entries = [entry for entry in (event.entry, event.previous) if entry is not None]
        shown = dict(zip(map(id, entries), await self._shown(entries), strict=True))
        return event._replace(
            entry=shown.get(id(event.entry)), previous=shown.get(id(event.previous))
        )


class ConvertingWatcher(Watcher):
    """The same watcher as another, whose events are converted before they are ready."""

    def __init__(self, watcher: Watcher, store: ConvertingStore) -> None:
        vars(self).update(vars(watcher))
        self._store = store
        self._converted: list[Event] = []

    def ready(self, limit: int = 0) -> list[Event]:
        events, self._converted = self._converted, []
        return events

    async def wait_until(self, until: float) -> None:
        await super().wait_until(until)
        self._converted += [await self._store.event(event) for event in super().ready()]
