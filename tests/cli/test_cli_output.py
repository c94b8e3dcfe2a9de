"""Documents as JSON and YAML: whole, read back as they were, and harmless to a terminal."""

from __future__ import annotations

import json
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubelite.cli.common.command import Output
from kubelite.cli.common.output import document

HOSTILE = "a\x1b[31m\x7f\x9b31m\u202e\u2066\u200b\ufeff\U000e0001b"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def unprintable(text: str) -> set[str]:
    return {character for character in text if not character.isprintable()} - {"\n"}


def test_what_controls_a_terminal_is_escaped() -> None:
    data = {HOSTILE: ["plain", HOSTILE, {"a": f"two\nlines {HOSTILE}"}]}
    for format, load in ((Output.json, json.loads), (Output.yaml, yaml.safe_load)):
        text = document(data, format)
        assert unprintable(text) == set() and load(text) == data


@given(VALUES)
def test_any_document_is_read_back(value: Any) -> None:
    for format, load in ((Output.json, json.loads), (Output.yaml, yaml.safe_load)):
        text = document({"value": value}, format)
        assert unprintable(text) == set() and load(text) == {"value": value}


def test_printable_text_is_left_alone() -> None:
    assert document({"a": "möglich 日本"}, Output.json) == '{\n    "a": "möglich 日本"\n}\n'
    assert document({"a": "möglich: 日本"}, Output.yaml) == "a: 'möglich: 日本'\n"
