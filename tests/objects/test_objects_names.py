"""Names against the patterns that Kubernetes documents for them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.facts import names

LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
texts = (
    st.text("ab0.-_/AZ=é \n", max_size=8)
    | st.text("a", min_size=60, max_size=70)
    | st.text("a.", max_size=300)
)

RULES: list[tuple[Callable[[str], list[str]], str, int]] = [
    (names.label, LABEL, 63),
    (names.label_1035, r"[a-z]([-a-z0-9]*[a-z0-9])?", 63),
    (names.subdomain, rf"{LABEL}(\.{LABEL})*", 253),
    (names.label_value, rf"({QUALIFIED})?", 63),
    (names.env_name, r"[ -<>-~]+", 10**6),
]


@pytest.mark.parametrize(
    ("check", "pattern", "longest"), RULES, ids=[check.__name__ for check, _, _ in RULES]
)
@given(text=texts)
def test_a_name_is_good_exactly_when_its_pattern_and_length_say_so(
    check: Callable[[str], list[str]], pattern: str, longest: int, text: str
) -> None:
    good = re.fullmatch(pattern, text) is not None and len(text) <= longest
    assert (check(text) == []) == good


@given(texts)
def test_a_qualified_name_is_a_name_behind_an_optional_subdomain(text: str) -> None:
    prefix, slash, name = text.rpartition("/")
    good = re.fullmatch(QUALIFIED, name) is not None and len(name) <= 63
    good = good and (not slash or names.subdomain(prefix) == [])
    assert (names.qualified(text) == []) == good
    assert (names.annotation(text) == []) == (names.qualified(text.lower()) == [])


@given(st.text("ab9-_A", max_size=18))
def test_a_port_name_is_short_with_a_letter_and_single_dashes_inside(text: str) -> None:
    pattern = r"(?=[^a-z]*[a-z])[a-z0-9]+(-[a-z0-9]+)*"
    assert (names.port_name(text) == []) == (
        re.fullmatch(pattern, text) is not None and len(text) <= 15
    )


@given(st.text(max_size=40))
def test_what_is_suggested_is_a_good_name(text: str) -> None:
    suggested = names.suggested(text)
    assert suggested == "" or names.subdomain(suggested) == []


@pytest.mark.parametrize(
    ("text", "suggested"),
    [
        ("Web_1", "web-1"),
        ("web", "web"),
        ("My App", "my-app"),
        ("-x-", "x"),
        ("a..b", "a.b"),
        ("_.é", ""),
        ("A.B", "a.b"),
    ],
)
def test_suggestions_keep_what_can_be_kept(text: str, suggested: str) -> None:
    assert names.suggested(text) == suggested


def test_every_problem_is_told() -> None:
    assert len(names.label("A" * 70)) == 2
    assert len(names.port_name("-" * 20)) == 4
