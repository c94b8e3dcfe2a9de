"""What the containers of a pod share, what each has of its own, and what stays when one of them or
pause is killed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.e2e.world import SLEEP, World, alive, eventually, kill, pod

SHARED = ("net", "ipc", "uts")
NETWORK = "cat /proc/net/route /proc/net/fib_trie /proc/net/if_inet6 2>/dev/null; ls /sys/class/net"


def two_containers(name: str = "p", **spec: Any) -> dict[str, Any]:
    made = pod(SLEEP, name=name, spec=spec)
    made["spec"]["containers"].append({**made["spec"]["containers"][0], "name": "d"})
    return made


def links(pid: int) -> dict[str, str]:
    return {
        kind: os.readlink(f"/proc/{pid}/ns/{kind}") for kind in (*SHARED, "pid", "mnt", "cgroup")
    }


def pids(world: World, name: str = "p") -> tuple[int, dict[str, int]]:
    seen = world.inspect(name)
    return seen["sandbox"]["pause"], {
        name: each["pid"] for name, each in seen["containers"].items()
    }


def test_namespaces_are_shared_within_a_pod_and_with_nobody_else(world: World) -> None:
    world.up(two_containers("one"))
    world.up(two_containers("two"))
    pause, members = pids(world, "one")
    other, _ = pids(world, "two")
    inside = {
        world.exec("one", "for n in net ipc uts; do readlink /proc/self/ns/$n; done", c): c
        for c in ("c", "d")
    }
    assert len(inside) == 1
    assert next(iter(inside)).split() == [links(pause)[kind] for kind in SHARED]
    for kind in SHARED:
        assert links(pause)[kind] not in (links(other)[kind], os.readlink(f"/proc/self/ns/{kind}"))
    own = [links(pid) for pid in members.values()]
    for kind in ("pid", "mnt", "cgroup"):
        assert len({o[kind] for o in own} | {os.readlink(f"/proc/self/ns/{kind}")}) == 3


def test_interfaces_addresses_and_routes_are_the_same_in_every_container(world: World) -> None:
    world.up(two_containers())
    said = {world.exec("p", NETWORK, container) for container in ("c", "d")}
    assert len(said) == 1
    address = world.get("p")["status"]["podIP"]
    assert address in next(iter(said))
    pause, _ = pids(world)
    assert Path(f"/proc/{pause}/net/route").read_text() in next(iter(said))
    assert Path("/proc/self/net/route").read_text() != Path(f"/proc/{pause}/net/route").read_text()


def test_each_container_has_its_own_root(world: World) -> None:
    world.up(two_containers())
    world.exec("p", "echo mine > /only-here", "c")
    assert world.exec("p", "cat /only-here", "c") == "mine\n"
    assert world.exec("p", "ls /only-here 2>/dev/null || echo none", "d") == "none\n"
    assert not Path("/only-here").exists()


def test_killing_every_container_leaves_pause_address_and_volumes(world: World) -> None:
    mounts = [{"name": "disk", "mountPath": "/disk"}, {"name": "memory", "mountPath": "/memory"}]
    spec = two_containers(
        volumes=[
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory"}},
        ]
    )
    for container in spec["spec"]["containers"]:
        container["volumeMounts"] = mounts
    world.up(spec)
    world.exec("p", "echo a > /disk/f; echo b > /memory/f")
    address = world.get("p")["status"]["podIP"]
    pause, members = pids(world)
    for pid in members.values():
        kill(pid)
    status = eventually(lambda: _all_ended(world), "both exits are recorded")
    assert [s["state"]["terminated"]["exitCode"] for s in status["containerStatuses"]] == [137, 137]
    assert alive(pause)
    assert status["podIP"] == address
    shim = world.inspect("p")["sandbox"]["shim"]
    place = world.inspect("p")["paths"]
    assert (Path(place["state"]) / "volumes/disk/f").read_text() == "a\n"
    assert Path(f"/proc/{shim}/root{place['run']}/memory/memory/f").read_text() == "b\n"


def _all_ended(world: World) -> dict[str, Any] | None:
    status: dict[str, Any] = world.get("p")["status"]
    return status if all("terminated" in s["state"] for s in status["containerStatuses"]) else None


def _nothing_runs(world: World, pause: int, shim: int, members: dict[str, int]) -> None:
    for pid in (*members.values(), pause, shim):
        eventually(lambda pid=pid: not alive(pid), f"{pid} is gone")


def test_killing_pause_ends_the_pod_and_the_shim_cleans_up(world: World) -> None:
    world.up(two_containers())
    pause, members = pids(world)
    shim = world.inspect("p")["sandbox"]["shim"]
    interface = world.inspect("p")["sandbox"]["interface"]
    kill(pause)
    _nothing_runs(world, pause, shim, members)
    eventually(lambda: not Path(f"/sys/class/net/{interface}").exists(), "the interface is gone")
    status = world.get("p")["status"]
    assert status["phase"] == "Failed"
    assert [s["state"]["terminated"]["exitCode"] for s in status["containerStatuses"]] == [137, 137]
    assert all(s["state"]["terminated"]["reason"] == "Error" for s in status["containerStatuses"])


def test_killing_the_shim_leaves_the_rest_to_the_next_command(world: World) -> None:
    """The shim dies without a chance to run its care command."""
    world.up(two_containers())
    pause, members = pids(world)
    before = world.inspect("p")["sandbox"]
    kill(before["shim"])
    _nothing_runs(world, pause, before["shim"], members)
    status = world.get("p")["status"]
    assert not Path(f"/sys/class/net/{before['interface']}").exists()
    assert [s["state"]["terminated"]["exitCode"] for s in status["containerStatuses"]] == [137, 137]
    assert {s["state"]["terminated"]["reason"] for s in status["containerStatuses"]} == {
        "ContainerStatusUnknown"
    }


def test_a_process_that_cleared_its_parent_death_signal_dies_with_the_pod(world: World) -> None:
    clear = (
        "import ctypes, time; ctypes.CDLL(None).prctl(1, 0); "
        "print('cleared', flush=True); time.sleep(1000)"
    )
    world.up(pod(command=["python3", "-c", clear]))
    eventually(lambda: world.logs("p") == "cleared\n", "the signal was cleared")
    pause, members = pids(world)
    shim = world.inspect("p")["sandbox"]["shim"]
    kill(shim)
    world.get("p")
    _nothing_runs(world, pause, shim, members)
