"""What people who know Kubernetes expect of a container: the signal that stops it, its last
message, its links, and answers instead of waiting.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kubelite.node.kubelet.agent import agent_control
from kubelite.node.runtime.errors import Conflict, RuntimeFailure
from kubelite.node.volume.errors import SubPathError
from kubelite.objects.pod.container import Container
from tests.attack.arena import Arena, pod
from tests.attack.test_attack_images import NEVER, busybox, load
from tests.node.image.conftest import Build

TRAPS = (
    "trap 'echo INT; exit 0' INT; trap 'echo TERM; exit 0' TERM; trap 'echo QUIT; exit 0' QUIT; "
)
WAIT = TRAPS + "echo ready; while :; do read -t 0.1 x <> /dev/zero || :; done"


@pytest.mark.parametrize(
    ("image_signal", "declared", "expected"),
    [
        ("SIGINT", None, "INT"),
        ("", None, "TERM"),
        ("SIGINT", "SIGQUIT", "QUIT"),
        ("2", None, "INT"),
    ],
)
def test_the_stop_signal_is_the_manifests_else_the_images(
    arena: Arena, tmp_path: Path, image_signal: str, declared: str | None, expected: str
) -> None:
    name = load(arena, tmp_path, busybox(Build()), StopSignal=image_signal)
    more = {"lifecycle": {"stopSignal": declared}} if declared else {}
    spec = {"os": {"name": "linux"}, "terminationGracePeriodSeconds": 5}
    arena.up(pod(WAIT, image=name, spec=spec, **NEVER, **more))
    deadline = time.monotonic() + 10
    while arena.logs() != "ready\n" and time.monotonic() < deadline:
        time.sleep(0.05)
    arena.pods.stop("default", "p", grace=5)
    assert arena.logs().splitlines() == ["ready", expected]


def test_the_last_message_is_in_the_status_though_no_agent_runs(arena: Arena) -> None:
    arena.up(pod("echo why > /dev/termination-log; exit 3"))
    found = arena.pods.queries.wait("default", "p", "exited", 20)
    assert found is not None and found.status is not None
    (container,) = found.status.container_statuses
    assert container.state is not None and container.state.terminated is not None
    assert (container.state.terminated.message, container.state.terminated.exit_code) == (
        "why\n",
        3,
    )
    assert agent_control.running(arena.home) is None


def test_nothing_is_started_in_a_paused_pod(arena: Arena) -> None:
    arena.up(pod())
    arena.pods.pause("default", "p")
    began = time.monotonic()
    with pytest.raises(Conflict, match='pod "p" is paused'):
        arena.exec("true")
    with (
        pytest.raises(Conflict, match="is paused"),
        arena.pods.debug("default", "p", "c", Container(name="d", image="host", command=("true",))),
    ):
        pass
    assert time.monotonic() - began < 5
    arena.pods.unpause("default", "p")
    assert arena.exec("echo again") == "again\n"


def test_a_subpath_leads_through_a_link_that_stays_inside(arena: Arena, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "v2").mkdir(parents=True)
    (volume / "current").symlink_to("v2")
    (volume / "out").symlink_to("/etc")
    spec = {"volumes": [{"name": "v", "hostPath": {"path": str(volume)}}]}

    def mounts(subpath: str) -> list[dict[str, str]]:
        return [{"name": "v", "mountPath": "/data", "subPath": subpath}]

    arena.output("touch /data/x", spec=spec, volumeMounts=mounts("current"))
    assert (volume / "v2" / "x").exists()
    with pytest.raises((SubPathError, RuntimeFailure), match="leads out"):
        arena.output("ls /data", spec=spec, volumeMounts=mounts("out"))


def test_a_liveness_probe_that_cannot_be_carried_out_is_an_event(arena: Arena) -> None:
    """A port name with a typing error would never be noticed otherwise."""
    probe = {"httpGet": {"port": "wbe"}, "periodSeconds": 1}
    ports = [{"name": "web", "containerPort": 80}]
    try:
        arena.up(pod(livenessProbe=probe, ports=ports))
        deadline = time.monotonic() + 20
        message = ""
        while not message and time.monotonic() < deadline:
            events = arena.pods.queries.events("default", "p")
            message = next((e.message for e in events if e.reason == "Unhealthy"), "")
            time.sleep(0.1)
        assert message.startswith("Liveness probe errored and resulted in unknown state")
    finally:
        arena.down()
        agent_control.stop_agent(arena.home)
