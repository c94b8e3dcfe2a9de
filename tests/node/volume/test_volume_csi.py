"""What CSI drivers are asked, by the kubelet's rules, and the messages in which they are asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubelite.lib.files import write_record
from kubelite.node.volume.csi import paths, provisioning, publishing, requests
from kubelite.node.volume.csi.publishing import PublishedVolume
from kubelite.node.volume.csi.requests import SINGLE_NODE_MULTI_WRITER, VOLUME_MOUNT_GROUP
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.facts.local_volumes import PROVISIONED_BY, SELECTED_NODE
from kubelite.objects.facts.protobuf import reader, writer
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules import driver_volumes

NOTHING: frozenset[int] = frozenset()


def volume(modes: list[str] | None = None, **source: Any) -> requests.DriverVolume:
    document = {
        "metadata": {"name": "pv"},
        "spec": {
            "accessModes": modes or ["ReadWriteOnce"],
            "csi": {"driver": "d", "volumeHandle": "h", **source},
        },
    }
    return requests.persistent(document, read_only=False)


def driver(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "d"}, "spec": spec}


def pod() -> Pod:
    source = {"driver": "d", "volumeAttributes": {"a": "b"}, "fsType": "xfs"}
    document = {
        "metadata": {"name": "p", "namespace": "n", "uid": "1234"},
        "spec": {
            "serviceAccountName": "robot",
            "containers": [{"name": "c", "image": "i"}],
            "volumes": [{"name": "v", "csi": source}],
        },
    }
    return codec.decode(Pod, document)


def inline() -> requests.DriverVolume:
    return requests.inline(pod().spec.volumes[0], pod())


@pytest.mark.parametrize(
    ("mode", "plain", "of_pods"),
    [
        ("ReadWriteOnce", 1, 7),
        ("ReadWriteOncePod", 1, 6),
        ("ReadOnlyMany", 3, 3),
        ("ReadWriteMany", 5, 5),
    ],
)
def test_access_modes(mode, plain, of_pods):
    used = volume([mode])
    knows = frozenset({SINGLE_NODE_MULTI_WRITER})
    assert requests.capability(used, NOTHING, None)["access_mode"] == {"mode": plain}
    assert requests.capability(used, knows, None)["access_mode"] == {"mode": of_pods}


def test_a_driver_that_knows_groups_gets_the_group_and_the_node_changes_nothing():
    used, knows = volume(fsType="ext4"), frozenset({VOLUME_MOUNT_GROUP})
    assert requests.capability(used, knows, 7)["mount"]["volume_mount_group"] == "7"
    assert "volume_mount_group" not in requests.capability(used, NOTHING, 7)["mount"]
    assert not requests.is_given_to_group(used, driver(fsGroupPolicy="File"), knows)


@pytest.mark.parametrize(
    ("policy", "used", "given"),
    [
        ("File", volume(), True),
        ("File", volume(readOnly=True), False),
        ("None", volume(fsType="ext4"), False),
        ("ReadWriteOnceWithFSType", volume(fsType="ext4"), True),
        ("ReadWriteOnceWithFSType", volume(), False),
        ("ReadWriteOnceWithFSType", volume(["ReadWriteMany"], fsType="ext4"), False),
    ],
)
def test_when_the_node_gives_files_to_the_group(policy, used, given):
    assert requests.is_given_to_group(used, driver(fsGroupPolicy=policy), NOTHING) is given


def test_inline_volumes_need_a_driver_that_says_so():
    with pytest.raises(VolumeError, match=r'"Ephemeral" not supported by driver d \(no CSIDriver'):
        requests.check_mode(inline(), None)
    with pytest.raises(VolumeError, match=r'\(only supports \["Persistent"\]\)'):
        requests.check_mode(inline(), driver())
    requests.check_mode(inline(), driver(volumeLifecycleModes=["Ephemeral"]))
    requests.check_mode(volume(), None)
    with pytest.raises(VolumeError, match=r'"Persistent" not supported by driver d'):
        requests.check_mode(volume(), driver(volumeLifecycleModes=["Ephemeral"]))


def test_an_inline_volume_with_the_name_of_a_claims_volume_is_refused():
    other = inline()._replace(spec_name="pv")
    for both in ([volume(), other], [other, volume()]):
        with pytest.raises(VolumeError, match='two volumes of CSI drivers are named "pv"'):
            requests.refuse_shared_places(both)
    requests.refuse_shared_places([volume(), volume(), inline()])  # one claim may be used twice


def test_what_a_driver_is_told_about_the_pod():
    assert requests.publish_context(inline(), driver(), pod()) == {"a": "b"}
    told = requests.publish_context(inline(), driver(podInfoOnMount=True), pod())
    assert told["csi.storage.k8s.io/serviceAccount.name"] == "robot"
    assert told["csi.storage.k8s.io/ephemeral"] == "true"


def test_names_are_those_of_the_kubelet():
    assert driver_volumes.attachment_name("d", "h", "n") == f"csi-{_sha256('hdn')}"
    assert inline().handle == f"csi-{_sha256('1234v')}"
    assert paths.staged("/r", "d", "h") == (
        f"/r/plugins/kubernetes.io/csi/d/{_sha256('h')}/globalmount"
    )


def _sha256(text: str) -> str:
    done = subprocess.run(["sha256sum"], input=text, capture_output=True, text=True, check=True)
    return done.stdout.split()[0]


def test_attachments_are_needed_unless_the_driver_says_otherwise():
    assert requests.needs_attachment(volume(), None)
    assert requests.needs_attachment(volume(), driver(attachRequired=True))
    assert not requests.needs_attachment(volume(), driver(attachRequired=False))
    assert not requests.needs_attachment(inline(), None)


def test_a_request_has_the_field_numbers_of_the_specification():
    """Bytes put together by hand from the numbers in the published csi.proto."""
    request = {
        "volume_id": "h",
        "publish_context": {"k": "v"},
        "staging_target_path": "/s",
        "target_path": "/t",
        "volume_capability": {
            "mount": {"fs_type": "ext4", "mount_flags": ["ro"]},
            "access_mode": {"mode": 1},
        },
        "readonly": True,
        "secrets": {"p": "q"},
        "volume_context": {"c": "d"},
    }
    encoded = (
        b"\x0a\x01h\x12\x06\x0a\x01k\x12\x01v\x1a\x02/s\x22\x02/t"
        b"\x2a\x10\x12\x0a\x0a\x04ext4\x12\x02ro\x1a\x02\x08\x01"
        b"\x30\x01\x3a\x06\x0a\x01p\x12\x01q\x42\x06\x0a\x01c\x12\x01d"
    )
    assert writer.message("csi.v1.NodePublishVolumeRequest", request) == encoded
    assert reader.message("csi.v1.NodePublishVolumeRequest", encoded) == request


def test_what_a_newer_driver_says_besides_is_ignored():
    newer = b"\x0a\x01n\x10\x05\x9a\x06\x01x"  # field 99
    assert reader.message("csi.v1.NodeGetInfoResponse", newer) == {
        "node_id": "n",
        "max_volumes_per_node": 5,
    }


def test_without_grpcio_the_sentence_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['grpc'] = None\n"
        "from kubelite.node.volume.csi import drivers\n"
        "from kubelite.node.volume.errors import VolumeError\n"
        "try: drivers.registered(sys.argv[1], 'd')\n"
        "except VolumeError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert 'pip install "kubelite[csi]"' in done.stdout and done.stdout.count("\n") == 1


def test_a_volume_without_an_id_is_refused():
    metadata = {"name": "c", "namespace": "n", "uid": "1"}
    claim = {"metadata": metadata, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    storage_class = {"metadata": {"name": "s"}}
    volume = provisioning.persistent_volume(claim, storage_class, "d", {"volume_id": "x"})
    assert volume["spec"]["capacity"] == {"storage": str(1 << 30)}
    with pytest.raises(VolumeError, match="driver d has made a volume without a volume_id"):
        provisioning.persistent_volume(claim, storage_class, "d", {})


@pytest.mark.parametrize("name", ["pv", "pv.tmp"])
def test_a_volume_of_a_claim_is_in_use_and_an_inline_one_is_the_pods_alone(tmp_path, name):
    root = str(tmp_path)
    Path(paths.records(root)).mkdir(parents=True)
    of_claim = PublishedVolume("d", "h", "/nowhere", "")
    write_record(paths.record(root, "1234", name), of_claim, durable=False)
    its_own = PublishedVolume("d", "csi-1", "/nowhere", "", is_inline=True)
    write_record(paths.record(root, "1234", "v"), its_own, durable=False)
    Path(f"{paths.record(root, '1234', 'late')}.0123abcd.tmp").touch()  # of a killed writer
    assert publishing.in_use(root) == ["kubernetes.io/csi/d^h"]
    assert sorted(publishing.published(root, "1234")) == [name, "v"]


def test_a_driver_makes_volumes_of_its_own_classes_only():
    """Who makes claims may write the annotation that asks a driver."""
    chosen = {SELECTED_NODE: "n"}
    own, later = {"provisioner": "d"}, {"volumeBindingMode": "WaitForFirstConsumer"}
    assert provisioning.is_due({"metadata": {}}, own, "d")
    assert not provisioning.is_due({"metadata": {}}, {"provisioner": "e"}, "d")
    assert not provisioning.is_due({"metadata": {}}, own | later, "d")
    assert provisioning.is_due({"metadata": {"annotations": chosen}}, own | later, "d")


def test_a_driver_removes_volumes_of_its_own_only():
    """An annotation alone would hand it the handle of another driver's volume."""
    metadata = {"annotations": {PROVISIONED_BY: "d"}}
    for source, is_own in (
        ({"csi": {"driver": "d", "volumeHandle": "h"}}, True),
        ({"csi": {"driver": "e", "volumeHandle": "h"}}, False),
        ({"local": {"path": "/x"}}, False),
    ):
        assert provisioning.is_made_by({"metadata": metadata, "spec": source}, "d") is is_own
    plain = {"metadata": {}, "spec": {"csi": {"driver": "d", "volumeHandle": "h"}}}
    assert not provisioning.is_made_by(plain, "d")
