"""Pods with users of their own (hostUsers: false): root inside is nobody outside, and everything else is as ever."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.runtime.bundle import IDS
from tests.e2e.world import SLEEP, World, pod

OWN = {"hostUsers": False}


def container(world: World, name: str = "p", which: str = "c") -> int:
    return int(world.inspect(name)["containers"][which]["pid"])


def base(pid: int) -> int:
    (line,) = Path(f"/proc/{pid}/uid_map").read_text().splitlines()
    inside, outside, size = map(int, line.split())
    assert (inside, size) == (0, IDS)
    assert Path(f"/proc/{pid}/gid_map").read_text().split() == line.split()
    return outside


def test_root_inside_is_nobody_outside(world: World) -> None:
    world.up(pod(SLEEP, spec=OWN))
    pid = container(world)
    first = base(pid)
    assert first >= 1 << 28
    assert Path(f"/proc/{pid}").stat().st_uid == first
    assert world.exec("p", "id -u; id -g; cat /proc/self/uid_map").split() == ["0", "0", "0", str(first), str(IDS)]
    pause = world.inspect("p")["sandbox"]["pause"]
    for kind in ("user", "net", "ipc", "uts"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/{pause}/ns/{kind}")
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


def test_no_two_pods_share_an_id(world: World) -> None:
    for name in ("a", "b"):
        world.up(pod(SLEEP, name=name, spec=OWN))
    first, second = (base(container(world, name)) for name in ("a", "b"))
    assert abs(first - second) >= IDS


def test_containers_of_a_pod_share_its_users_and_volumes(world: World, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (tmp_path / "host/mine").write_text("x")
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("disk", "memory", "host")]
    spec = pod(SLEEP, volumeMounts=mounts, spec={
        **OWN,
        "securityContext": {"fsGroup": 77},
        "volumes": [
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory"}},
            {"name": "host", "hostPath": {"path": str(tmp_path / "host")}},
        ],
    })
    spec["spec"]["containers"].append({**spec["spec"]["containers"][0], "name": "d"})
    world.up(spec)
    assert base(container(world)) == base(container(world, which="d"))
    said = world.exec("p", "for v in disk memory host; do echo $v > /$v/file; done; stat -c '%u %g' /host/mine /disk/file /memory/file")
    assert said.splitlines() == ["0 0", "0 77", "0 77"]
    assert world.exec("p", "cat /disk/file /memory/file /host/file", "d").split() == ["disk", "memory", "host"]
    # On the host's file system the files are root's, whatever the pod's ids are.
    assert (tmp_path / "host/file").stat().st_uid == 0


def test_the_root_file_system_is_roots_and_can_be_written_and_removed(world: World) -> None:
    script = "touch /new; rm -r /etc/apt; mkdir /etc/apt; mv /etc/debian_version /etc/moved; chown 5:6 /new; stat -c %u:%g / /new /etc/passwd"
    said = world.output(pod(f"{script}; ls /etc/apt | wc -l; cat /etc/moved > /dev/null && echo read", spec=OWN))
    assert said.split() == ["0:0", "5:6", "0:0", "0", "read"]
    assert Path("/etc/debian_version").exists()


def test_users_of_the_image_and_of_the_manifest(world: World) -> None:
    context = {"runAsUser": 1234, "runAsGroup": 5678}
    said = world.output(pod("id -u; id -g; touch /tmp/x && stat -c %u:%g /tmp/x", spec=OWN, securityContext=context))
    assert said.split() == ["1234", "5678", "1234:5678"]
    done = world.up(pod("true", spec=OWN, securityContext={"runAsUser": IDS}), check=False)
    assert done.returncode == 1
    assert f"id {IDS} is not among the {IDS} ids" in done.stderr


@pytest.mark.parametrize("share", [False, True])
def test_processes_are_seen_as_ever(world: World, share: bool) -> None:
    world.up(pod(SLEEP, spec={**OWN, "shareProcessNamespace": share}))
    said = world.exec("p", "for p in /proc/[0-9]*; do cat $p/comm; done; mount | grep -c 'on /proc type proc'")
    assert ("pause" in said or "kubelite" in said or "memfd" in said) == share
    assert said.split()[-1] == "1"


def test_system_mounts_and_devices_work(world: World) -> None:
    script = (
        "echo x > /dev/null; head -c 4 /dev/urandom | wc -c; ls /dev/mqueue | wc -l; echo y > /dev/shm/y && cat /dev/shm/y; "
        "ls /sys/class/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; test -t 1 || echo none"
    )
    context = {"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]}
    said = world.output(pod(script, spec={**OWN, "securityContext": context}))
    words = said.split()
    assert words[:3] == ["4", "0", "y"]
    assert {"eth0", "lo"} <= set(words)
    assert words[-2:] == ["80", "none"]


def test_an_exec_and_a_terminal_are_inside_as_well(world: World) -> None:
    world.up(pod(SLEEP, spec=OWN))
    outside = base(container(world))
    said = world.kl("pod", "exec", "-t", "p", "--", "sh", "-c", "tty; stat -c %u $(tty); cat /proc/self/uid_map").stdout
    assert said.split()[:2] == ["/dev/pts/0", "0"]
    assert str(outside) in said


def test_privileged_is_privileged_inside_only(world: World) -> None:
    script = "mount -t tmpfs none /mnt && echo mounted; echo 1 > /proc/sys/kernel/panic || echo refused; cat /dev/mem | head -c 1 || echo shut; reboot -f 2>&1 | head -1"
    said = world.output(pod(f"exec 2>/dev/null; {script}", spec=OWN, securityContext={"privileged": True}))
    assert said.split()[:2] == ["mounted", "refused"]


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
def test_namespaces_of_the_host_do_not_go_with_it(world: World, field: str) -> None:
    changed: dict[str, Any] = {**OWN, field: True}
    done = world.up(pod("true", spec=changed), check=False)
    assert done.returncode != 0
    assert "hostUsers" in done.stderr
