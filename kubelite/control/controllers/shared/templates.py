"""Comparing templates: what is empty counts as absent. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def pruned(value: Any) -> Any:
    """A value without empty lists, maps and nulls, at any depth."""
    if isinstance(value, Mapping):
        kept = {key: pruned(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner not in (None, {}, [])}
    if isinstance(value, list):
        return [pruned(inner) for inner in value]
    return value
