"""Fair use of the server: how many requests of a priority level run at once, and who waits.

Each request belongs to the FlowSchema with the lowest precedence that matches it, and so to a
PriorityLevelConfiguration, which owns a share of the server's seats. What finds no seat waits in
the level's queue, in which flows (users or namespaces) take turns; a full queue, or one that
rejects, answers 429 with Retry-After (apiserver, ``util/flowcontrol``). Requests that last, such as
watches, hold a seat only until their answer begins.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load

if TYPE_CHECKING:
    from kubelite.control.api.wire.attributes import AuthorizationAttributes
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

Object = dict[str, Any]
SEATS = 600
WAIT_SECONDS = 15.0
_REMEMBERED = 4096
_ACCOUNT = "system:serviceaccount:"


class TooManyRequests(Exception):
    """The request found neither a seat nor a place in the queue. ``level`` is its priority
    level.
    """

    def __init__(self, level: str) -> None:
        super().__init__(level)
        self.level = level


class Classified(NamedTuple):
    """Where a request belongs: the names of its level and flow, and the headers that say so."""

    level: str
    flow: str
    headers: tuple[tuple[str, str], ...]


_UNCLASSIFIED = Classified("", "", ())


class _Level:
    """The seats of one priority level, and who waits for one."""

    def __init__(self, seats: int, queue: int) -> None:
        self.seats = seats
        self.queue = queue
        self.taken = 0
        self.waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def is_full(self) -> bool:
        return sum(map(len, self.waiting.values())) >= self.queue

    def enqueue(self, flow: str) -> asyncio.Future[None]:
        """A place in the queue; the future is done when a seat was handed over."""
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.setdefault(flow, deque()).append(place)
        return place

    def leave(self, flow: str, place: asyncio.Future[None]) -> None:
        """Gives up waiting."""
        places = self.waiting.get(flow)
        if places and place in places:
            places.remove(place)
            if not places:
                del self.waiting[flow]

    def release(self) -> None:
        """Hands the seat to the next flow in turn, or gives it back."""
        while self.waiting:
            flow, places = self.waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self.waiting[flow] = places  # behind all other flows
            if not place.done():
                place.set_result(None)
                return
        self.taken -= 1


class FlowControl:
    """The queues of a server, as its FlowSchemas and PriorityLevelConfigurations say."""

    def __init__(self, store: Store) -> None:
        self._schemas: dict[str, Object] = {}
        self._levels: dict[str, Object] = {}
        self._queues: dict[str, _Level] = {}
        self._known: dict[tuple[Any, ...], Classified] = {}
        prefixes = ("flowschemas", "prioritylevelconfigurations")
        self._followers = Followers(store, prefixes, self._note, self._reset)

    async def refresh(self) -> None:
        """Learns what has changed. Raises StoreError."""
        await self._followers.refresh()

    def _reset(self, prefix: str) -> None:
        (self._schemas if prefix == "flowschemas" else self._levels).clear()
        self._known.clear()

    def _note(self, prefix: str, key: tuple[str, str], entry: Entry | None) -> None:
        self._known.clear()
        held = self._schemas if prefix == "flowschemas" else self._levels
        if entry is None:
            held.pop(key[1], None)
        else:
            held[key[1]] = load(entry)
        if held is self._levels:
            self._divide()

    def _divide(self) -> None:
        """Gives every limited level its share of the seats."""
        limited = {
            name: level["spec"]["limited"]
            for name, level in self._levels.items()
            if level["spec"].get("limited")
        }
        shares = {
            name: limits.get("nominalConcurrencyShares", 30) for name, limits in limited.items()
        }
        total = sum(shares.values()) or 1
        for name, limits in limited.items():
            seats = math.ceil(SEATS * shares[name] / total)
            queuing = (limits.get("limitResponse") or {}).get("queuing") or {}
            queue = queuing.get("queues", 0) * queuing.get("queueLengthLimit", 0)
            known = self._queues.setdefault(name, _Level(seats, queue))
            known.seats, known.queue = seats, queue

    def classify(self, attributes: AuthorizationAttributes) -> Classified:
        """Where a request belongs."""
        key = (*attributes[:6], attributes.path)
        known = self._known.get(key)
        if known is None:
            known = self._classify(attributes)
            if attributes.is_short:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known

    def _classify(self, attributes: AuthorizationAttributes) -> Classified:
        matching = [schema for schema in self._schemas.values() if matches(schema, attributes)]
        if not matching:
            return _UNCLASSIFIED
        schema = min(
            matching,
            key=lambda schema: (schema["spec"]["matchingPrecedence"], schema["metadata"]["name"]),
        )
        level = schema["spec"]["priorityLevelConfiguration"]["name"]
        level_uid = (self._levels.get(level) or {}).get("metadata", {}).get("uid", "")
        method = (schema["spec"].get("distinguisherMethod") or {}).get("type")
        by = attributes.user.name if method == "ByUser" else attributes.namespace if method else ""
        flow = f"{schema['metadata']['name']}/{by}"
        headers = (
            ("X-Kubernetes-PF-FlowSchema-UID", schema["metadata"]["uid"]),
            ("X-Kubernetes-PF-PriorityLevel-UID", level_uid),
        )
        return Classified(level, flow, headers)

    async def acquire(self, classified: Classified) -> _Level | None:
        """A seat, which is to be released; None where the level is not limited. Raises
        TooManyRequests.
        """
        level = self._queues.get(classified.level)
        if level is None or classified.level not in self._levels:
            return None
        if level.taken < level.seats:
            level.taken += 1
            return level
        if level.is_full():
            raise TooManyRequests(classified.level)
        place = level.enqueue(classified.flow)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await place
        except (TimeoutError, asyncio.CancelledError) as error:
            if place.done() and not place.cancelled():
                level.release()  # the seat came in the moment of giving up
            level.leave(classified.flow, place)
            if isinstance(error, TimeoutError):
                raise TooManyRequests(classified.level) from None
            raise
        return level


def matches(schema: Object, attributes: AuthorizationAttributes) -> bool:
    """Whether a FlowSchema is about a request."""
    return any(
        any(_is_subject(subject, attributes) for subject in rule.get("subjects") or ())
        and _is_covered(rule, attributes)
        for rule in schema["spec"].get("rules") or ()
    )


def _is_subject(subject: Object, attributes: AuthorizationAttributes) -> bool:
    user = attributes.user
    match subject.get("kind"):
        case "User":
            return subject["user"]["name"] in ("*", user.name)
        case "Group":
            return subject["group"]["name"] == "*" or subject["group"]["name"] in user.groups
        case "ServiceAccount":
            namespace, name = (
                subject["serviceAccount"]["namespace"],
                subject["serviceAccount"]["name"],
            )
            prefix = f"{_ACCOUNT}{namespace}:"
            return user.name.startswith(prefix) and name in ("*", user.name[len(prefix) :])
    return False


def _is_covered(rule: Object, attributes: AuthorizationAttributes) -> bool:
    if attributes.path:
        return any(
            _has(part.get("verbs"), attributes.verb)
            and any(_path_fits(url, attributes.path) for url in part.get("nonResourceURLs") or ())
            for part in rule.get("nonResourceRules") or ()
        )
    resource = f"{attributes.resource}/{attributes.sub}" if attributes.sub else attributes.resource
    return any(
        _has(part.get("verbs"), attributes.verb)
        and _has(part.get("apiGroups"), attributes.group)
        and _has(part.get("resources"), resource)
        and (
            _has(part.get("namespaces"), attributes.namespace)
            if attributes.namespace
            else part.get("clusterScope", False)
        )
        for part in rule.get("resourceRules") or ()
    )


def _has(listed: list[str] | None, value: str) -> bool:
    return listed is not None and ("*" in listed or value in listed)


def _path_fits(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))
