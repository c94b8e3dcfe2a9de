"""Whether a NodeSelector, as pods and volumes have it, selects a node. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubelite.objects.facts.labels import SelectorError, requirement


def selects(selector: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """Whether one of its terms matches the node of that name with these labels."""
    return any(_matches(term, labels, name) for term in selector.get("nodeSelectorTerms") or ())


def _matches(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """An empty term matches nothing."""
    expressions: Sequence[Any] = term.get("matchExpressions") or ()
    fields: Sequence[Any] = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return _all_match(expressions, labels) and _all_match(fields, {"metadata.name": name})


def _all_match(expressions: Iterable[Mapping[str, Any]], values: Mapping[str, str]) -> bool:
    try:
        return all(
            requirement(
                expression["key"], expression["operator"], expression.get("values") or ()
            ).matches(values)
            for expression in expressions
        )
    except SelectorError:
        return False
