"""Phase, conditions and container states from what was observed: plain values in, plain values
out.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.kubelet.decide.status import LOG_DISK_FULL, pod_status, rfc3339, with_status
from kubelite.node.runtime.records import (
    ContainerRecord,
    ExitRecord,
    ObservedContainer,
    ObservedPod,
    PodRecord,
    SandboxRecord,
)
from kubelite.objects.pod.pod import Container, Pod, PodSpec

SECOND = 1_000_000_000
POD = Pod(
    spec=PodSpec(
        containers=(Container(name="a"), Container(name="b")),
        init_containers=(Container(name="i"),),
    )
)


def pod(policy: str | None = None, inits: int = 1) -> Pod:
    spec = msgspec.structs.replace(
        POD.spec, restart_policy=policy, init_containers=POD.spec.init_containers[:inits]
    )
    return msgspec.structs.replace(POD, spec=spec)


def record(name: str, init: bool = False) -> ContainerRecord:
    return ContainerRecord(
        id=name * 64, name=name, init=init, attempt=0, image="host", image_id="host",
        created_at=2 * SECOND, env=(), cwd="/",
        uid=0, gid=0, groups=(), caps=(), no_new_privs=False, tty=False, stdin=False,
        oom_score_adj=0, pid=7, ticks=8,
        started_at=3 * SECOND,
    )  # fmt: skip


def running(name: str) -> ObservedContainer:
    return ObservedContainer(record(name), True, None)


def ended(name: str, code: int, *, oom: bool = False, init: bool = False) -> ObservedContainer:
    made = record(name, init)
    made.oom_killed = oom
    ending = ExitRecord(
        id=made.id,
        role=2,
        pid=7,
        code=code,
        signal=max(code - 128, 0),
        started_at=3 * SECOND,
        finished_at=9 * SECOND,
    )
    return ObservedContainer(made, False, ending)


def lost(name: str) -> ObservedContainer:
    return ObservedContainer(record(name), False, None)


def observed(*seen: ObservedContainer, up: bool = True, stage: str = "created") -> ObservedPod:
    owner = PodRecord(
        uid="u",
        namespace="default",
        name="p",
        stage=stage,
        created_at=SECOND,
        pod=msgspec.Raw(b"{}"),
    )
    sandbox = SandboxRecord(
        uid="u",
        boot="b",
        pause="x",
        started_at=2 * SECOND,
        address="10.0.0.2",
        host_address="10.0.0.1",
    )
    return ObservedPod(owner, sandbox, up, seen)


DONE = ended("i", 0, init=True)


def test_a_full_disk_is_a_condition_while_it_lasts() -> None:
    seen = observed(DONE, running("a")._replace(lost=7), running("b"))
    told = [
        each for each in pod_status(pod(), seen, "1.2.3.4").conditions if each.type == LOG_DISK_FULL
    ]
    assert [(each.status, each.reason) for each in told] == [("True", "NoSpaceLeft")]
    assert told[0].message == "no space left for logs; lines lost so far: a (7)"
    kinds = [
        each.type for each in pod_status(pod(), observed(DONE, running("a")), "1.2.3.4").conditions
    ]
    assert LOG_DISK_FULL not in kinds


def test_a_pod_that_goes_says_until_when() -> None:
    """deletionTimestamp is when its grace is over, not when it was asked for."""
    seen = observed(DONE, running("a"), stage="removing")
    seen.pod.removal_at, seen.pod.removal_grace = 100 * SECOND, 30 * SECOND
    shown = with_status(pod(), seen, "n", "1.2.3.4").metadata
    assert (shown.deletion_timestamp, shown.deletion_grace_period_seconds) == (
        rfc3339(130 * SECOND),
        30,
    )
    assert (
        with_status(pod(), observed(DONE, running("a")), "n", "1.2.3.4").metadata.deletion_timestamp
        is None
    )


@pytest.mark.parametrize(
    ("policy", "seen", "phase"),
    [
        ("Always", observed(DONE, running("a"), running("b")), "Running"),
        ("Never", observed(DONE, running("a"), ended("b", 0)), "Running"),
        ("Never", observed(DONE, running("a"), ended("b", 1)), "Running"),
        ("Never", observed(DONE, ended("a", 0), ended("b", 0)), "Succeeded"),
        ("Never", observed(DONE, ended("a", 0), ended("b", 1)), "Failed"),
        ("OnFailure", observed(DONE, ended("a", 0), ended("b", 0)), "Succeeded"),
        ("OnFailure", observed(DONE, ended("a", 0), ended("b", 1)), "Running"),
        ("Always", observed(DONE, ended("a", 0), ended("b", 0)), "Running"),
        (None, observed(DONE, ended("a", 0), ended("b", 0)), "Running"),
        ("Always", observed(DONE, ended("a", 137), ended("b", 137), up=False), "Running"),
        ("Never", observed(DONE, ended("a", 137), ended("b", 137), up=False), "Failed"),
        ("Never", observed(DONE, lost("a"), lost("b"), up=False), "Failed"),
        (
            "Never",
            observed(ObservedContainer(record("i", True), True, None), stage="creating"),
            "Pending",
        ),
        ("Never", observed(stage="creating", up=False), "Pending"),
        ("Never", observed(ended("i", 3, init=True)), "Failed"),
        ("Always", observed(ended("i", 3, init=True)), "Pending"),
        ("Never", observed(DONE, up=False), "Failed"),
    ],
)
def test_phase(policy: str | None, seen: ObservedPod, phase: str) -> None:
    assert pod_status(pod(policy), seen, "1.2.3.4").phase == phase


@pytest.mark.parametrize(
    ("seen", "code", "reason"),
    [
        (ended("a", 0), 0, "Completed"),
        (ended("a", 1), 1, "Error"),
        (ended("a", 137, oom=True), 137, "OOMKilled"),
        (ended("a", 143), 143, "Error"),
        (lost("a"), 137, "ContainerStatusUnknown"),
    ],
)
def test_ended_containers(seen: ObservedContainer, code: int, reason: str) -> None:
    status = pod_status(
        pod("Never"), observed(DONE, seen, running("b")), "1.2.3.4"
    ).container_statuses[0]
    assert status.state is not None and status.state.terminated is not None
    assert (status.state.terminated.exit_code, status.state.terminated.reason) == (code, reason)
    assert (status.ready, status.started) == (False, False)
    assert status.container_id == "kubelite://" + "a" * 64


def test_containers_wait_for_init_containers_and_then_for_their_creation() -> None:
    before = pod_status(
        pod(), observed(ObservedContainer(record("i", True), True, None), stage="creating"), ""
    )
    assert [_waiting(s) for s in before.container_statuses] == ["PodInitializing"] * 2
    without = pod_status(pod(inits=0), observed(stage="creating"), "")
    assert [_waiting(s) for s in without.container_statuses] == ["ContainerCreating"] * 2


def _waiting(status) -> str | None:
    return status.state.waiting.reason if status.state and status.state.waiting else None


def test_addresses_times_and_ids() -> None:
    shown = with_status(
        pod("Never"), observed(DONE, running("a"), running("b")), "node-1", "1.2.3.4"
    )
    assert shown.status is not None
    assert (shown.metadata.uid, shown.metadata.creation_timestamp) == ("u", "1970-01-01T00:00:01Z")
    assert shown.spec.node_name == "node-1"
    assert (shown.status.pod_ip, shown.status.host_ip) == ("10.0.0.2", "10.0.0.1")
    assert shown.status.start_time == "1970-01-01T00:00:01Z"
    host = msgspec.structs.replace(pod("Never").spec, host_network=True)
    on_host = pod_status(
        msgspec.structs.replace(POD, spec=host), observed(DONE)._replace(sandbox=None), "1.2.3.4"
    )
    assert (on_host.pod_ip, on_host.host_ip) == ("1.2.3.4", "1.2.3.4")


def test_conditions_follow_the_containers() -> None:
    def told(seen: ObservedPod) -> dict[str, str]:
        return {c.type: c.status for c in pod_status(pod("Never"), seen, "").conditions}

    ready = told(observed(DONE, running("a"), running("b")))
    assert set(ready.values()) == {"True"} and len(ready) == 5
    assert told(observed(DONE, running("a"), ended("b", 0)))["Ready"] == "False"
    starting = told(observed(ObservedContainer(record("i", True), True, None), stage="creating"))
    assert (starting["Initialized"], starting["Ready"], starting["PodReadyToStartContainers"]) == (
        "False",
        "False",
        "True",
    )


@given(
    st.sampled_from(["Always", "OnFailure", "Never", None]),
    st.lists(
        st.sampled_from([running, lost, lambda n: ended(n, 0), lambda n: ended(n, 1)]),
        min_size=0,
        max_size=2,
    ),
    st.booleans(),
    st.sampled_from(["creating", "created", "removing"]),
)
def test_a_status_never_contradicts_itself(policy, makers, up, stage) -> None:
    seen = observed(
        DONE, *(make(name) for make, name in zip(makers, "ab", strict=False)), up=up, stage=stage
    )
    status = pod_status(pod(policy), seen, "1.2.3.4")
    assert status.phase in ("Pending", "Running", "Succeeded", "Failed")
    states = [s.state for s in status.container_statuses]
    assert all(
        sum(x is not None for x in (s.waiting, s.running, s.terminated)) == 1 for s in states if s
    )
    if status.phase == "Succeeded":
        assert all(s and s.terminated and s.terminated.exit_code == 0 for s in states)
    ready = next(c for c in status.conditions if c.type == "Ready")
    assert (ready.status == "True") == all(s.ready for s in status.container_statuses)


def test_times_are_whole_seconds_in_utc() -> None:
    assert rfc3339(1_700_000_000_999_999_999) == "2023-11-14T22:13:20Z"
