"""CustomResourceDefinitions: what each of them makes the server serve, and what becomes of its
objects when it goes.

A definition is served in the moment it is stored: whoever creates one can use it with the next
request.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.api.patching import managed_fields
from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.verbs import deletion
from kubelite.control.api.verbs.delete_options import DeleteOptions
from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import copy, load
from kubelite.control.api.wire.resource import OBJECT_VERBS, Resource
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.store.types import Entry

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
PREFIX = f"{GROUP}/{PLURAL}"
_IDLE_SECONDS, _RETRY_SECONDS, _LOOK_AGAIN_SECONDS = 600.0, 1.0, 0.1
_MANAGER = "kube-apiserver"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def resources_of(crd: dict[str, Any]) -> tuple[Resource, ...]:
    """What an established definition makes the server serve; nothing is created any more of one
    that goes.
    """
    spec, names = crd["spec"], crd["spec"]["names"]
    is_going = "deletionTimestamp" in crd["metadata"]
    verbs = tuple(verb for verb in OBJECT_VERBS if verb != "create" or not is_going)
    versions = [version for version in spec["versions"] if version.get("served")]
    stored = next(version["name"] for version in spec["versions"] if version.get("storage"))
    return tuple(
        Resource(
            group=spec["group"],
            version=version["name"],
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            namespaced=spec["scope"] == "Namespaced",
            prefix=f"{spec['group']}/{names['plural']}",
            storage_version=f"{spec['group']}/{stored}",
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            verbs=verbs,
            subresources=tuple(sorted(version.get("subresources") or {})),
            crd={**version, "conversion": spec.get("conversion")},
            list_kind=names.get("listKind", ""),
            settled=len(spec["versions"]) == 1 and crd["metadata"].get("generation", 1) == 1,
        )
        for version in versions
    )


def defines(res: Resource) -> bool:
    """Whether these are definitions."""
    return res.plural == PLURAL and res.group == GROUP


def settle(registry: Registry, res: Resource, crd: dict[str, Any]) -> dict[str, Any]:
    """A definition with the status that its names deserve, which belongs to the server; an object
    of another kind as it is.
    """
    if not defines(res):
        return crd
    before, metadata = copy(crd), dict(crd["metadata"])
    if not metadata.get("deletionTimestamp") and FINALIZER not in metadata.get("finalizers", ()):
        metadata["finalizers"] = [*metadata.get("finalizers", ()), FINALIZER]
    before["metadata"] = metadata
    after = copy(before)
    _settle_names(registry, after)
    return managed_fields.track(
        res, before, after, manager=_MANAGER, now=timestamp(), subresource="status"
    )


def _settle_names(registry: Registry, crd: dict[str, Any]) -> None:
    """Accepts or refuses the names of a definition, in its status."""
    status = crd.setdefault("status", {})
    taken = _taken(registry, crd)
    if not taken:
        status["acceptedNames"] = copy(crd["spec"]["names"])
    stored = [version["name"] for version in crd["spec"]["versions"] if version.get("storage")]
    status["storedVersions"] = list(dict.fromkeys([*(status.get("storedVersions") or ()), *stored]))
    good = (
        ("True", "NoConflicts", "no conflicts found")
        if not taken
        else ("False", "NameConflict", taken)
    )
    initial = ("True", "InitialNamesAccepted", "the initial names have been accepted")
    established = initial if not taken else ("False", "NotAccepted", "not all names are accepted")
    conditions = status.setdefault("conditions", [])
    _set(conditions, "NamesAccepted", *good)
    if not taken or not any(condition["type"] == "Established" for condition in conditions):
        _set(conditions, "Established", *established)


def _taken(registry: Registry, crd: dict[str, Any]) -> str:
    """Which of the names another resource of the group has; "" for none."""
    names, group = crd["spec"]["names"], crd["spec"]["group"]
    wanted = {names["plural"], names.get("singular", ""), *(names.get("shortNames") or ())} - {""}
    for res in registry.all():
        if res.group != group or (res.plural == names["plural"] and res.crd is not None):
            continue
        for name in wanted & {res.plural, res.singular, *res.short_names}:
            return f'"{name}" is already in use'
        if res.kind == names["kind"]:
            return f'"{res.kind}" is already in use'
    return ""


def _set(
    conditions: list[dict[str, Any]], kind: str, status: str, reason: str, message: str
) -> None:
    known = next((condition for condition in conditions if condition["type"] == kind), None)
    if known is not None and known["status"] == status:
        return
    fresh = {
        "type": kind,
        "status": status,
        "lastTransitionTime": timestamp(),
        "reason": reason,
        "message": message,
    }
    if known is None:
        conditions.append(fresh)
    else:
        known.update(fresh)


def is_established(crd: dict[str, Any]) -> bool:
    """Whether a definition is served."""
    conditions = (crd.get("status") or {}).get("conditions") or ()
    return any(
        condition["type"] == "Established" and condition["status"] == "True"
        for condition in conditions
    )


class Definitions:
    """Keeps the registry in step with the definitions in the store, and cleans up behind those that
    go.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._followers = Followers(context.store, (PREFIX,), self._note, self._reset)
        self._cleaning: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Follows definitions even when nobody asks for anything."""
        self._task = asyncio.create_task(self._follow(), name="custom-definitions")

    async def _follow(self) -> None:
        is_open = True
        while is_open:
            try:
                await self.refresh()
                is_open = await self._followers.wait(_IDLE_SECONDS)
            except StoreError:
                await asyncio.sleep(_RETRY_SECONDS)

    async def refresh(self) -> None:
        """Learns what has changed. Raises StoreError."""
        await self._followers.refresh()

    def _reset(self, _: str) -> None:
        self._context.registry.forget_custom()

    def _note(self, _: str, key: tuple[str, str], entry: Entry | None) -> None:
        name, crd = key[1], load(entry) if entry is not None else None
        is_served = crd is not None and is_established(crd)
        self._context.registry.define(name, resources_of(crd) if crd and is_served else ())
        if crd is None or name in self._cleaning:
            return
        metadata = crd["metadata"]
        if metadata.get("deletionTimestamp") and FINALIZER in metadata.get("finalizers", ()):
            task = asyncio.create_task(self._clean(name, crd), name=f"clean-up-of-{name}")
            task.add_done_callback(lambda _: self._cleaning.pop(name, None))
            self._cleaning[name] = task

    async def _clean(self, name: str, crd: dict[str, Any]) -> None:
        """Deletes the objects of a definition that goes, waits for those that finalizers hold, then
        lets go of the definition.
        """
        prefix = f"{crd['spec']['group']}/{crd['spec']['names']['plural']}"
        registered = self._context.registry.all()
        is_ours = all(res.prefix != prefix or res.crd is not None for res in registered)
        if is_ours and (resources := resources_of(crd)):
            while await self._delete_all(resources[0], prefix):
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await self._release(name)

    async def _delete_all(self, res: Resource, prefix: str) -> bool:
        """Deletes, or marks as being deleted, what is there; whether something was. Raises
        StoreError.
        """
        store, now = self._context.store, datetime.now(UTC)
        entries = (await store.page(prefix)).entries
        for entry in entries:
            old = load(entry)
            decided = deletion.begin(res, old, DeleteOptions(), now)
            try:
                if decided.removes:
                    await remove(store, res, entry, companions=[])
                elif decided.obj is not old:
                    await write(store, res, decided.obj, entry, companions=[])
            except Conflict:
                continue
        return bool(entries)

    async def _release(self, name: str) -> None:
        res = self._context.registry.builtin(GROUP, PLURAL)
        while (entry := await self._context.store.get(PREFIX, "", name)) is not None:
            crd = load(entry)
            finalizers = [
                finalizer
                for finalizer in crd["metadata"].get("finalizers", ())
                if finalizer != FINALIZER
            ]
            crd["metadata"]["finalizers"] = finalizers
            try:
                if finalizers:
                    await write(self._context.store, res, crd, entry, companions=[])
                else:
                    await remove(self._context.store, res, entry, companions=[])
            except Conflict:
                continue
            except StoreError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            return

    async def close(self) -> None:
        """Ends what is under way; it is taken up again at the next start."""
        tasks = [*self._cleaning.values(), *([self._task] if self._task is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
