"""When a cron expression fires, as kube-controller-manager reads it. Pure.

The dates come from ``cronsim``; what differs from its dialect is translated: ``?`` is ``*``; a
field such as ``*/2`` is a restriction, so that with two restricted day fields either may match;
``5/15`` goes on to the end; ``@daily`` and the like, and ``@every 1h30m``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from kubelite.lib.text_cache import remember_short_calls

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


class ScheduleError(ValueError):
    """An expression or a time zone that cannot be read; the message is one clause."""


class Schedule:
    """A cron expression in a time zone."""

    def __init__(self, text: str, zone: str | None = None) -> None:
        self.zone = _zone(zone)
        self._every = _every(text)
        self._expression = "" if self._every else _translated(text)
        if not self._every:
            _check(self._expression)

    def after(self, seconds: float) -> float | None:
        """The first time after this one, in seconds since 1970; None where there is none any
        more.
        """
        if self._every:
            return float(int(seconds)) + self._every
        start = datetime.fromtimestamp(int(seconds), self.zone)
        try:
            return float(next(CronSim(self._expression, start)).timestamp())
        except (StopIteration, CronSimError):
            return None


def _check(expression: str) -> None:
    """Raises ScheduleError, but not for a day that no month has: such a schedule never fires."""
    try:
        CronSim(expression, datetime(2026, 1, 1))
    except CronSimError as error:
        minute, hour, day, _, weekday = expression.split()
        try:
            CronSim(f"{minute} {hour} {day} 1 {weekday}", datetime(2026, 1, 1))
        except CronSimError:
            raise ScheduleError(str(error)) from error


@remember_short_calls(1024)
def schedule(text: str, zone: str | None) -> Schedule:
    """A schedule, read once. Raises ScheduleError."""
    return Schedule(text, zone)


@remember_short_calls(256)
def _zone(name: str | None) -> tzinfo:
    if name is None:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"unknown time zone {name}") from error


def _every(text: str) -> float:
    """The seconds of ``@every``, at least one; 0 for other expressions."""
    if not text.startswith("@every "):
        return 0.0
    duration = text.removeprefix("@every ")
    parts = _DURATION.findall(duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ScheduleError(f"failed to parse duration {text}")
    return max(1.0, float(int(sum(float(number) * _UNITS[unit] for number, unit in parts))))


def _translated(text: str) -> str:
    text = text.strip()
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ScheduleError(f"unrecognized descriptor: {text}")
        return _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_BOUNDS):
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: {fields}")
    return " ".join(_field(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True))


def _field(field: str, first: int, last: int) -> str:
    return ",".join(_part(part, first, last) for part in field.split(","))


def _part(part: str, first: int, last: int) -> str:
    values, slash, step = part.partition("/")
    if values in ("*", "?"):
        return f"{first}-{last}/{step}" if slash and step != "1" else "*"
    if slash and "-" not in values:
        return f"{values}-{last}/{step}"
    return part
