"""Random documents of every kind: whatever is sent ends in an object or in a Status, never in
another error.
"""

import copy
import json
import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from kubelite.control.api.kinds import registry
from kubelite.control.api.patching import managed_fields, patch
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire import codec, documents
from kubelite.control.api.wire.status import StatusError
from kubelite.objects.facts import schema
from tests.control.api.pure import NOW, RESOURCES, widget

CLOCK = datetime(2026, 1, 31, tzinfo=UTC)
SERVED = [
    res
    for res in RESOURCES
    if "create" in res.verbs and schema.name_of(res.group, res.version, res.kind)
]
TEXTS = [
    "",
    "a",
    "b",
    "A b",
    "10",
    "50%",
    "-1",
    "Always",
    "TCP",
    "/x",
    "..",
    "example.com/x",
    "RollingUpdate",
    "None",
    "1.2.3.4",
    "2026-01-01T00:00:00Z",
]
NUMBERS = [0, 1, -1, 2, 80, 70000, 2**31 - 1]
JUNK = [None, [], {}, "x", 7, -1.5, True, [None], {"a": None}, [[1]], {"a": {"b": []}}]


def value(rng, kind, depth):
    """A value of a type, mostly right."""
    if rng.random() < 0.01:
        return copy.deepcopy(rng.choice(JUNK))
    if kind[0] == "[":
        return [value(rng, kind[1:], depth + 1) for _ in range(rng.choice([0, 1, 1, 2]))]
    if kind[0] == "{":
        return {
            key: value(rng, kind[1:], depth + 1)
            for key in rng.sample(["a", "b", "cpu", "x y"], rng.choice([0, 1, 2]))
        }
    if kind == "s" or (kind not in "bildyo*" and not schema.definition(kind).fields):
        special = {
            "resource.Quantity": ["1", "500m", 2],
            "meta.v1.Time": [NOW],
            "meta.v1.MicroTime": [NOW.replace("Z", ".000000Z")],
            "intstr.IntOrString": [80, "50%"],
        }
        return rng.choice(special.get(kind, TEXTS if kind == "s" else [{}, {"a": 1}]))
    if kind in "bildyo*":
        return rng.choice(
            {"b": [True, False], "y": ["", "YQ=="], "o": [{}], "*": [1, "x"]}.get(kind, NUMBERS)
        )
    return document(rng, kind, depth + 1)


def document(rng, name, depth=0):
    share = max(0.1, 0.6 - depth * 0.08)
    chosen = [
        each
        for each in schema.definition(name).fields.values()
        if each.required or rng.random() < share
    ]
    return {each.name: value(rng, each.type, depth) for each in chosen} if depth < 7 else {}


def manifest(rng, res):
    made = document(rng, schema.name_of(res.group, res.version, res.kind))
    metadata = {
        "name": "x",
        "uid": "u",
        "labels": value(rng, "{s", 0),
        "finalizers": value(rng, "[s", 0),
    }
    return {**made, "apiVersion": res.gv, "kind": res.kind, "metadata": metadata}


def through(res, obj, old=None):
    """Everything that a write does to a document."""
    made, _ = strategy.conform(res, obj, validation="Ignore")
    made["metadata"] |= {"uid": "u", "namespace": "d"} if res.namespaced else {"uid": "u"}
    made = (
        strategy.prepare_create(res, made)
        if old is None
        else strategy.prepare_update(res, "", made, old)
    )
    made = strategy.order(res, made)
    causes = (
        strategy.validate_create(res, made)
        if old is None
        else strategy.validate_update(res, "", made, old)
    )
    for cause in causes:
        assert cause.reason.startswith(("FieldValue", "InternalError")), cause
    assert strategy.order(res, made) == made
    assert strategy.stored(res, made) == documents.stored(made)
    return managed_fields.track(res, old, made, manager="m", now=NOW)


@pytest.mark.parametrize("res", SERVED, ids=lambda res: f"{res.plural}.{res.group}.{res.version}")
def test_any_document(res):
    rng = random.Random(res.kind + res.version)
    stored = []
    for _ in range(40):
        given = manifest(rng, res)
        before = copy.deepcopy(given)
        try:
            stored.append(through(res, given))
        except StatusError as error:
            assert 400 <= error.code < 500, error.status
        assert given == before
    assert len(stored) > 5
    for old, new in pairwise(stored):
        through(res, new, old)
        strategy.render_table(res, [old], now=CLOCK)
        assert registry.convert(old, res.storage_version)["kind"] == res.kind


@pytest.mark.parametrize("res", SERVED, ids=lambda res: f"{res.plural}.{res.group}.{res.version}")
def test_any_document_can_be_applied_twice(res):
    rng = random.Random(res.kind)
    live, times = None, 0
    for _ in range(30):
        given = manifest(rng, res)
        try:
            once = applied(res, live, given, force=True)
        except StatusError as error:
            assert 400 <= error.code < 500, error.status
            continue
        assert applied(res, once, given, force=False) is once
        live, times = once, times + 1
    assert times > 5


def applied(res, live, given, force):
    made = managed_fields.apply(res, live, copy.deepcopy(given), manager="m", force=force, now=NOW)
    if made is live:
        return live
    made, _ = strategy.conform(res, made)
    return strategy.order(res, made)


@pytest.mark.parametrize("res", SERVED, ids=lambda res: f"{res.plural}.{res.group}.{res.version}")
@pytest.mark.parametrize("content_type", [patch.STRATEGIC_PATCH, patch.MERGE_PATCH])
def test_any_document_can_be_patched_by_another(res, content_type):
    rng = random.Random(res.kind + content_type)
    patched = 0
    for _ in range(20):
        live, given = manifest(rng, res), manifest(rng, res)
        before = copy.deepcopy((live, given))
        try:
            made = patch.apply(content_type, res, live, given)
        except StatusError as error:
            assert error.code == 400, error.status
        else:
            patched += 1
            assert made["kind"] == res.kind
        assert (live, given) == before
    assert patched > 5


def test_the_deepest_body_that_is_read_goes_all_the_way():
    """Far below Python's own limit, so that a server that is in the middle of something has room as
    well.
    """
    deep = {"leaf": None}
    for _ in range(codec.MAX_DEPTH - 3):
        deep = {"a": deep}
    body = json.dumps(
        {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": deep}
    ).encode()
    given = codec.decode(body, None).value
    with pytest.raises(StatusError):
        codec.decode(body.replace(b"null", b'{"b":{}}'), None)
    for res in (
        widget(None),
        widget({"type": "object", "properties": {"spec": {"type": "object"}}}),
    ):
        made, _ = strategy.conform(res, given, validation="Warn")
        made = strategy.prepare_create(res, made)
        assert (
            strategy.validate_create(res, {**made, "metadata": {"name": "w", "namespace": "d"}})
            == []
        )
        live = managed_fields.track(res, None, made, manager="m", now=NOW)
        assert applied(res, applied(res, live, given, force=True), given, force=False)
        patch.apply(patch.MERGE_PATCH, res, live, given)
        strategy.render_table(res, [live], now=CLOCK)
    assert strategy.conform(
        SERVED[1], {**given, "apiVersion": "v1", "kind": SERVED[1].kind, "x": None}
    )


MANY = 6_000


def many(reverse=False, **more):
    names = [f"n{number}" for number in range(MANY)]
    listed = [
        {"name": name, "value": "1", **more} for name in (reversed(names) if reverse else names)
    ]
    spec = {"containers": [{"name": "c", "image": "c", "env": listed}]}
    finalizers = [f"a/{name}" for name in (reversed(names) if reverse else names)]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "finalizers": finalizers},
        "spec": spec,
    }


def test_long_lists_take_no_longer_than_their_length():
    """Each of these steps compares two long lists: item by item with item they would take
    minutes.
    """
    res = next(each for each in SERVED if each.kind == "Pod")
    live = through(res, many())
    changed = patch.apply(patch.STRATEGIC_PATCH, res, live, many(reverse=True))
    assert changed["spec"]["containers"][0]["env"][0]["name"] == f"n{MANY - 1}"
    gone = patch.apply(patch.STRATEGIC_PATCH, res, live, many(**{"$patch": "delete"}))
    assert gone["spec"]["containers"][0]["env"] == []
    ordered = {
        "spec": {
            "$setElementOrder/containers": [{"name": "c"}],
            "containers": [
                {"name": "c", "$setElementOrder/env": many()["spec"]["containers"][0]["env"]}
            ],
        }
    }
    assert patch.apply(patch.STRATEGIC_PATCH, res, changed, ordered)["spec"] == live["spec"]
    once = applied(res, live, many(reverse=True), force=True)
    assert (
        applied(res, once, many(), force=True)["spec"]["containers"][0]["env"]
        == live["spec"]["containers"][0]["env"]
    )
    other = {
        **live,
        "metadata": {
            **live["metadata"],
            "deletionTimestamp": NOW,
            "finalizers": [f"b/n{number}" for number in range(MANY)],
        },
    }
    assert (
        len(
            strategy.validate_update(
                res,
                "",
                other,
                {
                    **live,
                    "metadata": {**other["metadata"], "finalizers": live["metadata"]["finalizers"]},
                },
            )
        )
        == 1
    )
