"""Rules about where a pod may run. Pure."""

from __future__ import annotations

from kubelite.objects.facts import names
from kubelite.objects.facts.labels import SelectorError, requirement
from kubelite.objects.pod.meta import LabelSelector
from kubelite.objects.pod.placement import (
    Affinity,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Toleration,
    TopologySpreadConstraint,
)
from kubelite.objects.pod.pod import PodSpec
from kubelite.objects.rules.findings import Findings
from kubelite.objects.rules.problem import Path

LABEL_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")
NODE_OPERATORS = (*LABEL_OPERATORS, "Gt", "Lt")
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def placement(found: Findings, spec: PodSpec, path: Path) -> None:
    """Selectors, affinity, tolerations, spread and gates of a pod."""
    found.labels((*path, "nodeSelector"), spec.node_selector)
    if spec.affinity is not None:
        _affinity(found, spec.affinity, (*path, "affinity"))
    for at, toleration in enumerate(spec.tolerations):
        _toleration(found, toleration, (*path, "tolerations", at))
    seen: dict[str, Path] = {}
    for at, constraint in enumerate(spec.topology_spread_constraints):
        where = (*path, "topologySpreadConstraints", at)
        _spread(found, constraint, where)
        found.unique(where, f"{{{constraint.topology_key}, {constraint.when_unsatisfiable}}}", seen)
    _gates(found, spec, path)


def _gates(found: Findings, spec: PodSpec, path: Path) -> None:
    seen: dict[str, Path] = {}
    for at, gate in enumerate(spec.scheduling_gates):
        where = (*path, "schedulingGates", at, "name")
        found.name(where, gate.name, names.qualified(gate.name))
        found.unique(where, gate.name, seen)
    for at, readiness in enumerate(spec.readiness_gates):
        where = (*path, "readinessGates", at, "conditionType")
        found.name(where, readiness.condition_type, names.qualified(readiness.condition_type))


def _toleration(found: Findings, given: Toleration, path: Path) -> None:
    if given.key:
        for clause in names.qualified(given.key):
            found.invalid((*path, "key"), given.key, clause)
    elif given.operator != "Exists":
        found.invalid((*path, "operator"), given.operator or "", "must be Exists when key is empty")
    found.one_of((*path, "operator"), given.operator, ("Equal", "Exists", "Lt", "Gt"))
    if given.operator == "Exists" and given.value:
        found.invalid((*path, "value"), given.value, "must be empty when operator is Exists")
    elif given.operator in (None, "", "Equal"):
        for clause in names.label_value(given.value or ""):
            found.invalid((*path, "value"), given.value, clause)
    found.one_of((*path, "effect"), given.effect, EFFECTS)
    if given.toleration_seconds is not None and given.effect != "NoExecute":
        found.invalid(
            (*path, "effect"), given.effect or "", "must be NoExecute when tolerationSeconds is set"
        )


def _spread(found: Findings, given: TopologySpreadConstraint, path: Path) -> None:
    if given.max_skew <= 0:
        found.invalid((*path, "maxSkew"), given.max_skew, "must be greater than 0")
    _topology(found, given.topology_key, (*path, "topologyKey"))
    allowed = ("DoNotSchedule", "ScheduleAnyway")
    found.one_of((*path, "whenUnsatisfiable"), given.when_unsatisfiable, allowed, needed=True)
    if given.min_domains is not None:
        if given.min_domains <= 0:
            found.invalid((*path, "minDomains"), given.min_domains, "must be greater than 0")
        if given.when_unsatisfiable != "DoNotSchedule":
            found.invalid(
                (*path, "minDomains"),
                given.min_domains,
                "may only be set when whenUnsatisfiable is DoNotSchedule",
            )
    found.one_of((*path, "nodeAffinityPolicy"), given.node_affinity_policy, ("Honor", "Ignore"))
    found.one_of((*path, "nodeTaintsPolicy"), given.node_taints_policy, ("Honor", "Ignore"))
    _selector(found, given.label_selector, (*path, "labelSelector"))


def _topology(found: Findings, key: str, path: Path) -> None:
    found.name(path, key, names.qualified(key))


def _affinity(found: Findings, given: Affinity, path: Path) -> None:
    if given.node_affinity is not None:
        _node_affinity(found, given.node_affinity, (*path, "nodeAffinity"))
    if given.pod_affinity is not None:
        _pod_affinity(found, given.pod_affinity, (*path, "podAffinity"))
    if given.pod_anti_affinity is not None:
        _pod_affinity(found, given.pod_anti_affinity, (*path, "podAntiAffinity"))


def _node_affinity(found: Findings, given: NodeAffinity, path: Path) -> None:
    needed = given.required_during_scheduling_ignored_during_execution
    if needed is not None:
        where = (*path, _REQUIRED, "nodeSelectorTerms")
        if not needed.node_selector_terms:
            found.required(where, "it needs at least one term")
        for at, term in enumerate(needed.node_selector_terms):
            _node_term(found, term, (*where, at))
    for at, preferred in enumerate(given.preferred_during_scheduling_ignored_during_execution):
        place = (*path, _PREFERRED, at)
        found.between((*place, "weight"), preferred.weight, 1, 100)
        _node_term(found, preferred.preference, (*place, "preference"))


def _node_term(found: Findings, term: NodeSelectorTerm, path: Path) -> None:
    for at, expression in enumerate(term.match_expressions):
        where = (*path, "matchExpressions", at)
        found.name((*where, "key"), expression.key, names.qualified(expression.key))
        _values(
            found, expression.key, expression.operator, expression.values, NODE_OPERATORS, where
        )
    for at, asked in enumerate(term.match_fields):
        _node_field(found, asked, (*path, "matchFields", at))


def _node_field(found: Findings, asked: NodeSelectorRequirement, path: Path) -> None:
    found.one_of((*path, "key"), asked.key, ("metadata.name",), needed=True)
    found.one_of((*path, "operator"), asked.operator, ("In", "NotIn"), needed=True)
    if len(asked.values) != 1:
        found.required((*path, "values"), "it needs exactly one value")


def _pod_affinity(found: Findings, given: PodAffinity | PodAntiAffinity, path: Path) -> None:
    for at, term in enumerate(given.required_during_scheduling_ignored_during_execution):
        _pod_term(found, term, (*path, _REQUIRED, at))
    for at, preferred in enumerate(given.preferred_during_scheduling_ignored_during_execution):
        where = (*path, _PREFERRED, at)
        found.between((*where, "weight"), preferred.weight, 1, 100)
        _pod_term(found, preferred.pod_affinity_term, (*where, "podAffinityTerm"))


def _pod_term(found: Findings, term: PodAffinityTerm, path: Path) -> None:
    _topology(found, term.topology_key, (*path, "topologyKey"))
    _selector(found, term.label_selector, (*path, "labelSelector"))
    _selector(found, term.namespace_selector, (*path, "namespaceSelector"))
    for at, namespace in enumerate(term.namespaces):
        found.name((*path, "namespaces", at), namespace, names.label(namespace))


def _selector(found: Findings, selector: LabelSelector | None, path: Path) -> None:
    if selector is None:
        return
    found.labels((*path, "matchLabels"), selector.match_labels)
    for at, expression in enumerate(selector.match_expressions):
        where = (*path, "matchExpressions", at)
        found.name((*where, "key"), expression.key, names.qualified(expression.key))
        _values(
            found, expression.key, expression.operator, expression.values, LABEL_OPERATORS, where
        )


def _values(
    found: Findings,
    key: str,
    operator: str,
    values: tuple[str, ...],
    allowed: tuple[str, ...],
    path: Path,
) -> None:
    found.one_of((*path, "operator"), operator, allowed, needed=True)
    if operator not in allowed:
        return
    try:
        requirement(key, operator, values)
    except SelectorError as error:
        found.invalid((*path, "values"), ", ".join(values), f"{error}")
