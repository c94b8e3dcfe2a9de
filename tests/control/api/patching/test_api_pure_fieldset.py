import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.patching import apply_merge, field_set
from kubelite.control.api.schema import ownership_shape
from tests.control.api.pure import res, widget

POD = ownership_shape.of(res("v1", "Pod"))
ELEMENTS = st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}', "v:1"])
TREES = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(ELEMENTS, inner, min_size=1, max_size=3),
    max_leaves=8,
)


@st.composite
def sets(draw):
    """A well-formed set: what has parts is a member of its own only when it says so."""

    def marked(tree):
        inner = {key: marked(below) for key, below in tree.items()}
        return {".": {}, **inner} if inner and draw(st.booleans()) else inner

    return {
        key: marked(below)
        for key, below in draw(st.dictionaries(ELEMENTS, TREES, max_size=3)).items()
    }


def members(fields, prefix=()):
    """The model: a set of paths."""
    found = set()
    for element, below in fields.items():
        if element != ".":
            here = (*prefix, element)
            if not below or "." in below:
                found.add(here)
            found |= members(below, here)
    return found


@given(sets(), sets())
def test_the_algebra_is_that_of_sets_of_paths(left, right):
    assert members(field_set.union(left, right)) == members(left) | members(right)
    assert members(field_set.difference(left, right)) == members(left) - members(right)
    assert members(field_set.intersection(left, right)) == members(left) & members(right)


@given(sets(), sets())
def test_nothing_is_left_that_leads_nowhere(left, right):
    def leads(fields):
        return all(
            not below
            or (members({element: below}) and leads({k: v for k, v in below.items() if k != "."}))
            for element, below in fields.items()
        )

    assert leads(field_set.difference(left, right))
    assert leads(field_set.intersection(left, right))


@given(sets(), sets())
def test_elements_are_kept_sorted(left, right):
    def is_sorted(fields):
        return list(fields) == sorted(fields) and all(map(is_sorted, fields.values()))

    def in_order(fields):
        return {key: in_order(fields[key]) for key in sorted(fields)}

    assert is_sorted(field_set.union(in_order(left), in_order(right)))
    assert is_sorted(field_set.difference(in_order(left), in_order(right)))


def spec(**fields):
    return {"spec": fields}


C = {
    "name": "c",
    "image": "i",
    "ports": [{"containerPort": 80}],
    "resources": {"limits": {"cpu": "1"}},
}


def test_what_is_applied_owns_leaves_and_items_and_not_structs():
    found = field_set.applied(
        POD,
        {"metadata": {"labels": {"a": "b"}}, **spec(containers=[C], tolerations=[{"key": "x"}])},
    )
    assert found == {
        "f:metadata": {"f:labels": {"f:a": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:image": {},
                    "f:name": {},
                    "f:ports": {
                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}
                    },
                    "f:resources": {"f:limits": {"f:cpu": {}}},
                }
            },
            "f:tolerations": {},
        },
    }


def test_what_is_new_owns_every_part_of_itself():
    found = field_set.compare(POD, spec(containers=None), spec(containers=[C], securityContext={}))
    container = found.changed["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert container["f:resources"] == {".": {}, "f:limits": {".": {}, "f:cpu": {}}}
    assert found.changed["f:spec"]["f:securityContext"] == {}
    assert "." not in found.changed["f:spec"]["f:containers"]
    assert found.removed == {}


def test_a_selector_is_one_leaf():
    deployment = ownership_shape.of(res("apps/v1", "Deployment"))
    assert field_set.applied(deployment, spec(selector={"matchLabels": {"a": "b"}})) == {
        "f:spec": {"f:selector": {}}
    }


def test_changes_and_removals_are_told_apart():
    old = {"metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]}}
    new = {"metadata": {"labels": {"a": "9"}, "finalizers": ["y", "z"]}}
    found = field_set.compare(POD, old, new)
    assert found.changed == {"f:metadata": {"f:finalizers": {'v:"z"': {}}, "f:labels": {"f:a": {}}}}
    assert found.removed == {"f:metadata": {"f:finalizers": {'v:"x"': {}}, "f:labels": {"f:b": {}}}}


def test_an_applied_item_must_have_its_keys():
    with pytest.raises(ValueError, match='omits key field "containerPort"'):
        field_set.applied(POD, spec(containers=[{"name": "c", "ports": [{"name": "p"}]}]))


def test_a_key_that_says_nothing_is_its_default():
    service = ownership_shape.of(res("v1", "Service"))
    named = [
        field_set.applied(service, spec(ports=[{"port": 80, **more}]))
        for more in ({}, {"protocol": ""}, {"protocol": "TCP"})
    ]
    assert {next(iter(each["f:spec"]["f:ports"])) for each in named} == {
        'k:{"port":80,"protocol":"TCP"}'
    }


def test_applied_items_are_there_once():
    with pytest.raises(ValueError, match="duplicate entries for key"):
        field_set.applied(POD, spec(containers=[{"name": "c"}, {"name": "c"}]))
    with pytest.raises(ValueError, match="duplicate entries for key"):
        field_set.applied(POD, {"metadata": {"finalizers": ["a", "a"]}})


def test_paths_are_printed_as_kubernetes_prints_them():
    found = field_set.applied(
        POD,
        {
            "metadata": {"finalizers": ["f"]},
            **spec(containers=[{"name": "c", "ports": [{"containerPort": 80}]}]),
        },
    )
    assert list(field_set.paths(found)) == [
        '.metadata.finalizers[="f"]',
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].name',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]


LISTS = {
    "type": "object",
    "properties": {
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "plain": {"type": "array", "items": {"type": "string"}},
        "keyed": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["a", "b"],
            "items": {
                "type": "object",
                "properties": {
                    "a": {"type": "string"},
                    "b": {"type": "integer", "default": 7},
                    "c": {"type": "string"},
                },
            },
        },
        "whole": {
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "properties": {"x": {"type": "string"}},
        },
        "map": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
    },
}


def test_custom_objects_have_the_shape_of_their_schema():
    value = {
        "set": ["b", "a"],
        "plain": ["x"],
        "keyed": [{"a": "1", "c": "2"}],
        "whole": {"x": "y"},
        "map": {"k": {"x": "y"}},
    }
    assert field_set.applied(ownership_shape.of(widget(LISTS)), value) == {
        "f:keyed": {'k:{"a":"1","b":7}': {".": {}, "f:a": {}, "f:c": {}}},
        "f:map": {"f:k": {".": {}, "f:x": {}}},
        "f:plain": {},
        "f:set": {'v:"a"': {}, 'v:"b"': {}},
        "f:whole": {},
    }


def test_where_no_schema_is_maps_have_parts():
    assert field_set.applied(
        ownership_shape.of(widget(None)), {"a": {"b": {"c": 1}}, "l": [1]}
    ) == {
        "f:a": {"f:b": {".": {}, "f:c": {}}},
        "f:l": {},
    }


NAMES = st.lists(st.sampled_from("abcdef"), unique=True)


def items(names):
    return [{"name": each, "image": "1"} for each in names]


@given(NAMES, NAMES)
def test_merged_items_keep_both_orders(live, given_names):
    made = apply_merge.merge(
        POD, spec(containers=items(live)), spec(containers=items(given_names))
    )["spec"]["containers"]
    names = [each["name"] for each in made]
    assert sorted(names) == sorted({*live, *given_names})
    assert [each for each in names if each in given_names] == given_names
    assert [each for each in names if each not in given_names] == [
        each for each in live if each not in given_names
    ]


def test_merged_leaves_are_the_given_ones():
    live = spec(containers=[{"name": "a", "image": "1", "args": ["x", "y"]}], nodeName="n")
    made = apply_merge.merge(POD, live, spec(containers=[{"name": "a", "args": ["z"]}]))
    assert made == spec(containers=[{"name": "a", "image": "1", "args": ["z"]}], nodeName="n")
