"""Pods with users of their own (hostUsers: false): root inside is nobody outside, and everything
else is as ever.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.runtime.launch_plan import IDS
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
    assert world.exec("p", "id -u; id -g; cat /proc/self/uid_map").split() == [
        "0",
        "0",
        "0",
        str(first),
        str(IDS),
    ]
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
    spec = pod(
        SLEEP,
        volumeMounts=mounts,
        spec={
            **OWN,
            "securityContext": {"fsGroup": 77},
            "volumes": [
                {"name": "disk", "emptyDir": {}},
                {"name": "memory", "emptyDir": {"medium": "Memory"}},
                {"name": "host", "hostPath": {"path": str(tmp_path / "host")}},
            ],
        },
    )
    spec["spec"]["containers"].append({**spec["spec"]["containers"][0], "name": "d"})
    world.up(spec)
    assert base(container(world)) == base(container(world, which="d"))
    said = world.exec(
        "p",
        "for v in disk memory host; do echo $v > /$v/file; done; "
        "stat -c '%u %g' /host/mine /disk/file /memory/file",
    )
    assert said.splitlines() == ["0 0", "0 77", "0 77"]
    assert world.exec("p", "cat /disk/file /memory/file /host/file", "d").split() == [
        "disk",
        "memory",
        "host",
    ]
    # On the host's file system the files are root's, whatever the pod's ids are.
    assert (tmp_path / "host/file").stat().st_uid == 0


def test_the_root_file_system_is_roots_and_can_be_written_and_removed(world: World) -> None:
    script = (
        "touch /new; rm -r /etc/init.d; mkdir /etc/init.d; mv /etc/debian_version "
        "/etc/moved; chown 5:6 /new; stat -c %u:%g / /new /etc/passwd"
    )
    said = world.output(
        pod(f"{script}; ls /etc/init.d | wc -l; cat /etc/moved > /dev/null && echo read", spec=OWN)
    )
    assert said.split() == ["0:0", "5:6", "0:0", "0", "read"]
    assert Path("/etc/debian_version").exists()


def test_users_of_the_image_and_of_the_manifest(world: World) -> None:
    context = {"runAsUser": 1234, "runAsGroup": 5678}
    said = world.output(
        pod(
            "id -u; id -g; touch /tmp/owned-here && stat -c %u:%g /tmp/owned-here",
            spec=OWN,
            securityContext=context,
        )
    )
    assert said.split() == ["1234", "5678", "1234:5678"]
    done = world.up(pod("true", spec=OWN, securityContext={"runAsUser": IDS}), check=False)
    assert done.returncode == 1
    assert f"id {IDS} is not among the {IDS} ids" in done.stderr


@pytest.mark.parametrize("share", [False, True])
def test_processes_are_seen_as_ever(world: World, share: bool) -> None:
    world.up(pod(SLEEP, spec={**OWN, "shareProcessNamespace": share}))
    said = world.exec(
        "p", "for p in /proc/[0-9]*; do cat $p/comm; done; mount | grep -c 'on /proc type proc'"
    )
    assert ("pause" in said or "kubelite" in said or "memfd" in said) == share
    assert said.split()[-1] == "1"


def test_system_mounts_and_devices_work(world: World) -> None:
    script = (
        "echo x > /dev/null; head -c 4 /dev/urandom | wc -c; ls /dev/mqueue | "
        "wc -l; echo y > /dev/shm/y && cat /dev/shm/y; "
        "ls /sys/class/net; "
        "cat /proc/sys/net/ipv4/ip_unprivileged_port_start; "
        "test -t 1 || echo none"
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
    said = world.kl(
        "pod", "exec", "-t", "p", "--", "sh", "-c", "tty; stat -c %u $(tty); cat /proc/self/uid_map"
    ).stdout
    assert said.split()[:2] == ["/dev/pts/0", "0"]
    assert str(outside) in said


def test_privileged_is_privileged_inside_only(world: World) -> None:
    script = (
        "mount -t tmpfs none /mnt && echo mounted; echo 1 > /proc/sys/kernel/panic || "
        "echo refused; cat /dev/mem | head -c 1 || echo shut; reboot -f 2>&1 | head -1"
    )
    said = world.output(
        pod(f"exec 2>/dev/null; {script}", spec=OWN, securityContext={"privileged": True})
    )
    assert said.split()[:2] == ["mounted", "refused"]


@pytest.mark.parametrize("field", ["hostNetwork", "hostPID", "hostIPC"])
def test_namespaces_of_the_host_do_not_go_with_it(world: World, field: str) -> None:
    changed: dict[str, Any] = {**OWN, field: True}
    done = world.up(pod("true", spec=changed), check=False)
    assert done.returncode != 0
    assert "hostUsers" in done.stderr


@pytest.fixture
def plain(world: World) -> Iterator[World]:
    """A world on a file system that has no id-mapped mounts."""
    world.root.mkdir(parents=True)
    subprocess.run(["mount", "-t", "ramfs", "kubelite-test", world.root], check=True)
    try:
        yield world
        for item in json.loads(world.kl("pod", "ls", "-o", "json").stdout)["items"]:
            world.down(item["metadata"]["name"])
    finally:
        subprocess.run(["umount", "-l", world.root], check=True)


def test_without_mapped_ids_what_is_the_pods_alone_has_its_ids_on_the_disk(plain: World) -> None:
    mounts = [
        {"name": "disk", "mountPath": "/disk"},
        {"name": "disk", "mountPath": "/part", "subPath": "a/b"},
    ]
    spec = pod(
        SLEEP,
        volumeMounts=mounts,
        spec={
            **OWN,
            "securityContext": {"fsGroup": 77},
            "volumes": [{"name": "disk", "emptyDir": {}}],
        },
    )
    # A later container's subPath is made in a volume that has been given to the pod already.
    later = [*mounts, {"name": "disk", "mountPath": "/later", "subPath": "c"}]
    spec["spec"]["containers"].append(
        {**spec["spec"]["containers"][0], "name": "d", "volumeMounts": later}
    )
    plain.up(spec)
    own = "/disk /disk/a /disk/a/b /disk/c /etc/hosts /etc/hostname /dev/termination-log / /usr"
    script = (
        f"stat -c %u:%g {own}; echo last > /dev/termination-log; "
        "echo '# more' >> /etc/hosts; echo mine > /part/file;"
        "touch /new; chown 5:6 /new; stat -c %u:%g /part/file /new"
    )
    said = plain.exec("p", script, "d").split()
    assert said == ["0:77"] * 4 + ["0:0"] * 5 + ["0:77", "5:6"]
    first = base(container(plain))
    (place,) = (plain.root / "pods").iterdir()
    message, new = place / "messages/d-0", place / "root/d/0/upper/new"
    outside = [
        place / "volumes/disk",
        place / "volumes/disk/a/b/file",
        place / "etc/hosts",
        message,
        new,
    ]
    found = [(path.stat().st_uid - first, path.stat().st_gid - first) for path in outside]
    assert found == [(0, 77), (0, 77), (0, 0), (0, 0), (5, 6)]
    assert message.read_text() == "last\n"
    plain.kl("pod", "restart", "p")
    assert plain.exec("p", "cat /part/file; stat -c %u:%g /disk /disk/a/b/file").split() == [
        "mine",
        "0:77",
        "0:77",
    ]


def test_without_mapped_ids_what_is_not_the_pods_is_refused_and_stays_as_it_is(
    plain: World,
) -> None:
    theirs = plain.root / "theirs"
    theirs.mkdir()
    done = plain.up(
        pod(
            SLEEP,
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
            spec={**OWN, "volumes": [{"name": "v", "hostPath": {"path": str(theirs)}}]},
        ),
        check=False,
    )
    assert done.returncode != 0
    assert 'volume "v" at /v (its file system has no id-mapped mounts)' in done.stderr
    assert theirs.stat().st_uid == 0
    (plain.root / "rootfs/bin").mkdir(parents=True)
    plain.kl("image", "import", "small", str(plain.root / "rootfs"))
    done = plain.up(pod(SLEEP, name="q", image="small", spec=OWN), check=False)
    assert done.returncode != 0
    assert "(its file system has no id-mapped mounts)" in done.stderr
