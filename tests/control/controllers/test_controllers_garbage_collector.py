"""Which objects the garbage collector deletes, frees or lets go."""

from __future__ import annotations

from kubelite.client.resources import CONFIG_MAPS
from kubelite.control.controllers.actions import Confirm, Delete, Outcome, Patch, Refusal, Step
from kubelite.control.controllers.lifecycle import garbage_collector as gc
from kubelite.control.controllers.view import FixedView

GONE = Refusal(404, "NotFound", "")


def config_map(name, owners=(), finalizers=(), deleted=False, blocks=True):
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": owner,
            "uid": f"uid-{owner}",
            "blockOwnerDeletion": blocks,
        }
        for owner in owners
    ]
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "finalizers": list(finalizers),
        "ownerReferences": references,
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-31T12:00:00Z"
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def plan(*objects, name):
    view = FixedView(objects)
    return gc.plan(view, gc.key_in(CONFIG_MAPS, config_map(name)), 0.0)


def test_an_owner_that_is_there_holds_its_dependents():
    assert plan(config_map("a"), config_map("b", ["a"]), name="b").steps == ()
    assert plan(config_map("a"), name="a").steps == ()


def test_an_owner_that_is_not_seen_is_asked_about_before_anything_is_deleted():
    (step,) = plan(config_map("b", ["a"]), name="b").steps
    assert isinstance(step, Step)
    (question,) = step.actions
    assert isinstance(question, Confirm) and question.may_be_deleting
    (delete,) = step.then((Outcome(question, None, GONE),))
    assert (delete.name, delete.uid, delete.propagation) == ("b", "uid-b", "Background")
    assert step.then((Outcome(question, config_map("a")),)) == ()
    unknown = Refusal(500, "InternalError", "")
    assert step.then((Outcome(question, None, unknown),)) == (), "nobody knows"


def test_of_several_owners_those_that_are_gone_are_forgotten():
    (step,) = plan(config_map("a"), config_map("c", ["a", "b"]), name="c").steps
    (patch,) = step.then((Outcome(step.actions[0], None, GONE),))
    assert isinstance(patch, Patch)
    assert [ref["name"] for ref in patch.body["metadata"]["ownerReferences"]] == ["a"]


def test_a_foreground_deletion_waits_for_those_that_block_it():
    owner = config_map("a", finalizers=[gc.FOREGROUND], deleted=True)
    assert plan(owner, config_map("b", ["a"]), name="a").steps == ()
    assert plan(owner, config_map("b", ["a"], deleted=True), name="a").steps == ()
    for dependents in ([], [config_map("b", ["a"], blocks=False)]):
        (patch,) = plan(owner, *dependents, name="a").steps
        assert patch.body["metadata"]["finalizers"] is None


def test_a_dependent_of_a_waiting_owner_stays_with_another_owner():
    owner = config_map("a", finalizers=[gc.FOREGROUND], deleted=True)
    (patch,) = plan(owner, config_map("b"), config_map("c", ["a", "b"]), name="c").steps
    assert [ref["name"] for ref in patch.body["metadata"]["ownerReferences"]] == ["b"]


def test_owners_that_wait_for_each_other_in_a_circle_block_each_other_no_longer():
    first = config_map("a", ["c"], finalizers=[gc.FOREGROUND], deleted=True)
    second = config_map("b", ["a"], finalizers=[gc.FOREGROUND], deleted=True)
    patch, delete = plan(first, second, config_map("c", ["b"]), name="c").steps
    assert [ref["blockOwnerDeletion"] for ref in patch.body["metadata"]["ownerReferences"]] == [
        False
    ]
    assert (delete.name, delete.propagation) == ("c", "Foreground")


def test_a_dependent_of_a_waiting_owner_goes_with_its_own_first():
    owner = config_map("a", finalizers=[gc.FOREGROUND], deleted=True)
    (delete,) = plan(owner, config_map("b", ["a"]), config_map("c", ["b"]), name="b").steps
    assert isinstance(delete, Delete) and delete.propagation == "Foreground"
    (delete,) = plan(owner, config_map("b", ["a"]), name="b").steps
    assert delete.propagation == "Background"


def test_orphans_forget_their_owner_which_then_goes():
    owner = config_map("a", finalizers=[gc.ORPHAN], deleted=True)
    free, last = plan(owner, config_map("b", ["a"]), name="a").steps
    (patch,) = free.actions
    assert (patch.name, patch.body["metadata"]["ownerReferences"]) == ("b", None)
    assert last.body["metadata"]["finalizers"] is None


def test_kinds_that_are_not_known_are_left_alone():
    strange = config_map("b", ["a"])
    strange["metadata"]["ownerReferences"][0]["apiVersion"] = "example.com/v1"
    assert plan(strange, name="b").steps == ()
