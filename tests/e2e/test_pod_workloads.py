"""Deployments, StatefulSets, Jobs and claims without a cluster: pods of one machine."""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.world import World

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %(replicas)s
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      hostname: %(host)s
      containers: [{name: c, image: host, command: [sleep, "1000"]}]
"""
SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: host
        command: [sh, -c, "hostname >> /data/names; exec sleep 1000"]
        volumeMounts: [{name: data, mountPath: /data}, {name: own, mountPath: /own}]
      volumes:
      - name: own
        ephemeral:
          volumeClaimTemplate:
            spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec:
  completions: 2
  completionMode: Indexed
  template:
    spec:
      restartPolicy: Never
      containers: [{name: c, image: host, command: [sh, -c, "echo index $JOB_COMPLETION_INDEX"]}]
"""
GENERATED = """
apiVersion: v1
kind: Pod
metadata: {generateName: any-}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: host, command: [sleep, "1000"]}]
"""


def deployment(replicas: int, host: str = "a") -> str:
    return DEPLOYMENT % {"replicas": replicas, "host": host}


def uids(world: World) -> dict[str, str]:
    found: Any = json.loads(world.kl("pod", "ls", "-o", "json").stdout)
    items = found.get("items", [found])
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in items}


def test_only_what_changed_of_a_deployment_is_touched(world: World) -> None:
    world.up(deployment(2))
    first = uids(world)
    assert sorted(first) == ["web-0", "web-1"]
    world.up(deployment(3))
    second = uids(world)
    assert {name: second[name] for name in first} == first
    world.up(deployment(2))
    assert uids(world) == first
    world.up(deployment(2, host="b"))
    assert uids(world).keys() == first.keys()
    assert not set(uids(world).values()) & set(first.values())
    assert world.exec("web-1", "hostname") == "b\n"
    world.kl("pod", "down", "-", input=deployment(1))
    assert uids(world) == {}
    again = world.kl("pod", "down", "-", input=deployment(1), check=False)
    assert again.returncode == 1 and "none of the pods" in again.stderr


def test_a_stateful_set_finds_its_data_again_until_told_to_forget(world: World) -> None:
    world.up(SET)
    world.exec("db-1", "touch /own/x")
    world.kl("pod", "down", "-", input=SET)
    world.up(SET)
    assert world.exec("db-1", "cat /data/names; ls /own") == "db-1\ndb-1\n"
    assert world.exec("db-0", "cat /data/names") == "db-0\ndb-0\n"
    world.kl("pod", "down", "-", "--volumes", input=SET)
    assert [path.name for path in (world.root / "claims").iterdir()] == [".lock"]


def test_a_job_runs_each_index_and_generated_names_are_found_again(world: World) -> None:
    both = f"{JOB}---{GENERATED}"
    world.up(both)
    for number in (0, 1):
        world.kl("pod", "wait", f"job-{number}", "--for=exited", "--timeout", "30s")
        assert world.logs(f"job-{number}") == f"index {number}\n"
    assert [name[:4] for name in uids(world)] == ["any-", "job-", "job-"]
    ended = uids(world)["job-0"]
    world.up(both)
    assert len(uids(world)) == 4
    assert uids(world)["job-0"] == ended
    world.kl("pod", "down", "-", input=both)
    assert uids(world) == {}


def test_directories_of_directories(world: World) -> None:
    below = world.root.parent / "manifests" / "a" / "b"
    below.mkdir(parents=True)
    (below / "web.yaml").write_text(deployment(1))
    top = str(world.root.parent / "manifests")
    assert world.kl("pod", "up", top, check=False).returncode == 1
    world.kl("pod", "up", "-R", top)
    assert sorted(uids(world)) == ["web-0"]
    world.kl("pod", "down", "-R", "-f", top)
    assert uids(world) == {}
