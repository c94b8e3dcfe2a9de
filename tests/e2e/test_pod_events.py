"""``pod events`` and the timeline of ``pod inspect``."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.world import SLEEP, World, eventually, pod


def test_what_has_happened_is_shown_with_its_times(world: World) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    world.up(pod(SLEEP))
    lines = world.kl("pod", "events", "p").stdout.splitlines()
    assert lines[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    rows = [line.split() for line in lines[1:]]
    assert [row[2] for row in rows] == ["Scheduled", "Pulled", "Created", "Started"]
    assert rows[0][1:5:2] == ["Normal", "pod/p"] and rows[3][3] == "spec.containers{c}"
    told = world.inspect("p")["events"]
    assert [each["reason"] for each in told] == [row[2] for row in rows]
    assert all(before <= datetime.fromisoformat(each["time"]) <= datetime.now(UTC) for each in told)
    assert [
        each["reason"] for each in json.loads(world.kl("pod", "events", "p", "-o", "json").stdout)
    ] == [r[2] for r in rows]
    missing = world.kl("pod", "events", "nobody", check=False)
    assert missing.returncode == 1 and missing.stderr.startswith('error: pod "nobody" not found')


def test_following_shows_each_event_once_and_ends_with_the_pod(world: World) -> None:
    world.up(pod(SLEEP))
    with followed(world) as following:
        assert following.stdout is not None
        first = [following.stdout.readline().decode() for _ in range(5)]
        assert "Started" in first[-1]
        before = eventually(lambda: asleep(following.pid) and switches(following.pid), "it waits")
        time.sleep(0.5)
        assert switches(following.pid) == before, (
            "it waits to be told, and does not look again and again"
        )
        world.kl("pod", "stop", "p")
        killing = following.stdout.readline().decode()
        assert "Killing" in killing and "Stopping container c" in killing
        world.down("p")
        eventually(lambda: following.poll() == 0, "it has ended with the pod")
        assert following.stdout.read() == b""


@contextmanager
def followed(world: World, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """``pod events -f``, ended with the test whatever has become of that."""
    with world.start("pod", "events", "-f", "p", *words, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def asleep(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def switches(pid: int) -> int:
    """How often a process has gone to sleep."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("voluntary")).split()[1])


def test_following_gives_machines_one_event_a_line(world: World) -> None:
    world.up(pod(SLEEP))
    with followed(world, "-o", "json") as following:
        assert following.stdout is not None
        told = [json.loads(following.stdout.readline()) for _ in range(4)]
        assert [each["reason"] for each in told] == ["Scheduled", "Pulled", "Created", "Started"]
        world.down("p")
        eventually(lambda: following.poll() == 0, "it has ended with the pod")
