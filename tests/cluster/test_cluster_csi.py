"""Volumes of a CSI driver, a real program of the tests that is killed in the middle of its calls:
pods come up in the end, and nothing is mounted once they are gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import csi_driver
from tests.cluster.csi_driver import NAME
from tests.cluster.world import PATIENCE, Cluster, cluster_that_is_up, eventually

OBJECTS = """
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: dir.csi.test}
spec:
  attachRequired: false
  podInfoOnMount: true
  fsGroupPolicy: File
  volumeLifecycleModes: [Persistent, Ephemeral]
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: sesame}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: shelf}
spec:
  capacity: {storage: 1Mi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  csi:
    driver: dir.csi.test
    volumeHandle: shelf-1
    volumeAttributes: {colour: red}
    nodeStageSecretRef: {namespace: default, name: key}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: ""
  volumeName: shelf
  resources: {requests: {storage: 1Mi}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: %(name)s}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {fsGroup: 4321}
  containers:
  - name: c
    image: host
    command: [sh, -c, "echo %(name)s >> /data/names; exec sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes:
  - name: data
    %(source)s
"""
CLAIM = "persistentVolumeClaim: {claimName: data}"
INLINE = """csi: {driver: dir.csi.test, volumeAttributes: {size: small},
          nodePublishSecretRef: {name: key}}"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_that_is_up(tmp_path_factory.mktemp("csi") / "root") as world:
        yield world


def describe_driver(cluster: Cluster, manifest: str) -> None:
    """What a CSIDriver says of attaching cannot be changed."""
    cluster.kubectl("delete", "csidriver", NAME, "--ignore-not-found")
    cluster.apply(manifest)


class RunningDriver:
    """The driver's process, started again whenever it has died."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root, self.state = root, state
        self.deaths = 0
        self._is_wanted = True
        self._process = self._start()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", csi_driver.__name__, str(self.root), str(self.state)]
        return subprocess.Popen(words)

    def _keep(self) -> None:
        while True:
            self._process.wait()
            if not self._is_wanted:
                return
            self.deaths += 1
            self._process = self._start()

    def stop(self) -> None:
        self._is_wanted = False
        self._process.kill()
        self._thread.join()
        for socket in csi_driver.sockets(self.root):
            socket.unlink(missing_ok=True)

    def calls(self, name: str) -> list[dict[str, Any]]:
        lines = (self.state / "calls").read_text().splitlines()
        return [
            json.loads(request)
            for called, _, request in (line.partition(" ") for line in lines)
            if called == name
        ]

    def let_die(self, *calls: str) -> None:
        moments = [f"{call} {when}" for call in calls for when in ("before", "after")]
        (self.state / "die").write_text("\n".join(moments))

    def has_died(self) -> bool:
        return not (self.state / "die").read_text()


@contextmanager
def driver_of(cluster: Cluster, tmp_path: Path) -> Iterator[RunningDriver]:
    state = tmp_path / "driver"
    (state / "volumes" / "shelf-1").mkdir(parents=True)
    driver = RunningDriver(cluster.root, state)
    try:
        yield driver
    finally:
        driver.stop()
        for path in sorted(mounts(cluster), reverse=True):  # of a test that has failed
            subprocess.run(["umount", path], check=True)


def wait() -> str:
    return f"--timeout={PATIENCE:.0f}s"


def mounts(cluster: Cluster) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [path for line in lines if f"{cluster.root}/pl" in (path := line.split()[4])] + [
        path for line in lines if "kubernetes.io~csi" in (path := line.split()[4])
    ]


def is_ready(cluster: Cluster, name: str) -> bool:
    conditions = cluster.get("pod", name)["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def start(cluster: Cluster, name: str, source: str) -> None:
    cluster.apply(POD % {"name": name, "source": source})


def test_pods_use_volumes_of_a_driver_that_dies_at_every_call(cluster, tmp_path):
    describe_driver(cluster, OBJECTS)
    start(cluster, "early", CLAIM)
    missing = f"driver name {NAME} not found in the list of registered CSI drivers"
    eventually(lambda: missing in cluster.kubectl("describe", "pod", "early").stdout)
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    assert not cluster.get("csinode", node)["spec"]["drivers"]
    with driver_of(cluster, tmp_path) as driver:
        driver.let_die("GetInfo", "NodeGetInfo", "NodeStageVolume", "NodePublishVolume")
        eventually(lambda: is_ready(cluster, "early"))
        assert driver.has_died()
        assert cluster.get("csinode", node)["spec"]["drivers"] == [
            {"name": NAME, "nodeID": "node-of-dirs", "allocatable": {"count": 7}}
            | {"topologyKeys": ["topology.csi.test/shelf"]}
        ]
        metadata = cluster.get("node", node)["metadata"]
        assert metadata["labels"]["topology.csi.test/shelf"] == "one"
        ids = metadata["annotations"]["csi.volume.kubernetes.io/nodeid"]
        assert json.loads(ids) == {NAME: "node-of-dirs"}
        staged = driver.calls("NodeStageVolume")[-1]
        assert staged["volume_context"] == {"colour": "red"}
        assert staged["secrets"] == {"password": "sesame"}
        assert staged["volume_capability"]["access_mode"] == {"mode": 1}
        volume = tmp_path / "driver" / "volumes" / "shelf-1"
        assert (volume / "names").read_text() == "early\n"
        assert (volume.stat().st_gid, volume.stat().st_mode & 0o2070) == (4321, 0o2070)

        start(cluster, "late", CLAIM)
        eventually(lambda: is_ready(cluster, "late"))
        assert len(mounts(cluster)) == 3, "staged once, published twice"
        cluster.kubectl("delete", "pod", "early")
        eventually(lambda: len(mounts(cluster)) == 2)  # the other pod uses it
        assert cluster.kubectl("exec", "late", "--", "cat", "/data/names").stdout == "early\nlate\n"
        driver.let_die("NodeUnpublishVolume", "NodeUnstageVolume")
        cluster.kubectl("delete", "pod", "late")
        eventually(lambda: driver.has_died() and mounts(cluster) == [])
        eventually(lambda: not any((cluster.root / "pods").iterdir()))
        assert (volume / "names").read_text() == "early\nlate\n"
    eventually(lambda: not cluster.get("csinode", node)["spec"]["drivers"])


def test_a_volume_that_a_driver_makes_for_a_pod_goes_with_it(cluster, tmp_path):
    describe_driver(cluster, OBJECTS)
    with driver_of(cluster, tmp_path) as driver:
        start(cluster, "p", INLINE)
        eventually(lambda: is_ready(cluster, "p"))
        (volume,) = (tmp_path / "driver" / "volumes").glob("csi-*")
        uid = cluster.get("pod", "p")["metadata"]["uid"]
        assert json.loads((volume / "context").read_text()) == {
            "size": "small",
            "csi.storage.k8s.io/pod.name": "p",
            "csi.storage.k8s.io/pod.namespace": "default",
            "csi.storage.k8s.io/pod.uid": uid,
            "csi.storage.k8s.io/serviceAccount.name": "default",
            "csi.storage.k8s.io/ephemeral": "true",
        }
        assert json.loads((volume / "secrets").read_text()) == {"password": "sesame"}
        assert driver.calls("NodeStageVolume") == []
        cluster.kubectl("delete", "pod", "p")
        eventually(lambda: not volume.exists() and mounts(cluster) == [])
        eventually(lambda: not any((cluster.root / "pods").iterdir()))


def test_an_inline_volume_cannot_take_the_place_of_a_persistent_one(cluster, tmp_path):
    describe_driver(cluster, OBJECTS)
    second = f"{CLAIM}\n  - name: shelf\n    {INLINE}"
    with driver_of(cluster, tmp_path) as driver:
        start(cluster, "both", second)
        why = 'two volumes of CSI drivers are named "shelf"'
        eventually(lambda: why in cluster.kubectl("describe", "pod", "both").stdout)
        cluster.kubectl("delete", "pod", "both")
        assert driver.calls("NodePublishVolume") == []


DISK = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 1Mi}
  accessModes: [ReadWriteOnce]
  volumeMode: Block
  persistentVolumeReclaimPolicy: Retain
  storageClassName: ""
  csi: {driver: dir.csi.test, volumeHandle: disk-1}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk}
spec:
  accessModes: [ReadWriteOnce]
  volumeMode: Block
  storageClassName: ""
  volumeName: disk
  resources: {requests: {storage: 1Mi}}
"""
RAW = """
apiVersion: v1
kind: Pod
metadata: {name: raw}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: host
    command: [sh, -c, "echo written | dd of=/dev/xvd conv=fsync; exec sleep 1000"]
    volumeDevices: [{name: disk, devicePath: /dev/xvd}]
  volumes: [{name: disk, persistentVolumeClaim: {claimName: disk}}]
"""


def test_a_block_volume_of_a_driver_is_a_device_of_the_container(cluster, tmp_path):
    describe_driver(cluster, OBJECTS)
    with driver_of(cluster, tmp_path) as driver:
        disk = tmp_path / "driver" / "volumes" / "disk-1" / "disk"
        disk.parent.mkdir()
        disk.write_bytes(bytes(1 << 20))
        cluster.apply(DISK)
        cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/disk", wait())
        cluster.apply(RAW)
        eventually(lambda: is_ready(cluster, "raw"))
        eventually(lambda: disk.read_bytes().startswith(b"written\n"))
        assert driver.calls("NodeStageVolume")[-1]["volume_capability"] == {
            "block": {},
            "access_mode": {"mode": 1},
        }
        cluster.kubectl("delete", "pod", "raw")
        eventually(lambda: mounts(cluster) == [])
        eventually(lambda: not any((cluster.root / "pods").iterdir()))


CLASSES = """
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata: {name: dir.csi.test}
spec: {attachRequired: true}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: shelves}
provisioner: dir.csi.test
parameters: {colour: blue, csi.storage.k8s.io/fstype: ext4}
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: colourless}
provisioner: dir.csi.test
parameters: {colour: none}
"""
MADE = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: %(name)s}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: %(class)s
  resources: {requests: {storage: 3Mi}}
"""


def events(cluster: Cluster, kind: str, name: str) -> list[tuple[str, str]]:
    selector = f"involvedObject.kind={kind},involvedObject.name={name}"
    found = cluster.get("events", "--field-selector", selector)["items"]
    return [(event["reason"], event["message"].strip()) for event in found]


def test_a_driver_makes_attaches_and_removes_a_volume_and_dies_at_every_call(cluster, tmp_path):
    describe_driver(cluster, CLASSES)
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    with driver_of(cluster, tmp_path) as driver:
        driver.let_die("CreateVolume", "ControllerPublishVolume")
        cluster.apply(MADE % {"name": "made", "class": "shelves"})
        start(cluster, "p", "persistentVolumeClaim: {claimName: made}")
        eventually(lambda: is_ready(cluster, "p"))
        assert driver.has_died()
        (volume,) = (pv for pv in cluster.get("pv")["items"] if "made" in str(pv["spec"]["csi"]))
        name, handle = volume["metadata"]["name"], volume["spec"]["csi"]["volumeHandle"]
        assert volume["spec"]["csi"]["volumeAttributes"] == {"colour": "blue"}
        assert volume["spec"]["csi"]["fsType"] == "ext4"
        assert volume["spec"]["capacity"] == {"storage": "3145728"}
        assert volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"] == [
            {"matchExpressions": [
                {"key": "topology.csi.test/shelf", "operator": "In", "values": ["one"]}
            ]}
        ]  # fmt: skip
        assert {request["name"] for request in driver.calls("CreateVolume")} == {name}
        (attachment,) = cluster.get("volumeattachments")["items"]
        assert attachment["spec"]["source"] == {"persistentVolumeName": name}
        assert attachment["status"]["attachmentMetadata"] == {"slot": "3"}
        assert driver.calls("NodeStageVolume")[-1]["publish_context"] == {"slot": "3"}
        unique = f"kubernetes.io/csi/{NAME}^{handle}"
        status = eventually(
            lambda: "volumesInUse" in (s := cluster.get("node", node)["status"]) and s
        )
        assert status["volumesInUse"] == [unique]
        assert status["volumesAttached"] == [{"name": unique, "devicePath": ""}]
        told = ("SuccessfulAttachVolume", f'AttachVolume.Attach succeeded for volume "{name}"')
        eventually(lambda: told in events(cluster, "Pod", "p"))
        reason = "ProvisioningSucceeded"
        assert reason in dict(events(cluster, "PersistentVolumeClaim", "made"))

        driver.let_die("ControllerExpandVolume", "NodeExpandVolume")
        more = '{"spec":{"resources":{"requests":{"storage":"5Mi"}}}}'
        cluster.kubectl("patch", "pvc", "made", "-p", more)
        eventually(lambda: (s := cluster.get("pvc", "made")["status"]) and "conditions" not in s
                   and s["capacity"] == {"storage": "5242880"})  # fmt: skip
        assert cluster.kubectl("exec", "p", "--", "cat", "/data/size").stdout == "5242880"
        assert driver.has_died()

        driver.let_die("ControllerUnpublishVolume", "DeleteVolume")
        cluster.kubectl("delete", "pod", "p")
        cluster.kubectl("delete", "pvc", "made")
        eventually(lambda: name not in str(cluster.get("pv")["items"]))
        assert driver.has_died() and cluster.get("volumeattachments")["items"] == []
        assert not list((tmp_path / "driver" / "volumes").glob("made-*"))
        assert not list((tmp_path / "driver").glob("attached-*"))
        assert mounts(cluster) == []
        status = eventually(
            lambda: "volumesInUse" not in (s := cluster.get("node", node)["status"]) and s
        )
        assert not status.get("volumesAttached")

        cluster.apply(MADE % {"name": "refused", "class": "colourless"})
        why = 'failed to provision volume with StorageClass "colourless": rpc error: code = '
        refused = ("ProvisioningFailed", f"{why}InvalidArgument desc = there is no such colour")
        eventually(lambda: refused in events(cluster, "PersistentVolumeClaim", "refused"))
        cluster.kubectl("delete", "pvc", "refused")
