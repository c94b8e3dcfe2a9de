"""Label selectors of plain objects, and the requirements of node selectors. Pure.

A label selector that cannot be read is an error. A term of a node selector that cannot be read
matches no node, as in Kubernetes, where such a term is passed over.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.control.scheduler.facts.fields import Field
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


def selector(field: Field) -> Selector:
    """The selector of a ``labelSelector`` field. Raises BadObject."""
    if field.value is None:
        return NOTHING
    requirements = of_map(field.at("matchLabels").labels()).requirements
    return Selector(
        (
            *requirements,
            *(_requirement(expression) for expression in field.at("matchExpressions").items()),
        )
    )


def _requirement(field: Field) -> Requirement:
    operator = field.at("operator").text()
    if operator in ("Gt", "Lt"):
        raise field.error(
            f'"{operator}" is no operator of a label selector: In, NotIn, Exists, DoesNotExist are'
        )
    try:
        return requirement(field.at("key").text(), operator, field.at("values").texts())
    except SelectorError as wrong:
        raise field.error(str(wrong)) from None


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


def node_term(field: Field) -> NodeTerm:
    """A term of ``nodeSelectorTerms`` or a ``preference``. Raises BadObject only for wrong
    types.
    """
    labels = [_node_requirement(expression) for expression in field.at("matchExpressions").items()]
    fields = [_field_requirement(expression) for expression in field.at("matchFields").items()]
    readable = [expression for expression in (*labels, *fields) if expression]
    whole = len(readable) == len(labels) + len(fields) > 0
    return NodeTerm(tuple(x for x in labels if x), tuple(x for x in fields if x), whole)


def node_affinity(
    field: Field,
) -> tuple[tuple[NodeTerm, ...] | None, tuple[tuple[int, NodeTerm], ...]]:
    """The required terms (None when nothing is required) and the preferred ones with their
    weights.
    """
    required = field.at("requiredDuringSchedulingIgnoredDuringExecution")
    terms = None
    if required.value is not None:
        terms = tuple(node_term(term) for term in required.at("nodeSelectorTerms").items())
    preferred = field.at("preferredDuringSchedulingIgnoredDuringExecution")
    return terms, tuple(
        (term.at("weight").whole(), node_term(term.at("preference"))) for term in preferred.items()
    )


def _node_requirement(field: Field) -> Requirement | None:
    key, values = field.at("key").text(), field.at("values").texts()
    if names.qualified(key) or any(names.label_value(value) for value in values):
        return None
    try:
        return requirement(key, field.at("operator").text(), values)
    except SelectorError:
        return None


def _field_requirement(field: Field) -> Requirement | None:
    """Only ``metadata.name`` can be asked for, one value at a time (core/v1 NodeSelectorTerm)."""
    operator, values = field.at("operator").text(), field.at("values").texts()
    if (
        field.at("key").text() != "metadata.name"
        or operator not in ("In", "NotIn")
        or len(values) != 1
    ):
        return None
    return requirement("metadata.name", operator, values)
