"""Probes and hooks of real pods, in which nothing but the program itself is used."""

from __future__ import annotations

from typing import Any

from tests.e2e.world import SLEEP, World, eventually, pod

SERVER = """
import http.server, os, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/off":
            open("/tmp/off", "w")
        if self.path == "/on":
            os.unlink("/tmp/off")
        good = self.path != "/ready" or not os.path.exists("/tmp/off")
        self.send_response(200 if good else 503)
        self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


def condition(world: World, name: str, type: str) -> bool:
    found = world.get(name)["status"]["conditions"]
    return next(each["status"] for each in found if each["type"] == type) == "True"


def status(world: World, name: str, container: str = "c") -> dict[str, Any]:
    found = world.get(name)["status"]
    every = [*found["containerStatuses"], *found.get("initContainerStatuses", [])]
    return next(each for each in every if each["name"] == container)


def events(world: World, name: str) -> list[tuple[str, str]]:
    return [(each["reason"], each["message"]) for each in world.inspect(name)["events"]]


def fetch(world: World, name: str, path: str) -> None:
    script = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080{path}')"
    world.kl("pod", "exec", name, "--", "python3", "-c", script)


def test_readiness_follows_what_the_server_says_and_nothing_is_restarted(world: World) -> None:
    ready = {
        "httpGet": {"port": "web", "path": "/ready"},
        "periodSeconds": 1,
        "failureThreshold": 2,
    }
    made = pod(
        command=["python3", "-c", SERVER],
        ports=[{"name": "web", "containerPort": 8080}],
        readinessProbe=ready,
    )
    world.up(made)
    world.kl("pod", "wait", "p", "--for=ready", "--timeout", "20s")
    assert status(world, "p")["ready"] and condition(world, "p", "ContainersReady")
    fetch(world, "p", "/off")
    eventually(lambda: not condition(world, "p", "Ready"), "the pod is not ready any more")
    assert not status(world, "p")["ready"] and status(world, "p")["started"]
    fetch(world, "p", "/on")
    eventually(lambda: condition(world, "p", "Ready"), "the pod is ready again")
    assert status(world, "p")["restartCount"] == 0
    assert (
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
    ) in events(world, "p")


def test_a_failed_liveness_probe_restarts_the_container_with_the_grace_of_the_probe(
    world: World,
) -> None:
    live = {"exec": {"command": ["sh", "-c", "echo $(WHY) >&2; test ! -e /tmp/bad"]},
            "periodSeconds": 1,
            "failureThreshold": 1, "terminationGracePeriodSeconds": 1}  # fmt: skip
    made = pod(
        "trap '' TERM; echo up; sleep 1000 & wait; wait",
        livenessProbe=live,
        env=[{"name": "WHY", "value": "is bad"}],
    )
    made["spec"]["restartPolicy"] = "Always"
    world.up(made)
    assert status(world, "p")["ready"]
    world.exec("p", ": > /tmp/bad")
    eventually(lambda: status(world, "p")["restartCount"] == 1, "the container was restarted", 20)
    last = eventually(lambda: status(world, "p")["lastState"].get("terminated"), "its end is told")
    assert (last["exitCode"], last["reason"]) == (137, "Error")
    said = events(world, "p")
    assert ("Unhealthy", "Liveness probe failed: is bad\n") in said
    assert ("Killing", "Container c failed liveness probe, will be restarted") in said


def test_startup_holds_the_other_probes_back_and_a_failed_one_restarts(world: World) -> None:
    startup = {
        "exec": {"command": ["test", "-e", "/tmp/up"]},
        "periodSeconds": 1,
        "failureThreshold": 60,
    }
    never = {"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 1}
    made = pod(
        SLEEP,
        startupProbe=startup,
        livenessProbe=never,
        readinessProbe={"exec": {"command": ["true"]}},
    )
    made["spec"]["restartPolicy"] = "Always"
    world.up(made)
    eventually(
        lambda: any(reason == "Unhealthy" for reason, _ in events(world, "p")), "startup was asked"
    )
    before = status(world, "p")
    assert (before["started"], before["ready"], before["restartCount"]) == (False, False, 0)
    assert not any(
        "Liveness" in message or "Readiness" in message for _, message in events(world, "p")
    )
    world.exec("p", ": > /tmp/up")
    eventually(lambda: status(world, "p")["restartCount"] == 1, "liveness was asked then", 20)
    assert any(
        message.startswith("Liveness probe failed: dial tcp ") for _, message in events(world, "p")
    )


def test_a_sidecar_gates_on_its_startup_probe(world: World) -> None:
    side = {
        "name": "side", "image": "host", "restartPolicy": "Always",
        "command": ["sh", "-c", f"sleep 1; : > /shared/up; {SLEEP}"],
        "volumeMounts": [{"name": "v", "mountPath": "/shared"}],
        "startupProbe": {"exec": {"command": ["test", "-e", "/shared/up"]}, "periodSeconds": 1,
                         "failureThreshold": 60},
    }  # fmt: skip
    made = pod(
        "ls /shared", spec={"initContainers": [side], "volumes": [{"name": "v", "emptyDir": {}}]}
    )
    made["spec"]["containers"][0]["volumeMounts"] = side["volumeMounts"]
    assert world.output(made) == "up\n"


def test_a_command_that_takes_too_long_is_ended_with_all_it_started(world: World) -> None:
    slow = {
        "exec": {"command": ["sh", "-c", "sleep 543 & sleep 542; true"]},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
    }
    world.up(pod(SLEEP, readinessProbe=slow))
    text = (
        'Readiness probe failed: command timed out: "sh -c sleep 543 '
        '& sleep 542; true" timed out after 1s'
    )
    eventually(lambda: ("Unhealthy", text) in events(world, "p"), "the timeout is told")
    count = (
        'ls /proc/*/cmdline | xargs -n1 sh -c \'tr "\\0" " " < $0 '
        '2>/dev/null | grep -c "^sleep 54"\' | grep -c 1'
    )
    for _ in range(3):
        assert int(world.kl("pod", "exec", "p", "--", "sh", "-c", f"{count}; true").stdout) <= 2


def test_hooks_run_in_order_and_a_failed_one_ends_the_container(world: World) -> None:
    place = {"path": str(world.root.parent / "v"), "type": "DirectoryOrCreate"}
    lifecycle = {
        "postStart": {"exec": {"command": ["sh", "-c", "sleep 0.3; echo post >> /v/log"]}},
        "preStop": {"exec": {"command": ["sh", "-c", "echo pre >> /v/log"]}},
    }
    script = (
        "trap 'echo term >> /v/log; exit 0' TERM; "
        "echo main >> /v/log; while :; do sleep 1 & wait $!; done"
    )
    made = pod(script, lifecycle=lifecycle, volumeMounts=[{"name": "v", "mountPath": "/v"}])
    made["spec"]["volumes"] = [{"name": "v", "hostPath": place}]
    world.up(made)
    assert status(world, "p")["started"]
    world.kl("pod", "down", "p")
    assert (world.root.parent / "v" / "log").read_text().split() == ["main", "post", "pre", "term"]

    failing = {"postStart": {"exec": {"command": ["sh", "-c", "echo because; exit 3"]}}}
    world.up(pod(SLEEP, name="q", lifecycle=failing), check=False)
    eventually(lambda: world.get("q")["status"]["phase"] == "Succeeded", "the container was ended")
    assert any(
        reason == "FailedPostStartHook" and "exited with 3: because" in text
        for reason, text in events(world, "q")
    )


def test_a_sleep_before_the_end_is_part_of_the_grace(world: World) -> None:
    import time

    world.up(pod(SLEEP, lifecycle={"preStop": {"sleep": {"seconds": 2}}}))
    began = time.monotonic()
    world.kl("pod", "down", "p", "--grace-period", "20")
    assert 2 <= time.monotonic() - began < 10
