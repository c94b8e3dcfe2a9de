"""What a changed manifest leads to: restarts, resizes, notes, or a new pod; and what is decided
then.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet.decide.actions import Resize, StartContainer, needs_care
from kubelite.node.kubelet.decide.changes import changes_between
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.kubelet.decide.stopping import MarkStop
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from tests.node.kubelet.podsim import Node


def pod(
    container: dict[str, Any] | None = None,
    *,
    init: dict[str, Any] | None = None,
    metadata: Any = None,
    **spec: Any,
) -> Pod:
    main = {
        "name": "c",
        "image": "a",
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        **(container or {}),
    }
    first = {"name": "i", "image": "a", **(init or {})}
    whole = {"containers": [main, {"name": "d", "image": "a"}], "initContainers": [first], **spec}
    document = {"metadata": {"name": "p", **(metadata or {})}, "spec": whole}
    defaults.pod(document)
    return msgspec.convert(document, Pod)


def limits(**texts: str) -> dict[str, Any]:
    return {"resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": texts}}


def test_the_same_is_no_change() -> None:
    assert changes_between(pod(), pod()) == ((), (), (), ())


@pytest.mark.parametrize(
    ("container", "note"),
    [
        ({"image": "b:1"}, "c.image: a -> b:1 (the container is restarted)"),
        ({"command": ["x"]}, "c.command: changed (the container is restarted)"),
        ({"env": [{"name": "A", "value": "b"}]}, "c.env: changed (the container is restarted)"),
        ({"ports": [{"containerPort": 80}]}, "c.ports: changed (the container is restarted)"),
        (
            {"livenessProbe": {"tcpSocket": {"port": 1}}},
            "c.livenessProbe: changed (the container is restarted)",
        ),
    ],
)
def test_a_changed_program_swaps_that_container_alone(container: dict[str, Any], note: str) -> None:
    found = changes_between(pod(), pod(container))
    assert (found.restarts, found.resizes, found.needs_new) == (("c",), (), ())
    assert note in found.notes


def test_cpu_and_memory_are_resized_and_restart_only_where_the_policy_says_so() -> None:
    old = pod(limits(cpu="1", memory="128Mi"))
    found = changes_between(old, pod(limits(cpu="2", memory="256Mi")))
    assert (found.restarts, found.resizes, found.needs_new) == ((), ("c",), ())
    assert found.notes == (
        "c.resources.limits.cpu: 1 -> 2 (no restart)",
        "c.resources.limits.memory: 128Mi -> 256Mi (no restart)",
    )
    policy = {"resizePolicy": [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]}
    one, other = (
        pod({**limits(cpu="1", memory="1Mi"), **policy}),
        pod({**limits(cpu="2", memory="1Mi"), **policy}),
    )
    assert changes_between(one, other).restarts == ()
    found = changes_between(one, pod({**limits(cpu="1", memory="2Mi"), **policy}))
    assert (found.restarts, found.resizes) == (("c",), ("c",))


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (pod(hostNetwork=True), "spec.hostNetwork"),
        (pod(volumes=[{"name": "v", "emptyDir": {}}]), "spec.volumes"),
        (pod(containers=[{"name": "c", "image": "a"}]), "spec.containers"),
        (pod({"securityContext": {"privileged": True}}), "c.securityContext"),
        (pod({"ports": [{"containerPort": 80, "hostPort": 80}]}), "c.ports"),
        (pod({"resources": {"requests": {"cpu": "100m"}}}), "c.resources.requests.memory"),
        (pod(init={"image": "b"}), "i.image"),
        (pod(init={"restartPolicy": "Always"}), "i.restartPolicy"),
    ],
)
def test_what_shapes_the_pod_needs_a_new_one(new: Pod, what: str) -> None:
    assert any(each.startswith(what) for each in changes_between(pod(), new).needs_new)


def test_a_pod_keeps_its_qos_class() -> None:
    d = {"containers": [{"name": "c", "image": "a", **limits(cpu="1", memory="1Gi")}]}
    guaranteed = {
        "containers": [
            {"name": "c", "image": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
        ]
    }
    sized = {"resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}
    old, new = pod(init=sized, **guaranteed), pod(init=sized, **d)
    assert any("QoS" in each for each in changes_between(old, new).needs_new)


def test_a_sidecar_is_swapped_and_labels_and_times_are_put_on_record() -> None:
    side = {"restartPolicy": "Always"}
    assert changes_between(pod(init=side), pod(init={**side, "image": "b"})).restarts == ("i",)
    found = changes_between(
        pod(), pod(metadata={"labels": {"a": "b"}}, terminationGracePeriodSeconds=3)
    )
    assert (found.restarts, found.resizes, found.needs_new) == ((), (), ())
    assert found.notes == (
        "metadata.labels: recorded",
        "spec.terminationGracePeriodSeconds: 30 -> 3",
    )


# -- decided ---------------------------------------------------------------------------------------


def running(policy: str = "Always") -> Node:
    node = Node(
        msgspec.structs.replace(
            pod(),
            spec=msgspec.structs.replace(pod().spec, init_containers=(), restart_policy=policy),
        )
    )
    node.settle()
    assert sorted(node.running()) == ["c", "d"]
    return node


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
def test_a_swap_ends_and_starts_its_container_once_and_leaves_the_others(policy: str) -> None:
    node = running(policy)
    node.record.stale_attempts = {"c": 0}
    decision = node.settle()
    assert not decision.up, "it is under way"
    marks = [action for _, action in node.log if isinstance(action, MarkStop)]
    assert marks == [MarkStop("c", 30 * SECOND, restart=True)]
    node.ends("c", 143)
    assert node.settle().up
    assert sorted(node.running()) == ["c", "d"] and node.containers["c"].record.attempt == 1
    assert [action.name for _, action in node.log if isinstance(action, StartContainer)] == [
        "c",
        "d",
        "c",
    ]
    assert not [action for _, action in node.log if isinstance(action, MarkStop)][1:]


def test_an_attempt_after_the_update_is_not_swapped() -> None:
    node = running()
    node.ends("c", 1)
    node.settle()
    node.record.stale_attempts = {"c": 0}
    node.settle()
    assert sorted(node.running()) == ["c", "d"] and not any(
        isinstance(action, MarkStop) for _, action in node.log
    )


@pytest.mark.parametrize("goal", ["run", "stop"])
def test_a_resize_is_done_once_also_in_a_stopped_pod(goal: str) -> None:
    node = running()
    node.record.goal, node.record.resize = goal, True
    assert needs_care(node.pod, node.observed())
    node.settle()
    assert [action for _, action in node.log if isinstance(action, Resize)] == [Resize()]
