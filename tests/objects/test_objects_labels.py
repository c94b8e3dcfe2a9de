"""Label and field selectors: what they select, how they read and print, what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.facts import labels
from kubelite.objects.facts.labels import (
    EVERYTHING,
    NOTHING,
    FieldTerm,
    Requirement,
    Selector,
    SelectorError,
)

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
    ["=x", "a=b,", ",a", "a in", "a in (", "a in (b", "a in b", "a in ()", "a b", "a=b c", "a>x",
     "a>", "!", "!!a",
     "a=(", "a=b!", "a/b/c=d", "-a=b", "a=-b-", "a=" + "x" * 64, "/a", "a)"],
)  # fmt: skip
def test_what_is_no_selector_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SelectorError, match=r"^[^\n]+$"):
        labels.parse(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a=b,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a>x", "unable to parse requirement: values[0]: Invalid value: \"x\": "
         "for 'Gt', 'Lt' operators, the value must be an integer"),
    ],
)  # fmt: skip
def test_a_text_is_refused_in_the_words_of_kubernetes(text: str, sentence: str) -> None:
    with pytest.raises(SelectorError) as caught:
        labels.parse(text)
    assert str(caught.value) == sentence


def test_absent_selects_nothing_and_empty_everything() -> None:
    assert labels.of_document(None) == NOTHING and not NOTHING.matches({})
    assert labels.of_document({}) == EVERYTHING and EVERYTHING.matches({})


def test_a_selector_object_is_the_map_and_the_expressions_together() -> None:
    expression = {"key": "tier", "operator": "In", "values": ["db", "cache"]}
    made = labels.of_document(
        {"matchLabels": {"b": "2", "a": "1"}, "matchExpressions": [expression]}
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
        st.builds(
            FieldTerm,
            st.sampled_from(["metadata.name", "status.phase"]),
            field_values,
            st.booleans(),
        ),
        max_size=3,
    )
)
def test_field_selectors_print_and_read_alike(terms: list[FieldTerm]) -> None:
    assert labels.parse_fields(",".join(map(str, terms))) == tuple(terms)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("status.phase", "invalid selector: 'status.phase'; can't understand 'status.phase'"),
        ("a=b=c", "invalid field selector, unescaped character in value: ="),
        (r"a=\b", r"invalid field selector, invalid escape sequence: \b"),
        ("a=\\", "invalid field selector, invalid escape sequence: \\"),
    ],
)
def test_what_is_no_field_selector_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SelectorError) as caught:
        labels.parse_fields(text)
    assert str(caught.value) == sentence
