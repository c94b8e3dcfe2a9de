"""Strategic merge patch: its directives one by one, and all of them against a slow restatement."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.control.api.patching import strategic

POD = "core.v1.Pod"
DEPLOYMENT = "apps.v1.Deployment"


def pod(**spec):
    return {"metadata": {"name": "x"}, "spec": spec}


def containers(*names, **fields):
    return [{"name": name, "image": f"{name}:1", **fields} for name in names]


def patched(live, given, name=POD):
    before = copy.deepcopy((live, given))
    made = strategic.patch(name, live, given)
    assert (live, given) == before
    return made


def test_items_with_a_merge_key_are_merged_and_new_ones_stand_as_in_the_patch():
    live = pod(containers=containers("a", "b"))
    made = patched(
        live,
        {"spec": {"containers": [{"name": "b", "image": "b:2"}, {"name": "c", "image": "c:1"}]}},
    )
    assert [(each["name"], each["image"]) for each in made["spec"]["containers"]] == [
        ("a", "a:1"),
        ("b", "b:2"),
        ("c", "c:1"),
    ]


def test_maps_are_merged_and_null_removes():
    live = {"metadata": {"labels": {"a": "1", "b": "2"}}}
    assert patched(live, {"metadata": {"labels": {"a": None, "c": "3", "d": None}}}) == {
        "metadata": {"labels": {"b": "2", "c": "3"}}
    }


def test_lists_without_a_strategy_are_replaced():
    live = pod(containers=[{"name": "a", "args": ["x", "y"]}], tolerations=[{"key": "a"}])
    made = patched(
        live,
        {"spec": {"containers": [{"name": "a", "args": ["z"]}], "tolerations": [{"key": "b"}]}},
    )
    assert made["spec"] == {
        "containers": [{"name": "a", "args": ["z"]}],
        "tolerations": [{"key": "b"}],
    }


def test_an_item_is_deleted_by_its_key():
    made = patched(
        pod(containers=containers("a", "b")),
        {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}},
    )
    assert [each["name"] for each in made["spec"]["containers"]] == ["b"]


def test_a_list_is_replaced_by_directive():
    made = patched(
        pod(containers=containers("a", "b")),
        {"spec": {"containers": [{"$patch": "replace"}, {"name": "z"}]}},
    )
    assert made["spec"]["containers"] == [{"name": "z"}]


def test_a_map_is_replaced_or_emptied_by_directive():
    live = {"metadata": {"labels": {"a": "1"}}}
    assert patched(live, {"metadata": {"labels": {"$patch": "replace", "b": "2"}}}) == {
        "metadata": {"labels": {"b": "2"}}
    }
    assert patched(live, {"metadata": {"labels": {"$patch": "delete"}}}) == {
        "metadata": {"labels": {}}
    }
    assert patched(live, {"metadata": {"labels": {"$patch": "merge", "b": "2"}}})["metadata"][
        "labels"
    ] == {"a": "1", "b": "2"}


def test_members_of_a_set_are_added_once_and_deleted():
    live = {"metadata": {"finalizers": ["a", "b"]}}
    assert patched(live, {"metadata": {"finalizers": ["b", "c"]}})["metadata"]["finalizers"] == [
        "a",
        "b",
        "c",
    ]
    gone = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert patched(live, gone)["metadata"]["finalizers"] == ["b"]
    assert patched({"metadata": {}}, gone) == {"metadata": {}}


def test_the_order_is_the_patchs_and_what_only_the_server_has_keeps_its_place():
    live = pod(containers=containers("a", "s", "b", "c"))
    order = [{"name": each} for each in ("c", "b", "n", "a")]
    given = {
        "spec": {
            "$setElementOrder/containers": order,
            "containers": [{"name": "n", "image": "n:1"}],
        }
    }
    assert [each["name"] for each in patched(live, given)["spec"]["containers"]] == [
        "s",
        "c",
        "b",
        "n",
        "a",
    ]
    alone = {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}
    assert [each["name"] for each in patched(live, alone)["spec"]["containers"]] == [
        "s",
        "b",
        "a",
        "c",
    ]


def test_retain_keys_drops_the_rest():
    live = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    given = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert patched(live, given, DEPLOYMENT) == {"spec": {"strategy": {"type": "Recreate"}}}
    volumes = pod(volumes=[{"name": "v", "emptyDir": {}}])
    swap = {
        "spec": {
            "volumes": [
                {"$retainKeys": ["name", "hostPath"], "name": "v", "hostPath": {"path": "/x"}}
            ]
        }
    }
    assert patched(volumes, swap)["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]


def test_ports_of_services_and_containers_have_different_keys():
    live = {"spec": {"ports": [{"port": 80, "name": "a"}]}}
    assert patched(
        live, {"spec": {"ports": [{"port": 80, "targetPort": 8080}]}}, "core.v1.Service"
    )["spec"]["ports"] == [{"port": 80, "name": "a", "targetPort": 8080}]


def test_directives_vanish_where_nothing_was():
    given = {
        "spec": {
            "containers": [
                {
                    "name": "a",
                    "env": [{"name": "X", "$patch": "delete"}, {"name": "Y", "value": None}],
                }
            ],
            "$setElementOrder/containers": [{"name": "a"}],
        }
    }
    assert patched({}, given) == {"spec": {"containers": [{"name": "a", "env": [{"name": "Y"}]}]}}


def test_what_directives_leave_behind_where_nothing_was():
    volume = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
    assert patched({}, {"spec": {"volumes": [volume]}}) == {"spec": {"volumes": [volume]}}
    selector = {"$patch": "replace", "x": "y"}
    assert patched(pod(), {"spec": {"nodeSelector": selector}}) == pod()
    assert patched({}, {"spec": {"nodeSelector": selector}}) == {"spec": {}}


def test_keys_that_begin_with_a_dollar_are_no_directives():
    schema = {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"$ref": "x"}}}]}}
    assert patched({}, schema, "apiextensions.v1.CustomResourceDefinition") == schema


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"$patch": "grow"}, "Unknown patch type found: grow"),
        ({"spec": {"containers": [{"image": "x"}]}}, "does not contain declared merge key: name"),
        ({"spec": {"containers": ["x"]}}, "must be an object"),
        ({"spec": {"$setElementOrder/containers": "x", "containers": []}}, "must be a list"),
        ({"spec": {"$retainKeys": "x"}}, "must be a list"),
        ({"spec": {"$retainKeys": ["a"], "nodeName": "n"}}, "directive doesn't match"),
    ],
)
def test_what_cannot_be_understood_is_refused(given, why):
    with pytest.raises(strategic.BadPatch, match=r".*") as caught:
        strategic.patch(POD, pod(containers=containers("a")), given)
    assert why in str(caught.value)


# The slow restatement: one pod with containers, their environment and arguments, labels and
# finalizers, each rule written out.


def slow(live, given):
    made = copy.deepcopy(live)
    for key, value in given.get("labels", {}).items():
        made.setdefault("labels", {})
        if value is None:
            made["labels"].pop(key, None)
        else:
            made["labels"][key] = value
    finalizers = [
        each
        for each in [*live.get("finalizers", []), *given.get("finalizers", [])]
        if each not in given.get("unwanted", [])
    ]
    if "finalizers" in live or "finalizers" in given:
        made["finalizers"] = sorted(set(finalizers), key=finalizers.index)
    if "containers" in given:
        made["containers"] = slow_containers(made.get("containers", []), given["containers"])
    return made


def slow_containers(live, given):
    by_name = {each["name"]: each for each in live}
    for each in given:
        if each.get("$patch") == "delete":
            by_name.pop(each["name"], None)
        else:
            old = by_name.get(each["name"], {"name": each["name"]})
            new = {**old, **{key: value for key, value in each.items() if key != "env"}}
            if "env" in each:
                new["env"] = slow_containers(old.get("env", []), each["env"])
            by_name[each["name"]] = new
    return list(by_name.values())


NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.sampled_from(["1", "2"])


def unique(items):
    return st.lists(items, max_size=3, unique_by=lambda each: each["name"])


ENV = st.fixed_dictionaries({"name": NAMES, "value": TEXTS})
DELETED = st.fixed_dictionaries({"name": NAMES, "$patch": st.just("delete")})
CONTAINER = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"image": TEXTS, "args": st.lists(TEXTS, max_size=2), "env": unique(ENV)},
)
CHANGED = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"image": TEXTS, "args": st.lists(TEXTS, max_size=2), "env": unique(ENV | DELETED)},
)
LIVE = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(NAMES, TEXTS),
        "finalizers": st.lists(NAMES, unique=True),
        "containers": unique(CONTAINER),
    },
)
GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(NAMES, st.none() | TEXTS),
        "finalizers": st.lists(NAMES, unique=True),
        "unwanted": st.lists(NAMES, unique=True),
        "containers": unique(CHANGED | DELETED),
    },
)


def as_pod(flat):
    metadata = {key: flat[key] for key in ("labels", "finalizers") if key in flat}
    if "unwanted" in flat:
        metadata["$deleteFromPrimitiveList/finalizers"] = flat["unwanted"]
    return {
        "metadata": metadata,
        "spec": {"containers": flat["containers"]} if "containers" in flat else {},
    }


def unordered(value):
    """With lists that are merged in the order of their keys: where items stand is told by kubectl
    itself in another test.
    """
    if isinstance(value, dict):
        return {key: each if key == "args" else unordered(each) for key, each in value.items()}
    return (
        sorted(
            map(unordered, value), key=lambda each: each["name"] if isinstance(each, dict) else each
        )
        if isinstance(value, list)
        else value
    )


@given(LIVE, GIVEN)
def test_it_is_what_the_slow_restatement_says(live, change):
    live = {"containers": [], "labels": {}, **live}
    assert unordered(patched(as_pod(live), as_pod(change))) == unordered(as_pod(slow(live, change)))


@given(LIVE, GIVEN)
def test_a_second_time_changes_nothing(live, change):
    once = patched(as_pod(live), as_pod(change))
    assert patched(once, as_pod(change)) == once


@given(st.lists(NAMES, unique=True), st.permutations(["a", "b", "c"]))
def test_the_order_holds_for_what_it_names(names, order):
    given_order = {"spec": {"$setElementOrder/containers": [{"name": each} for each in order]}}
    made = [
        each["name"]
        for each in patched(pod(containers=containers(*names)), given_order)["spec"]["containers"]
    ]
    assert sorted(made) == sorted(names)
    assert [each for each in made if each in order] == [each for each in order if each in names]
