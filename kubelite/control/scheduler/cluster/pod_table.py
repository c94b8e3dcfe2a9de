"""The pods that count: those that run, and those for which room is being made. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.scheduler.facts.fields import Field, named
from kubelite.control.scheduler.facts.trait_cache import Reading

if TYPE_CHECKING:
    from kubelite.control.scheduler.cluster.core_arrays import PodClass

NOT_STARTED = (1 << 63) - 1  # a pod without a start time counts as started now


@dataclass(eq=False, slots=True)
class Entry:
    """A pod that runs or is nominated. ``node`` is "" until it has one; ``slot`` is its number in
    the core; ``claims`` are (claim, volume) pairs that were assumed to be bound for it.
    """

    key: str
    name: str
    obj: Mapping[str, Any]
    reading: Reading
    slot: int
    node: str
    nominated: str
    start: int
    pod_class: PodClass | None = None
    claims: tuple[tuple[str, str], ...] = ()


class PodTable:
    """Entries by key and by slot; slots of pods that left are used again."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._slots: list[Entry | None] = []
        self._free: list[int] = []
        self.nominated: dict[str, Entry] = {}
        self.running = 0

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return (entry for entry in self._slots if entry is not None)

    def get(self, key: str) -> Entry | None:
        """The entry of a pod, or None."""
        return self._entries.get(key)

    def new_slot(self) -> int:
        """A slot for a pod that is about to be added."""
        if self._free:
            return self._free.pop()
        self._slots.append(None)
        return len(self._slots) - 1

    def give_back(self, slot: int) -> None:
        """A slot that no pod has taken."""
        self._free.append(slot)

    def add(self, entry: Entry) -> None:
        """Takes a pod in."""
        self._slots[entry.slot] = entry
        self._entries[entry.key] = entry
        if entry.node:
            self.running += 1
        else:
            self.nominated[entry.key] = entry

    def remove(self, key: str) -> Entry | None:
        """Lets a pod go."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._slots[entry.slot] = None
            self._free.append(entry.slot)
            self.running -= bool(entry.node)
            self.nominated.pop(key, None)
        return entry

    def at(self, slot: int) -> Entry:
        """The pod of a slot."""
        entry = self._slots[slot]
        assert entry is not None  # the core names only pods that are there
        return entry


def key_of(pod: Mapping[str, Any]) -> str:
    """What tells pods apart: "ns/name", or the object itself where a partial object has no name.
    Raises BadObject.
    """
    name = full_name(pod)
    return f"#{id(pod)}" if name.endswith("/") else name


def full_name(obj: Mapping[str, Any]) -> str:
    """ "ns/name" of an object. Raises BadObject."""
    given = obj.get("metadata") if type(obj) is dict else None
    if type(given) is dict:
        name, namespace = given.get("name"), given.get("namespace")
        if type(name) is str and type(namespace) is str and namespace:
            return f"{namespace}/{name}"
    meta = Field(obj, "object").at("metadata")
    return f"{meta.at('namespace').text() or 'default'}/{meta.at('name').text()}"


def start_of(pod: Mapping[str, Any]) -> int:
    """When a pod started, in microseconds since 1970. Raises BadObject."""
    if not pod.get("status"):
        return NOT_STARTED
    given = named(pod, "Pod").at("status", "startTime")
    if isinstance(given.value, datetime):
        return int(given.value.timestamp() * 1_000_000)
    if not given.text():
        return NOT_STARTED
    try:
        return int(datetime.fromisoformat(given.text()).timestamp() * 1_000_000)
    except ValueError:
        raise given.error(f"{given.value} is not a time as in 2024-05-01T12:00:00Z") from None
