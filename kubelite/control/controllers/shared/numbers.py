"""Numbers or percentages, and numbers that are rounded as Go rounds them. Pure."""

from __future__ import annotations

from math import ceil, floor


def scaled(value: int | str | None, total: int, *, up: bool) -> int:
    """A number, or a percentage of ``total`` rounded up or down; 0 for none.

    A text that is no percentage counts as 0: validation refuses such.
    """
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    digits = value.removesuffix("%")
    if digits == value or not digits.isdecimal():
        return 0
    product = int(digits) * total
    return -(-product // 100) if up else product // 100


def fence_posts(
    surge: int | str | None, unavailable: int | str | None, desired: int
) -> tuple[int, int]:
    """``maxSurge`` (percentages rounded up) and ``maxUnavailable`` (rounded down) in pods. Both
    zero would never get on: then one pod may be unavailable.
    """
    more, fewer = scaled(surge, desired, up=True), scaled(unavailable, desired, up=False)
    return (more, fewer) if more or fewer else (0, 1)


def round_half_away(value: float) -> int:
    """The nearest whole number, halves away from zero."""
    return ceil(value - 0.5) if value < 0 else floor(value + 0.5)
