"""Ownership of fields: the entries that writes leave, and applies by several managers against a
slow restatement.
"""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.control.api.patching import managed_fields
from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.status import StatusError
from tests.control.api.pure import (
    DEPLOYMENT,
    NOW,
    POD,
    SELECTOR,
    TEMPLATE,
    created,
    edited,
    res_of,
    widget,
)

LATER = "2026-01-31T13:00:00Z"
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}


def applied(live, obj, manager="me", *, force=False, now=NOW, found=None):
    """An apply as a server does it: laid over, conformed, stored."""
    found = found or res_of(obj)
    made = managed_fields.apply(found, live, obj, manager=manager, force=force, now=now)
    if made is live:
        return live
    made, _ = strategy.conform(found, made)
    return strategy.order(found, made)


def entries(obj):
    return {
        (each["manager"], each["operation"]): each["fieldsV1"]
        for each in obj["metadata"].get("managedFields", ())
    }


def tracked(old, new, manager="me", **more):
    return managed_fields.track(
        res_of(new), old, new, manager=manager, now=more.pop("now", NOW), **more
    )


def test_an_applied_object_is_owned_as_it_was_given():
    made = applied(None, DEPLOYMENT)
    (entry,) = made["metadata"]["managedFields"]
    assert {key: value for key, value in entry.items() if key != "fieldsV1"} == {
        "manager": "me",
        "operation": "Apply",
        "apiVersion": "apps/v1",
        "time": NOW,
        "fieldsType": "FieldsV1",
    }
    container = {'k:{"name":"web"}': {".": {}, "f:image": {}, "f:name": {}}}
    template = {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers": container}}
    assert entry["fieldsV1"] == {"f:spec": {"f:selector": {}, "f:template": template}}


def test_applying_the_same_again_is_nothing():
    live = applied(None, DEPLOYMENT)
    assert applied(live, DEPLOYMENT, now=LATER) is live
    written_otherwise = edited(DEPLOYMENT, metadata__creationTimestamp=None)
    assert applied(live, written_otherwise, now=LATER) is live


def test_a_field_that_is_given_as_null_is_owned_with_its_default():
    made = applied(None, edited(DEPLOYMENT, metadata__creationTimestamp=None, spec__replicas=None))
    owned = entries(made)[("me", "Apply")]
    assert made["spec"]["replicas"] == 1
    assert owned["f:spec"]["f:replicas"] == {}
    assert "f:metadata" not in owned


def test_values_are_compared_in_canonical_form():
    limits = {"spec__template__spec__containers__0__resources": {"limits": {"cpu": "1000m"}}}
    live = applied(None, edited(DEPLOYMENT, **limits))
    assert live["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
    assert applied(live, edited(DEPLOYMENT, **limits), now=LATER) is live
    shared = applied(live, edited(DEPLOYMENT, **limits), "other", now=LATER)
    assert set(entries(shared)) == {("me", "Apply"), ("other", "Apply")}


def test_a_field_of_another_manager_is_a_conflict():
    live = applied(None, edited(DEPLOYMENT, spec__replicas=1))
    with pytest.raises(StatusError) as caught:
        applied(live, edited(DEPLOYMENT, spec={"replicas": 3}), "other")
    found = caught.value.status
    assert (found["code"], found["reason"]) == (409, "Conflict")
    assert found["message"] == 'Apply failed with 1 conflict: conflict with "me": .spec.replicas'
    assert found["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "me"',
            "field": ".spec.replicas",
        }
    ]


def test_a_conflict_with_an_ordinary_write_names_its_version():
    live = tracked(None, created(edited(DEPLOYMENT, spec__replicas=1)), "kubectl-create")
    with pytest.raises(StatusError) as caught:
        applied(live, edited(DEPLOYMENT, spec={"replicas": 3}))
    assert (
        caught.value.status["details"]["causes"][0]["message"]
        == 'conflict with "kubectl-create" using apps/v1'
    )


def test_force_takes_the_field_over():
    live = applied(None, edited(DEPLOYMENT, spec__replicas=1))
    made = applied(live, edited(DEPLOYMENT, spec={"replicas": 3}), "other", force=True)
    assert made["spec"]["replicas"] == 3
    assert entries(made)[("other", "Apply")] == {"f:spec": {"f:replicas": {}}}
    assert "f:replicas" not in entries(made)[("me", "Apply")]["f:spec"]


def test_the_same_value_is_shared_without_conflict():
    live = applied(None, edited(CONFIG, data={"a": "1"}))
    made = applied(live, edited(CONFIG, data={"a": "1"}), "other")
    alone = applied(made, CONFIG)
    assert alone["data"] == {"a": "1"}
    assert set(entries(alone)) == {("other", "Apply")}
    assert "data" not in applied(alone, CONFIG, "other")


def test_what_is_no_longer_applied_goes_away_unless_others_own_it():
    live = applied(
        None,
        edited(
            DEPLOYMENT,
            spec__template__spec__containers=[
                {"name": "a", "image": "a"},
                {"name": "b", "image": "b"},
            ],
        ),
    )
    live = applied(
        live,
        edited(
            DEPLOYMENT,
            spec={"template": {"spec": {"containers": [{"name": "b", "workingDir": "/x"}]}}},
        ),
        "other",
    )
    made = applied(
        live, edited(DEPLOYMENT, spec__template__spec__containers=[{"name": "c", "image": "c"}])
    )
    kept = {each["name"]: each for each in made["spec"]["template"]["spec"]["containers"]}
    assert set(kept) == {"b", "c"}
    assert kept["b"]["workingDir"] == "/x"
    assert "image" not in kept["b"]


def test_an_object_that_nobody_owned_belongs_to_its_past():
    live = edited(created(DEPLOYMENT), metadata__managedFields=...)
    made = applied(live, edited(DEPLOYMENT, spec={"paused": True}))
    assert set(entries(made)) == {("me", "Apply"), (managed_fields.BEFORE, "Update")}


def test_an_applied_object_may_not_name_managers():
    with pytest.raises(StatusError) as caught:
        applied(None, edited(CONFIG, metadata__managedFields=[{"manager": "x"}]))
    assert caught.value.status["message"] == "metadata.managedFields must be nil"


def test_an_unknown_field_cannot_be_applied():
    with pytest.raises(StatusError) as caught:
        applied(None, edited(DEPLOYMENT, spec__replicaz=1))
    assert caught.value.code == 400
    assert ".spec.replicaz: field not declared in schema" in caught.value.status["message"]


def test_status_is_applied_only_through_its_own_path():
    live = applied(None, edited(DEPLOYMENT, status={"replicas": 3}))
    assert live["status"] == {}
    assert "f:status" not in entries(live)[("me", "Apply")]
    made = managed_fields.apply(
        res_of(DEPLOYMENT),
        live,
        edited(DEPLOYMENT, spec={"replicas": 9}, status={"replicas": 3}),
        manager="me",
        force=False,
        now=NOW,
        subresource="status",
    )
    assert (made["status"], made["spec"].get("replicas")) == ({"replicas": 3}, 1)
    (_, entry) = made["metadata"]["managedFields"]
    assert (entry["subresource"], entry["fieldsV1"]) == ("status", {"f:status": {"f:replicas": {}}})


def test_custom_objects_are_applied_by_their_schema():
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["id"],
        "items": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "v": {"type": "integer"}},
        },
    }
    found = widget(
        {
            "type": "object",
            "properties": {"spec": {"type": "object", "properties": {"items": keyed}}},
        }
    )
    base = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    live = applied(None, {**base, "spec": {"items": [{"id": "a", "v": 1}]}}, found=found)
    live = applied(live, {**base, "spec": {"items": [{"id": "b", "v": 2}]}}, "other", found=found)
    assert live["spec"]["items"] == [{"id": "a", "v": 1}, {"id": "b", "v": 2}]
    assert applied(live, {**base, "spec": {"items": []}}, found=found)["spec"]["items"] == [
        {"id": "b", "v": 2}
    ]
    again = {**base, "spec": {"items": [{"id": "b", "v": 2}]}}
    assert applied(live, again, "other", found=found, now=LATER) is live


# -- ordinary writes -------------------------------------------------------------------------------


def test_a_create_owns_what_it_brings_and_not_the_status():
    made = tracked(None, created(POD), "kubectl-create")
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["operation"], entry["apiVersion"]) == ("Update", "v1")
    owned = entry["fieldsV1"]
    assert set(owned) == {"f:spec"}
    container = owned["f:spec"]["f:containers"]['k:{"name":"web"}']
    assert container["f:resources"] == {}
    assert "f:imagePullPolicy" in container


def test_an_update_owns_what_it_changes_and_takes_it_from_others():
    old = tracked(None, created(edited(POD, metadata__labels={"a": "1", "b": "2"})), "first")
    new = tracked(old, edited(old, metadata__labels={"a": "9", "c": "3"}), "second", now=LATER)
    found = entries(new)
    assert found[("second", "Update")] == {"f:metadata": {"f:labels": {"f:a": {}, "f:c": {}}}}
    assert found[("first", "Update")]["f:metadata"] == {"f:labels": {}}


def test_an_update_that_changes_nothing_leaves_the_entries_alone():
    old = tracked(None, created(POD))
    assert tracked(old, copy.deepcopy(old), now=LATER) == old
    forgot = edited(old, metadata__managedFields=...)
    assert (
        tracked(old, forgot, now=LATER)["metadata"]["managedFields"]
        == old["metadata"]["managedFields"]
    )


def test_a_status_write_has_an_entry_of_its_own():
    old = tracked(None, created(POD))
    new = edited(old, status__podIP="10.0.0.1", metadata__labels={"a": "b"})
    new = tracked(old, new, "kubelet", subresource="status")
    entry = new["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["subresource"]) == ("kubelet", "status")
    assert entry["fieldsV1"] == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:status": {"f:podIP": {}},
    }


def test_a_status_write_owns_of_the_metadata_what_its_kind_lets_it_change():
    old = tracked(None, created(DEPLOYMENT))
    new = edited(old, metadata__labels={"a": "b"}, metadata__annotations={"c": "d"})
    new = tracked(old, new, "controller", subresource="status")
    assert entries(new)["controller", "Update"] == {
        "f:metadata": {"f:annotations": {".": {}, "f:c": {}}}
    }


def test_an_object_without_managers_gets_none_by_an_ordinary_write():
    old = created(CONFIG)
    assert "managedFields" not in tracked(old, edited(old, data={"a": "1"}))["metadata"]


def test_a_scale_of_no_replicas_owns_no_number():
    old = tracked(None, created(edited(DEPLOYMENT, spec__replicas=2)))
    new = tracked(old, edited(old, spec__replicas=0), "scaler", subresource="scale")
    assert ("scaler", "Update") not in entries(new)
    assert "f:replicas" not in entries(new)["me", "Update"]["f:spec"]


def test_what_the_server_adds_belongs_to_nobody_and_outlives_an_apply():
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "uid": "u"},
        "spec": {"template": {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}},
    }
    made, _ = strategy.conform(res_of(job), job)
    live = strategy.order(
        res_of(job), strategy.prepare_create(res_of(job), tracked(None, made, "kubectl"))
    )
    as_applied = [{**live["metadata"]["managedFields"][0], "operation": "Apply"}]
    live = edited(live, metadata__managedFields=as_applied)
    assert applied(live, job, "kubectl")["spec"]["selector"] == live["spec"]["selector"]


def test_a_client_may_rewrite_the_entries_or_forget_them_all():
    old = applied(None, edited(CONFIG, data={"a": "1"}))
    renamed = [{**old["metadata"]["managedFields"][0], "manager": "other"}]
    assert entries(tracked(old, edited(old, metadata__managedFields=renamed))) == {
        ("other", "Apply"): {"f:data": {"f:a": {}}}
    }
    assert (
        "managedFields" not in tracked(old, edited(old, metadata__managedFields=[{}]))["metadata"]
    )
    changed = tracked(old, edited(old, metadata__managedFields=[{}], data={"a": "2"}))
    assert "managedFields" not in changed["metadata"]


def test_entries_stand_in_the_servers_order():
    live = tracked(None, created(edited(CONFIG, data={"z": "1"})), "z", now=LATER)
    live = tracked(live, edited(live, data={"z": "1", "a": "1"}), "a", now=NOW)
    live = applied(live, edited(CONFIG, data={"m": "1"}), "m", now=LATER)
    assert [(each["manager"], each["operation"]) for each in live["metadata"]["managedFields"]] == [
        ("m", "Apply"),
        ("a", "Update"),
        ("z", "Update"),
    ]


def test_the_oldest_of_too_many_updaters_become_one():
    live = tracked(None, created(edited(CONFIG, data={"k": "1"})), "m", now="2025-12-31T00:00:00Z")
    for number in range(14):
        live = tracked(
            live,
            edited(live, data={**live.get("data", {}), f"k{number:02}": "1"}),
            f"m{number:02}",
            now=f"2026-01-01T00:{number:02}:00Z",
        )
    found = entries(live)
    assert len(found) == managed_fields.MAX_UPDATERS
    ancient = found[(managed_fields.ANCIENT, "Update")]["f:data"]
    assert {f"f:k{number:02}" for number in range(5)} <= set(ancient)


# -- several managers, against a restatement with one set of owners for each path ------------------

KEYS = st.sampled_from(["a", "b", "c"])
DATA = st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=3)
MANAGERS = st.sampled_from(["x", "y"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["apply", "force", "update"]), MANAGERS, DATA), min_size=1, max_size=6
)


def restated(values, owners, kind, manager, data):
    """One write: what is stored then, and who owns it; None for a conflict."""
    values, owners = dict(values), {key: set(who) for key, who in owners.items()}
    if kind == "update":
        for key in [*values]:
            if key not in data:
                del values[key], owners[key]
        for key, value in data.items():
            if values.get(key) != value:
                values[key], owners[key] = value, {("update", manager)}
        return values, owners
    me = ("apply", manager)
    for key, value in data.items():
        if key in values and values[key] != value and owners[key] - {me}:
            if kind == "apply":
                return None
            owners[key] = set()
        values[key] = value
        owners.setdefault(key, set()).add(me)
    for key in [*values]:
        if me in owners[key] and key not in data:
            owners[key].discard(me)
            if not owners[key]:
                del values[key], owners[key]
    return values, owners


@settings(max_examples=200)
@given(STEPS)
def test_two_managers_never_lose_each_others_fields(steps):
    config = {**CONFIG, "metadata": {"name": "c", "uid": "u"}}
    live, values, owners = created({**config, "immutable": False}), {}, {}
    live = tracked(None, live, "server")
    for kind, manager, data in steps:
        wanted = restated(values, owners, kind, manager, data)
        if kind == "update":
            new, _ = strategy.conform(res_of(config), {**live, "data": data})
            live = tracked(live, new, manager)
        else:
            try:
                live = applied(
                    live, edited(CONFIG, data=data or ...), manager, force=kind == "force"
                )
            except StatusError as error:
                assert wanted is None, error.status
                continue
        assert wanted is not None
        values, owners = wanted
        assert live.get("data", {}) == values
        found = {
            (who[1].lower(), who[0], key[2:])
            for who, held in entries(live).items()
            for key in held.get("f:data", {})
            if key != "."
        }
        assert found == {
            (operation, name, key) for key, who in owners.items() for operation, name in who
        }


ENV = st.lists(
    st.tuples(KEYS, st.sampled_from(["1", "2"])), max_size=3, unique_by=lambda pair: pair[0]
)
CONTAINERS = st.dictionaries(st.sampled_from(["m", "n"]), ENV, min_size=1, max_size=2)


def deployment(containers):
    listed = [
        {"name": name, "image": name, "env": [{"name": key, "value": value} for key, value in env]}
        for name, env in containers.items()
    ]
    return edited(DEPLOYMENT, spec__template__spec__containers=listed)


@given(CONTAINERS, CONTAINERS)
def test_applying_twice_is_applying_once(first, second):
    live = applied(None, deployment(first))
    live = applied(live, deployment(second), now=LATER)
    assert applied(live, deployment(second), now="2026-02-01T00:00:00Z") is live
    spec = live["spec"]["template"]["spec"]["containers"]
    assert {
        each["name"]: [(pair["name"], pair["value"]) for pair in each.get("env", ())]
        for each in spec
    } == dict(second.items())


@given(CONTAINERS, CONTAINERS, CONTAINERS)
def test_items_of_lists_belong_to_whoever_applied_them(mine, others, then):
    bare = {"selector": SELECTOR, "template": TEMPLATE}
    live = applied(None, {**DEPLOYMENT, "spec": bare}, "base")
    live = applied(live, deployment(mine), "x", force=True)
    live = applied(live, deployment(others), "y", force=True)
    live = applied(live, deployment(then), "x", force=True)
    held = {
        each["name"]: {pair["name"] for pair in each.get("env", ())}
        for each in live["spec"]["template"]["spec"]["containers"]
    }
    for name, env in [*others.items(), *then.items()]:
        assert {key for key, _ in env} <= held[name]
    for name in held:
        wanted = {key for given_env in (others, then) for key, _ in given_env.get(name, ())}
        assert held[name] == wanted
