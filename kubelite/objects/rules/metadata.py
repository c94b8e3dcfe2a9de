"""Rules about metadata, labels and label selectors of any object. Documents in, causes out. Pure.

Rules are apimachinery's (``api/validation/objectmeta.go``, ``meta/v1/validation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.objects.facts import names
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    each_invalid,
    forbidden,
    invalid,
    named,
    not_negative,
    required,
    too_long,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from kubelite.lib.json import Object

MAX_ANNOTATIONS = 256 * 1024
NO_OPERATOR = "not a valid selector operator"
VALUES_NEEDED = "must be specified when `operator` is 'In' or 'NotIn'"
VALUES_EXTRA = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_EVENT_OWNER = ("v1", "Event")


def on_create(
    metadata: Object, name_rule: Callable[[str], list[str]], path: Path = ("metadata",)
) -> Iterator[Cause]:
    """Metadata of a new object of a namespace, whose name keeps ``name_rule``."""
    yield from name(metadata, name_rule, path)
    yield from namespace(metadata.get("namespace", ""), (*path, "namespace"))
    yield from contents(metadata, path)
    yield from kube_finalizers(metadata, path)


def namespace(given: str, path: Path = ("metadata", "namespace")) -> Sequence[Cause]:
    """Where an object of a namespace goes."""
    return named(path, given, names.label(given))


def name(
    metadata: Object, name_rule: Callable[[str], list[str]], path: Path = ("metadata",)
) -> Iterator[Cause]:
    """The name of a new object and the prefix that a server makes names from."""
    prefix, given = metadata.get("generateName"), metadata.get("name")
    if prefix:
        # Digits and letters follow, so a dash may end the prefix.
        clauses = name_rule(f"{prefix[:-1]}a" if prefix.endswith("-") else prefix)
        yield from each_invalid((*path, "generateName"), prefix, clauses)
    if not given:
        yield required((*path, "name"), "name or generateName is required")
    else:
        yield from each_invalid((*path, "name"), given, name_rule(given))


def contents(metadata: Object, path: Path) -> Iterator[Cause]:
    """Generation, labels, annotations, owners and finalizers."""
    yield from not_negative((*path, "generation"), metadata.get("generation"))
    if given := metadata.get("labels"):
        yield from labels(given, (*path, "labels"))
    if given := metadata.get("annotations"):
        yield from annotation_map(given, (*path, "annotations"))
    if owners := metadata.get("ownerReferences"):
        yield from _owners(owners, (*path, "ownerReferences"))
    for finalizer in metadata.get("finalizers") or ():
        yield from each_invalid((*path, "finalizers"), finalizer, names.qualified(finalizer))


def kube_finalizers(metadata: Object, path: Path) -> Iterator[Cause]:
    """Finalizers that are neither Kubernetes' own nor have a domain: refused of its older kinds."""
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        yield from kube_finalizer(finalizer, (*path, "finalizers", index))


def kube_finalizer(finalizer: str, path: Path) -> Iterator[Cause]:
    """One finalizer that is neither Kubernetes' own nor has a domain."""
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        why = "name is neither a standard finalizer name nor is it fully qualified"
        yield invalid(path, finalizer, why)


def labels(given: Mapping[str, str], path: Path) -> Iterator[Cause]:
    """Keys and values of labels. Causes name the map, not the entry."""
    for key, value in sorted(given.items()):
        if clauses := names.qualified(key):
            yield from each_invalid(path, key, clauses)
        if clauses := names.label_value(value):
            yield from each_invalid(path, value, clauses)


def annotation_map(given: Mapping[str, str], path: Path) -> Iterator[Cause]:
    """Keys of annotations and their size together."""
    for key in sorted(given):
        yield from each_invalid(path, key, names.annotation(key))
    if sum(len(key) + len(value) for key, value in given.items()) > MAX_ANNOTATIONS:
        yield too_long(path, MAX_ANNOTATIONS)


def _owners(owners: Sequence[Object], path: Path) -> Iterator[Cause]:
    controller = ""
    for owner in owners:
        yield from _owner(owner, path)
        if owner.get("controller"):
            current = f"{owner.get('kind', '')}/{owner.get('name', '')}"
            if controller:
                why = (
                    "Only one reference can have Controller set to true. "
                    f'Found "true" in references for {controller} and {current}'
                )
                yield invalid(path, list(owners), why)
            controller = controller or current


def _owner(owner: Object, path: Path) -> Iterator[Cause]:
    version = owner.get("apiVersion", "")
    if not version.rpartition("/")[2]:
        yield invalid((*path, "apiVersion"), version, "version must not be empty")
    for field in ("kind", "name", "uid"):
        if not owner.get(field):
            yield invalid((*path, field), "", "must not be empty")
    if (version, owner.get("kind")) == _EVENT_OWNER:
        why = "/v1, Kind=Event is disallowed from being an owner"
        yield invalid(path, owner, why)


def selector(given: Object | None, path: Path) -> Iterator[Cause]:
    """A LabelSelector; an absent one is fine."""
    if given is None:
        return
    yield from labels(given.get("matchLabels") or {}, (*path, "matchLabels"))
    for index, expression in enumerate(given.get("matchExpressions") or ()):
        yield from _expression(expression, (*path, "matchExpressions", index))


def _expression(expression: Object, path: Path) -> Iterator[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required((*path, "values"), VALUES_NEEDED)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden((*path, "values"), VALUES_EXTRA)
    else:
        yield invalid((*path, "operator"), operator, NO_OPERATOR)
    key = expression.get("key", "")
    yield from each_invalid((*path, "key"), key, names.qualified(key))
    yield from label_values(values, (*path, "values"))


def label_values(values: Sequence[str], path: Path) -> Iterator[Cause]:
    """Values that labels are compared with."""
    for index, value in enumerate(values):
        yield from each_invalid((*path, index), value, names.label_value(value))


def template(metadata: Object, path: Path) -> Iterator[Cause]:
    """Metadata of an object that is made from a template and of which only labels and annotations
    are taken: the claim of an ephemeral volume.
    """
    yield from annotation_map(metadata.get("annotations") or {}, (*path, "annotations"))
    yield from labels(metadata.get("labels") or {}, (*path, "labels"))
    for field, value in metadata.items():
        if field not in ("annotations", "labels", "creationTimestamp") and value:
            yield forbidden((*path, field), "cannot be set")
