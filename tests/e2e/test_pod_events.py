"""``pod events`` and the timeline of ``pod inspect``."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

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
    assert [each["reason"] for each in json.loads(world.kl("pod", "events", "p", "-o", "json").stdout)] == [r[2] for r in rows]
    missing = world.kl("pod", "events", "nobody", check=False)
    assert missing.returncode == 1 and missing.stderr.startswith('error: pod "nobody" not found')


def test_following_shows_each_event_once_and_ends_with_the_pod(world: World) -> None:
    world.up(pod(SLEEP))
    with world.start("pod", "events", "-f", "p", stdout=subprocess.PIPE) as following:
        assert following.stdout is not None
        first = [following.stdout.readline().decode() for _ in range(5)]
        assert "Started" in first[-1]
        world.kl("pod", "stop", "p")
        killing = following.stdout.readline().decode()
        assert "Killing" in killing and "Stopping container c" in killing
        world.down("p")
        eventually(lambda: following.poll() == 0, "it has ended with the pod")
        assert following.stdout.read() == b""
