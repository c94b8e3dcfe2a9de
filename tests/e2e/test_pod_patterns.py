"""The three patterns of containers side by side, as the examples show them."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.world import World, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_collector_ships_every_line_of_a_log_file_also_the_last(world: World) -> None:
    world.kl("pod", "up", str(EXAMPLES / "log-collector.yaml"))
    world.kl("pod", "wait", "log-collector", "--for=exited", "--timeout", "40s")
    assert world.get("log-collector")["status"]["phase"] == "Succeeded"
    shipped = [json.loads(line) for line in world.logs("log-collector", "collector").splitlines()]
    assert [each["text"] for each in shipped] == ["order 1", "order 2", "order 3", "end of log"]
    assert {each["app"] for each in shipped} == {"log-collector"}


def test_a_program_that_knows_only_localhost_reaches_a_service_through_its_ambassador(
    world: World,
) -> None:
    world.kl("pod", "up", str(EXAMPLES / "ambassador.yaml"))
    eventually(
        lambda: world.logs("ambassador", "app") == "hello from far away\n",
        "the answer came through",
        30,
    )
    assert "127.0.0.1:7001 is down" in world.logs("ambassador", "proxy")


def test_an_adapter_translates_one_api_into_another(world: World) -> None:
    world.kl("pod", "up", str(EXAMPLES / "adapter.yaml"))
    world.kl("pod", "wait", "adapter", "--for=ready", "--timeout", "40s")
    read = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:9100/metrics').read().decode())"
    text = world.kl("pod", "exec", "adapter", "-c", "adapter", "--", "python3", "-c", read).stdout
    assert "\napp_queue_length 3\n" in text and 'app_state{state="busy"} 1' in text
    done = next(line for line in text.splitlines() if line.startswith("app_jobs_done_total "))
    assert int(done.split()[1]) >= 2, "the probe has read it before"
