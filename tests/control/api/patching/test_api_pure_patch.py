import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.patching import patch
from kubelite.control.api.wire.status import StatusError
from tests.control.api.pure import POD, res, widget

POD_RES = res("v1", "Pod")
SCALARS = st.booleans() | st.integers(-3, 3) | st.sampled_from(["a", "b", ""])
KEYS = st.sampled_from(["a", "b", "c/d", "e~f", ""])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


def json_patch(live, *operations):
    return patch.apply(patch.JSON_PATCH, POD_RES, live, list(operations))


def op(kind, path, *value, **rest):
    return {"op": kind, "path": path, **({"value": value[0]} if value else {}), **rest}


@pytest.mark.parametrize(
    ("live", "operation", "made"),
    [
        ({}, op("add", "/a", 1), {"a": 1}),
        ({"a": 1}, op("add", "/a", 2), {"a": 2}),
        ({"l": [1, 2]}, op("add", "/l/1", 9), {"l": [1, 9, 2]}),
        ({"l": [1, 2]}, op("add", "/l/-", 9), {"l": [1, 2, 9]}),
        ({"l": [1, 2]}, op("add", "/l/2", 9), {"l": [1, 2, 9]}),
        ({"a": 1}, op("replace", "", {"b": 2}), {"b": 2}),
        ({"l": [1, 2]}, op("add", "/l/01", 9), {"l": [1, 9, 2]}),
        ({"l": [1, 2]}, op("replace", "/l/-1", 9), {"l": [1, 9]}),
        ({"a": 1}, op("replace", "/b", 2), {"a": 1, "b": 2}),
        ({"a": 1}, op("add", "/b"), {"a": 1, "b": None}),
        ({"a": 1}, op("test", "/b", None), {"a": 1}),
        ({"a": 1, "b": 2}, op("remove", "a/b"), {"a": 1}),
        ({"a": 1, "b": 2}, op("remove", "/a"), {"b": 2}),
        ({"l": [1, 2]}, op("remove", "/l/0"), {"l": [2]}),
        ({"a/b": 1, "c~d": 2}, op("remove", "/a~1b"), {"c~d": 2}),
        ({"a/b": 1, "c~d": 2}, op("replace", "/c~0d", 3), {"a/b": 1, "c~d": 3}),
        ({"a": {"b": 1}}, {"op": "move", "from": "/a/b", "path": "/c"}, {"a": {}, "c": 1}),
        ({"l": [1, 2, 3]}, {"op": "move", "from": "/l/0", "path": "/l/2"}, {"l": [2, 3, 1]}),
        (
            {"a": {"b": 1}},
            {"op": "copy", "from": "/a", "path": "/c"},
            {"a": {"b": 1}, "c": {"b": 1}},
        ),
        ({"a": None}, op("test", "/a", None), {"a": None}),
        ({"a": {"b": [1.0]}}, op("test", "/a", {"b": [1]}), {"a": {"b": [1.0]}}),
    ],
)
def test_json_patch_operations(live, operation, made):
    before = copy.deepcopy(live)
    assert json_patch(live, operation) == made
    assert live == before


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", "/x"),
        op("add", "/x/y", 1),
        op("add", "", {"b": 2}),
        op("add", "/l/9", 1),
        op("add", "/l/x", 1),
        op("remove", "/l/-"),
        op("remove", "/l/-2"),
        op("test", "/a", 2),
        op("test", "/a", True),
        op("test", "/x/y", None),
        {"op": "move", "from": "/l", "path": "/l/0"},
        {"op": "grow", "path": "/a"},
        {"op": "add", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_fit_is_unprocessable(operation):
    with pytest.raises(StatusError) as caught:
        json_patch({"a": 1, "l": [1]}, operation)
    found = caught.value.status
    assert (found["code"], found["reason"]) == (422, "Invalid")
    assert found["message"] == "the server rejected our request due to an error in our request"
    assert "details" not in found


@pytest.mark.parametrize("given", [{}, "x", [1], [op("replace", "", 3)]])
def test_a_malformed_json_patch_is_a_bad_request(given):
    with pytest.raises(StatusError) as caught:
        patch.apply(patch.JSON_PATCH, POD_RES, {"a": 1}, given)
    assert caught.value.code == 400


def test_operations_are_counted():
    with pytest.raises(StatusError) as caught:
        json_patch({}, *[op("add", "/a", 1)] * 10_001)
    assert caught.value.code == 413


def pointer(path):
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def difference(old, new, path=()):
    """A naive JSON patch from one object to another."""
    for key in old:
        if key not in new:
            yield op("remove", pointer((*path, key)))
    for key, value in new.items():
        if key not in old:
            yield op("add", pointer((*path, key)), value)
        elif isinstance(value, dict) and isinstance(old[key], dict):
            yield from difference(old[key], value, (*path, key))
        elif repr(old[key]) != repr(value):
            yield op("replace", pointer((*path, key)), value)


@given(OBJECTS, OBJECTS)
def test_a_json_patch_made_of_the_difference_leads_there(old, new):
    made = json_patch(old, *difference(old, new))
    assert json.dumps(made, sort_keys=True) == json.dumps(new, sort_keys=True)


def merge_difference(old, new):
    found = {key: None for key in old if key not in new}
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), dict):
            found[key] = merge_difference(old[key], value)
        else:
            found[key] = value
    return found


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_made_of_the_difference_leads_there(old, new):
    before = copy.deepcopy(old)
    given_patch = merge_difference(old, new)
    made = patch.apply(patch.MERGE_PATCH, POD_RES, old, given_patch)
    assert made == new
    assert old == before
    assert patch.apply(patch.MERGE_PATCH, POD_RES, made, given_patch) == new


@pytest.mark.parametrize(
    ("live", "given", "made"),
    [
        ({"a": {"b": 1}}, {"a": {"b": None, "c": 2}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": "x"}, {"a": {"b": None, "c": {"d": None}}}, {"a": {"c": {}}}),
        ({}, {"a": None}, {}),
    ],
)
def test_merge_patch(live, given, made):
    assert patch.merge(live, given) == made


@pytest.mark.parametrize("content_type", [patch.MERGE_PATCH, patch.STRATEGIC_PATCH])
@pytest.mark.parametrize("given", [[], "x", 1])
def test_a_merge_patch_is_an_object(content_type, given):
    with pytest.raises(StatusError) as caught:
        patch.apply(content_type, POD_RES, POD, given)
    assert caught.value.code == 400


def test_custom_objects_have_no_strategic_patch():
    with pytest.raises(StatusError) as caught:
        patch.apply(patch.STRATEGIC_PATCH, widget({"type": "object"}), {}, {})
    assert caught.value.code == 415
    assert "strategic" not in caught.value.status["message"]
    assert patch.apply(patch.MERGE_PATCH, widget({"type": "object"}), {"a": 1}, {"a": 2}) == {
        "a": 2
    }
