"""Which requests a webhook or a policy of admission looks at. Pure.

Rules are those of Kubernetes' ``pkg/apis/admissionregistration/validation``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.common import metadata
from kubelite.control.api.schema import cel, structs
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.cel import environments, types
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kubelite.control.api.wire.status import Cause
    from kubelite.objects.cel.types import Type

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
MATCH_POLICIES = ("Equivalent", "Exact")
FAILURE_POLICIES = ("Fail", "Ignore")
_MAX_CONDITIONS = 64


def default_rules(rules: Iterable[Any]) -> None:
    """Rules of resources, whose scope is any where they do not say."""
    for rule in rules or ():
        rule.scope = "*" if rule.scope is None else rule.scope


def default_selection(holder: Any) -> None:
    """The selectors and the policy of something that selects objects."""
    holder.matchPolicy = "Equivalent" if holder.matchPolicy is None else holder.matchPolicy
    for field in ("namespaceSelector", "objectSelector"):
        if getattr(holder, field) is None:
            setattr(holder, field, structs.new("meta.v1.LabelSelector"))


def check_selection(holder: Object, path: str) -> Iterator[Cause]:
    """The selectors and the policy of something that selects objects."""
    for field in ("namespaceSelector", "objectSelector"):
        yield from metadata.selector(holder.get(field), f"{path}.{field}")
    policy = holder.get("matchPolicy")
    if policy not in MATCH_POLICIES:
        yield causes.unsupported(f"{path}.matchPolicy", policy, MATCH_POLICIES)


def check_failure_policy(holder: Object, path: str) -> Iterator[Cause]:
    """What happens where the webhook or the policy itself fails."""
    policy = holder.get("failurePolicy")
    if policy not in FAILURE_POLICIES:
        yield causes.unsupported(f"{path}.failurePolicy", policy, FAILURE_POLICIES)


def check_rule(rule: Object, path: str) -> Iterator[Cause]:
    """Operations on resources."""
    operations = rule.get("operations") or []
    if not operations:
        yield causes.required(f"{path}.operations")
    yield from _check_alone(operations, "*", "operations", f"{path}.operations")
    for index, operation in enumerate(operations):
        if operation not in OPERATIONS:
            yield causes.unsupported(f"{path}.operations[{index}]", operation, OPERATIONS)
    for field, shown in (("apiGroups", "API groups"), ("apiVersions", "API versions")):
        given = rule.get(field) or []
        if not given:
            yield causes.required(f"{path}.{field}")
        yield from _check_alone(given, "*", shown, f"{path}.{field}")
        for index, text in enumerate(given):
            if not text and field == "apiVersions":
                yield causes.required(f"{path}.{field}[{index}]")
    yield from _check_resources(rule.get("resources") or [], f"{path}.resources")
    scope = rule.get("scope")
    if scope is not None and scope not in _SCOPES:
        yield causes.unsupported(f"{path}.scope", scope, _SCOPES)


def _check_alone(given: Sequence[str], wildcard: str, shown: str, path: str) -> Iterator[Cause]:
    if len(given) > 1 and wildcard in given:
        why = f"if '{wildcard}' is present, must not specify other {shown}"
        yield causes.invalid(path, list(given), why)


def _check_resources(resources: list[str], path: str) -> Iterator[Cause]:
    if not resources:
        yield causes.required(path)
    whole: set[str] = set()  # resources with every subresource
    everywhere: set[str] = set()  # subresources of every resource
    for index, text in enumerate(resources):
        where = f"{path}[{index}]"
        if not text:
            yield causes.required(where)
        resource, slash, sub = text.partition("/")
        if not slash or text == "*/*":
            continue
        if resource in whole:
            why = f"if '{resource}/*' is present, must not specify {text}"
            yield causes.invalid(where, text, why)
        if sub in everywhere:
            why = f"if '*/{sub}' is present, must not specify {text}"
            yield causes.invalid(where, text, why)
        if sub == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(sub)
    yield from _check_alone(resources, "*/*", "resources", path)
    # Kubernetes looks at the last resource without a subresource only.
    plain = [text for text in resources if "/" not in text]
    if "*" in plain and plain[-1] != "*":
        why = "if '*' is present, must not specify other resources without subresources"
        yield causes.invalid(path, resources, why)


def check_conditions(
    conditions: Sequence[Object], path: str, *, has_params: bool = False
) -> Iterator[Cause]:
    """Expressions that must all hold."""
    known = environments.admission(has_params=has_params)
    if len(conditions) > _MAX_CONDITIONS:
        yield causes.too_many(path, len(conditions), _MAX_CONDITIONS)
    names_taken: set[str] = set()
    for index, condition in enumerate(conditions):
        where, name = f"{path}[{index}]", condition.get("name", "")
        expression = condition.get("expression", "")
        yield from check_expression(expression, f"{where}.expression", known, types.BOOL)
        if not name:
            yield causes.required(f"{where}.name")
            continue
        for problem in names.qualified(name):
            yield causes.invalid(f"{where}.name", name, problem)
        if name in names_taken:
            yield causes.duplicate(f"{where}.name", name)
        names_taken.add(name)


def check_expression(
    expression: str, path: str, known: Mapping[str, Type], *returns: Type, why: str = ""
) -> Iterator[Cause]:
    """A CEL expression that is there, names only what is ``known``, and gives what is wanted."""
    if not expression.strip():
        yield causes.required(path, why)
    elif problem := cel.problem(expression, known, *returns):
        yield causes.invalid(path, expression, problem)
