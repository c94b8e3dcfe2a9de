"""Volumes of drivers are attached where pods use them, to one node at a time, and detached when
nobody has them any more.
"""

from __future__ import annotations

from typing import Any

from kubelite.client.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    VOLUME_ATTACHMENTS,
)
from kubelite.control.controllers.actions import Create, Delete, Emit, Patch
from kubelite.control.controllers.storage import attach_detach
from kubelite.control.controllers.view import FixedView
from kubelite.objects.rules.driver_volumes import attachment_name, unique_name

DRIVER, HANDLE = "d.example.com", "h"
UNIQUE = unique_name(DRIVER, HANDLE)


def volume(*modes: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "pv"},
        "spec": {
            "accessModes": list(modes or ("ReadWriteOnce",)),
            "csi": {"driver": DRIVER, "volumeHandle": HANDLE},
            "claimRef": {"namespace": "default", "name": "c", "uid": "c"},
        },
    }


CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "c", "namespace": "default", "uid": "c"},
    "spec": {"volumeName": "pv"},
    "status": {"phase": "Bound"},
}


def pod(name: str, node: str, phase: str = "Pending") -> dict[str, Any]:
    source = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": name},
        "spec": {"nodeName": node, "volumes": [source]},
        "status": {"phase": phase},
    }


def node(name: str, **status: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


def attachment(where: str, **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "VolumeAttachment",
        "metadata": {"name": attachment_name(DRIVER, HANDLE, where), "uid": where},
        "spec": {
            "attacher": DRIVER,
            "nodeName": where,
            "source": {"persistentVolumeName": "pv"},
        },
        "status": status,
    }


def driver(*, attach: bool) -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "CSIDriver",
        "metadata": {"name": DRIVER},
        "spec": {"attachRequired": attach},
    }


def planned(key: str, *objects: dict[str, Any]) -> list[Any]:
    view = FixedView([CLAIM, *objects])
    return list(attach_detach.plan(view, ("", key), 0.0).steps)


def test_a_volume_is_attached_for_a_pod_unless_its_driver_attaches_nothing() -> None:
    (created,) = planned("n", volume(), pod("p", "n"), node("n"))
    assert isinstance(created, Create) and created.resource == VOLUME_ATTACHMENTS
    assert created.body["metadata"]["name"] == attachment_name(DRIVER, HANDLE, "n")
    assert created.body["spec"] == attachment("n")["spec"]
    assert planned("n", volume(), pod("p", "n"), node("n"), driver(attach=False)) == []
    assert planned("n", volume(), pod("p", "n", "Succeeded"), node("n")) == []


def test_the_node_says_what_is_attached_and_pods_are_told_once() -> None:
    present = (volume(), pod("p", "n"), attachment("n", attached=True))
    patch, event = planned("n", *present, node("n"))
    entries = [{"name": UNIQUE, "devicePath": ""}]
    assert isinstance(patch, Patch) and patch.body == {"status": {"volumesAttached": entries}}
    assert isinstance(event, Emit) and event.reason == "SuccessfulAttachVolume"
    assert planned("n", *present, node("n", volumesAttached=entries)) == []


def test_nothing_is_detached_that_the_kubelet_still_has_mounted() -> None:
    present = (volume(), attachment("n", attached=True))
    entries = [{"name": UNIQUE, "devicePath": ""}]
    mounted = node("n", volumesInUse=[UNIQUE], volumesAttached=entries)
    assert planned("n", *present, mounted) == []
    (deleted,) = planned("n", *present, node("n", volumesAttached=entries))
    assert isinstance(deleted, Delete) and deleted.name == attachment("n")["metadata"]["name"]
    assert planned("n", *present) == [deleted], "the node is gone"


def test_an_attachment_that_others_have_made_is_theirs() -> None:
    theirs = attachment("n", attached=True)
    theirs["metadata"]["name"] = "by-hand"
    assert planned("n", volume(), theirs, node("n")) == []


def test_a_volume_for_one_node_is_not_attached_to_a_second() -> None:
    present = (pod("old", "m", "Running"), pod("new", "n"), attachment("m", attached=True))
    (event,) = planned("n", volume(), node("n"), *present)
    assert isinstance(event, Emit) and (event.type, event.reason) == (
        "Warning",
        "FailedAttachVolume",
    )
    assert event.message == (
        'Multi-Attach error for volume "pv" Volume is already used by pod(s) old'
    )
    (event,) = planned("n", volume(), node("n"), *present[1:])
    assert event.message == (
        'Multi-Attach error for volume "pv" Volume is already exclusively attached to one node '
        "and can't be attached to another"
    )
    (created,) = planned("n", volume("ReadWriteMany"), node("n"), *present)
    assert isinstance(created, Create)


def test_what_a_driver_could_not_attach_is_said_to_the_pods() -> None:
    failed = attachment("n", attached=False, attachError={"message": "rpc error: no"})
    (event,) = planned("n", volume(), pod("p", "n"), node("n"), failed)
    assert event.message == 'AttachVolume.Attach failed for volume "pv" : rpc error: no'


def test_a_second_node_is_looked_at_again_when_the_first_has_let_go() -> None:
    view = FixedView([CLAIM, volume(), pod("new", "n")])
    concerned = attach_detach.ATTACH_DETACH_CONTROLLER.watches[VOLUME_ATTACHMENTS]
    assert set(concerned(view, attachment("m"), None)) == {("", "m"), ("", "n")}


def test_a_volume_is_attached_for_the_claim_that_it_names_only() -> None:
    """Whoever may make a claim names any volume in it."""
    pending = {**CLAIM, "status": {"phase": "Pending"}}
    theirs = volume()
    theirs["spec"]["claimRef"] = {"namespace": "victim", "name": "c", "uid": "theirs"}
    again = {**CLAIM, "metadata": {**CLAIM["metadata"], "uid": "again"}}
    for claim, pv in ((pending, volume()), (pending, theirs), (CLAIM, theirs), (again, volume())):
        view = FixedView([claim, pv, pod("p", "n"), node("n")])
        assert list(attach_detach.plan(view, ("", "n"), 0.0).steps) == []


def test_a_node_is_looked_at_when_claim_and_volume_have_come_together() -> None:
    pending = {**CLAIM, "status": {"phase": "Pending"}}
    free = volume()
    del free["spec"]["claimRef"]
    view = FixedView([CLAIM, volume(), pod("p", "n")])
    watches = attach_detach.ATTACH_DETACH_CONTROLLER.watches
    of_claim, of_volume = watches[PERSISTENT_VOLUME_CLAIMS], watches[PERSISTENT_VOLUMES]
    assert list(of_claim(view, pending, CLAIM)) == [("", "n")]
    assert list(of_claim(view, None, CLAIM)) == [("", "n")]
    assert list(of_claim(view, CLAIM, CLAIM)) == list(of_claim(view, None, pending)) == []
    assert list(of_volume(view, free, volume())) == [("", "n")]
    assert list(of_volume(view, volume(), volume())) == []
