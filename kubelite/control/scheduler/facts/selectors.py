"""Label selectors of plain objects, and the requirements of node selectors. Pure.

A label selector that cannot be read is an error. A term of a node selector that cannot be read
matches no node, as in Kubernetes, where such a term is passed over.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Place
from kubelite.objects.facts import names
from kubelite.objects.facts.labels import (
    NOTHING,
    Requirement,
    Selector,
    SelectorError,
    of_map,
    requirement,
)


class NodeTerm(NamedTuple):
    """One of several terms: all conditions on labels and names together. ``valid`` is false for one
    that matches nothing.
    """

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]
    valid: bool


def selector(place: Place) -> Selector:
    """The selector of a ``labelSelector`` field. Raises BadObject."""
    if place.value is None:
        return NOTHING
    wanted = of_map(place.at("matchLabels").labels()).requirements
    return Selector(
        (*wanted, *(_requirement(each) for each in place.at("matchExpressions").items()))
    )


def _requirement(place: Place) -> Requirement:
    operator = place.at("operator").text()
    if operator in ("Gt", "Lt"):
        raise place.error(
            f'"{operator}" is no operator of a label selector: In, NotIn, Exists, DoesNotExist are'
        )
    try:
        return requirement(place.at("key").text(), operator, place.at("values").texts())
    except SelectorError as wrong:
        raise place.error(str(wrong)) from None


def narrowed(
    chosen: Selector, keys: tuple[str, ...], labels: dict[str, str], operator: str = "In"
) -> Selector:
    """The selector together with the owner's own values of these keys; keys it lacks are passed
    over.
    """
    if chosen.nothing:
        return chosen
    own = (requirement(key, operator, (labels[key],)) for key in keys if key in labels)
    return Selector((*chosen.requirements, *own))


def node_term(place: Place) -> NodeTerm:
    """A term of ``nodeSelectorTerms`` or a ``preference``. Raises BadObject only for wrong types."""
    labels = [_node_requirement(each) for each in place.at("matchExpressions").items()]
    fields = [_field_requirement(each) for each in place.at("matchFields").items()]
    found = [each for each in (*labels, *fields) if each]
    whole = len(found) == len(labels) + len(fields) > 0
    return NodeTerm(tuple(x for x in labels if x), tuple(x for x in fields if x), whole)


def node_affinity(
    place: Place,
) -> tuple[tuple[NodeTerm, ...] | None, tuple[tuple[int, NodeTerm], ...]]:
    """The required terms (None when nothing is required) and the preferred ones with their weights."""
    required = place.at("requiredDuringSchedulingIgnoredDuringExecution")
    terms = None
    if required.value is not None:
        terms = tuple(node_term(each) for each in required.at("nodeSelectorTerms").items())
    preferred = place.at("preferredDuringSchedulingIgnoredDuringExecution")
    return terms, tuple(
        (each.at("weight").whole(), node_term(each.at("preference"))) for each in preferred.items()
    )


def _node_requirement(place: Place) -> Requirement | None:
    key, values = place.at("key").text(), place.at("values").texts()
    if names.qualified(key) or any(names.label_value(value) for value in values):
        return None
    try:
        return requirement(key, place.at("operator").text(), values)
    except SelectorError:
        return None


def _field_requirement(place: Place) -> Requirement | None:
    """Only ``metadata.name`` can be asked for, one value at a time (core/v1 NodeSelectorTerm)."""
    operator, values = place.at("operator").text(), place.at("values").texts()
    if (
        place.at("key").text() != "metadata.name"
        or operator not in ("In", "NotIn")
        or len(values) != 1
    ):
        return None
    return requirement("metadata.name", operator, values)
