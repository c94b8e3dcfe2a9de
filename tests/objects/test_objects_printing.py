"""A pod as ``kubectl get pods`` shows it, and ages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kubelite.objects.facts import ages
from kubelite.objects.rules import printing, pull_progress

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
RUNNING = {"running": {}}


def pod(phase: str = "Running", **parts: Any) -> dict[str, Any]:
    """A pod with one container, and a status of these parts."""
    spec = {"containers": [{"name": "c"}], **parts.pop("spec", {})}
    return {
        "metadata": parts.pop("metadata", {}),
        "spec": spec,
        "status": {"phase": phase, **parts},
    }


def container(state: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": fields.pop("name", "c"), "state": state, **fields}


HALF = pull_progress.message("a:1", 45, "4.50 MB of 10.0 MB, 1.00 MB/s")
CREATING = {"reason": "ContainerCreating"}
WITH_SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]}


@pytest.mark.parametrize(
    ("shown", "reason", "ready"),
    [
        (pod("Pending"), "Pending", "0/1"),
        (pod(containerStatuses=[container(RUNNING, ready=True)]), "Running", "1/1"),
        (pod(containerStatuses=[container(RUNNING)]), "Running", "0/1"),
        (pod(containerStatuses=[container({"waiting": {"reason": "ErrImagePull"}})]),
         "ErrImagePull", "0/1"),
        (pod("Pending", containerStatuses=[
            container({"waiting": CREATING}),
            container({"waiting": CREATING | {"message": HALF}})]), "Pulling 45%", "0/1"),
        (pod("Pending", spec=WITH_SIDECAR, initContainerStatuses=[container(
            {"waiting": {"reason": "PodInitializing", "message": HALF}})]), "Pulling 45%", "0/2"),
        (pod(containerStatuses=[container({"terminated": {"signal": 9}})]), "Signal:9", "0/1"),
        (pod(containerStatuses=[container({"terminated": {"exitCode": 3}})]), "ExitCode:3", "0/1"),
        (pod(reason="Stopped", containerStatuses=[container({"terminated": {"reason": "Error"}})]),
         "Stopped", "0/1"),
        (pod(reason="Evicted"), "Evicted", "0/1"),
        (pod(metadata={"deletionTimestamp": "x"}), "Terminating", "0/1"),
        (pod("Failed", metadata={"deletionTimestamp": "x"}), "Failed", "0/1"),
        (pod(reason="NodeLost", metadata={"deletionTimestamp": "x"}), "Unknown", "0/1"),
        (pod("Pending", conditions=[{"type": "PodScheduled", "reason": "SchedulingGated"}]),
         "SchedulingGated", "0/1"),
        (pod("Pending", spec=WITH_SIDECAR,
             initContainerStatuses=[container(RUNNING, name="s", started=True, ready=True),
                                    container(RUNNING, name="i")]), "Init:1/2", "1/2"),
        (pod("Pending", spec=WITH_SIDECAR,
             initContainerStatuses=[container({"waiting": {"reason": "CrashLoopBackOff"}},
                                              name="s")]), "Init:CrashLoopBackOff", "0/2"),
        ({}, "", "0/0"),
    ],
)  # fmt: skip
def test_status_and_ready(shown: dict[str, Any], reason: str, ready: str) -> None:
    found = printing.printed(shown)
    assert (found.reason, f"{found.ready}/{found.total}") == (reason, ready)


def test_restarts_say_how_long_ago_the_last_one_was() -> None:
    ended = {"terminated": {"finishedAt": "2026-01-31T11:58:30Z"}}
    shown = pod(containerStatuses=[container(RUNNING, restartCount=3, lastState=ended)])
    assert printing.restarts(printing.printed(shown), NOW) == "3 (90s ago)"
    assert printing.restarts(printing.printed(pod()), NOW) == "0"


def test_once_a_pod_runs_only_its_sidecars_count_among_the_init_containers() -> None:
    shown = pod(
        spec=WITH_SIDECAR,
        containerStatuses=[container(RUNNING, ready=True, restartCount=1)],
        initContainerStatuses=[
            container(RUNNING, name="s", started=True, ready=True, restartCount=2),
            container({"terminated": {"exitCode": 0}}, name="i", restartCount=4),
        ],
    )
    found = printing.printed(shown)
    assert (found.reason, found.ready, found.total, found.restarts) == ("Running", 2, 2, 3)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(-5, "<invalid>"), (-1, "0s"), (0, "0s"), (119, "119s"), (120, "2m"), (125, "2m5s"),
     (599, "9m59s"), (600, "10m"), (10799, "179m"), (10800, "3h"), (11100, "3h5m"), (28800, "8h"),
     (172799, "47h"), (172800, "2d"), (180000, "2d2h"), (691200, "8d"), (63072000, "2y"),
     (63158400, "2y1d"), (252288000, "8y")],
)  # fmt: skip
def test_lengths_of_time_grow_coarser(seconds: int, shown: str) -> None:
    assert ages.shown(seconds) == shown


def test_an_age_that_cannot_be_told_is_unknown() -> None:
    assert ages.since(None, NOW) == ages.since("yesterday", NOW) == ages.UNKNOWN
