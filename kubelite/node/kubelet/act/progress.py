"""What a command shows while a pod goes up or down."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """A finished step; ``milliseconds`` is negative where its time was not measured."""

    name: str
    detail: str
    milliseconds: float
