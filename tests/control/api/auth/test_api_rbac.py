"""RBAC against a model that knows no shortcuts: every rule, subject and attribute spelt out."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.control.api.auth.rbac import Policy, Rule, aggregated, covers
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.request import User

VERBS, GROUPS, RESOURCES = ["get", "list", "delete"], ["", "apps"], ["pods", "secrets"]
SUBS, NAMES, SPACES = ["", "log"], ["", "a", "b"], ["", "x", "y"]


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from([*values, "*"]), min_size=1, max_size=2)


RULE = st.fixed_dictionaries(
    {
        "verbs": some(VERBS),
        "apiGroups": some(GROUPS),
        "resources": some([*RESOURCES, "pods/log", "*/log"]),
        "resourceNames": st.lists(st.sampled_from(["a", "b"]), max_size=1),
    }
)
# Half of all rules allow much, and many subjects mean everybody: otherwise hardly anything would be
# allowed at all.
WIDE = st.just({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": []})
SUBJECT = st.one_of(
    st.just({"kind": "Group", "name": "all"}),
    st.builds(lambda name: {"kind": "User", "name": name}, st.sampled_from(["jane", "bob"])),
    st.builds(lambda name: {"kind": "Group", "name": name}, st.sampled_from(["ops", "all"])),
    st.just({"kind": "ServiceAccount", "name": "robot", "namespace": "x"}),
)
USER = st.sampled_from(
    [
        User("jane", groups=("all",)),
        User("bob", groups=("ops", "all")),
        User("system:serviceaccount:x:robot"),
    ]
)


@st.composite
def policies(draw: Any) -> Policy:
    roles: dict[tuple[str, str], Any] = {}
    bindings: dict[tuple[str, str], Any] = {}
    for where in SPACES:
        for name in ("r", "s"):
            if draw(st.booleans()):
                roles[where, name] = {
                    "metadata": {"name": name},
                    "rules": draw(st.lists(RULE | WIDE, max_size=2)),
                }
        if draw(st.booleans()):
            kind = "ClusterRole" if where == "" else draw(st.sampled_from(["Role", "ClusterRole"]))
            reference = {"kind": kind, "name": draw(st.sampled_from(["r", "s"]))}
            bindings[where, "b"] = {
                "roleRef": reference,
                "subjects": draw(st.lists(SUBJECT, max_size=2)),
            }
    return Policy(roles, bindings)


ASKED = st.builds(
    AuthorizationAttributes,
    USER,
    st.sampled_from(VERBS),
    st.sampled_from(GROUPS),
    st.sampled_from(RESOURCES),
    st.sampled_from(SUBS),
    st.sampled_from(SPACES),
    st.sampled_from(NAMES),
)


def means(subject: dict[str, str], user: User) -> bool:
    if subject["kind"] == "User":
        return subject["name"] == user.name
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    return user.name == f"system:serviceaccount:{subject['namespace']}:{subject['name']}"


def permits(rule: dict[str, list[str]], asked: AuthorizationAttributes) -> bool:
    wanted = (
        [asked.resource] if not asked.sub else [f"{asked.resource}/{asked.sub}", f"*/{asked.sub}"]
    )
    return (
        bool({asked.verb, "*"} & set(rule["verbs"]))
        and bool({asked.group, "*"} & set(rule["apiGroups"]))
        and bool({*wanted, "*"} & set(rule["resources"]))
        and (not rule["resourceNames"] or asked.name in rule["resourceNames"])
    )


def model(policy: Policy, asked: AuthorizationAttributes) -> bool:
    for (where, _), binding in policy.bindings.items():
        if where not in ("", asked.namespace) or not any(
            means(each, asked.user) for each in binding["subjects"]
        ):
            continue
        home = where if binding["roleRef"]["kind"] == "Role" else ""
        role = policy.roles.get((home, binding["roleRef"]["name"]), {"rules": []})
        if any(permits(rule, asked) for rule in role["rules"]):
            return True
    return False


@settings(max_examples=600, deadline=None)
@given(policies(), ASKED)
def test_decisions_are_the_models(policy: Policy, asked: AuthorizationAttributes) -> None:
    assert policy.allows(asked) == model(policy, asked)


def rule_of(value: dict[str, list[str]]) -> Rule:
    return Rule(
        *(tuple(value[key]) for key in ("verbs", "apiGroups", "resources", "resourceNames"))
    )


@settings(max_examples=600, deadline=None)
@given(st.lists(RULE, max_size=3), st.lists(RULE, min_size=1, max_size=2), ASKED)
def test_what_is_covered_gives_nothing_new(
    owned: list[Any], wanted: list[Any], asked: AuthorizationAttributes
) -> None:
    mine, theirs = [rule_of(each) for each in owned], [rule_of(each) for each in wanted]
    if not covers(mine, theirs) and any(rule.allows(asked) for rule in theirs):
        assert any(rule.allows(asked) for rule in mine)
    assert covers(theirs, theirs) == []


def test_paths() -> None:
    rule = Rule(("get",), paths=("/healthz", "/api/*"))
    user = User("jane")
    for path, allowed in (
        ("/healthz", True),
        ("/healthz/x", False),
        ("/api/v1", True),
        ("/apis", False),
    ):
        assert rule.allows(AuthorizationAttributes(user, "get", path=path)) is allowed
    assert not rule.allows(AuthorizationAttributes(user, "post", path="/healthz"))
    assert covers([Rule(("*",), paths=("*",))], [rule]) == []
    assert covers([rule], [Rule(("get",), paths=("/other",))]) == [
        Rule(("get",), paths=("/other",))
    ]


def test_a_sum_of_roles() -> None:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    part = {"metadata": {"name": "part", "labels": {"to": "sum"}}, "rules": [rule]}
    whole = {
        "metadata": {"name": "whole"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": "sum"}}]},
    }
    assert aggregated(whole, [part, whole]) == [rule]
    assert aggregated(part, [part, whole]) is None
