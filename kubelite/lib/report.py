"""The default for callbacks that report progress. Pure."""

from __future__ import annotations


def quiet(_: object) -> None:
    """Reports nothing."""
