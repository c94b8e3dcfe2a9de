"""Where the claim of a pod leads, and the directories of volumes on this node."""

from __future__ import annotations

import os
import stat
from typing import Any

import msgspec
import pytest

from kubelite.node.volume import claims, local
from kubelite.node.volume.errors import SourceNotReady, VolumeError
from kubelite.node.volume.mounts import Place
from kubelite.objects.facts.local_volumes import PROVISIONED_BY, PROVISIONER, node_affinity
from kubelite.objects.pod.pod import Pod

OWNER = {"controller": True, "uid": "uid-p"}


def pod(**source: Any) -> Pod:
    spec = {"containers": [{"name": "c"}], "volumes": [{"name": "data", **source}]}
    metadata = {"name": "p", "namespace": "ns", "uid": "uid-p"}
    return msgspec.convert({"metadata": metadata, "spec": spec}, Pod)


class Objects:
    """A claim and its volume."""

    def __init__(self, claim: Any, volume: Any) -> None:
        self._claim, self._volume = claim, volume

    def claim(self, name: str) -> Any:
        return self._claim

    def persistent_volume(self, name: str) -> Any:
        return self._volume

    def own_node(self) -> Any:
        return {"metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "n"}}}


def claim(phase: str = "Bound", name: str = "v", metadata: Any = (), **spec: Any) -> Any:
    return {
        "metadata": {"name": "c", "uid": "uid-c", **dict(metadata)},
        "spec": {"volumeName": name, **spec},
        "status": {"phase": phase},
    }


def volume(uid: str = "uid-c", annotations: Any = (), **spec: Any) -> Any:
    return {
        "metadata": {"name": "v", "annotations": dict(annotations)},
        "spec": {"claimRef": {"uid": uid}, **spec},
    }


BY_CLAIM = pod(persistentVolumeClaim={"claimName": "c", "readOnly": True})


def place(found: Any, bound: Any, of: Pod = BY_CLAIM) -> Place:
    (use,) = claims.uses(of)
    return claims.place(use, of, Objects(found, bound), "/volumes")


@pytest.mark.parametrize(
    ("bound", "kind", "path"),
    [
        (volume(hostPath={"path": "/srv"}), "host", "/srv"),
        (volume(local={"path": "/disk"}), "local", "/disk"),
        (volume(local={"path": "/volumes/v"}), "local", "/volumes/v"),
        (volume(annotations={PROVISIONED_BY: PROVISIONER}, local={"path": "/volumes/v"}),
         "provisioned", "/volumes/v"),
        (volume(annotations={PROVISIONED_BY: PROVISIONER}, local={"path": "/etc"}), "local",
         "/etc"),
    ],
)  # fmt: skip
def test_a_bound_claim_leads_to_a_path(bound, kind, path) -> None:
    assert place(claim(), bound) == Place("data", kind, path, "", True)


@pytest.mark.parametrize(
    ("found", "bound", "text"),
    [
        (None, None,
         'PVC ns/c: failed to fetch PVC from API server: persistentvolumeclaims "c" not found'),
        (claim("Pending", ""), None, "PVC is not bound"),
        (claim("Lost"), None, "PVC is not bound"),
        (claim(metadata={"deletionTimestamp": "now"}), None, "PVC is being deleted"),
        (claim(), None, 'failed to fetch PV v from API server: persistentvolumes "v" not found'),
        (claim(), volume("other", local={"path": "/x"}),
         "UID other that does not point to the claim UID uid-c"),
    ],
)  # fmt: skip
def test_a_claim_may_lead_somewhere_later(found, bound, text) -> None:
    with pytest.raises(SourceNotReady, match=text):
        place(found, bound)


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (volume(local={"path": "/x"}, nodeAffinity=node_affinity("other")), "no matching NodeSel"),
        (volume(rbd={"image": "x"}), '"v" is of a kind that cannot be served'),
    ],
)
def test_a_volume_may_be_of_no_use_here(bound, text) -> None:
    with pytest.raises(VolumeError, match=text):
        place(claim(), bound)


def using(field: str, path: str) -> Pod:
    container = {"name": "c", "image": "i", field: [{"name": "data", path: "/x"}]}
    spec = {
        "containers": [container],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}
        ],
    }
    return msgspec.convert(
        {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec}, Pod
    )


def test_a_block_volume_is_a_device_and_nothing_else() -> None:
    block, files = volume(local={"path": "/d"}, volumeMode="Block"), volume(local={"path": "/d"})
    device, mount = using("volumeDevices", "devicePath"), using("volumeMounts", "mountPath")
    assert place(claim(), block, device) == Place("data", "block", "/d", "", True)
    assert place(claim(), files, mount).kind == "local"
    for bound, of, text in (
        (block, mount, "volume data has volumeMode Block, but is specified in volumeMounts"),
        (files, device, "volume data has volumeMode Filesystem, but is specified in volumeDevices"),
    ):
        with pytest.raises(SourceNotReady, match=text):
            place(claim(), bound, of)
    with pytest.raises(VolumeError, match="as a block device: local and csi can"):
        place(claim(), volume(hostPath={"path": "/d"}, volumeMode="Block"), device)


def test_the_claim_of_an_ephemeral_volume_is_the_pods_own() -> None:
    own = pod(ephemeral={"volumeClaimTemplate": {"spec": {}}})
    (use,) = claims.uses(own)
    assert use.claim == "p-data"
    bound = volume(local={"path": "/disk"}, nodeAffinity=node_affinity("n"))
    assert place(claim(metadata={"ownerReferences": [OWNER]}), bound, own).path == "/disk"
    with pytest.raises(SourceNotReady, match="pod is not owner"):
        place(claim(), bound, own)


def test_a_directory_is_made_once_and_whole(tmp_path) -> None:
    path = tmp_path / "volumes" / "v"
    (tmp_path / "volumes" / ".new-v").mkdir(parents=True)  # of a maker that was killed
    for _ in range(2):
        local.make_directory(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o777
    path.chmod(0o750)
    local.make_directory(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o750, "what is there is its users'"
    (path / "f").write_text("x")
    assert local.remove_directory(str(path)) == []
    assert local.remove_directory(str(path)) == []
    assert [name for name in os.listdir(tmp_path / "volumes") if name != ".lock"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_volume_is_given_to_a_group(tmp_path) -> None:
    top, outside = tmp_path / "v", tmp_path / "outside"
    (top / "d").mkdir(parents=True)
    outside.write_text("x")
    (top / "d" / "f").write_text("x")
    (top / "link").symlink_to(outside)
    for path in (top / "d" / "f", outside):
        path.chmod(0o600)
    local.give_to_group(str(top), 77, read_only=False, only_on_mismatch=True)
    assert {(top / name).stat().st_gid for name in ("", "d", "d/f")} == {77}
    assert stat.S_IMODE((top / "d" / "f").stat().st_mode) == 0o660
    assert stat.S_IMODE((top / "d").stat().st_mode) == 0o2775
    assert outside.stat().st_gid == 0
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    (top / "d" / "f").chmod(0o600)
    local.give_to_group(str(top), 77, read_only=False, only_on_mismatch=True)
    assert stat.S_IMODE((top / "d" / "f").stat().st_mode) == 0o600
    local.give_to_group(str(top), 77, read_only=True, only_on_mismatch=False)
    assert stat.S_IMODE((top / "d" / "f").stat().st_mode) == 0o640
