"""Volumes: which claim gets which, who holds them, what becomes of them."""

from __future__ import annotations

import pytest

from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS
from kubelite.control.controllers.actions import Emit
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.storage import binder, ephemeral, expander, protection
from kubelite.objects.facts.local_volumes import PROVISIONED_BY, PROVISIONER
from tests.control.controllers.plain import NOW, World, pod

CLAIM, VOLUME = binder.claim_key("default", "c"), binder.volume_key("v")


def volume(name="v", size="1Gi", phase="Available", modes=("ReadWriteOnce",), **spec):
    source = {} if "csi" in spec else {"csi": {"driver": "example.com"}}
    spec = {field: given for field, given in spec.items() if given is not None}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": list(modes),
            "persistentVolumeReclaimPolicy": "Retain",
            **source,
            **spec,
        },
        "status": {"phase": phase},
    }


def claim(name="c", size="1Gi", phase="Pending", modes=("ReadWriteOnce",), annotations=(), **spec):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "annotations": dict(annotations),
        },
        "spec": {
            "accessModes": list(modes),
            "resources": {"requests": {"storage": size}},
            "storageClassName": "",
            **spec,
        },
        "status": {"phase": phase},
    }


def storage_class(name="fast", provisioner="example.com", mode="Immediate", default=False):
    annotations = {binder.DEFAULT_CLASS: "true"} if default else {}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "uid": f"uid-{name}", "annotations": annotations},
        "provisioner": provisioner,
        "volumeBindingMode": mode,
    }


def test_a_claim_and_a_volume_are_bound_in_four_writes() -> None:
    world = World(volume(size="2Gi"), claim())
    assert world.converge(binder.plan, CLAIM, VOLUME) == 4
    bound, free = world.get("PersistentVolumeClaim", "c"), world.get("PersistentVolume", "v")
    assert bound["spec"]["volumeName"] == "v"
    assert bound["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
    }
    assert set(bound["metadata"]["annotations"]) == {
        binder.BIND_COMPLETED,
        binder.BOUND_BY_CONTROLLER,
    }
    assert free["status"]["phase"] == "Bound"
    assert free["spec"]["claimRef"]["uid"] == "uid-c"


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([volume("big", "5Gi"), volume("small", "2Gi"), volume("tiny", "500Mi")], "small"),
        ([volume("many", "1Gi", modes=("ReadWriteOnce", "ReadWriteMany")), volume("one", "3Gi")],
         "one"),
        ([volume("block", volumeMode="Block"), volume("file", "3Gi")], "file"),
        ([volume("other", storageClassName="x"), volume("same", "3Gi")], "same"),
        ([volume("taken", claimRef={"namespace": "default", "name": "d"})], None),
        ([volume("new", phase="Pending")], None),
        (
            [
                volume("small"),
                volume("mine", "3Gi", claimRef={"namespace": "default", "name": "c"}),
            ],
            "mine",
        ),
    ],
)  # fmt: skip
def test_the_smallest_that_fits(others, chosen) -> None:
    world = World(claim(), *others)
    keys = [CLAIM]
    for _ in range(6):
        world.run(binder.plan(world.view, keys[0], NOW))
    assert world.get("PersistentVolumeClaim", "c")["spec"].get("volumeName") == chosen


def events(*objects):
    world = World(*objects)
    plan = binder.plan(world.view, CLAIM, NOW)
    return [(step.reason, step.message) for step in plan.steps if isinstance(step, Emit)]


def test_why_a_claim_waits() -> None:
    text = "no persistent volumes available for this claim and no storage class is set"
    assert events(claim()) == [("FailedBinding", text)]
    fast = claim(storageClassName="fast")
    text = 'storageclass.storage.k8s.io "fast" not found'
    assert events(fast) == [("ProvisioningFailed", text)]
    waiting = storage_class(mode="WaitForFirstConsumer")
    text = "waiting for first consumer to be created before binding"
    assert events(fast, waiting, volume(storageClassName="fast")) == [
        ("WaitForFirstConsumer", text)
    ]
    user = pod("p")
    user["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    text = "waiting for pod p to be scheduled"
    assert events(fast, waiting, user) == [("WaitForPodScheduled", text)]
    named = claim(volumeName="v")
    text = 'Cannot bind to requested volume "v": requested PV is too small'
    assert events(named, volume(size="1Mi")) == [("VolumeMismatch", text)]
    text = 'volume "v" already bound to a different claim.'
    held = volume(claimRef={"namespace": "default", "name": "d", "uid": "uid-d"})
    assert events(named, held) == [("FailedBinding", text)]


def test_provisioners_are_told() -> None:
    world = World(claim(storageClassName="fast"), storage_class())
    world.run(binder.plan(world.view, CLAIM, NOW))
    annotations = world.get("PersistentVolumeClaim", "c")["metadata"]["annotations"]
    assert annotations == dict.fromkeys(binder.PROVISIONERS, "example.com")
    assert [e.reason for e in binder.plan(world.view, CLAIM, NOW).steps] == ["ExternalProvisioning"]


def test_the_default_class_comes_later() -> None:
    unclassed = claim()
    del unclassed["spec"]["storageClassName"]
    world = World(unclassed, storage_class(default=True))
    world.run(binder.plan(world.view, CLAIM, NOW))
    assert world.get("PersistentVolumeClaim", "c")["spec"]["storageClassName"] == "fast"


def bound_pair(**volume_spec):
    reference = {"namespace": "default", "name": "c", "uid": "uid-c"}
    annotations = {binder.BIND_COMPLETED: "yes"}
    return (
        volume(phase="Bound", claimRef=reference, **volume_spec),
        claim(phase="Bound", volumeName="v", annotations=annotations),
    )


def test_a_volume_is_released_when_its_claim_is_gone() -> None:
    world = World(bound_pair()[0])
    world.run(binder.plan(world.view, VOLUME, NOW))
    assert world.get("PersistentVolume", "v")["status"]["phase"] == "Released"
    assert not binder.plan(world.view, VOLUME, NOW).steps


def test_a_claim_that_the_view_has_not_seen_is_asked_for() -> None:
    held, present = bound_pair()
    world = World(held)
    plan = binder.plan(world.view, VOLUME, NOW)
    world.put(present)
    world.run(plan)
    assert world.get("PersistentVolume", "v")["status"]["phase"] == "Bound"


@pytest.mark.parametrize(
    ("policy", "source", "result"),
    [
        ("Retain", {}, "Released"),
        ("Delete", {}, "Released"),
        ("Delete", {"csi": None, "nfs": {"path": "/x"}}, "Failed"),
        ("Delete", {"csi": None, "hostPath": {"path": "/data"}}, "Failed"),
        ("Recycle", {"csi": None, "nfs": {"path": "/x"}}, "Failed"),
    ],
)
def test_what_becomes_of_a_released_volume(policy, source, result) -> None:
    world = World(bound_pair(persistentVolumeReclaimPolicy=policy, **source)[0])
    world.converge(binder.plan, VOLUME)
    assert world.get("PersistentVolume", "v")["status"]["phase"] == result


def test_a_claim_whose_volume_is_gone_is_lost() -> None:
    world = World(bound_pair()[1])
    world.converge(binder.plan, CLAIM)
    assert world.get("PersistentVolumeClaim", "c")["status"]["phase"] == "Lost"
    assert [event.reason for event in world.events] == ["ClaimLost"]


def grown(size="2Gi", **volume_spec):
    """A bound pair whose claim asks for so much and has 1Gi."""
    kept, held = bound_pair(**volume_spec)
    held["spec"]["resources"]["requests"]["storage"] = size
    held["status"]["capacity"] = {"storage": "1Gi"}
    return kept, held


def expansion_events(*objects):
    plan = expander.plan(World(*objects).view, ("default", "c"), NOW)
    return [(step.type, step.reason, step.message) for step in plan.steps]


def test_a_claim_that_has_grown_waits_for_its_driver() -> None:
    text = "waiting for an external controller to expand this PVC"
    assert expansion_events(*grown()) == [("Warning", "ExternalExpanding", text)]
    assert expansion_events(*grown("1Gi")) == []
    other, claimed = grown()
    other["spec"]["claimRef"]["uid"] = "uid-d"
    assert expansion_events(other, claimed) == []
    ours, claimed = grown()
    ours["metadata"]["annotations"] = {PROVISIONED_BY: PROVISIONER}
    assert expansion_events(ours, claimed) == [], "our own grow by themselves"


def test_only_what_grows_is_looked_at() -> None:
    concerned = expander.PERSISTENT_VOLUME_EXPANDER_CONTROLLER.watches[PERSISTENT_VOLUME_CLAIMS]
    (_, same), (_, more) = grown("1Gi"), grown("2Gi")
    view = World().view
    assert list(concerned(view, None, more)) == [("default", "c")]
    assert list(concerned(view, same, more)) == [("default", "c")]
    assert list(concerned(view, more, more)) == list(concerned(view, more, None)) == []


def user(node="n", name="p", **volume_source):
    found = pod(name, node=node)
    source = volume_source or {"persistentVolumeClaim": {"claimName": "c"}}
    found["spec"]["volumes"] = [{"name": "d", **source}]
    return found


@pytest.mark.parametrize(
    ("pods", "goes"), [([], True), ([user("")], True), ([user()], False)], ids=str
)
def test_claims_in_use_stay(pods, goes) -> None:
    held = claim()
    held["metadata"] |= {
        "finalizers": [protection.CLAIM_FINALIZER],
        "deletionTimestamp": format_time(NOW),
    }
    world = World(held, *pods)
    world.converge(protection.plan_claim, ("default", "c"))
    assert (world.all("PersistentVolumeClaim") == []) is goes


@pytest.mark.parametrize(("phase", "goes"), [("Bound", False), ("Released", True)])
def test_bound_volumes_stay(phase, goes) -> None:
    held = volume(phase=phase)
    held["metadata"] |= {
        "finalizers": [protection.VOLUME_FINALIZER],
        "deletionTimestamp": format_time(NOW),
    }
    world = World(held)
    world.converge(protection.plan_volume, ("", "v"))
    assert (world.all("PersistentVolume") == []) is goes


def test_finalizers_are_put_on() -> None:
    world = World(claim(), volume())
    assert world.converge(protection.plan_claim, ("default", "c")) == 1
    assert world.converge(protection.plan_volume, ("", "v")) == 1


def test_claims_of_ephemeral_volumes() -> None:
    template = {
        "metadata": {"labels": {"x": "y"}},
        "spec": {"accessModes": ["ReadWriteOnce"]},
    }
    owner = user(ephemeral={"volumeClaimTemplate": template})
    world = World(owner)
    assert world.converge(ephemeral.plan, ("default", "p")) == 1
    made = world.get("PersistentVolumeClaim", "p-d")
    assert made["metadata"]["labels"] == {"x": "y"}
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-p"
    assert protection.uses(owner, made)
    world = World(owner, claim("p-d"))
    (event,) = ephemeral.plan(world.view, ("default", "p"), NOW).steps
    assert event.message == (
        "ephemeral volume d: PVC default/p-d was not created for pod default/p (pod is not owner)"
    )
