"""Whether a node is one for a pod: name, selector, required affinity, taints. Pure.

Rules of the scheduler's filters, as far as controllers apply them to single nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubelite.control.controllers.shared.meta import Obj, labels_of, name_of, spec_of
from kubelite.objects.facts.labels import SelectorError, requirement


def matches_node(pod_spec: Obj, node: Obj) -> bool:
    """Whether ``nodeSelector`` and the required node affinity of a pod accept a node."""
    labels = labels_of(node)
    selector = pod_spec.get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_matches(term: Obj, node: Obj) -> bool:
    """An empty term matches nothing."""
    expressions: Sequence[Obj] = term.get("matchExpressions") or ()
    fields: Sequence[Obj] = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return _all_match(expressions, labels_of(node)) and _all_match(
        fields, {"metadata.name": name_of(node)}
    )


def _all_match(expressions: Iterable[Obj], values: Mapping[str, str]) -> bool:
    try:
        return all(
            requirement(
                expression["key"], expression["operator"], expression.get("values") or ()
            ).matches(values)
            for expression in expressions
        )
    except SelectorError:
        return False


def target_node(pod: Obj) -> str:
    """The node that a pod is bound to, or is pinned to by its name in a required affinity; "" for
    none.
    """
    spec = spec_of(pod)
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("operator") == "In":
                values: Sequence[str] = field.get("values") or ()
                return str(values[0]) if len(values) == 1 else ""
    return ""


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """Whether a toleration covers a taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if operator in ("Gt", "Lt"):
        return _orders(operator, taint.get("value"), toleration.get("value"))
    return (toleration.get("value") or "") == (taint.get("value") or "")


def _orders(operator: str, tainted: str | None, limit: str | None) -> bool:
    try:
        left, right = int(tainted or ""), int(limit or "")
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def untolerated(node: Obj, tolerations: Iterable[Obj], effects: Iterable[str]) -> Obj | None:
    """The first taint of one of these effects that no toleration covers."""
    given = list(tolerations)
    relevant = set(effects)
    for taint in spec_of(node).get("taints") or ():
        if taint.get("effect") in relevant and not any(
            tolerates(toleration, taint) for toleration in given
        ):
            return taint  # type: ignore[no-any-return]
    return None
