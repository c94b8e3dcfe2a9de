"""Changing pods that run: what stays, what is restarted, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.world import SLEEP, World, eventually, pod

SERVER = "exec python3 -m http.server 8080 --bind 127.0.0.1"
FETCH = """
import sys, time, urllib.request
good = bad = 0
while not __import__("os").path.exists("/v/enough"):
    try:
        urllib.request.urlopen("http://127.0.0.1:8080/", timeout=2).read()
        good += 1
    except OSError:
        bad += 1
    time.sleep(0.01)
print(good, bad)
"""


def three(say: str, **spec: Any) -> dict[str, Any]:
    """A server, one that fetches from it all the time, and one that says a word and waits."""
    made = pod(f"echo {say} >> /v/said; {SLEEP}", spec=spec)
    made["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    mount = [{"name": "v", "mountPath": "/v"}]
    made["spec"]["containers"][0]["volumeMounts"] = mount
    made["spec"]["containers"] += [
        {"name": "server", "image": "host", "command": ["sh", "-c", SERVER],
         "readinessProbe": {"tcpSocket": {"host": "127.0.0.1", "port": 8080}, "periodSeconds": 1}},
        {"name": "client", "image": "host", "command": ["python3", "-c", FETCH],
         "volumeMounts": mount},
    ]  # fmt: skip
    made["spec"]["terminationGracePeriodSeconds"] = 5
    return made


def state(world: World) -> dict[str, Any]:
    seen = world.inspect("p")
    return {"pause": seen["sandbox"]["pause"], "address": seen["sandbox"]["address"],
            **{name: each["pid"] for name, each in seen["containers"].items()}}  # fmt: skip


def test_one_container_is_swapped_while_a_neighbour_loses_nothing(world: World) -> None:
    world.up(three("one"))
    world.kl("pod", "wait", "p", "--for=ready", "--timeout", "20s")
    world.exec("p", "rm -f /v/enough", "c")
    world.kl("pod", "restart", "p", "-c", "client", "--grace-period", "0")
    before = state(world)
    said = world.up(three("two"))
    assert said.stdout.startswith("p is updated in ")
    assert "c.command: changed (the container is restarted)" in said.stderr
    after = state(world)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"c"}, "pause, address and the neighbours stay"
    assert world.exec("p", "cat /v/said", "c").split() == ["one", "two"], "the volume stays"
    world.exec("p", ": > /v/enough", "c")
    good, bad = eventually(lambda: world.logs("p", "client"), "the client has counted").split()
    assert int(good) > 20 and bad == "0"
    counts = {
        each["name"]: each["restartCount"] for each in world.get("p")["status"]["containerStatuses"]
    }
    assert (counts["c"], counts["server"]) == (1, 0)
    messages = [each["message"] for each in world.inspect("p")["events"]]
    assert "Container c definition changed, will be restarted" in messages
    assert "already up" in world.up(three("two")).stdout


def limit(pid: int, file: str) -> str:
    """The value of a file of the process's cgroup, in whichever hierarchy has it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        for place in (names, names.replace(",", ","), "unified", ""):
            found = Path(f"/sys/fs/cgroup/{place}{path}/{file}")
            if found.exists():
                return found.read_text().strip()
    raise AssertionError(f"no {file} of {pid}")


def sized(cpu: str, memory: str, **more: Any) -> dict[str, Any]:
    amounts = {"cpu": cpu, "memory": memory}
    resources = {"limits": amounts, "requests": {"cpu": "100m", "memory": "16Mi"}}
    return pod(SLEEP, spec={"restartPolicy": "OnFailure"}, resources=resources, **more)


def memory_of(pid: int) -> int:
    try:
        return int(limit(pid, "memory.limit_in_bytes"))
    except AssertionError:
        return int(limit(pid, "memory.max"))


def test_cpu_and_memory_change_without_a_restart(world: World) -> None:
    world.up(sized("500m", "64Mi"))
    pid = state(world)["c"]
    assert memory_of(pid) == 64 << 20
    said = world.up(sized("1", "96Mi"))
    assert "c.resources.limits.memory: 64Mi -> 96Mi (no restart)" in said.stderr
    assert state(world)["c"] == pid and memory_of(pid) == 96 << 20
    world.up(sized("250m", "32Mi"))
    assert state(world)["c"] == pid and memory_of(pid) == 32 << 20
    try:
        assert int(limit(pid, "cpu.cfs_quota_us")) == 25000
    except AssertionError:
        assert limit(pid, "cpu.max").split()[0] == "25000"
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    world.up(sized("250m", "32Mi", resizePolicy=policy))
    assert state(world)["c"] == pid
    world.up(sized("250m", "48Mi", resizePolicy=policy))
    again = state(world)["c"]
    assert again != pid and memory_of(again) == 48 << 20
    assert world.get("p")["status"]["containerStatuses"][0]["restartCount"] == 1


def test_a_limit_below_what_is_used_is_refused_and_nothing_changes(world: World) -> None:
    script = (
        "python3 -c 'x = bytearray(40 << 20); print(1, flush=True); import time; time.sleep(1000)'"
    )
    made = pod(script, resources={"limits": {"memory": "128Mi"}})
    world.up(made)
    eventually(lambda: world.logs("p"), "the memory is used")
    pid = state(world)["c"]
    less = pod(script, resources={"limits": {"memory": "8Mi"}})
    refused = world.up(less, check=False)
    assert refused.returncode == 1 and "more than its new limit" in refused.stderr
    assert memory_of(pid) == 128 << 20 and "already up" in world.up(made).stdout


def test_more_than_the_machine_has_is_refused_and_nothing_changes(world: World) -> None:
    made = pod("sleep infinity", resources={"requests": {"cpu": "10m"}})
    world.up(made)
    more = pod("sleep infinity", resources={"requests": {"cpu": "4000"}})
    refused = world.up(more, check=False)
    assert refused.returncode == 1
    assert "the resize is infeasible: Node didn't have enough capacity: cpu" in refused.stderr
    assert "already up" in world.up(made).stdout


def test_a_dry_run_says_what_would_be_done_and_does_nothing(world: World, tmp_path: Path) -> None:
    import yaml

    def plan(made: dict[str, Any]) -> str:
        return world.kl("pod", "up", "--dry-run", "-", input=yaml.safe_dump(made)).stdout

    assert plan(pod(SLEEP)) == "p would be created\n  container c: host\n"
    assert world.kl("pod", "ls", "-o", "name").stdout == ""
    world.up(pod(SLEEP))
    pid = state(world)["c"]
    assert plan(pod(SLEEP)) == "p is already up, nothing to do\n"
    in_place = plan(pod(SLEEP, env=[{"name": "A", "value": "b"}]))
    assert (
        in_place == "p would be updated in place\n  c.env: changed (the container is restarted)\n"
    )
    assert (
        plan(pod(SLEEP, spec={"hostNetwork": True}))
        == "p must be recreated: use --replace\n  spec.hostNetwork\n"
    )
    assert state(world)["c"] == pid


def test_replace_runs_an_ended_pod_again(world: World) -> None:
    world.up(pod("echo one"))
    world.kl("pod", "wait", "p", "--for=exited")
    assert "--replace" in world.up(pod("echo one")).stdout
    refused = world.up(pod("echo two"), check=False)
    assert refused.returncode == 1 and "the pod has finished" in refused.stderr
    import yaml

    world.kl("pod", "up", "--replace", "-", input=yaml.safe_dump(pod("echo two")))
    world.kl("pod", "wait", "p", "--for=exited")
    assert world.logs("p") == "two\n"


def test_a_fixed_command_ends_a_crash_loop_at_once(world: World) -> None:
    made = pod("exit 1")
    made["spec"]["restartPolicy"] = "Always"
    world.up(made)

    def reason() -> str:
        found = world.get("p")["status"]["containerStatuses"][0]["state"]
        return str(found.get("waiting", {}).get("reason"))

    eventually(lambda: reason() == "CrashLoopBackOff", "it waits")
    fixed = pod(SLEEP)
    fixed["spec"]["restartPolicy"] = "Always"
    world.up(fixed)
    assert "running" in world.get("p")["status"]["containerStatuses"][0]["state"]


def test_the_status_shows_what_a_container_has_now(world: World) -> None:
    limits = {"memory": "64Mi", "cpu": "100m"}
    world.up(pod(SLEEP, resources={"limits": limits}))
    (status,) = world.get("p")["status"]["containerStatuses"]
    assert status["resources"] == {"limits": limits, "requests": limits}
    world.kl("pod", "update", "p", "--memory", "c=96Mi")
    (status,) = world.get("p")["status"]["containerStatuses"]
    assert status["resources"]["limits"]["memory"] == "96Mi"
    assert status["allocatedResources"]["memory"] == "96Mi"
