"""Lengths of time as kubectl's AGE column shows them. Pure.

The limits are those of apimachinery's ``duration.HumanDuration``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

UNKNOWN = "<unknown>"
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86400, 365 * 86400


def shown(seconds: float) -> str:
    """A length of time in at most two units, fewer as it grows: ``90s``, ``5m30s``, ``3h``, ``8d``,
    ``2y30d``; ``<invalid>`` for one that lies ahead by more than a clock may be off.
    """
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 2 * _MINUTE:
        return f"{max(whole, 0)}s"
    if whole < 3 * _HOUR:
        return _two(whole, (_MINUTE, "m"), (1, "s"), both=whole < 10 * _MINUTE)
    if whole < 2 * _DAY:
        return _two(whole, (_HOUR, "h"), (_MINUTE, "m"), both=whole < 8 * _HOUR)
    if whole < 2 * _YEAR:
        return _two(whole, (_DAY, "d"), (_HOUR, "h"), both=whole < 8 * _DAY)
    return _two(whole, (_YEAR, "y"), (_DAY, "d"), both=whole < 8 * _YEAR)


def _two(whole: int, large: tuple[int, str], small: tuple[int, str], *, both: bool) -> str:
    count, rest = divmod(whole, large[0])
    beside = rest // small[0]
    return f"{count}{large[1]}" + (f"{beside}{small[1]}" if both and beside else "")


def since(time: str | None, now: datetime) -> str:
    """How long ago an RFC 3339 time was; ``<unknown>`` where there is none or it cannot be read."""
    if not time:
        return UNKNOWN
    try:
        return shown((now - parsed(time)).total_seconds())
    except ValueError:
        return UNKNOWN


def parsed(time: str) -> datetime:
    """An RFC 3339 time. Raises ValueError."""
    from datetime import UTC, datetime  # the commands that show no age do without

    return datetime.fromisoformat(time).astimezone(UTC)
