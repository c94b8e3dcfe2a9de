"""Messages of etcd's JSON gateway: requests as dicts, answers as entries and events. Pure.

Keys and values travel in base64, 64-bit numbers as text (etcd 3.5, ``api/etcdserverpb/rpc.proto``).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from kubelite.control.store.document import stamp
from kubelite.control.store.types import Entry, Event, Page

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubelite.control.store.types import Change

Message = dict[str, Any]
COMPACTED = "required revision has been compacted"
FUTURE = "required revision is a future revision"
NO_SPACE = "database space exceeded"


def _pack(data: bytes) -> str:
    return base64.b64encode(data).decode()


def after_prefix(prefix: str) -> bytes:
    """The first key behind everything that begins with a prefix."""
    data = prefix.encode()
    return data[:-1] + bytes([data[-1] + 1])


def one(key: str) -> Message:
    """The request for one key."""
    return {"key": _pack(key.encode())}


def some(prefix: str, after: str, limit: int, revision: int) -> Message:
    """The request for a page of keys."""
    first = after.encode() + b"\0" if after else prefix.encode()
    wish: Message = {
        "key": _pack(first),
        "range_end": _pack(after_prefix(prefix)),
        "limit": str(limit),
    }
    return {**wish, "revision": str(revision)} if revision else wish


def transaction(changes: Sequence[Change], leases: Mapping[int, str]) -> Message:
    """The request that makes all changes if each finds the revision it expects; otherwise it tells
    what is there.

    ``leases`` are those that end what is to be forgotten, by its ``ttl``.
    """
    compare = [
        {
            **one(change.key),
            "target": "MOD",
            "result": "EQUAL",
            "mod_revision": str(change.expected),
        }
        for change in changes
    ]
    success = [
        {"request_delete_range": one(change.key)}
        if change.value is None
        else {
            "request_put": {
                **one(change.key),
                "value": _pack(change.value),
                "lease": leases.get(change.ttl, "0"),
            }
        }
        for change in changes
    ]
    return {
        "compare": compare,
        "success": success,
        "failure": [{"request_range": one(change.key)} for change in changes],
    }


def watching(prefix: str, start: int) -> Message:
    """The request for every event under a prefix from a revision on."""
    wish: Message = {"key": _pack(prefix.encode()), "range_end": _pack(after_prefix(prefix))}
    return {
        "create_request": {
            **wish,
            "start_revision": str(start),
            "prev_kv": True,
            "progress_notify": True,
        }
    }


def revision(answer: Message) -> int:
    """The revision at which etcd answered."""
    return int(answer.get("header", {}).get("revision", 0))


def entry(pair: Message) -> Entry:
    """A key-value pair."""
    changed = int(pair["mod_revision"])
    value = stamp(base64.b64decode(pair.get("value", "")), changed)
    return Entry(
        base64.b64decode(pair["key"]).decode(), value, int(pair["create_revision"]), changed
    )


def page(answer: Message, wanted: int) -> Page:
    """The answer to a range request, as of the wanted revision (0: the one of the answer)."""
    pairs = answer.get("kvs", [])
    return Page(
        [entry(pair) for pair in pairs],
        wanted or revision(answer),
        int(answer.get("count", 0)) - len(pairs),
    )


def found(answer: Message, number: int) -> Entry | None:
    """What a refused transaction found for its change of a number."""
    pairs = answer["responses"][number].get("response_range", {}).get("kvs", [])
    return entry(pairs[0]) if pairs else None


def events(result: Message) -> list[Event]:
    """The events of a watch's answer."""
    return [_event(message) for message in result.get("events", [])]


def _event(message: Message) -> Event:
    pair = message["kv"]
    key, changed = base64.b64decode(pair["key"]).decode(), int(pair["mod_revision"])
    before = entry(message["prev_kv"]) if "prev_kv" in message else None
    return Event(changed, key, None if message.get("type") == "DELETE" else entry(pair), before)
