"""Which events are written, counted or dropped: client-go's rules. Pure.

The order is that of client-go's ``EventCorrelator``: similar events are aggregated (more than 10
messages of one kind within 10 minutes become one "combined" event), equal ones are counted on the
event that is there, and one object may cause 25 events at once and one per 5 minutes after that.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

MAX_SIMILAR = 10
SIMILAR_SECONDS = 600.0
BURST = 25
REFILL_PER_SECOND = 1 / 300
MAX_KEPT = 4096
COMBINED = "(combined from similar events): "


class Occurrence(NamedTuple):
    """Something that has happened to an object; ``reference`` is a core ObjectReference."""

    component: str
    reference: tuple[tuple[str, str], ...]
    type: str
    reason: str
    message: str


class Verdict(NamedTuple):
    """What to write: the message, how often it has happened, and the event that counts it.

    ``name`` is "" for an event that is new.
    """

    message: str
    times: int
    name: str
    first_seen: float
    key: tuple[Any, ...]


class _Counted(NamedTuple):
    times: int
    name: str
    first_seen: float


class _Similar(NamedTuple):
    messages: set[str]
    last_seen: float


class Correlator:
    """Remembers the latest 4096 events, groups and objects. Times are seconds of any clock."""

    def __init__(self) -> None:
        self._similar: OrderedDict[tuple[Any, ...], _Similar] = OrderedDict()
        self._counted: OrderedDict[tuple[Any, ...], _Counted] = OrderedDict()
        self._buckets: OrderedDict[tuple[Any, ...], tuple[float, float]] = OrderedDict()

    def judge(self, occurrence: Occurrence, now: float) -> Verdict | None:
        """What to write of it, None to drop it."""
        key, message = self._aggregate(occurrence, now)
        known = self._counted.get(key, _Counted(0, "", now))
        counted = known._replace(times=known.times + 1)
        _keep(self._counted, key, counted)
        if not self._may_write(occurrence, now):
            return None
        return Verdict(message, counted.times, counted.name, counted.first_seen, key)

    def written(self, verdict: Verdict, name: str) -> None:
        """Later occurrences are counted on the event of this name."""
        known = self._counted.get(verdict.key)
        if known is not None:
            self._counted[verdict.key] = known._replace(name=name)

    def _aggregate(self, occurrence: Occurrence, now: float) -> tuple[tuple[Any, ...], str]:
        group = occurrence[:4]
        similar = self._similar.get(group)
        if similar is None or now - similar.last_seen > SIMILAR_SECONDS:
            similar = _Similar(set(), now)
        similar.messages.add(occurrence.message)
        _keep(self._similar, group, similar._replace(last_seen=now))
        if len(similar.messages) < MAX_SIMILAR:
            return (*group, occurrence.message), occurrence.message
        similar.messages.pop()
        return group, COMBINED + occurrence.message

    def _may_write(self, occurrence: Occurrence, now: float) -> bool:
        source = occurrence[:2]
        tokens, last = self._buckets.get(source, (float(BURST), now))
        tokens = min(float(BURST), tokens + (now - last) * REFILL_PER_SECOND)
        allowed = tokens >= 1
        _keep(self._buckets, source, (tokens - allowed, now))
        return allowed


def _keep(table: OrderedDict[tuple[Any, ...], Any], key: tuple[Any, ...], value: Any) -> None:
    table[key] = value
    table.move_to_end(key)
    if len(table) > MAX_KEPT:
        table.popitem(last=False)
