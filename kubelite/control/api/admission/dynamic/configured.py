"""What users have configured of admission, kept at hand: webhooks, policies and bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load

if TYPE_CHECKING:
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

Object = dict[str, Any]
KINDS = (
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
)


class Configured:
    """The objects of each kind by name, in the order of their names."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}
        self._about_namespace: set[tuple[str, str]] = set()
        self._followers: Followers | None = None

    async def refresh(self, store: Store) -> None:
        """Learns what has changed. Raises StoreError."""
        if self._followers is None:
            self._followers = Followers(store, KINDS, self._note, self._reset)
        await self._followers.refresh()

    def any(self, kinds: tuple[str, ...]) -> bool:
        """Whether there is an object of one of these kinds."""
        return any(map(self._objects.__getitem__, kinds))

    def all(self, kind: str) -> list[Object]:
        """The objects of a kind that are not being deleted."""
        held = self._objects[kind]
        return [held[name] for name in sorted(held)] if held else []

    def policy(self, kind: str, name: str) -> Object | None:
        """One policy by its name."""
        return self._objects[kind].get(name)

    def asks_for_namespace(self, kind: str, name: str) -> bool:
        """Whether an expression of a policy may be about the namespace's object."""
        return (kind, name) in self._about_namespace

    def _reset(self, kind: str) -> None:
        self._objects[kind].clear()

    def _note(self, kind: str, key: tuple[str, str], entry: Entry | None) -> None:
        obj = load(entry) if entry is not None else None
        if obj is None or obj["metadata"].get("deletionTimestamp"):
            self._objects[kind].pop(key[1], None)
        else:
            self._objects[kind][key[1]] = obj
        self._about_namespace.discard((kind, key[1]))
        if entry is not None and b"namespaceObject" in entry.value:
            self._about_namespace.add((kind, key[1]))
