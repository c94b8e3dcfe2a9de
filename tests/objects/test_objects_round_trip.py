"""Any pod that the schema allows is read, kept and written unchanged; whatever is wrong with one
value is told at its place.
"""

from __future__ import annotations

import copy
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kubelite.objects.facts import schema
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules import reading

LEFT_OUT = {"managedFields", "status", "apiVersion", "kind"}
"""What only a server sets, and what every pod has."""
DEPTH = 6
WORDS = st.text("abcxyz-./", min_size=1, max_size=6)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "s": WORDS,
    "b": st.booleans(),
    "i": st.integers(-(2**31), 2**31 - 1),
    "l": st.integers(-(2**63), 2**63 - 1),
    "resource.Quantity": st.sampled_from(["1", "500m", "64Mi", "2G", "0"]),
    "intstr.IntOrString": st.one_of(st.integers(0, 65535), WORDS),
    "meta.v1.Time": st.just("2026-01-31T12:00:00Z"),
}
WRONG: dict[str, Any] = {
    "s": 7,
    "b": "yes",
    "i": "7",
    "l": 0.5,
    "resource.Quantity": True,
    "intstr.IntOrString": 0.5,
    "meta.v1.Time": 7,
}
SETTINGS = settings(max_examples=150, suppress_health_check=list(HealthCheck))


@st.composite
def values(draw: st.DrawFn, kind: str, depth: int) -> Any:
    if kind[0] == "[":
        return [draw(values(kind[1:], depth)) for _ in range(draw(st.integers(1, 2)))]
    if kind[0] == "{":
        keys = draw(st.lists(WORDS, min_size=1, max_size=2, unique=True))
        return {key: draw(values(kind[1:], depth)) for key in keys}
    if kind in SCALARS:
        return draw(SCALARS[kind])
    fields = schema.definition(kind).fields
    required = [name for name, field in fields.items() if field.required]
    others = sorted(set(fields) - set(required) - LEFT_OUT)
    chosen = draw(st.lists(st.sampled_from(others), max_size=4, unique=True)) if others else []
    names = [*required, *(chosen if depth > 0 else ())]
    types = schema.types_of(kind)
    return {name: draw(values(types[name], depth - 1)) for name in names}


@st.composite
def pods(draw: st.DrawFn) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": draw(values("meta.v1.ObjectMeta", 2)),
        "spec": draw(values("core.v1.PodSpec", DEPTH)),
    }


def places(kind: str, value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], str]]:
    """The path and the type of every value of a document."""
    found = [(path, kind)]
    if kind[0] == "[":
        for index, item in enumerate(value):
            found += places(kind[1:], item, (*path, index))
    elif kind[0] == "{":
        for key, item in value.items():
            found += places(kind[1:], item, (*path, key))
    elif kind not in SCALARS:
        types = schema.types_of(kind)
        for name, item in value.items():
            found += places(types[name], item, (*path, name))
    return found


def without_empty(value: Any) -> Any:
    """A value without empty objects, which the API server writes where there is nothing."""
    if isinstance(value, dict):
        kept = {key: without_empty(inner) for key, inner in value.items()}
        return {key: inner for key, inner in kept.items() if inner != {}}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


@SETTINGS
@given(pods())
def test_a_pod_is_read_kept_and_written_as_it_is(pod: Any) -> None:
    document, causes = reading.read("core.v1.Pod", copy.deepcopy(pod))
    assert causes == []
    assert document == pod
    typed = codec.decode(Pod, document)
    kept = msgspec.json.decode(msgspec.json.encode(typed))
    assert without_empty(kept) == without_empty(pod)
    assert codec.decode(Pod, kept) == typed


@SETTINGS
@given(pods(), st.data())
def test_one_wrong_value_is_told_at_its_place(pod: Any, data: st.DataObject) -> None:
    candidates = [(path, kind) for path, kind in places("core.v1.Pod", pod) if path]
    path, kind = data.draw(st.sampled_from(candidates))
    holder = pod
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = WRONG.get(kind, 7)
    causes = reading.read("core.v1.Pod", pod)[1]
    assert [(cause.path, cause.reason) for cause in causes] == [(path, reading.WRONG_TYPE)]


@SETTINGS
@given(pods(), st.data(), WORDS)
def test_one_unknown_field_is_told_at_its_place(pod: Any, data: st.DataObject, name: str) -> None:
    structs = [
        (path, kind)
        for path, kind in places("core.v1.Pod", pod)
        if kind[0] not in "[{" and kind not in SCALARS
    ]
    path, kind = data.draw(st.sampled_from(structs))
    assume(name not in schema.types_of(kind))
    holder = pod
    for step in path:
        holder = holder[step]
    holder[name] = 1
    causes = reading.read("core.v1.Pod", pod)[1]
    assert [(cause.path, cause.reason) for cause in causes] == [
        ((*path, name), reading.UNKNOWN_FIELD)
    ]
