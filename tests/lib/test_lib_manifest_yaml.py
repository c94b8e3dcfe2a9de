"""YAML: what kubectl makes of it, where everything stands, what is refused, and that nothing takes
long.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.lib.manifest_yaml import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Document,
    Path,
    Place,
    YamlError,
    documents,
)

plain_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029\ufeff"),
        max_size=12,
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcXYZ019_.-/ é", min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def one(text: str | bytes) -> Document:
    (document,) = documents(text)
    return document


def value(text: str) -> Any:
    return one(f"x: {text}").value["x"]


def whole(number: Any) -> Any:
    """JSON's numbers as kubectl hands them on: 1e3 and 1000.0 are 1000."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 2**63:
        return int(number)
    if isinstance(number, list):
        return [whole(each) for each in number]
    if isinstance(number, dict):
        return {key: whole(each) for key, each in number.items()}
    return number


@given(plain_values, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_json_is_read_as_json(made: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(made, indent=indent, ensure_ascii=ascii_only)
    assert one(text).value == whole(made)


def paths(made: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    found: list[tuple[Path, Any]] = [(path, made)]
    for key, inner in (
        made.items()
        if isinstance(made, dict)
        else enumerate(made)
        if isinstance(made, list)
        else ()
    ):
        found += paths(inner, (*path, key))
    return found


def at(text: str, place: Place) -> str:
    return text.split("\n")[place.line - 1][place.column - 1 :]


@given(plain_values, st.sampled_from([None, 2]))
def test_every_place_points_at_the_key_and_at_the_value(made: Any, indent: int | None) -> None:
    text = json.dumps(made, indent=indent, ensure_ascii=False)
    document = one(text)
    for path, inner in paths(made):
        shown = at(text, document.place(path))
        assert shown.startswith(
            "{"
            if isinstance(inner, dict)
            else "["
            if isinstance(inner, list)
            else json.dumps(inner, ensure_ascii=False)
        )
        if path and isinstance(path[-1], str):
            assert at(text, document.key_place(path)).startswith(
                json.dumps(path[-1], ensure_ascii=False)
            )


def test_places_in_block_style_through_aliases_and_for_what_is_not_there() -> None:
    document = one("a:\n  - &x\n    name: one\n  - *x\nb:\n  <<: *x\n  extra: 1\n")
    assert document.value == {
        "a": [{"name": "one"}, {"name": "one"}],
        "b": {"name": "one", "extra": 1},
    }
    assert document.place(("a", 0, "name")) == (3, 11)
    assert document.key_place(("a", 0, "name")) == (3, 5)
    assert document.place(("a", 1)) == (4, 5)
    assert document.place(("a", 1, "name")) == (3, 11)
    assert document.place(("b", "name")) == (3, 11)
    assert document.place(("b", "extra")) == (7, 10)
    assert document.place(("a", 0, "none", "deeper")) == document.place(("a", 0))
    assert document.key_place(("b", "none")) == document.place(("b",))
    assert document.place(("zzz",)) == (1, 1)


# What kubectl 1.32 makes of each text as a value of a ConfigMap.
READINGS: list[tuple[str, Any]] = [
    ("[y, Y, yes, on, On, ON, true, True, TRUE]", [True] * 9),
    ("[n, N, no, off, OFF, false, False, FALSE]", [False] * 8),
    ("[yEs, tRue, nUll, _1, 1e, 08x, 0o8, 0b12, 0x, 1.2.3, 1e400, '12', ., +]",
     ["yEs", "tRue", "nUll", "_1", "1e", "08x", "0o8", "0b12", "0x", "1.2.3", "1e400", "12", ".",
      "+"]),
    ("[~, null, Null, NULL, !!null '', ]", [None] * 5),
    ("[22:22, 1:2:3, 2020-01-01, 2020-01-01T00:00:00Z, !!timestamp 2020-01-01]",
     ["22:22", "1:2:3", "2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01"]),
    ("[0644, 0o17, 0x1F, 0b11, -0b11, +0x1f, 0O17, 0B1, -0x1F, 00, 0_7]",
     [420, 15, 31, 3, -3, 31, 15, 1, -31, 0, 7]),
    ("[1_000, +5, -5, 08, 0888, 9223372036854775807, -9223372036854775808]",
     [1000, 5, -5, 8, 888, 2**63 - 1, -(2**63)]),
    ("[1.5, 1., .5, 1e3, 1e+3, 1.5e3, +1.5, 1_0.5, 012.5, .5_0, 1e-5]",
     [1.5, 1, 0.5, 1000, 1000, 1500, 1.5, 10.5, 12.5, 0.5, 0.00001]),
    ("{1: a, on: c, 1.5: d, 0x10: e}", {"1": "a", "true": "c", "1.5": "d", "16": "e"}),
    ("['yes', !!str 123, !!int \"7\", !!bool \"yes\", !!binary aGVsbG8=, !foo 12, ! yes]",
     ["yes", "123", 7, True, "hello", "12", "yes"]),
    ("{a: 1, <<: {a: 2, b: 3}, b: 4}", {"a": 2, "b": 4}),
    ("{<<: [{a: 1}, {a: 2, b: 2}]}", {"a": 1, "b": 2}),
    ("{'<<': {a: 1}}", {"<<": {"a": 1}}),
    ("|\n  a\n  b", "a\nb\n"),
    (">-\n  a\n  b\n", "a b"),
    (r'''["it\'s", "\"\'\\", 'a\b']''', ["it's", "\"'\\", "a\\b"]),
    ("[&a b, *a, {*a : c}]", ["b", "b", {"b": "c"}]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READINGS, ids=[text for text, _ in READINGS])
def test_values_are_read_as_kubectl_reads_them(text: str, expected: Any) -> None:
    found = value(text)
    assert json.dumps(found) == json.dumps(expected)


def test_the_readings_above_are_kubectls() -> None:
    kubectl = shutil.which("kubectl")
    assert kubectl, "kubectl is needed"
    lines = [f"v{at}: {text}" for at, (text, _) in enumerate(READINGS)]
    data = "\n".join(lines).replace("\n", "\n  ")
    manifest = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata:\n  {data}\n"
    command = [kubectl, "label", "--local", "-f", "-", "q=r", "-o", "json"]
    done = subprocess.run(
        command, input=manifest, capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["data"] == {
        f"v{at}": expected for at, (_, expected) in enumerate(READINGS)
    }


def test_numbers_beyond_64_bits_lose_digits_as_in_json() -> None:
    assert value("18446744073709551615") == 2**64 - 1
    assert repr(value("18446744073709551616")) == "1.8446744073709552e+19"
    assert repr(value("9223372036854775807000")) == "9.223372036854776e+21"


def test_several_documents_and_empty_ones() -> None:
    assert [d.value for d in documents("a: 1\n---\n# nothing\n---\n- 2\n...\n")] == [
        {"a": 1},
        None,
        [2],
    ]
    assert documents("") == []
    assert documents("# only a comment\n") == []


def test_json_objects_one_after_another() -> None:
    text = ' {"a": {"x": "}{"}} {"b": 1}\n\n{"c":\n {"d": 2}}{"e": 3}\n'
    found = documents(text)
    assert [d.value for d in found] == [{"a": {"x": "}{"}}, {"b": 1}, {"c": {"d": 2}}, {"e": 3}]
    assert [d.place(()) for d in found] == [(1, 2), (1, 21), (3, 1), (4, 11)]
    assert found[2].place(("c", "d")) == (4, 8) and found[3].place(("e",)) == (4, 17)


def test_an_escaped_apostrophe_keeps_all_places() -> None:
    document = one('a: "it\\\'s"\nb: {c: 1}\n')
    assert document.value == {"a": "it's", "b": {"c": 1}}
    assert document.place(("b", "c")) == (2, 8)


def test_a_character_outside_the_basic_plane_as_json_escapes_it() -> None:
    assert one('{"a": "\\ud83d\\ude00", "b": "\\\\ud83d\\\\ude00"}').value == {
        "a": "😀",
        "b": "\\ud83d\\ude00",
    }


REFUSED: list[tuple[str | bytes, str, tuple[int, int] | None]] = [
    ("a: 1\nb: 2\na: 3\n", "duplicate key", (3, 1)),
    ("- {x: 1, 'x': 2}", "duplicate key", (1, 10)),
    ("yes: 1\ntrue: 2\n", "duplicate key", (2, 1)),
    ("a:\n\tb: c\n", "tab", (2, 1)),
    ("a: @x", "no value can begin", (1, 4)),
    ("a: b: c", "mapping values", (1, 5)),
    ("a: [1, 2\n", "expected", (1, 9)),
    ("a: [1,\n  2\nb: 3\n", "begins at line 1", (3, 2)),
    ("a: 'x", "quoted", None),
    ("- a\nb: c\n", "expected", (2, 1)),
    ("a: *nobody", "no anchor", (1, 4)),
    ("&a [*a]", "inside the value it refers to", (1, 5)),
    ("? [a]\n: b\n", "a key must be", (1, 3)),
    ("~: b\n", "a key must be", (1, 1)),
    ("a: .inf", ".inf is not a JSON number", (1, 4)),
    ("a: !!int x", "!!int", (1, 4)),
    ("a: !!binary '@'", "base64", (1, 4)),
    ("<<: 3", "mapping", (1, 5)),
    ("<<: [3]", "mapping", (1, 5)),
    ('{"a": "\\ud83d"}', "escape", (1, 10)),
    ('a: "\\q"', "escape", (1, 5)),
    ('a: "\\\'"\nb: "\\q"\n', "escape", (2, 6)),
    ('{"a": 1} {"b": 2, "b": 3}', "duplicate key", (1, 19)),
    ('{"a": 1}\n{"b": ', "expected", (2, 1)),
    ('{"a": 1}\n[]', "expected", (2, 1)),
    ("{" * 200_000, f"{MAX_DEPTH} deep", None),
    (b"a: \xff", "UTF-8", (1, 4)),
    (b"one: 1\ntwo: \xc3(", "UTF-8", (2, 6)),
    ("a: 1\nb: x\x07y\n", "control character", (2, 5)),
    (b"\x7fELF\x02\x01\x01\0\0", "not text: byte 7", None),
    ("a: b".encode("utf-16"), "UTF-16", None),
    (b"#" * (10 << 20), "10.0 MiB", None),
    ("[" * 100_000, f"{MAX_DEPTH} deep", None),  # libyaml looks ahead, and from 0.2.6 on counts too
    ("{a: " * 100_000, f"{MAX_DEPTH} deep", (1, 4 * MAX_DEPTH + 1)),
    ("- " * 100_000, f"{MAX_DEPTH} deep", (1, 2 * MAX_DEPTH + 1)),
    ("- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 1000)), f"{MAX_DEPTH} deep",
     None),
    ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)),
     f"{MAX_NODES} values", None),
    ("a: &a {" + ",".join(f"k{n}: 1" for n in range(1000)) + "}\n"
     + "".join(f"b{n}: {{<<: *a}}\n" for n in range(10000)),
     f"{MAX_NODES} values", None),
    ("- a\n" * (MAX_NODES + 1), f"{MAX_NODES} values", (MAX_NODES, 3)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said", "place"), REFUSED, ids=[f"{text[:20]!r}" for text, _, _ in REFUSED]
)
def test_what_cannot_be_read_is_refused_quickly_in_one_sentence_with_its_place(
    text: str | bytes, said: str, place: tuple[int, int] | None
) -> None:
    began = time.process_time()
    with pytest.raises(YamlError) as caught:
        documents(text)
    assert time.process_time() - began < 5
    assert said in str(caught.value) and "\n" not in str(caught.value)
    if place is not None:
        assert caught.value.place == place


@given(st.text("ab:-[]{},'\"#&*!|>? \n\t0~<\\%@", max_size=40))
def test_any_text_is_read_or_refused_with_a_place_inside_of_it(text: str) -> None:
    try:
        documents(text)
    except YamlError as error:
        if error.place is not None:
            lines = (text + "\n").split("\n")
            assert 1 <= error.place.line <= len(lines)
            assert 1 <= error.place.column <= len(lines[error.place.line - 1]) + 1


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        documents(data)
    except YamlError as error:
        assert "\n" not in str(error)


def test_as_much_as_is_allowed_is_read() -> None:
    assert len(one(b"a: " + b"x" * (MAX_BYTES - 3)).value["a"]) == MAX_BYTES - 3
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert one(nested).value
