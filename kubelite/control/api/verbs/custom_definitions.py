"""CustomResourceDefinitions: what each of them makes the server serve, and what becomes of its
objects when it goes.

A definition is served in the moment it is stored: whoever creates one can use it with the next
request.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from kubelite.control.api.strategy.commit import remove, write
from kubelite.control.api.wire.directory_cache import Follower
from kubelite.control.api.wire.documents import copy, load
from kubelite.control.api.wire.resource import Resource
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.store.types import Entry

GROUP, PLURAL = "apiextensions.k8s.io", "customresourcedefinitions"
PREFIX = f"{GROUP}/{PLURAL}"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def resources_of(crd: dict[str, Any]) -> tuple[Resource, ...]:
    """What an established definition makes the server serve."""
    spec, names = crd["spec"], crd["spec"]["names"]
    versions = [each for each in spec["versions"] if each.get("served")]
    stored = next(each["name"] for each in spec["versions"] if each.get("storage"))
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
            subresources=tuple(sorted(version.get("subresources") or {})),
            crd=version,
            list_kind=names.get("listKind", ""),
            settled=len(spec["versions"]) == 1 and crd["metadata"].get("generation", 1) == 1,
        )
        for version in versions
    )


def settle(registry: Registry, res: Resource, crd: dict[str, Any]) -> None:
    """Gives a definition the status that its names deserve. In place; other kinds are left alone."""
    if res.plural != PLURAL or res.group != GROUP:
        return
    status = crd.setdefault("status", {})
    taken = _taken(registry, crd)
    if not taken:
        status["acceptedNames"] = copy(crd["spec"]["names"])
    stored = [each["name"] for each in crd["spec"]["versions"] if each.get("storage")]
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
    if not taken or not any(each["type"] == "Established" for each in conditions):
        _set(conditions, "Established", *established)
    metadata = crd["metadata"]
    if not metadata.get("deletionTimestamp") and FINALIZER not in metadata.get("finalizers", ()):
        metadata["finalizers"] = [*metadata.get("finalizers", ()), FINALIZER]


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
    known = next((each for each in conditions if each["type"] == kind), None)
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
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


class Definitions:
    """Keeps the registry in step with the definitions in the store, and cleans up behind those that
    go.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._follower = Follower(context.store, PREFIX, self._note, self._reset)
        self._cleaning: dict[str, asyncio.Task[None]] = {}

    async def refresh(self) -> None:
        """Learns what has changed. Raises StoreError."""
        if not self._follower.catch_up():
            await self._follower.start()

    def _reset(self, _: str) -> None:
        self._context.registry.forget_custom()

    def _note(self, _: str, key: tuple[str, str], entry: Entry | None) -> None:
        crd = load(entry) if entry is not None else None
        self._context.registry.define(
            key[1], resources_of(crd) if crd is not None and is_established(crd) else ()
        )
        if (
            crd is not None
            and crd["metadata"].get("deletionTimestamp")
            and key[1] not in self._cleaning
        ):
            task = asyncio.create_task(self._clean(key[1], crd), name=f"clean-up-of-{key[1]}")
            task.add_done_callback(lambda _: self._cleaning.pop(key[1], None))
            self._cleaning[key[1]] = task

    async def _clean(self, name: str, crd: dict[str, Any]) -> None:
        """Removes the objects of a definition that goes, then lets go of the definition."""
        prefix = f"{crd['spec']['group']}/{crd['spec']['names']['plural']}"
        ours = all(
            res.prefix != prefix or res.crd is not None for res in self._context.registry.all()
        )
        resources = resources_of(crd) if ours else ()
        while resources and (page := await self._context.store.page(prefix, limit=100)).entries:
            for entry in page.entries:
                try:
                    await remove(self._context.store, resources[0], entry, companions=[])
                except Conflict:
                    continue
        await self._release(name)

    async def _release(self, name: str) -> None:
        res = self._context.registry.builtin(GROUP, PLURAL)
        while (entry := await self._context.store.get(PREFIX, "", name)) is not None:
            crd = load(entry)
            finalizers = [
                each for each in crd["metadata"].get("finalizers", ()) if each != FINALIZER
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
                await asyncio.sleep(1)
                continue
            return

    async def close(self) -> None:
        """Ends what is under way; it is taken up again at the next start."""
        for task in self._cleaning.values():
            task.cancel()
        await asyncio.gather(*self._cleaning.values(), return_exceptions=True)
