"""Rules about where a pod may run: selectors, affinity, tolerations, spread and gates. Documents
in, causes out. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules import metadata
from kubelite.objects.rules.cause import (
    POSITIVE,
    Cause,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    one_of,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REQUIRED_TERMS = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED_TERMS = "preferredDuringSchedulingIgnoredDuringExecution"
SCHEDULING_GATED = "Scheduling is blocked due to non-empty scheduling gates"
"""The message of a pod that no scheduler looks at before its gates are gone."""
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
SPREAD_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
INCLUSION_POLICIES = ("Honor", "Ignore")


def affinity(given: Object, path: Path) -> Iterator[Cause]:
    """``spec.affinity``."""
    if node := given.get("nodeAffinity"):
        yield from _node_affinity(node, (*path, "nodeAffinity"))
    for kind in ("podAffinity", "podAntiAffinity"):
        if terms := given.get(kind):
            yield from _pod_affinity(terms, (*path, kind))


def _node_affinity(given: Object, path: Path) -> Iterator[Cause]:
    if (selector := given.get(REQUIRED_TERMS)) is not None:
        yield from node_selector(selector, (*path, REQUIRED_TERMS))
    for index, preferred in enumerate(given.get(PREFERRED_TERMS) or ()):
        here = (*path, PREFERRED_TERMS, index)
        yield from _weight(preferred, here)
        term = preferred.get("preference") or {}
        yield from _node_term(term, (*here, "preference"), check_values=False)


def _weight(holder: Object, path: Path) -> Iterator[Cause]:
    if not 1 <= holder.get("weight", 0) <= 100:
        yield invalid((*path, "weight"), holder.get("weight", 0), "must be in the range 1-100")


def node_selector(selector: Object, path: Path) -> Iterator[Cause]:
    """Terms of which a node has to match one."""
    here = (*path, "nodeSelectorTerms")
    if not selector.get("nodeSelectorTerms"):
        yield required(here, "must have at least one node selector term")
    for index, term in enumerate(selector.get("nodeSelectorTerms") or ()):
        yield from _node_term(term, (*here, index), check_values=True)


def _node_term(term: Object, path: Path, *, check_values: bool) -> Iterator[Cause]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        yield from _node_expression(expression, (*path, "matchExpressions", index), check_values)
    for index, expression in enumerate(term.get("matchFields") or ()):
        yield from _node_field(expression, (*path, "matchFields", index))


def _node_expression(expression: Object, path: Path, check_values: bool) -> Iterator[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator in ("In", "NotIn"):
        if not values:
            yield required((*path, "values"), metadata.VALUES_NEEDED)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            yield forbidden((*path, "values"), metadata.VALUES_EXTRA)
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            why = "must be specified single value when `operator` is 'Lt' or 'Gt'"
            yield required((*path, "values"), why)
    else:
        yield invalid((*path, "operator"), operator, metadata.NO_OPERATOR)
    key = expression.get("key", "")
    yield from each_invalid((*path, "key"), key, names.qualified(key))
    if check_values:
        yield from metadata.label_values(values, (*path, "values"))


def _node_field(expression: Object, path: Path) -> Iterator[Cause]:
    operator, values = expression.get("operator", ""), expression.get("values") or ()
    if operator not in ("In", "NotIn"):
        yield invalid((*path, "operator"), operator, metadata.NO_OPERATOR)
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required((*path, "values"), why)
    if expression.get("key") != "metadata.name":
        why = "not a valid field selector key"
        yield invalid((*path, "key"), expression.get("key", ""), why)
        return
    for index, value in enumerate(values):
        yield from each_invalid((*path, "values", index), value, names.subdomain(value))


def _pod_affinity(given: Object, path: Path) -> Iterator[Cause]:
    for index, term in enumerate(given.get(REQUIRED_TERMS) or ()):
        yield from _pod_term(term, (*path, REQUIRED_TERMS, index))
    for index, preferred in enumerate(given.get(PREFERRED_TERMS) or ()):
        here = (*path, PREFERRED_TERMS, index)
        yield from _weight(preferred, here)
        yield from _pod_term(preferred.get("podAffinityTerm") or {}, (*here, "podAffinityTerm"))


def _pod_term(term: Object, path: Path) -> Iterator[Cause]:
    yield from metadata.selector(term.get("labelSelector"), (*path, "labelSelector"))
    yield from metadata.selector(term.get("namespaceSelector"), (*path, "namespaceSelector"))
    for name in term.get("namespaces") or ():
        yield from each_invalid((*path, "namespace"), name, names.label(name))
    yield from _label_keys(term, path)
    key = term.get("topologyKey", "")
    if not key:
        yield required((*path, "topologyKey"), "can not be empty")
    yield from each_invalid((*path, "topologyKey"), key, names.qualified(key))


def _label_keys(term: Object, path: Path) -> Iterator[Cause]:
    """``matchLabelKeys`` and ``mismatchLabelKeys``, which narrow a selector by the pod's labels."""
    selector = term.get("labelSelector")
    matched, mismatched = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    for field, keys in (("matchLabelKeys", matched), ("mismatchLabelKeys", mismatched)):
        if keys and selector is None:
            why = "must not be specified when labelSelector is not set"
            yield forbidden((*path, field), why)
            continue
        for index, key in enumerate(keys):
            yield from each_invalid((*path, field, index), key, names.qualified(key))
    yield from _keys_twice(selector or {}, matched, path)
    for index, key in enumerate(matched):
        if key in mismatched:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid((*path, "matchLabelKeys", index), key, why)


def _keys_twice(selector: Object, matched: Sequence[str], path: Path) -> Iterator[Cause]:
    """Keys that the selector names by itself. The server has merged the keys into it already, so
    that each is in it once.
    """
    keys = {*(selector.get("matchLabels") or {})}
    for expression in selector.get("matchExpressions") or ():
        key = expression.get("key", "")
        if key in matched and key in keys:
            index = len(matched) - 1 - list(matched)[::-1].index(key)
            yield invalid((*path, index), key, "exists in both matchLabelKeys and labelSelector")
        keys.add(key)


def tolerations(given: Sequence[Object], path: Path) -> Iterator[Cause]:
    """``spec.tolerations``."""
    for index, toleration in enumerate(given):
        yield from _toleration(toleration, (*path, index))


def _toleration(toleration: Object, path: Path) -> Iterator[Cause]:
    key, operator = toleration.get("key", ""), toleration.get("operator", "")
    effect = toleration.get("effect", "")
    if key:
        yield from each_invalid((*path, "key"), key, names.qualified(key))
    elif operator != "Exists":
        why = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        yield invalid((*path, "operator"), operator, why)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid((*path, "effect"), effect, why)
    yield from _tolerated_value(operator, toleration.get("value", ""), path)
    if effect:
        yield from one_of((*path, "effect"), effect, EFFECTS)


def _tolerated_value(operator: str, value: str, path: Path) -> Iterator[Cause]:
    here = (*path, "operator")
    if operator in ("Equal", ""):
        if clauses := names.label_value(value):
            yield invalid(here, value, ";".join(clauses))
    elif operator == "Exists":
        if value:
            yield invalid(here, value, "value must be empty when `operator` is 'Exists'")
    else:
        compares = ("Lt", "Gt") if operator in ("Gt", "Lt") else ()
        yield not_supported(here, operator, ("Equal", "Exists", *compares))


def _spread(constraints: Sequence[Object], path: Path) -> Iterator[Cause]:
    """``spec.topologySpreadConstraints``."""
    kinds = [(c.get("topologyKey", ""), c.get("whenUnsatisfiable", "")) for c in constraints]
    for index, constraint in enumerate(constraints):
        here, action = (*path, index), constraint.get("whenUnsatisfiable", "")
        if constraint.get("maxSkew", 0) <= 0:
            yield invalid((*here, "maxSkew"), constraint.get("maxSkew", 0), POSITIVE)
        if not constraint.get("topologyKey"):
            yield required((*here, "topologyKey"), "can not be empty")
        yield from one_of((*here, "whenUnsatisfiable"), action, SPREAD_ACTIONS)
        if kinds[index] in kinds[index + 1 :]:
            pair = f"{{{kinds[index][0]}, {kinds[index][1]}}}"
            yield duplicate((*here, "{topologyKey, whenUnsatisfiable}"), pair)
        yield from _min_domains(constraint.get("minDomains"), action, (*here, "minDomains"))
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if constraint.get(field) is not None:
                yield from one_of((*here, field), constraint[field], INCLUSION_POLICIES)
        yield from _label_keys({**constraint, "mismatchLabelKeys": ()}, here)
        selector = constraint.get("labelSelector")
        yield from metadata.selector(selector, (*here, "labelSelector"))


def _min_domains(number: int | None, action: str, path: Path) -> Iterator[Cause]:
    if number is None:
        return
    if number <= 0:
        yield invalid(path, number, POSITIVE)
    if action != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        yield invalid(path, number, why)


def gates_and_spread(spec: Object, path: Path) -> Iterator[Cause]:
    """Gates of both sorts and how pods spread."""
    gates = spec.get("readinessGates") or ()
    yield from _readiness_gates(gates, (*path, "readinessGates"))
    gates = spec.get("schedulingGates") or ()
    yield from _scheduling_gates(gates, (*path, "schedulingGates"))
    constraints = spec.get("topologySpreadConstraints") or ()
    yield from _spread(constraints, (*path, "topologySpreadConstraints"))


def _readiness_gates(gates: Sequence[Object], path: Path) -> Iterator[Cause]:
    """Conditions that others set and that count for readiness."""
    for index, gate in enumerate(gates):
        kind = gate.get("conditionType", "")
        yield from each_invalid((*path, index, "conditionType"), kind, names.qualified(kind))


def _scheduling_gates(gates: Sequence[Object], path: Path) -> Iterator[Cause]:
    """Reasons not to schedule the pod yet."""
    taken: set[str] = set()
    for index, gate in enumerate(gates):
        name = gate.get("name", "")
        yield from each_invalid((*path, index), name, names.qualified(name))
        if name in taken:
            yield duplicate((*path, index), name)
        taken.add(name)
