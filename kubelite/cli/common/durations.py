"""Durations, as kubectl and docker write them. Pure.

Reads what people type (``90s``, ``1h30m``) and writes what fits a narrow column (``3m4s``,
``5d3h``).
"""

from __future__ import annotations

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}


def parse(text: str) -> float:
    """Seconds in ``1h30m``, ``500ms`` or ``5d``; a bare number is seconds. Raises ValueError with a
    sentence.
    """
    rest = text.strip()
    if _is_number(rest):
        return float(rest)
    total = 0.0
    while rest:
        number = _prefix(rest, "0123456789.")
        unit = _prefix(rest[len(number) :], "nuµmshd")
        if not _is_number(number) or unit not in _UNITS:
            raise ValueError(f"{text!r} is not a duration: write it like 30s, 5m or 1h30m")
        total += float(number) * _UNITS[unit]
        rest = rest[len(number) + len(unit) :]
    if not text.strip():
        raise ValueError("a duration must not be empty: write it like 30s, 5m or 1h30m")
    return total


def parse_time(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError with a sentence."""
    from datetime import datetime

    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError(f"{text!r} is not a time: write it like 2026-11-30T12:00:00Z")
    return time.timestamp()


def _prefix(text: str, alphabet: str) -> str:
    end = 0
    while end < len(text) and text[end] in alphabet:
        end += 1
    return text[:end]


def _is_number(text: str) -> bool:
    whole, _, part = text.partition(".")
    return text.isascii() and (whole + part).isdigit()


def human(seconds: float) -> str:
    """A length of time as the AGE column of kubectl shows it; a clock that runs back shows as
    ``0s``.
    """
    from kubelite.objects.facts import ages

    return ages.shown(max(seconds, 0))
