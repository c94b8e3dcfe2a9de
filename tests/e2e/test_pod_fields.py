"""Every honoured field of the pod, read from inside the container."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.world import SLEEP, World, pod


def lines(text: str) -> list[str]:
    return text.splitlines()


def test_env_command_args_and_expansion(world: World) -> None:
    spec = pod(
        env=[
            {"name": "WHO", "value": "world"},
            {"name": "GREETING", "value": "hello $(WHO) $$(WHO) $(NOBODY)"},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPUS", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        resources={"limits": {"cpu": "2", "memory": "64Mi"}},
        command=[
            "sh",
            "-c",
            'echo "$GREETING"; echo "$NAME $CPUS"; hostname -I; echo "$IP"; echo "$0" "$1"',
        ],
        args=["$(WHO)", "$$(WHO)"],
    )
    said = lines(world.output(spec))
    assert said[0] == "hello world $(WHO) $(NOBODY)"
    assert said[1] == "p 2"
    assert said[2].strip() == said[3]
    assert said[4] == "world $(WHO)"


def test_working_directory_is_entered_and_made(world: World) -> None:
    assert lines(world.output(pod("pwd", workingDir="/srv/not/there"))) == ["/srv/not/there"]


def test_read_only_root_file_system(world: World) -> None:
    said = world.output(
        pod(
            "touch /x 2>&1 || echo refused; touch /dev/shm/x && echo shm",
            securityContext={"readOnlyRootFilesystem": True},
        )
    )
    assert "Read-only file system" in said and "refused" in said and "shm" in said


def test_user_group_and_supplemental_groups(world: World) -> None:
    said = world.output(
        pod(
            "id -u; id -g; id -G; touch /root/x 2>/dev/null || echo no",
            spec={"securityContext": {"supplementalGroups": [4242]}},
            securityContext={"runAsUser": 1234, "runAsGroup": 5678},
        )
    )
    assert lines(said) == ["1234", "5678", "5678 4242", "no"]


def test_run_as_non_root_refuses_root(world: World) -> None:
    refused = world.up(pod("true", securityContext={"runAsNonRoot": True}), check=False)
    assert refused.returncode != 0 and "runAsNonRoot" in refused.stderr


def capabilities(text: str) -> dict[str, int]:
    return {
        row.split(":")[0]: int(row.split()[1], 16) for row in lines(text) if row.startswith("Cap")
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0xA80425FB),
        ({"drop": ["ALL"]}, 0),
        ({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, 1 << 10),
        ({"drop": ["MKNOD"], "add": ["SYS_TIME"]}, 0xA80425FB & ~(1 << 27) | 1 << 25),
    ],
)
def test_capabilities(world: World, change: dict[str, list[str]], expected: int) -> None:
    found = capabilities(
        world.output(
            pod("cat /proc/self/status", securityContext={"capabilities": change} if change else {})
        )
    )
    assert found == {
        "CapInh": 0,
        "CapPrm": expected,
        "CapEff": expected,
        "CapBnd": expected,
        "CapAmb": 0,
    }


def test_privileged_has_all_capabilities_devices_and_writable_sys(world: World) -> None:
    said = world.output(
        pod(
            "grep CapEff /proc/self/status; ls /dev | wc -l; "
            "grep ' /sys ' /proc/self/mounts; grep -c ' /proc/sys ' /proc/self/mounts",
            securityContext={"privileged": True},
        )
    )
    own = Path("/proc/self/status").read_text()
    mine = int(next(row.split()[1] for row in lines(own) if row.startswith("CapEff")), 16)
    rows = lines(said)
    assert int(rows[0].split()[1], 16) == mine
    assert int(rows[1]) > 20
    assert "sysfs rw" in rows[2]
    assert rows[3] == "0"


def test_masked_and_read_only_paths(world: World) -> None:
    said = world.output(
        pod(
            "exec 2>/dev/null; wc -c < /proc/keys; echo 1 > /proc/sys/kernel/pid_max || "
            "echo ro; ls /sys/firmware | wc -l; echo 1 > /sys/x || echo ro"
        )
    )
    assert lines(said) == ["0", "ro", "0", "ro"]


def test_no_new_privileges(world: World) -> None:
    said = world.output(
        pod(
            "grep NoNewPrivs /proc/self/status", securityContext={"allowPrivilegeEscalation": False}
        )
    )
    assert said.split() == ["NoNewPrivs:", "1"]


def test_limits_reach_the_cgroup(world: World) -> None:
    world.up(pod(SLEEP, resources={"limits": {"cpu": "250m", "memory": "64Mi"}}))
    pid = world.inspect("p")["containers"]["c"]["pid"]
    groups = dict(row.split(":")[1:] for row in lines(Path(f"/proc/{pid}/cgroup").read_text()))
    if "memory" in groups:
        assert (
            Path(f"/sys/fs/cgroup/memory{groups['memory']}/memory.limit_in_bytes").read_text()
            == f"{64 << 20}\n"
        )
        cpu = next(path for name, path in groups.items() if "cpu" in name.split(","))
        assert Path(f"/sys/fs/cgroup/cpu{cpu}/cpu.cfs_quota_us").read_text() == "25000\n"
        assert Path(f"/sys/fs/cgroup/cpu{cpu}/cpu.shares").read_text() == "256\n"
    else:
        assert Path(f"/sys/fs/cgroup{groups['']}/memory.max").read_text() == f"{64 << 20}\n"
        assert Path(f"/sys/fs/cgroup{groups['']}/cpu.max").read_text() == "25000 100000\n"
    assert world.exec("p", "cat /proc/self/cgroup | cut -d: -f3 | sort -u") == "/\n"


def test_memory_limit_kills(world: World) -> None:
    spec = pod(
        command=["python3", "-c", "x = bytearray(200 << 20)"],
        resources={"limits": {"memory": "32Mi"}},
    )
    world.up(spec)
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "30s")
    ended = world.get("p")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


def test_hostname_hosts_and_aliases(world: World) -> None:
    said = world.output(
        pod(
            "hostname; cat /etc/hostname; cat /etc/hosts",
            spec={
                "hostname": "alpha",
                "subdomain": "sub",
                "hostAliases": [{"ip": "10.9.8.7", "hostnames": ["db", "db.local"]}],
            },
        )
    )
    rows = lines(said)
    assert rows[:2] == ["alpha", "alpha"]
    assert "127.0.0.1" in said and "10.9.8.7" in said and "db.local" in said


def test_dns_config(world: World) -> None:
    said = world.output(
        pod(
            "cat /etc/resolv.conf",
            spec={
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["192.0.2.53"],
                    "searches": ["a.test"],
                    "options": [{"name": "ndots", "value": "2"}],
                },
            },
        )
    )
    assert set(lines(said)) >= {"nameserver 192.0.2.53", "search a.test", "options ndots:2"}


def test_init_containers_run_in_order_before_the_others(world: World) -> None:
    mounts = [{"name": "v", "mountPath": "/v"}]
    spec = pod(
        "cat /v/log",
        volumeMounts=mounts,
        spec={
            "volumes": [{"name": "v", "emptyDir": {}}],
            "initContainers": [
                {
                    "name": f"i{n}",
                    "image": "host",
                    "command": ["sh", "-c", f"sleep 0.1; echo i{n} >> /v/log"],
                    "volumeMounts": mounts,
                }
                for n in range(3)
            ],
        },
    )
    assert lines(world.output(spec)) == ["i0", "i1", "i2"]


def test_a_failing_init_container_stops_the_pod(world: World) -> None:
    spec = pod(
        "echo main",
        spec={
            "initContainers": [
                {"name": "i", "image": "host", "command": ["sh", "-c", "echo broken; exit 3"]}
            ]
        },
    )
    failed = world.up(spec, check=False)
    assert failed.returncode == 1 and "i" in failed.stderr and "3" in failed.stderr
    assert world.get("p")["status"]["phase"] == "Failed"
    assert world.logs("p", "i") == "broken\n"


def two(
    script_a: str, script_b: str, spec: dict[str, Any] | None = None, **both: Any
) -> dict[str, Any]:
    made = pod(script_a, spec=spec, **both)
    made["spec"]["containers"].append(
        {**made["spec"]["containers"][0], "name": "d", "command": ["sh", "-c", script_b]}
    )
    return made


def test_beside_a_privileged_container_the_others_still_get_no_devices(world: World) -> None:
    """The usual pair: an init container that may set the machine up, and the program."""
    read = "mknod /tmp/zero b 7 0; head -c 0 /tmp/zero 2>&1 | grep -o 'not permitted'; true"
    setup = {
        "name": "setup",
        "image": "host",
        "command": ["sh", "-c", "test -c /dev/kmsg && echo set up"],
        "securityContext": {"privileged": True},
    }
    spec = pod(f"{read}; echo denied", spec={"initContainers": [setup]})
    world.up(spec)
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    assert lines(world.logs("p", "setup")) == ["set up"]
    assert lines(world.logs("p", "c")) == ["not permitted", "denied"]


def test_an_empty_dir_is_shared_between_containers_and_writable_for_all(world: World) -> None:
    spec = two(
        "echo text > /v/f; stat -c %a /v; sleep 1",
        "until [ -s /v/f ]; do sleep 0.05; done; cat /v/f",
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
        securityContext={"runAsUser": 1000},
    )
    world.up(spec)
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    assert world.logs("p", "c") == "777\n"
    assert world.logs("p", "d") == "text\n"


def test_a_memory_volume_is_shared_and_ends_at_its_size(world: World) -> None:
    spec = two(
        "echo text > /v/f; stat -f -c %T /v; dd if=/dev/zero of=/v/big bs=64k "
        "count=64 2>&1 | grep -o 'No space.*'; sleep 1",
        "until [ -s /v/f ]; do sleep 0.05; done; cat /v/f",
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]},
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    world.up(spec)
    world.kl("pod", "wait", "p", "--for=exited", "--timeout", "20s")
    assert lines(world.logs("p", "c")) == ["tmpfs", "No space left on device"]
    assert world.logs("p", "d") == "text\n"


def test_host_path_and_read_only_and_sub_path(world: World, tmp_path: Path) -> None:
    (tmp_path / "data" / "sub").mkdir(parents=True)
    (tmp_path / "data" / "sub" / "f").write_text("inside\n")
    spec = pod(
        "exec 2>/dev/null; cat /rw/sub/f; cat /sub/f; "
        "echo new > /rw/made; echo x > /ro/x || echo refused",
        volumeMounts=[
            {"name": "h", "mountPath": "/rw"},
            {"name": "h", "mountPath": "/ro", "readOnly": True},
            {"name": "h", "mountPath": "/sub", "subPath": "sub"},
        ],
        spec={
            "volumes": [
                {"name": "h", "hostPath": {"path": str(tmp_path / "data"), "type": "Directory"}}
            ]
        },
    )
    assert lines(world.output(spec)) == ["inside", "inside", "refused"]
    assert (tmp_path / "data" / "made").read_text() == "new\n"


@pytest.mark.parametrize(
    ("type", "make", "good"),
    [
        ("DirectoryOrCreate", None, True),
        ("FileOrCreate", None, True),
        ("Directory", None, False),
        ("File", None, False),
        ("File", "file", True),
        ("Directory", "file", False),
        ("Socket", "socket", True),
        ("Socket", "file", False),
        ("CharDevice", "file", False),
        ("BlockDevice", "file", False),
    ],
)
def test_host_path_types(
    world: World, tmp_path: Path, type: str, make: str | None, good: bool
) -> None:
    path = tmp_path / "x"
    if make == "file":
        path.touch()
    if make == "socket":
        server = socket.socket(socket.AF_UNIX)
        here = os.open(tmp_path, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/x")
        os.close(here)
    spec = pod(
        "ls -ld /v | cut -c1",
        volumeMounts=[{"name": "h", "mountPath": "/v"}],
        spec={"volumes": [{"name": "h", "hostPath": {"path": str(path), "type": type}}]},
    )
    if good:
        kind = {"DirectoryOrCreate": "d", "Directory": "d", "Socket": "s"}.get(type, "-")
        assert lines(world.output(spec)) == [kind]
    else:
        refused = world.up(spec, check=False)
        assert refused.returncode == 1 and str(path) in refused.stderr
        assert world.files() == set()


def test_a_device_as_host_path(world: World) -> None:
    spec = pod(
        "stat -c %t:%T /z",
        volumeMounts=[{"name": "h", "mountPath": "/z"}],
        spec={"volumes": [{"name": "h", "hostPath": {"path": "/dev/zero", "type": "CharDevice"}}]},
    )
    assert lines(world.output(spec)) == ["1:5"]


def test_share_process_namespace(world: World) -> None:
    world.up(two(SLEEP, SLEEP, {"shareProcessNamespace": True}))
    listing = world.exec(
        "p",
        "cat /proc/1/cmdline | tr '\\0' ' '; for p in /proc/[0-9]*; "
        "do readlink $p/ns/pid; done | sort -u | wc -l; ls -d /proc/[0-9]* | wc -l",
    )
    rows = lines(listing)
    assert "sh" not in rows[0].split()
    assert int(rows[-1]) >= 4
    assert world.exec("p", "ls /proc/1/root/ | wc -l") == "0\n"


def test_host_network_host_pid_and_host_ipc(world: World) -> None:
    said = world.output(
        pod(
            "readlink /proc/self/ns/net; readlink /proc/self/ns/pid; "
            "readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts",
            spec={"hostNetwork": True, "hostPID": True, "hostIPC": True},
        )
    )
    assert lines(said) == [
        os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "pid", "ipc", "uts")
    ]


def test_each_container_has_its_own_pid_namespace_by_default(world: World) -> None:
    said = world.output(pod("readlink /proc/self/ns/pid; echo $$$$"))
    rows = lines(said)
    assert rows[0] != os.readlink("/proc/self/ns/pid") and rows[1] == "1"


def test_sysctls_of_the_pod(world: World) -> None:
    said = world.output(
        pod(
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start",
            spec={
                "securityContext": {
                    "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "77"}]
                }
            },
        )
    )
    assert lines(said) == ["77"]


def test_the_host_image_shows_the_host_but_neither_its_secrets_nor_other_pods(world: World) -> None:
    secret = Path("/root/.ssh")
    made = not secret.exists()
    if made:
        secret.mkdir(mode=0o700)
    try:
        said = world.output(
            pod(
                f"ls {world.root} | wc -l; wc -c < /etc/shadow; ls -A /root/.ssh | "
                "wc -l; echo x > /etc/kubelite-test && echo wrote"
            )
        )
    finally:
        if made:
            secret.rmdir()
    assert lines(said) == ["0", "0", "0", "wrote"]
    assert not Path("/etc/kubelite-test").exists()


def test_nothing_of_the_host_is_open_inside(world: World) -> None:
    said = world.output(
        pod("ls -l /proc/1/fd | awk '{print $NF}'; readlink /proc/1/cwd /proc/1/root")
    )
    targets = [row for row in lines(said) if row not in ("0",)]
    assert all(row.startswith(("/dev/", "pipe:", "/proc/", "/")) for row in targets)
    assert not any(str(world.root) in row or "kubelite" in row for row in targets)


@pytest.mark.parametrize(
    ("mode", "below"), [({}, ""), ({"recursiveReadOnly": "Enabled"}, "read-only")], ids=str
)
def test_a_volume_is_read_only_with_or_without_what_is_mounted_below(
    world: World, mode: dict[str, str], below: str
) -> None:
    """/dev/shm of the machine is a file system of its own."""
    mount = {"name": "dev", "mountPath": "/machine", "readOnly": True, **mode}
    manifest = pod(
        "mkdir /machine/kl-test 2>/dev/null || echo read-only; "
        "mkdir /machine/shm/kl-test-$$ 2>/dev/null && rmdir /machine/shm/kl-test-$$"
        " || echo read-only",
        volumeMounts=[mount],
        spec={"volumes": [{"name": "dev", "hostPath": {"path": "/dev"}}]},
    )
    assert world.output(manifest).split() == ["read-only", *([below] if below else [])]


@pytest.mark.parametrize("medium", ["HugePages", "HugePages-2Mi"])
def test_an_empty_dir_on_huge_pages(world: World, medium: str) -> None:
    if not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").is_dir():
        pytest.skip("this machine has set aside no huge pages")
    script = "grep ' /huge ' /proc/mounts; stat -c '%a %g' /huge"
    made = pod(script, volumeMounts=[{"name": "h", "mountPath": "/huge"}],
               resources={"limits": {"hugepages-2Mi": "0", "memory": "64Mi"}})  # fmt: skip
    made["spec"] |= {
        "volumes": [{"name": "h", "emptyDir": {"medium": medium}}],
        "securityContext": {"fsGroup": 4321},
    }
    mount, owner = world.output(made).splitlines()
    assert mount.split()[2] == "hugetlbfs" and "pagesize=2M" in mount
    assert owner == "775 4321"
    del made["spec"]["containers"][0]["resources"]
    failed = world.up(made, check=False)
    assert failed.returncode == 1
    assert f"medium {medium} is used, but no container requests such huge pages" in failed.stderr
