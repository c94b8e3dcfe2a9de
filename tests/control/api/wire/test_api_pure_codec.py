import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.wire import codec
from kubelite.control.api.wire.status import StatusError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    "content_type", [None, "", "application/json", "Application/JSON; charset=utf-8"]
)
def test_json_is_what_is_read_unless_something_else_is_said(content_type):
    assert codec.decode(b'{"a":1}', content_type).value == {"a": 1}


def test_yaml_is_read_where_it_is_said():
    assert codec.decode(b"a: [1, x]\n", "application/yaml").value == {"a": [1, "x"]}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json-patch+json"]
)
def test_other_content_types_are_refused(content_type):
    with pytest.raises(StatusError) as caught:
        codec.decode(b"{}", content_type)
    assert (caught.value.code, caught.value.status["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"{", ""),
        (b'{"a":}', ""),
        (b"\xff", ""),
        (b'"\xff"', ""),
        (b"a: [", "application/yaml"),
        (b"\xff\xfe\x00", "application/yaml"),
        (b"[" * 300 + b"]" * 300, ""),
        (b"[" * 100_000, ""),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(data, content_type):
    with pytest.raises(StatusError) as caught:
        codec.decode(data, content_type)
    assert caught.value.code == 400


def test_yaml_is_what_kubectl_reads():
    assert codec.read_yaml(b"a: 22:22\nb: on\nc: 0644\n") == {"a": "22:22", "b": True, "c": 420}
    assert codec.read_yaml(b"") is None
    with pytest.raises(StatusError):
        codec.read_yaml(b"a: 1\n---\nb: 2\n")


def test_an_apply_body_may_be_either():
    assert codec.read_json_or_yaml(b' {"a": 1}') == codec.read_json_or_yaml(b"a: 1\n") == {"a": 1}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a":1,"b":2}', ()),
        (b'{"a":1,"a":2}', ("a",)),
        (b'{"spec":{"x":[{"y":1,"y":1}],"z":1,"z":2}}', ("spec.x[0].y", "spec.z")),
        (b'{"a":{"b":1},"a":{"c":1,"c":2}}', ("a", "a.c")),
        (b'{"a":1,"b":"x\\":y","c" : 2}', ()),
        (b'{"a":1,"a":2,"b":"x\\":y"}', ("a",)),
        (b'{"a":1,"a":2,"b":"x\\u0022:y"}', ("a",)),
        (b'{"a":1,"a":2,"b":"\\u003ax"}', ("a",)),
    ],
)
def test_duplicates_are_found_by_path(data, found):
    assert codec.find_duplicates(data) == found
    assert codec.may_repeat(data, codec.read_json(data)) >= bool(found)


def test_what_cannot_be_read_has_no_duplicates():
    assert codec.find_duplicates(b"{") == ()


def repeated(value, doubled):
    """JSON text of a value in which some fields are given twice, and the paths of those."""
    if isinstance(value, dict):
        parts = []
        for key, each in value.items():
            text = f"{json.dumps(key)}: {repeated(each, doubled)}"
            parts += [text, text] if key in doubled else [text]
        return "{" + ", ".join(parts) + "}"
    return (
        "[" + ",".join(repeated(each, doubled) for each in value) + "]"
        if isinstance(value, list)
        else json.dumps(value)
    )


@given(VALUES, st.sets(st.sampled_from(['"', "a", "b", '":', ""])))
def test_a_duplicate_is_found_wherever_it_is(value, doubled):
    holder = {"a": value, "b": [value]}
    has = {"a", "b"} & doubled
    data = repeated(holder, doubled).encode()
    assert (
        bool(codec.find_duplicates(data))
        == codec.may_repeat(data, codec.read_json(data))
        >= bool(has)
    )


@given(VALUES)
def test_json_comes_back_and_has_no_duplicates(value):
    data = json.dumps(value).encode()
    assert codec.decode(data, None).value == value
    assert codec.find_duplicates(data) == ()
