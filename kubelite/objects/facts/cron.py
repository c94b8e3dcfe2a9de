"""Schedules of CronJobs: whether a text is one. Pure.

Grammar and ranges are those of the parser that Kubernetes uses (robfig/cron, ``ParseStandard``):
five fields (minute, hour, day of month, month, day of week) or a descriptor such as ``@daily``.
"""

from __future__ import annotations

import re

_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_EVERY = "@every "
_DURATION = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)((\d+(\.\d*)?)(ns|us|µs|ms|s|m|h))*"
)
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_DAYS = "sun mon tue wed thu fri sat".split()
# The smallest and largest value of each field, and the words for its values.
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    (0, 6, {word: number for number, word in enumerate(_DAYS)}),
)

# What Go's strconv says of a text that is no number.
_NO_NUMBER = 'failed to parse int from {0}: strconv.Atoi: parsing "{0}": invalid syntax'


def problem(schedule: str) -> str:
    """What is wrong with a schedule; empty where nothing is."""
    if schedule.startswith("@"):
        return _descriptor_problem(schedule)
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for text, (low, high, words) in zip(fields, _FIELDS, strict=True):
        # An empty part of a list is passed over.
        for part in filter(None, text.split(",")):
            if message := _range_problem(part, low, high, words):
                return message
    return ""


def _descriptor_problem(schedule: str) -> str:
    if schedule in _DESCRIPTORS:
        return ""
    if schedule.startswith(_EVERY):
        duration = schedule.removeprefix(_EVERY)
        if _DURATION.fullmatch(duration):
            return ""
        return f'failed to parse duration {schedule}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {schedule}"


def _range_problem(part: str, low: int, high: int, words: dict[str, int]) -> str:
    """A range: ``*``, ``5``, ``5-9``, each with an optional ``/step``."""
    span, *steps = part.split("/")
    if len(steps) > 1:
        return f"too many slashes: {part}"
    first, *rest = span.split("-")
    if first in ("*", "?"):
        start, end = low, high
    else:
        if len(rest) > 1:
            return f"too many hyphens: {part}"
        numbers = [_number(text, words) for text in (first, *rest)]
        for text, number in zip((first, *rest), numbers, strict=True):
            if number is None:
                return _NO_NUMBER.format(text)
        start = numbers[0] or 0
        end = (numbers[-1] or 0) if rest or not steps else high
    if steps:
        step = _number(steps[0], {})
        if step is None:
            return _NO_NUMBER.format(steps[0])
        if step == 0:
            return f"step of range should be a positive number: {part}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {part}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {part}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {part}"
    return ""


def _number(text: str, words: dict[str, int]) -> int | None:
    if text.lower() in words:
        return words[text.lower()]
    return int(text) if re.fullmatch(r"\+?[0-9]{1,18}", text) else None
