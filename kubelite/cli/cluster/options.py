"""What the commands of a cluster share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from kubelite.cli.common.command import Option
from kubelite.cli.common.screen import Screen

ClusterName = Annotated[
    str, Option("--name", "Name of the cluster: several can run on one machine.", "NAME")
]

_BESIDE_DETAIL = 26
"""Columns that a step's line has beside its detail, the terminal's last one among them."""


def reporter(screen: Screen) -> Callable[[str, str, float], None]:
    """Prints each step with the milliseconds since the command began."""

    width = min(max(screen.columns - _BESIDE_DETAIL, 0), 20)

    def report(step: str, detail: str, milliseconds: float) -> None:
        screen.note(f"✓ {step:<10} {detail:<{width}} {milliseconds:8.0f} ms")

    return report
