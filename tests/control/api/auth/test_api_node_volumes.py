"""A node that runs drivers writes about their volumes, and gets nothing else by it: no Secret, no
path, no volume of others.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from kubelite.node.volume.csi import provisioning
from kubelite.objects.facts import local_volumes
from kubelite.objects.facts.local_volumes import CLAIMED_PROVISIONER, FINALIZER, SELECTED_NODE
from kubelite.up.node_objects import ensure_node_objects
from tests.control.api.auth.test_api_attacks import NODE, attacked
from tests.control.world import Cluster, pod

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DRIVER, PROTECTION = "d.example.com", "kubernetes.io/pv-protection"
VOLUMES, SPACE = "/api/v1/persistentvolumes", "/api/v1/namespaces/default"
CLAIMS = f"{SPACE}/persistentvolumeclaims"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
SPEC = {
    "accessModes": ["ReadWriteOnce"],
    "storageClassName": "fast",
    "resources": {"requests": {"storage": "1Gi"}},
}
CLASS = {"metadata": {"name": "fast"}, "provisioner": DRIVER, "reclaimPolicy": "Delete"}


@asynccontextmanager
async def storing(path: Path) -> AsyncIterator[tuple[Cluster, Cluster]]:
    async with attacked(path) as (api, other):
        await ensure_node_objects(api.server.application, "https://192.0.2.1:6443", "")
        yield api, other


async def claim(
    api: Cluster, name: str, *, of_volume: str = "", **annotations: str
) -> dict[str, Any]:
    metadata = {"name": name, "annotations": {CLAIMED_PROVISIONER: DRIVER} | annotations}
    body = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {**SPEC, "volumeName": of_volume},
    }
    return dict((await api.create(CLAIMS, body)).ok())


def volume(of: dict[str, Any], handle: str) -> dict[str, Any]:
    """The volume that a node's driver has made for a claim."""
    return provisioning.persistent_volume(of, CLASS, DRIVER, {"volume_id": handle})


async def test_a_volume_that_a_node_makes_opens_nothing_else_to_it(tmp_path: Path) -> None:
    async with storing(tmp_path) as (api, other):
        wanted, elsewhere = await claim(api, "c"), await claim(api, "far", **{SELECTED_NODE: "n2"})
        foreign = await claim(api, "foreign", **{CLAIMED_PROVISIONER: "e.example.com"})
        good = volume(wanted, "h")
        secret = {"namespace": "kube-system", "name": "s"}
        spec = {key: value for key, value in good["spec"].items() if key != "csi"}
        wrong = {
            "secrets": {
                "spec": {**spec, "csi": {**good["spec"]["csi"], "nodePublishSecretRef": secret}}
            },
            "of CSI drivers": {"spec": {**spec, "hostPath": {"path": "/"}}},
            "named after": {"metadata": {**good["metadata"], "name": "pv"}},
            "provisioned by": {"metadata": {"name": good["metadata"]["name"]}},
            "that wait for it": volume(elsewhere, "h2"),
            "their driver": volume(foreign, "h3"),
        }
        for word, change in wrong.items():
            refused = await other.create(VOLUMES, {**good, **change}, **NODE)
            assert (refused.code, word in refused.value["message"]) == (403, True), refused.body
        assert (await other.create(VOLUMES, good, **NODE)).code == 201
        assert (await other.create(VOLUMES, good, **NODE)).code == 409, "made again"
        second = volume(await claim(api, "second"), "h")
        refused = await other.create(VOLUMES, second, **NODE)
        assert (refused.code, "stands for" in refused.value["message"]) == (403, True)


async def test_a_node_changes_how_large_a_volume_is_and_removes_it_when_it_is_free(
    tmp_path: Path,
) -> None:
    async with storing(tmp_path) as (api, other):
        made = volume(await claim(api, "c"), "h")
        path = f"{VOLUMES}/{made['metadata']['name']}"
        made["metadata"]["finalizers"].append(PROTECTION)
        (await api.create(VOLUMES, made)).ok()
        wrong: tuple[dict[str, Any], ...] = (
            {"spec": {"persistentVolumeReclaimPolicy": "Retain"}},
            {"spec": {"mountOptions": ["suid"]}},
            {"metadata": {"annotations": {local_volumes.PROVISIONED_BY: "e.example.com"}}},
            {"metadata": {"labels": {"a": "b"}}},
            {"metadata": {"finalizers": []}},
            {"metadata": {"ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"}]}},
        )  # fmt: skip
        for change in wrong:
            assert (await other.patch(path, change, **NODE)).code == 403, change
        larger = {"spec": {"capacity": {"storage": "2Gi"}}}
        assert (await other.patch(path, larger, **NODE)).code == 200
        assert (await other.delete(path, **NODE)).code == 403, "somebody has it"
        (await api.patch(f"{path}/status", {"status": {"phase": "Released"}})).ok()
        assert (await other.delete(path, **NODE)).code == 200
        for left in ([], [FINALIZER]):
            leaves = {"metadata": {"finalizers": left}}
            assert (await other.patch(path, leaves, **NODE)).code == 403, left
        leaves = {"metadata": {"finalizers": [PROTECTION]}}
        assert (await other.patch(path, leaves, **NODE)).code == 200


async def test_a_node_removes_no_directory_of_another(tmp_path: Path) -> None:
    async with storing(tmp_path) as (api, other):
        for where, code in (("n2", 403), ("n1", 200)):
            body = volume(await claim(api, where), "h")
            del body["spec"]["csi"]
            body["spec"] |= {
                "local": {"path": "/x"},
                "nodeAffinity": local_volumes.node_affinity(where),
            }
            body["metadata"]["annotations"] = {
                local_volumes.PROVISIONED_BY: local_volumes.PROVISIONER
            }
            path = f"{VOLUMES}/{(await api.create(VOLUMES, body)).ok()['metadata']['name']}"
            (await api.patch(f"{path}/status", {"status": {"phase": "Released"}})).ok()
            assert (await other.delete(path, **NODE)).code == code
            (await api.delete(path)).ok()
            held = (await api.get(path)).ok()["metadata"]["finalizers"]
            left = {"metadata": {"finalizers": [each for each in held if each != FINALIZER]}}
            assert (await other.patch(path, left, **NODE)).code == code


async def test_a_node_speaks_of_its_own_attachments_only(tmp_path: Path) -> None:
    async with storing(tmp_path) as (api, other):
        for where, code in (("n2", 403), ("n1", 200)):
            spec = {"attacher": DRIVER, "nodeName": where, "source": {"persistentVolumeName": "v"}}
            body = {"kind": "VolumeAttachment", "apiVersion": "storage.k8s.io/v1",
                    "metadata": {"name": where, "finalizers": ["d/e"]}, "spec": spec}  # fmt: skip
            (await api.create(ATTACHMENTS, body)).ok()
            path = f"{ATTACHMENTS}/{where}"
            attached = {"status": {"attached": True}}
            assert (await other.patch(f"{path}/status", attached, **NODE)).code == code
            free = {"metadata": {"finalizers": []}}
            assert (await other.patch(path, free, **NODE)).code == code


async def test_a_node_says_how_large_a_claim_is_and_no_more(tmp_path: Path) -> None:
    async with storing(tmp_path) as (api, other):
        await claim(api, "c")
        path = f"{CLAIMS}/c/status"
        wrong: tuple[dict[str, Any], ...] = (
            {"status": {"phase": "Bound"}},
            {"status": {"accessModes": ["ReadWriteMany"]}},
            {"metadata": {"annotations": {SELECTED_NODE: "n1"}}},
            {"metadata": {"finalizers": ["a.example.com/b"]}},
        )
        for change in wrong:
            assert (await other.patch(path, change, **NODE)).code == 403, change
        pending = {"type": "FileSystemResizePending", "status": "True"}
        larger = {"capacity": {"storage": "2Gi"}, "conditions": [pending]}
        status = (await other.patch(path, {"status": larger}, **NODE)).ok()["status"]
        assert (status["capacity"], status["conditions"][0]["type"]) == (
            larger["capacity"],
            pending["type"],
        )
        assert (await other.patch(path, {"status": {"conditions": None}}, **NODE)).code == 200


async def test_a_claim_opens_no_volume_that_is_not_for_it(tmp_path: Path) -> None:
    """Who makes claims and pods in a namespace has a node read the volume that a claim names, and
    its Secrets, only where the volume names the claim.
    """
    async with attacked(tmp_path) as (api, other):
        theirs = volume(
            {"metadata": {"namespace": "victim", "name": "c", "uid": "u"}, "spec": SPEC}, "h"
        )
        theirs["spec"]["csi"]["nodePublishSecretRef"] = {"namespace": "default", "name": "s"}
        path = f"{VOLUMES}/{(await api.create(VOLUMES, theirs)).ok()['metadata']['name']}"
        secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
        (await api.create(f"{SPACE}/secrets", secret)).ok()
        wish = await claim(api, "c", of_volume=theirs["metadata"]["name"])
        source = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
        (await api.create(f"{SPACE}/pods", pod("p", nodeName="n1", volumes=[source]))).ok()
        for place in (path, f"{SPACE}/secrets/s"):
            assert (await other.get(place, **NODE)).code == 403, place
        of = {"namespace": "default", "uid": wish["metadata"]["uid"]}
        (await api.patch(path, {"spec": {"claimRef": of}})).ok()
        for place in (path, f"{SPACE}/secrets/s"):
            assert (await other.get(place, **NODE)).code == 200, place
