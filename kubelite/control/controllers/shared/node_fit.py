"""Whether a node is one for a pod: name, selector, required affinity, taints. Pure.

Rules of the scheduler's filters, as far as controllers apply them to single nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubelite.control.controllers.shared.meta import Obj, labels_of, name_of, spec_of
from kubelite.objects.facts import node_selectors


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
    return node_selectors.selects(required, labels, name_of(node))


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
