"""Label and field selectors: what they select, how they read and print, what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.facts import labels
from kubelite.objects.facts.labels import (
    EVERYTHING,
    NOTHING,
    FieldSelector,
    Requirement,
    Selector,
    SelectorError,
)
from kubelite.objects.pod.meta import LabelSelector, LabelSelectorRequirement

keys = st.sampled_from(["a", "b", "example.com/c", "in", "notin"])
values = st.sampled_from(["", "x", "y", "1", "22"])
maps = st.dictionaries(keys, values, max_size=4)
requirements = st.one_of(
    st.builds(
        Requirement,
        keys,
        st.sampled_from(["In", "NotIn"]),
        st.frozensets(values, min_size=1, max_size=3),
    ),
    st.builds(Requirement, keys, st.sampled_from(["Exists", "DoesNotExist"]), st.just(frozenset())),
    st.builds(
        Requirement,
        keys,
        st.sampled_from(["Gt", "Lt"]),
        st.sampled_from(["1", "22"]).map(lambda n: frozenset((n,))),
    ),
)
selectors = st.lists(requirements, max_size=4).map(lambda found: Selector(tuple(found)))


def slow(requirement: Requirement, found: dict[str, str]) -> bool:
    """The rules as the documentation of Kubernetes states them, one after the other."""
    key, operator, given_values = requirement
    if operator == "In":
        return key in found and any(found[key] == value for value in given_values)
    if operator == "NotIn":
        return key not in found or all(found[key] != value for value in given_values)
    if operator == "Exists":
        return key in found
    if operator == "DoesNotExist":
        return key not in found
    try:
        number = int(found[key])
    except (KeyError, ValueError):
        return False
    limit = int(min(given_values))
    return number > limit if operator == "Gt" else number < limit


@given(selectors, maps)
def test_a_selector_selects_what_every_requirement_allows(
    selector: Selector, found: dict[str, str]
) -> None:
    assert selector.matches(found) == all(slow(each, found) for each in selector.requirements)


@given(selectors)
def test_what_is_printed_reads_as_the_same(selector: Selector) -> None:
    assert labels.parse(str(selector)) == selector


@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("app=web", [{"app": "web"}], [{}, {"app": "db"}]),
        ("app == web", [{"app": "web"}], [{"app": "db"}]),
        ("app!=web", [{}, {"app": "db"}], [{"app": "web"}]),
        ("env in (a, b)", [{"env": "a"}, {"env": "b"}], [{}, {"env": "c"}]),
        ("env notin (a,b)", [{}, {"env": "c"}], [{"env": "a"}]),
        ("app,!old", [{"app": ""}], [{}, {"app": "", "old": "1"}]),
        ("n>3,n<10", [{"n": "4"}, {"n": "9"}], [{"n": "3"}, {"n": "10"}, {"n": "x"}, {}]),
        ("x=", [{"x": ""}], [{}, {"x": "1"}]),
        ("x in (,a)", [{"x": ""}, {"x": "a"}], [{"x": "b"}]),
        ("in in (in),notin notin (notin)", [{"in": "in"}], [{"in": "in", "notin": "notin"}]),
        ("example.com/a=b", [{"example.com/a": "b"}], [{"a": "b"}]),
        ("", [{}, {"a": "b"}], []),
    ],
)
def test_the_text_of_kubectl(
    text: str, matching: list[dict[str, str]], others: list[dict[str, str]]
) -> None:
    selector = labels.parse(text)
    assert all(selector.matches(each) for each in matching)
    assert not any(selector.matches(each) for each in others)


@pytest.mark.parametrize(
    "text",
    ["=x", "a=b,", ",a", "a in", "a in (", "a in (b", "a in b", "a in ()", "a b", "a=b c", "a>x", "a>", "!", "!!a",
     "a=(", "a=b!", "a/b/c=d", "-a=b", "a=-b-", "a=" + "x" * 64, "/a", "a)"],
)  # fmt: skip
def test_what_is_no_selector_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SelectorError, match=r"^[^\n]+$"):
        labels.parse(text)


def test_absent_selects_nothing_and_empty_everything() -> None:
    assert labels.of_object(None) == NOTHING and not NOTHING.matches({})
    assert labels.of_object(LabelSelector()) == EVERYTHING and EVERYTHING.matches({})


def test_a_selector_object_is_the_map_and_the_expressions_together() -> None:
    expression = LabelSelectorRequirement(key="tier", operator="In", values=("db", "cache"))
    made = labels.of_object(
        LabelSelector(match_labels={"b": "2", "a": "1"}, match_expressions=(expression,))
    )
    assert str(made) == "a=1,b=2,tier in (cache,db)"
    assert made.matches({"a": "1", "b": "2", "tier": "db", "more": "x"})
    assert not made.matches({"a": "1", "b": "2"})
    assert str(labels.of_map({"b": "2", "a": "1"})) == "a=1,b=2"


@pytest.mark.parametrize(
    ("operator", "given_values"),
    [("In", ()), ("NotIn", ()), ("Exists", ("x",)), ("Gt", ("x",)), ("Gt", ()), ("Equals", ("x",))],
)
def test_values_that_do_not_fit_the_operator_are_refused(
    operator: str, given_values: tuple[str, ...]
) -> None:
    with pytest.raises(SelectorError):
        labels.requirement("k", operator, given_values)


field_values = st.text("ab,=\\! ", max_size=6)


@given(
    st.lists(
        st.tuples(st.sampled_from(["metadata.name", "status.phase"]), field_values, st.booleans()),
        max_size=3,
    )
)
def test_field_selectors_print_and_read_alike(terms: list[tuple[str, str, bool]]) -> None:
    selector = FieldSelector(tuple(terms))
    assert labels.parse_fields(str(selector)) == selector


def test_field_selectors_select() -> None:
    selector = labels.parse_fields("status.phase=Running,spec.nodeName!=a,metadata.name==p")
    assert selector.matches({"status.phase": "Running", "metadata.name": "p"})
    assert not selector.matches(
        {"status.phase": "Running", "metadata.name": "p", "spec.nodeName": "a"}
    )
    with pytest.raises(SelectorError):
        labels.parse_fields("status.phase")
