"""From an object that may be stored to the answer: encode, commit, and the document as it then
is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.registry import convert
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import copy
from kubelite.control.store.document import stamp
from kubelite.control.store.store import key
from kubelite.control.store.types import Entry

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Change


async def write(
    store: Store,
    res: Resource,
    obj: dict[str, Any],
    before: Entry | None,
    *,
    companions: list[Change],
    volatile: bool = False,
    dry_run: bool = False,
    size: int = 0,
) -> Entry:
    """Stores an object over ``before`` (None: it is new), with ``companions`` or not at all.

    ``size`` is about its bytes of JSON. Returns the entry that is there now, or would be. Raises
    Conflict, NoSpace, Unavailable.
    """
    metadata = obj["metadata"]
    value = await aside(size, lambda: strategy.stored(res, convert(obj, res.storage_version)))
    namespace, name = metadata.get("namespace", "") if res.namespaced else "", metadata["name"]
    expected = before.revision if before else 0
    place = key(res.prefix, namespace, name)
    if dry_run:
        return Entry(place, stamp(value, expected) if expected else value, expected, expected)
    change = store.change(res.prefix, namespace, name, value, expected=expected, volatile=volatile)
    revision = await store.commit([change, *companions])
    return Entry(place, stamp(value, revision), before.created if before else revision, revision)


async def remove(
    store: Store,
    res: Resource,
    before: Entry,
    *,
    companions: list[Change],
    dry_run: bool = False,
) -> None:
    """Removes an object for good. Raises Conflict, NoSpace, Unavailable."""
    if dry_run:
        return
    namespace, name = identity(res, before)
    change = store.change(res.prefix, namespace, name, None, expected=before.revision)
    await store.commit([change, *companions])


def identity(res: Resource, entry: Entry) -> tuple[str, str]:
    """Namespace and name of an entry, from its key."""
    parts = entry.key.rsplit("/", 2)
    return (parts[1] if res.namespaced else "", parts[2])


def is_heartbeat(res: Resource, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a write of a Node only says that it is alive, which need not survive a restart."""
    return res.prefix == "minions" and _without_beats(old) == _without_beats(new)


def _without_beats(node: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = copy(node)
    plain["metadata"].pop("managedFields", None)
    plain["metadata"].pop("resourceVersion", None)
    for condition in plain.get("status", {}).get("conditions", ()):
        condition.pop("lastHeartbeatTime", None)
    return plain
