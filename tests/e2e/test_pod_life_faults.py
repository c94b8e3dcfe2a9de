"""What a pod survives, and what is reported of what it does not: the shim killed, a reboot, memory,
processes, disk.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kubelite.testing.host import difference, snapshot
from tests.e2e.test_pod_life_restarts import LOOPED, agent, always, container
from tests.e2e.world import SLEEP, World, alive, eventually, kill, pod

DEAF = (
    "import ctypes, time; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0); print('deaf', flush=True)\n"
    "while True: time.sleep(0.05)"
)


def pids(world: World, name: str = "p") -> dict[str, int]:
    found = world.inspect(name)
    return {
        "shim": found["sandbox"]["shim"],
        "pause": found["sandbox"]["pause"],
        "c": found["containers"]["c"]["pid"],
    }


@pytest.mark.parametrize("policy", ["Never", "Always"])
def test_the_shim_is_killed(world: World, policy: str) -> None:
    """Its container has cleared its parent-death signal. Without an agent the next command clears
    up.
    """
    spec = {"restartPolicy": policy, "terminationGracePeriodSeconds": 1}
    world.up(pod("", command=["python3", "-c", DEAF], spec=spec))
    eventually(lambda: world.logs("p") == "deaf\n", "the signal is cleared")
    before = pids(world)
    kill(before["shim"])
    if policy == "Always":
        eventually(
            lambda: container(world)["restartCount"] == 1 and container(world)["ready"],
            "it runs again",
        )
        ended = container(world)["lastState"]["terminated"]
        assert pids(world)["pause"] != before["pause"]
    else:
        assert agent(world) is None
        eventually(lambda: world.get("p")["status"]["phase"] == "Failed", "the pod has failed")
        ended = eventually(lambda: container(world)["state"].get("terminated"), "it is recorded")
    assert (ended["exitCode"], ended["reason"]) == (137, "ContainerStatusUnknown")
    eventually(lambda: not alive(before["c"]), "the container was killed")


def test_a_killed_agent_is_started_again_by_whoever_looks(world: World) -> None:
    """The shim, which would call for one, is stopped meanwhile."""
    world.up(always("sleep 4; exit 1"))
    running = eventually(lambda: agent(world), "the pod has an agent")
    shim = world.inspect("p")["sandbox"]["shim"]
    os.kill(shim, signal.SIGSTOP)
    try:
        kill(running["pid"])
        listed = world.kl("pod", "ls", "p")
        assert "no node agent was running" in listed.stderr and "p " in listed.stdout
        eventually(lambda: agent(world), "an agent runs again")
    finally:
        os.kill(shim, signal.SIGCONT)
    eventually(lambda: container(world)["restartCount"] >= 1, "the container is started again")
    assert "no node agent" not in world.kl("pod", "ls", "p").stderr


def reboot(world: World) -> None:
    """As a reboot leaves a home: no process, an empty run directory, no kernel object of this
    root.
    """
    shims = [world.inspect(name)["sandbox"]["shim"] for name in ("a", "once")]
    # Whoever looks at pod a from now on would start another agent.
    kill(eventually(lambda: agent(world), "the agent that pod a has called for")["pid"])
    for shim in shims:
        os.kill(shim, signal.SIGKILL)
    run = world.root / "run"
    after = snapshot(world.root)
    eventually(
        lambda: not [line for line in snapshot(world.root) if line.startswith("process")],
        f"nothing runs: {after}",
    )
    clear = (
        "from kubelite.node.runtime.home import Home; "
        "from kubelite.node.network.pod import PodNetwork; import sys\n"
    )
    clear += "h = Home(sys.argv[1]); PodNetwork(h.run, h.key, h.lock).remove_all()\n"
    clear += (
        "from kubelite.node.cgroup.tree import CgroupTree; "
        "from kubelite.node.cgroup.detect import read_world\n"
    )
    clear += (
        "t = CgroupTree(read_world(), h.cgroup); [t.remove_pod(u) "
        "for u in t.pods()]; t.remove_parent()\n"
    )
    subprocess.run(
        [sys.executable, "-c", clear, str(world.root)], check=True, env=world.env, timeout=30
    )
    shutil.rmtree(run)


def test_a_reboot_brings_back_what_should_run(world: World) -> None:
    """restartPolicy Always comes back; the others are reported with what is known."""
    tokens = world.root.parent / "tokens"
    tokens.mkdir()
    volume = {"volumes": [{"name": "t", "hostPath": {"path": str(tokens)}}]}
    mount = [{"name": "t", "mountPath": "/t"}]
    script = f"echo token >> /t/a; {LOOPED}"
    world.up(always(script, name="a", spec=volume, volumeMounts=mount))
    world.up(pod(SLEEP, name="once"))
    eventually(lambda: world.logs("a") == "ready\n", "it runs")
    reboot(world)
    lost = world.get("once")["status"]
    assert lost["phase"] == "Failed"
    assert lost["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    serving = world.start("system", "agent", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(
            lambda: world.get("a")["status"]["containerStatuses"][0]["ready"], "the pod is back"
        )
        status = world.get("a")["status"]["containerStatuses"][0]
        assert status["restartCount"] == 1 and status["lastState"]["terminated"]["exitCode"] == 137
        eventually(
            lambda: (tokens / "a").read_text() == "token\n" * 2, "it was started twice in all"
        )
        assert world.get("once")["status"]["phase"] == "Failed"
        world.down("a")
    finally:
        serving.kill()
        serving.wait()


def test_memory_beyond_the_limit(world: World) -> None:
    hungry = "import time; x = bytearray(64 << 20); time.sleep(100)"
    world.up(
        pod(
            "",
            command=["python3", "-c", hungry],
            resources={"limits": {"memory": "20Mi"}},
            spec={"restartPolicy": "OnFailure"},
        )
    )
    ended = eventually(
        lambda: container(world).get("lastState", {}).get("terminated"), "it was killed"
    )
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_a_fork_bomb_stays_within_its_pod(world: World) -> None:
    """With the node's podPidsLimit; the kill path stays usable."""
    world.root.mkdir()
    (world.root / "node.json").write_text('{"podPidsLimit": 100}')
    bomb = "import os, time\nwhile True:\n  try: os.fork()\n  except OSError: time.sleep(0.01)"
    world.up(pod("", name="bomb", command=["python3", "-c", bomb]))
    world.up(pod(SLEEP))
    uid = world.get("bomb")["metadata"]["uid"]
    inside = eventually(lambda: (n := tasks(uid)) >= 90 and n, "it has spread")
    assert inside <= 100
    assert world.exec("p", "echo here") == "here\n"
    began = time.monotonic()
    world.down("bomb")
    assert time.monotonic() - began < 10 and tasks(uid) == 0


def test_a_log_is_rotated_as_the_node_says(world: World) -> None:
    world.root.mkdir()
    settings = '{"containerLogMaxSize": "64Ki", "containerLogMaxFiles": 3}'
    (world.root / "node.json").write_text(settings)
    world.up(pod("seq 1 50000; exec sleep infinity"))
    eventually(lambda: world.logs("p").splitlines()[-1:] == ["50000"], "everything is written")
    sizes = [path.stat().st_size for path in world.root.glob("logs/**/0.log*")]
    assert len(sizes) == 3 and max(sizes) <= 64 << 10


def tasks(uid: str) -> int:
    """Tasks in the pod's group of the pids controller."""
    for path in Path("/sys/fs/cgroup").glob(f"**/pod{uid}/pids.current"):
        return int(path.read_text())
    return 0


def test_an_idle_agent_sleeps(world: World) -> None:
    """Nothing is polled and nothing written while nothing happens."""
    world.up(always(LOOPED))
    there = eventually(lambda: agent(world), "an agent was started")
    eventually(lambda: container(world)["ready"], "the pod runs")
    time.sleep(1)
    before = activity(there["pid"])
    time.sleep(3)
    assert activity(there["pid"]) == before


def activity(pid: int) -> tuple[int, int]:
    """Voluntary context switches of all threads, and bytes written."""
    switches = [
        int(line.split()[1])
        for status in Path(f"/proc/{pid}/task").glob("*/status")
        for line in status.read_text().splitlines()
        if line.startswith("voluntary")
    ]
    written = next(
        line
        for line in Path(f"/proc/{pid}/io").read_text().splitlines()
        if line.startswith("wchar")
    )
    return sum(switches), int(written.split()[1])


def test_a_flood_of_lines_stays_within_its_files(world: World) -> None:
    """1 GB by one container; another pod is served meanwhile."""
    bytes_ = int(os.environ.get("KUBELITE_FLOOD", str(1 << 30)))
    line = "x" * 199
    flood = f"i=0; yes {line} | head -c {bytes_}; echo; echo done >&2"
    began = time.monotonic()
    world.up(pod(flood, name="flood"))
    world.up(pod(SLEEP))
    slowest = 0.0
    while world.get("flood")["status"]["phase"] == "Running" and time.monotonic() - began < 120:
        before = time.monotonic()
        assert world.exec("p", "echo here") == "here\n"
        slowest = max(slowest, time.monotonic() - before)
    took = time.monotonic() - began
    assert world.get("flood")["status"]["phase"] == "Succeeded"
    logs = [
        path.stat().st_size
        for path in Path(world.inspect("flood")["paths"]["logs"]).rglob("*.log*")
    ]
    assert len(logs) <= 5 and max(logs) <= 11 << 20
    assert slowest < 10
    print(
        f"\n{bytes_ >> 20} MiB in {took:.1f} s: {bytes_ / took / 1e6:.0f} "
        f"MB/s; slowest exec beside it {slowest:.2f} s"
    )


def test_a_full_disk_under_the_logs(world: World) -> None:
    """The pod runs on and says what is wrong; once there is room its lines are written again, and
    the log names the gap.
    """
    logs = world.root / "logs"
    logs.mkdir(parents=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "kubelite-test", str(logs)], check=True
    )
    try:
        world.up(pod("yes full | head -c 3000000; while :; do echo alive; sleep 0.1; done"))
        eventually(lambda: os.statvfs(logs).f_bavail == 0, "the disk is full")
        assert world.get("p")["status"]["phase"] == "Running"
        assert world.exec("p", "echo here") == "here\n"
        told = eventually(lambda: disk_full(world), "the condition")
        assert told["status"] == "True" and told["reason"] == "NoSpaceLeft"
        assert re.fullmatch(
            r"no space left for logs; lines lost so far: c \(\d+\)", told["message"]
        )
        assert disk_full(world, world.inspect("p")["pod"]) is not None
        subprocess.run(["mount", "-o", "remount,size=30m", str(logs)], check=True)
        eventually(lambda: world.logs("p").endswith("alive\n"), "lines are written again")
        assert disk_full(world) is None
        assert re.search(
            r"^kubelite: \d+ records \(\d+ bytes\) could not be written here$",
            world.logs("p"),
            re.M,
        )
        world.down("p")
    finally:
        subprocess.run(["umount", "-l", str(logs)], check=True)


def disk_full(world: World, shown: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The condition that tells of it, while there is one."""
    conditions = (shown or world.get("p"))["status"]["conditions"]
    return next((each for each in conditions if each["type"] == "kubelite.io/LogDiskFull"), None)


def test_many_pods(world: World) -> None:
    """200 pods up and down in one home."""
    count = int(os.environ.get("KUBELITE_PODS", "200"))
    before = snapshot(world.root)
    quick = {"terminationGracePeriodSeconds": 0}
    text = "\n---\n".join(
        _yaml(always("", name=f"p{n}", command=["sleep", "1000"], spec=quick)) for n in range(count)
    )
    began = time.monotonic()
    subprocess.run(
        world.command("pod", "up", "-"),
        input=text.encode(),
        check=True,
        env=world.env,
        timeout=300,
        capture_output=True,
    )
    up = time.monotonic() - began
    assert world.kl("pod", "ls", "--no-headers").stdout.count(" 1/1 ") == count
    idle = agent(world)
    assert idle is not None
    resident = int(
        next(
            line
            for line in Path(f"/proc/{idle['pid']}/status").read_text().splitlines()
            if "VmRSS" in line
        ).split()[1]
    )
    assert resident < 120 << 10
    subprocess.run(
        world.command("pod", "down", "-", "--grace-period", "0"),
        input=text.encode(), check=True, env=world.env, timeout=300, capture_output=True,
    )  # fmt: skip
    print(
        f"\n{count} pods: up in {up:.1f} s, up and down in "
        f"{time.monotonic() - began:.1f} s, agent {resident >> 10} MB resident"
    )
    assert difference(before, snapshot(world.root)) == []


def _yaml(value: dict[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False)
