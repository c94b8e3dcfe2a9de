"""Metadata of objects of the API: what is wrong with it, and its generation. Pure.

The rules stand in ``objects/rules/metadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.wire import causes
from kubelite.objects.rules import metadata as rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
IMMUTABLE = "field is immutable"
_AFTER_GENERATION = (
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)


def contents(metadata: Object, path: str) -> Iterator[Cause]:
    """Labels, annotations, finalizers and owners."""
    return causes.of_rules(rules.contents(metadata, (path,)))


def labels(given: dict[str, str], path: str) -> Iterator[Cause]:
    """Keys and values of labels, or of a selector made of them."""
    return causes.of_rules(rules.labels(given, (path,)))


def selector(given: Object | None, path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector."""
    return causes.of_rules(rules.selector(given, (path,)))


def with_generation(metadata: Object, generation: int) -> Object:
    """Metadata with a generation, in its place in the servers' order."""
    result: Object = {}
    for key, value in metadata.items():
        if key in _AFTER_GENERATION:
            result.setdefault("generation", generation)
        if key != "generation":
            result[key] = value
    result.setdefault("generation", generation)
    return result
