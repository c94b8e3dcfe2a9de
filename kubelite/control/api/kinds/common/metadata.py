"""Metadata of objects of the API: what is wrong with it, and its generation. Pure.

The rules stand in ``objects/rules/metadata``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules import metadata as rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

_AFTER_GENERATION = (
    "creationTimestamp",
    "deletionTimestamp",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
)


def finalizer(name: str, path: str) -> Iterator[Cause]:
    """The name of a finalizer of a namespace: one of Kubernetes' own, or one with a domain."""
    for problem in names.qualified(name):
        yield causes.invalid(path, name, problem)
    yield from causes.of_rules(rules.kube_finalizer(name, (path,)))


def labels(given: dict[str, str], path: str) -> Iterator[Cause]:
    """Keys and values of labels, or of a selector made of them."""
    return causes.of_rules(rules.labels(given, (path,)))


def selector(given: Object | None, path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector."""
    return causes.of_rules(rules.selector(given, (path,)))


def is_selector(given: Object | None) -> bool:
    """Whether a LabelSelector can be asked about labels."""
    return next(rules.selector(given, ()), None) is None


def with_generation(metadata: Object, generation: int) -> Object:
    """Metadata with a generation, in its place in the servers' order; 0 is none."""
    if not generation:
        return {key: value for key, value in metadata.items() if key != "generation"}
    result: Object = {}
    for key, value in metadata.items():
        if key in _AFTER_GENERATION:
            result.setdefault("generation", generation)
        if key != "generation":
            result[key] = value
    result.setdefault("generation", generation)
    return result
