import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.schema import patterns
from kubelite.control.api.schema.crd_validation import check_crd
from tests.control.api.pure import edited
from tests.control.api.schema.test_api_pure_custom import AT, CRD, VALIDATION, typed


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("^a$", "a", "a\n"),
        (r"^a\z", "a", "a\n"),
        (r"^[[:alpha:]]+$", "ab", "a1"),
        (r"^[^[:digit:]x]$", "a", "1"),
        (r"^\d$", "1", "\u0661"),
        (r"^[$]$", "$", "a"),
        (r"^\$$", "$", "a"),
        (r"^[]a]$", "]", "b"),
        (r"^[^]a]$", "b", "]"),
        (r"^[a\]b]$", "]", "\\"),
        (r"^[[]$", "[", "]"),
        (r"b", "abc", "acd"),
        (r"^(a|b){2}$", "ab", "a"),
        (r"(?i)^a$", "A", "b"),
        (r"^(?i)a$", "A", "b"),
        (r"^\pL$", "\u00e4", "1"),
        (r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$", "1h30m", "1d"),
        (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a-b", "-a"),
    ],
)
def test_patterns_mean_what_go_means(pattern, yes, no):
    assert patterns.compiled(pattern)(yes)
    assert not patterns.compiled(pattern)(no)


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "a**b(", "[[:none:]]", "a{2,1}", r"(?<=a)b", r"(a)\1"]
)
def test_what_cannot_be_said_is_refused_with_the_definition(pattern):
    with pytest.raises(ValueError, match="must be a valid regular expression"):
        patterns.compiled(pattern)
    (found,) = check_crd(
        edited(CRD, **{f"{AT}__properties__x": typed("string", pattern=pattern, default="a")})
    )
    assert found.field == f"{VALIDATION}.properties[x].pattern"
    (found,) = check_crd(
        edited(CRD, **{f"{AT}__properties__x": typed("string", anyOf=[{"pattern": pattern}])})
    )
    assert found.field == f"{VALIDATION}.properties[x].anyOf[0].pattern"


@given(st.text(alphabet="ab[]^$()|*\\-:z{}1,", max_size=10))
def test_any_text_is_a_pattern_or_an_error(text):
    try:
        patterns.compiled(text)("ab]")
    except ValueError as error:
        assert "must be a valid regular expression" in str(error)


@given(st.text(max_size=5))
def test_an_escaped_text_finds_itself(text):
    assert patterns.compiled("^" + re.escape(text) + "$")(text)


@pytest.mark.parametrize(
    "pattern", ["^(a+)+$", "^(a|a)*$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_no_pattern_takes_longer_than_the_text_is_long(pattern):
    """With backtracking each of these would take years."""
    for letter in "ax":
        assert not patterns.compiled(pattern)(letter * 20_000 + "!")


def test_a_pattern_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="must be a valid regular expression"):
        patterns.compiled("((a{100}){100}){100}")
