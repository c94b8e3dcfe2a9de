"""When a node was last heard of, by our own clock. Pure.

After kubernetes, ``pkg/controller/nodelifecycle``: who watches a node begins to count when it sees
it first, so that nobody is lost because the watcher was away; and the clock of the node need not be
right. Kubernetes looks every 5 s whether a Lease has changed. Here the time in it is believed where
it lies between two looks, and nobody looks before the node may be lost.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.controllers.shared.conditions import condition
from kubelite.control.controllers.shared.meta import Obj, created_at, parse_time, spec_of

GRACE_SECONDS = 50.0
"""How long after its last Lease or status a node counts as lost (node-monitor-grace-period)."""
STARTUP_GRACE_SECONDS = 60.0
"""The same for a node that has never said whether it is ready (node-startup-grace-period)."""
AHEAD_SECONDS = 300.0
"""How far a node's clock may be ahead and is believed: no longer than its pods stay anyway."""
PERIOD_SECONDS = 5.0
"""How often a node is looked at whose clock is wrong (node-monitor-period)."""
_WHOLE_SECOND = 1.0
"""Heartbeats are written in whole seconds."""


class Heartbeat(NamedTuple):
    """What the last look at a node found, all times in seconds since 1970: what Lease and status
    said, when that was looked at, and when the node was last heard of.
    """

    signs: tuple[str, str]
    looked_at: float
    at: float
    clock_is_wrong: bool = False


def look(before: Heartbeat | None, node: Obj, lease: Obj | None, now: float) -> Heartbeat:
    """Looks at a node, after an earlier look or for the first time."""
    ready = condition(node, "Ready") or {}
    renewed = (spec_of(lease).get("renewTime") if lease is not None else "") or ""
    signs = (renewed, ready.get("lastHeartbeatTime") or "")
    if before is None:
        return Heartbeat(signs, now, now if ready or renewed else created_at(node))
    new = [sign for sign, old in zip(signs, before.signs, strict=True) if sign and sign != old]
    if not new:
        return before._replace(signs=signs, looked_at=now)
    latest = max(map(parse_time, new))
    fits = before.looked_at - _WHOLE_SECOND <= latest <= now + AHEAD_SECONDS
    return Heartbeat(signs, now, max(before.at, latest if fits else now), not fits)


def is_lost_at(heartbeat: Heartbeat, node: Obj) -> float:
    """When a node that is not heard of again is lost."""
    has_reported = condition(node, "Ready") is not None
    return heartbeat.at + (GRACE_SECONDS if has_reported else STARTUP_GRACE_SECONDS)


def next_look(heartbeat: Heartbeat, node: Obj) -> float:
    """When to look at the node again, unless its status changes before."""
    ends = is_lost_at(heartbeat, node)
    return min(ends, heartbeat.looked_at + PERIOD_SECONDS) if heartbeat.clock_is_wrong else ends
