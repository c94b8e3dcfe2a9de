"""The patches against kubectl's own, which is Kubernetes' code and needs no server for ``patch
--local``.
"""

import json
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kubelite.control.api.patching import patch
from tests.control.api.pure import res

KINDS = {"strategic": patch.STRATEGIC_PATCH, "merge": patch.MERGE_PATCH, "json": patch.JSON_PATCH}
# Every example starts a program, so that a failing one is not made smaller.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
SLOW = settings(
    max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES
)

NAMES = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["1", "2"])
ENV = st.lists(
    st.fixed_dictionaries({"name": NAMES, "value": TEXTS}),
    max_size=3,
    unique_by=lambda each: each["name"],
)
PORTS = st.lists(
    st.fixed_dictionaries({"containerPort": st.integers(1, 3), "name": TEXTS}),
    max_size=2,
    unique_by=lambda each: each["containerPort"],
)
FIELDS = {"image": TEXTS, "args": st.lists(TEXTS, max_size=2), "env": ENV, "ports": PORTS}
CONTAINER = st.fixed_dictionaries({"name": NAMES}, optional=FIELDS)
VOLUME = st.sampled_from([{"emptyDir": {}}, {"hostPath": {"path": "/x"}}])


def unique(items):
    return st.lists(items, max_size=3, unique_by=lambda each: each["name"])


@st.composite
def pods(draw):
    metadata = {
        "name": "p",
        "labels": draw(st.dictionaries(NAMES, TEXTS)),
        "finalizers": draw(st.lists(NAMES, unique=True)),
    }
    volumes = [{"name": name, **draw(VOLUME)} for name in draw(st.lists(NAMES, unique=True))]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": draw(unique(CONTAINER)) or [{"name": "c"}], "volumes": volumes},
    }


@st.composite
def strategic_patches(draw):
    metadata, spec = {}, {}
    if draw(st.booleans()):
        replaced = {"$patch": "replace", **draw(st.dictionaries(NAMES, TEXTS))}
        metadata["labels"] = draw(st.just(replaced) | st.dictionaries(NAMES, st.none() | TEXTS))
    if draw(st.booleans()):
        metadata["finalizers"] = draw(st.lists(NAMES, unique=True, min_size=1))
    if draw(st.booleans()):
        unwanted = [
            name
            for name in draw(st.lists(NAMES, unique=True))
            if name not in metadata.get("finalizers", ())
        ]
        metadata["$deleteFromPrimitiveList/finalizers"] = unwanted
    items = draw(
        unique(CONTAINER | st.fixed_dictionaries({"name": NAMES, "$patch": st.just("delete")}))
    )
    if draw(st.booleans()):
        order = draw(st.permutations(["a", "b", "c"]))
        items.sort(key=lambda each: order.index(each["name"]))
        kept = [
            each
            for each in order
            if not any(item["name"] == each and "$patch" in item for item in items)
        ]
        spec["$setElementOrder/containers"] = [{"name": each} for each in kept]
    if items:
        spec["containers"] = [*draw(st.sampled_from([[], [], [{"$patch": "replace"}]])), *items]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["emptyDir", "hostPath"]))
        source = {"emptyDir": {"medium": "Memory"}, "hostPath": {"path": "/y"}}[kind]
        spec["volumes"] = [{"name": draw(NAMES), "$retainKeys": ["name", kind], kind: source}]
    return {"metadata": metadata, "spec": spec}


def kubectls(live, kind, given_patch):
    """What kubectl makes of several objects with one patch; its error where it refuses the
    patch.
    """
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": live})
    program = shutil.which("kubectl")
    assert program, "kubectl is needed"
    command = [
        program,
        "patch",
        "--local",
        "-f",
        "-",
        "--type",
        kind,
        "-p",
        json.dumps(given_patch),
        "-o",
        "json",
    ]
    done = subprocess.run(command, input=document, capture_output=True, text=True, timeout=30)
    if done.returncode:
        return done.stderr
    decoder, found, at = json.JSONDecoder(), [], 0
    while at < len(done.stdout.rstrip()):
        value, at = decoder.raw_decode(done.stdout, at)
        at += len(done.stdout[at:]) - len(done.stdout[at:].lstrip())
        found += value["items"] if value["kind"] == "List" else [value]
    return [stored(each) for each in found]


def stored(value):
    """Without directives that are left behind where nothing was: no server's types know them."""
    if isinstance(value, dict):
        return {key: stored(each) for key, each in value.items() if key[0] != "$"}
    return [stored(each) for each in value] if isinstance(value, list) else value


def ours(live, kind, given_patch):
    return [patch.apply(KINDS[kind], res("v1", "Pod"), each, given_patch) for each in live]


@SLOW
@given(st.lists(pods(), min_size=4, max_size=4), strategic_patches())
def test_strategic_merge(live, given_patch):
    found = [stored(each) for each in ours(live, "strategic", given_patch)]
    assert found == kubectls(live, "strategic", given_patch)


@SLOW
@given(
    st.lists(pods(), min_size=4, max_size=4),
    st.recursive(
        st.none() | TEXTS, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=5
    ),
)
def test_merge(live, labels):
    given_patch = {
        "metadata": {"annotations": labels if isinstance(labels, dict) else {}, "finalizers": None}
    }
    assert ours(live, "merge", given_patch) == kubectls(live, "merge", given_patch)


OPERATIONS = [
    [
        {"op": "add", "path": "/metadata/labels/a~1b", "value": "1"},
        {"op": "remove", "path": "/metadata/labels/x"},
    ],
    [
        {"op": "add", "path": "/spec/containers/0", "value": {"name": "z"}},
        {"op": "add", "path": "/spec/containers/-", "value": {"name": "y"}},
    ],
    [{"op": "move", "from": "/metadata/labels", "path": "/metadata/annotations"}],
    [
        {"op": "copy", "from": "/spec/containers/0", "path": "/spec/containers/1"},
        {"op": "replace", "path": "/spec/containers/1/name", "value": "q"},
    ],
    [
        {"op": "test", "path": "/metadata/labels/x", "value": "1"},
        {"op": "replace", "path": "/metadata/labels", "value": {}},
    ],
]


@pytest.mark.parametrize("operations", OPERATIONS)
def test_json_patch(operations):
    live = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "p", "labels": {"x": "1"}},
            "spec": {"containers": [{"name": "a"}]},
        }
    ]
    assert ours(live, "json", operations) == kubectls(live, "json", operations)
