"""Claims get volumes on the node, pods find their data again, and nothing stays that nobody
wants.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.world import PATIENCE, Cluster, eventually

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {name: %(name)s}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  securityContext: %(security)s
  containers:
  - name: c
    image: host
    command: [sh, -c, %(script)s]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: %(claim)s}}]
"""
SETS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Retain}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: host
        command: [sh, -c, "hostname >> /data/names; exec sleep 1000"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOncePod], resources: {requests: {storage: 1Mi}}}
"""


def pod(script: str, name: str = "p", claim: str = "data", security: str = "{}") -> str:
    values = {"name": name, "claim": claim, "security": security, "script": json.dumps(script)}
    return POD % values


def run(cluster: Cluster, script: str, **options: str) -> str:
    """What a pod that runs to its end has said."""
    cluster.apply(pod(script, **options))
    name = options.get("name", "p")
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", wait())
    said = cluster.kubectl("logs", name).stdout
    cluster.kubectl("delete", "pod", name)
    return said


def wait() -> str:
    return f"--timeout={PATIENCE:.0f}s"


def directories(cluster: Cluster) -> list[Path]:
    return sorted(Path(cluster.root, "volumes").glob("pvc-*"))


def volumes(cluster: Cluster) -> dict[str, str]:
    """The phase of each volume by the claim that has or had it."""
    return {
        volume["spec"]["claimRef"]["name"]: volume["status"]["phase"]
        for volume in cluster.get("pv")["items"]
    }


def test_data_outlives_pods_and_goes_with_its_claim(cluster):
    found = eventually(lambda: cluster.get("storageclass", "standard"))
    assert found["volumeBindingMode"] == "WaitForFirstConsumer"
    cluster.apply(CLAIM)
    assert cluster.get("pvc", "data")["spec"]["storageClassName"] == "standard"
    assert directories(cluster) == []
    assert run(cluster, "id -u > /data/who; echo done", security="{runAsUser: 1234}") == "done\n"
    assert cluster.get("pvc", "data")["status"]["phase"] == "Bound"
    (directory,) = directories(cluster)
    assert (directory / "who").read_text() == "1234\n"

    cluster.apply(pod("exec sleep 1000"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/p", wait())
    for name in ("node", "server"):  # whoever comes back finds everything as it was
        os.kill(cluster.child(name), signal.SIGKILL)
    eventually(lambda: cluster.kubectl("exec", "p", "--", "cat", "/data/who").stdout == "1234\n")
    cluster.kubectl(
        "patch", "pvc", "data", "-p", '{"spec":{"resources":{"requests":{"storage":"3Mi"}}}}'
    )
    eventually(lambda: cluster.get("pvc", "data")["status"]["capacity"] == {"storage": "3Mi"})
    cluster.kubectl("delete", "pvc", "data", "--wait=false")
    assert cluster.get("pvc", "data")["metadata"]["deletionTimestamp"]
    assert directory.exists(), "a pod still uses it"
    cluster.kubectl("delete", "pod", "p")
    eventually(lambda: cluster.get("pv")["items"] == [])
    assert directories(cluster) == []


def test_a_stateful_set_keeps_what_each_of_its_pods_has_written(cluster):
    cluster.apply(SETS)
    cluster.kubectl("rollout", "status", "statefulset/db", wait())
    cluster.kubectl("delete", "pod", "db-1")
    cluster.kubectl("scale", "statefulset/db", "--replicas=1")
    cluster.kubectl("scale", "statefulset/db", "--replicas=2")
    cluster.kubectl("rollout", "status", "statefulset/db", wait())

    def names() -> bool:
        said = cluster.kubectl("exec", "db-1", "--", "cat", "/data/names").stdout
        return set(said.split()) == {"db-1"} and len(said.split()) >= 2

    eventually(names)
    assert cluster.kubectl("exec", "db-0", "--", "cat", "/data/names").stdout == "db-0\n"
    assert volumes(cluster) == {"data-db-0": "Bound", "data-db-1": "Bound"}
    cluster.kubectl("delete", "statefulset", "db")
    eventually(lambda: volumes(cluster) == {} and directories(cluster) == [])


def test_classes_say_when_a_volume_is_made_and_what_becomes_of_it(cluster):
    cluster.apply(
        """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: kept}
provisioner: kubelite.io/local
reclaimPolicy: Retain
volumeBindingMode: Immediate
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  storageClassName: kept
  accessModes: [ReadWriteOncePod]
  resources: {requests: {storage: 1Mi}}
"""
    )
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/data", wait())
    cluster.apply(pod("echo kept > /data/f; exec sleep 1000", name="first"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/first", wait())
    cluster.apply(pod("true", name="second"))

    def refused() -> bool:
        conditions = cluster.get("pod", "second")["status"]["conditions"]
        return "ReadWriteOncePod" in conditions[0]["message"]

    eventually(refused)
    cluster.kubectl("delete", "pod", "first", "second")
    (directory,) = directories(cluster)
    cluster.kubectl("delete", "pvc", "data")
    eventually(lambda: volumes(cluster) == {"data": "Released"})
    cluster.kubectl("delete", "pv", "--all", wait())
    assert (directory / "f").read_text() == "kept\n"
    cluster.kl("down", "--delete")
    assert directories(cluster) == []


def on_node(cluster: Cluster) -> dict[str, Any]:
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}


def bind(cluster: Cluster, name: str, source: dict[str, Any], mode: str = "Filesystem") -> None:
    """A volume that an administrator has made, and a claim for it, of the same name."""
    common = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeMode": mode}
    volume = {"capacity": {"storage": "1Gi"}, **common, **source}
    claim = {**common, "resources": {"requests": {"storage": "1Gi"}}, "volumeName": name}
    for kind, spec in (("PersistentVolume", volume), ("PersistentVolumeClaim", claim)):
        body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        cluster.apply(json.dumps(body))


@pytest.fixture
def disk(tmp_path):
    """A block device, and the file that it is of."""
    image = tmp_path / "disk"
    image.write_bytes(b"hello".ljust(1 << 20, b"\0"))
    device = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    ).stdout.strip()
    yield device, image
    subprocess.run(["losetup", "--detach", device], check=True)


DEVICES = """
apiVersion: v1
kind: Pod
metadata: {name: devices}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  containers:
  - name: writes
    image: host
    command: [sh, -c, %(writes)s]
    volumeDevices: [{name: disk, devicePath: /dev/xvda}]
  - name: reads
    image: host
    command: [sh, -c, %(reads)s]
    volumeDevices: [{name: same, devicePath: /dev/my/disk}]
  - name: none
    image: host
    command: [sh, -c, %(none)s]
  volumes:
  - {name: disk, persistentVolumeClaim: {claimName: raw}}
  - {name: same, persistentVolumeClaim: {claimName: raw, readOnly: true}}
"""


def test_a_block_volume_is_a_device_of_those_containers_that_name_it(cluster, disk):
    device, image = disk
    number = os.stat(device).st_rdev
    node = f"{os.major(number)} {os.minor(number)}"
    bind(cluster, "raw", {"local": {"path": device}, "nodeAffinity": on_node(cluster)}, "Block")
    scripts = {
        "writes": "test -b /dev/xvda && printf world | dd of=/dev/xvda conv=fsync status=none",
        "reads": "until head -c 5 /dev/my/disk | grep world; do sleep 0.1; done;"
        " (: >> /dev/my/disk) 2>/dev/null || echo refused",
        "none": f"mknod /tmp/d b {node}; head -c 1 /tmp/d || echo refused",
    }
    cluster.apply(DEVICES % {name: json.dumps(script) for name, script in scripts.items()})
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/devices", wait())
    assert image.read_bytes().startswith(b"world")
    assert cluster.kubectl("logs", "devices", "-c", "reads").stdout == "world\nrefused\n"
    assert cluster.kubectl("logs", "devices", "-c", "none").stdout.endswith("refused\n")
    cluster.kubectl("delete", "pod/devices", "pvc/raw", "pv/raw", wait())


def test_volumes_that_an_administrator_has_made(cluster, tmp_path):
    for name in ("local", "host"):
        directory = tmp_path / "disks" / name
        directory.mkdir(parents=True)
        (directory / "f").write_text(name)
        (directory / "f").chmod(0o600)
    sources = {
        "local": {"local": {"path": f"{tmp_path}/disks/local"}, "nodeAffinity": on_node(cluster)},
        "host": {"hostPath": {"path": f"{tmp_path}/disks/host", "type": "Directory"}},
    }
    for name, source in sources.items():
        bind(cluster, name, source)
    group = "{runAsUser: 1234, fsGroup: 4321}"
    assert run(cluster, "cat /data/f; echo x > /data/new", claim="local", security=group) == "local"
    assert (tmp_path / "disks/local/new").stat().st_gid == 4321
    assert run(cluster, "cat /data/f", claim="host") == "host"
    assert (tmp_path / "disks/host/f").stat().st_gid == 0, "host paths are left alone"
    cluster.kubectl("delete", "pvc", "--all")
    eventually(lambda: set(volumes(cluster).values()) == {"Released"})
    assert (tmp_path / "disks/local/f").exists()
