"""Every example does what its first line says, as seen from inside its containers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kubelite.testing.host import difference, snapshot
from tests.e2e.world import World, eventually

EXAMPLES = Path(__file__).parents[2] / "examples"
ELSEWHERE = {"adapter", "ambassador", "log-collector", "three-tier"}
"""Those that tests/e2e/test_pod_patterns.py runs, and the one of scripts/three-tier."""
AT_ONCE = 16


class Effect(NamedTuple):
    """What ``script`` says inside a pod, or what its log says without one, or what a field of its
    status is: a regular expression for all of it. ``pod`` is the example's own name if empty.
    """

    expected: str
    script: str = ""
    status: str = ""
    pod: str = ""


def says(script: str, expected: str, pod: str = "") -> Effect:
    return Effect(expected, script, "", pod)


def log(expected: str, pod: str = "") -> Effect:
    return Effect(expected, "", "", pod)


def status(path: str, expected: str) -> Effect:
    return Effect(expected, "", path)


_LIMITS = (
    "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null || true"
)
_QUOTA = "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null || true"
_IS_READ_ONLY = "touch {0}/x 2>/dev/null || echo read-only"

EFFECTS: dict[str, Effect] = {
    "active-deadline": status("reason", "DeadlineExceeded"),
    "capabilities": says("grep CapEff /proc/self/status", r"CapEff:\s+0000000000000400"),
    "claim": says("cat /data/starts", "once more"),
    "command-args": log(r"hello world, \$\(WHO\)"),
    "config-map-items": says(
        "cat /conf/look/color.txt; stat -Lc ' %a' /conf/look/color.txt /conf/size.txt",
        "blue 444\n 400",
    ),
    "config-map-optional": says("ls /conf | wc -l", "0"),
    "configmap-volume": says("ls -A / >/dev/null && echo up", "up"),
    "cpu-limit": says(_QUOTA, "(?s).*50000.*"),
    "cron-job": log("backed up", "cron-job-0"),
    "daemon-set": says("hostname", "daemon-set-0", "daemon-set-0"),
    "deployment": says("hostname", "deployment-1", "deployment-1"),
    "dns-config": says(
        "cat /etc/resolv.conf",
        "nameserver 192.0.2.53\nsearch example.com\noptions ndots:2",
    ),
    "downward-api": log("(?s).*app=\"web\".*"),
    "downward-api-mode": says(
        "cat /info/labels; stat -Lc ' %a' /info/labels", 'app="shop"\ntier="front" 400'
    ),
    "empty-dir": says("cat /data/note", "left by another"),
    "empty-dir-memory": says(
        "stat -fc %T /data; head -c 2M /dev/zero 2>/dev/null > /data/f || echo full",
        "tmpfs\nfull",
    ),
    "env-dependent": says("echo $URL", r"https://example.com/\$\(PAGE\)"),
    "env-fields": says("echo $POD $ADDRESS $TIER", r"env-fields 10\.\d+\.\d+\.\d+ front"),
    "env-file": says('echo "$DB, $NOTE, ${UNSET-unset}"', "db.example, two\nlines, unset"),
    "env-from": says("echo $APP_color $APP_size", "blue large"),
    "env-optional": says("echo [${MAYBE-not set}]", r"\[not set\]"),
    "env-resources": says("echo $MEBIBYTES $MILLICPUS", "64 1500"),
    "ephemeral-claim": says("echo x > /scratch/f && cat /scratch/f", "x"),
    "fs-group": says("id -G; stat -c '%g %A' /data", "2000 3000\n3000 drwxrwsrwx"),
    "generate-name": says("hostname", "made-up-[a-z0-9]{5}", "made-up-*"),
    "host-aliases": says("grep printer /etc/hosts", r"192.0.2.7\s+printer\s+printer.example.com"),
    "host-ipc": says("readlink /proc/self/ns/ipc", "OURS"),
    "host-network": says("readlink /proc/self/ns/net", "OURS"),
    "host-path-directory": says(_IS_READ_ONLY.format("/share"), "read-only"),
    "host-path-file": says("cmp /release /etc/os-release && echo same", "same"),
    "host-pid": says(f"test -d /proc/{os.getpid()} && echo seen", "seen"),
    "hostname": says("hostname; hostname -f", "node-7\nnode-7.cluster.*"),
    "hostname-fqdn": says("hostname", "node-7.cluster.default.svc.cluster.local"),
    "hostport": says("grep NoNewPrivs /proc/1/status", r"NoNewPrivs:\s+1"),
    "indexed-job": log("index 1", "indexed-job-1"),
    "init-containers": says("cat /work/order", "first\nsecond"),
    "job": status("phase", "Succeeded"),
    "list": says("echo $GREETING", "hello from a list"),
    "liveness-tcp": status("containerStatuses.0.restartCount", "0"),
    "memory-limit": says(_LIMITS, "(?s).*67108864.*"),
    "mount-propagation": says("cat /share/files/greeting", "hello"),
    "nested-mounts": says("stat -fc %T /outer/inner; ls /outer", "tmpfs\ninner"),
    "no-privilege-escalation": says("grep NoNewPrivs /proc/self/status", r"NoNewPrivs:\s+1"),
    "pod-resources": status("qosClass", "Guaranteed"),
    "post-start": says("cat /tmp/hook", "began"),
    "pre-stop": says("hostname", "pre-stop"),
    "privileged": says("ls /dev/kmsg /dev/loop-control", "/dev/kmsg\n/dev/loop-control"),
    "projected": says("cat /all/color /all/secret/password /all/name", "blues3cretprojected"),
    "qos-burstable": status("qosClass", "Burstable"),
    "qos-guaranteed": status("qosClass", "Guaranteed"),
    "read-only-mount": says("cat /data/f; " + _IS_READ_ONLY.format("/data"), "x\nread-only"),
    "read-only-root": says("touch /tmp/x; " + _IS_READ_ONLY.format("/etc"), "read-only"),
    "readiness-exec": status("containerStatuses.0.ready", "True"),
    "readiness-http": status("containerStatuses.0.ready", "True"),
    "replica-set": says("hostname", "replica-set-0", "replica-set-0"),
    "replication-controller": says("hostname", "replication-.*-0", "replication-controller-0"),
    "restart-on-failure": status("containerStatuses.0.restartCount", "1"),
    "restart-rules": status("containerStatuses.0.restartCount", "1"),
    "run-as-non-root": says("id -u", "65534"),
    "run-as-user": says("id -u; id -g", "1001\n2000"),
    "seccomp-runtime-default": says("grep -w Seccomp /proc/self/status", r"Seccomp:\s+2"),
    "seccomp-unconfined": says("grep -w Seccomp /proc/self/status", r"Seccomp:\s+0"),
    "secret-env": says("test -d / && echo up", "up"),
    "secret-volume": says(
        "stat -fc %T /key; stat -Lc %a /key/password; cat /key/password", "tmpfs\n400\ns3cret"
    ),
    "share-process-namespace": says("cat /proc/1/comm", "pause"),
    "sidecar": log("the sidecar was first"),
    "startup-probe": status("containerStatuses.0.started", "True"),
    "stateful-set": says("cat /data/name", "stateful-set-1", "stateful-set-1"),
    "sub-path": says("echo x > /part/f; cat /whole/some/part/f", "x"),
    "sub-path-expr": says("echo x > /own/f; cat /whole/pods/sub-path-expr/f", "x"),
    "sub-path-file": says("cat /etc/color; test -e /etc/passwd && echo ' beside'", "blue beside"),
    "supplemental-groups": says("id -G", "2000 4000 5000"),
    "supplemental-groups-strict": says("id -G", "2000 4000"),
    "sysctls": says("cat /proc/sys/net/ipv4/ip_unprivileged_port_start", "80"),
    "terminal": log("a terminal\r?"),
    "termination-message": status("containerStatuses.0.state.terminated.message",
                                  "the answer is 42\n?"),
    "termination-message-log": status("containerStatuses.0.state.terminated.message",
                                      "it broke\n?"),
    "user-namespace": says("cat /proc/self/uid_map", r"\s*0\s+[1-9]\d+\s+65536"),
    "web": says("hostname", "web"),
    "working-dir": says("pwd", "/var/empty/deep"),
}  # fmt: skip


def names() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.yaml"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All examples, brought up by a few commands; afterwards nothing of them is left."""
    if os.geteuid() != 0:
        pytest.skip("pods need root")
    world = World(tmp_path_factory.mktemp("examples") / "root")
    before = snapshot(str(world.root))
    files = [str(EXAMPLES / f"{name}.yaml") for name in names() if name not in ELSEWHERE]
    try:
        for first in range(0, len(files), AT_ONCE):
            world.kl("-q", "pod", "up", *files[first : first + AT_ONCE], check=False)
        yield world
        for first in range(0, len(files), AT_ONCE):
            chunk = files[first : first + AT_ONCE]
            world.kl("pod", "down", "--volumes", "--grace-period", "0", *chunk)
    finally:
        world.kl("system", "reset", "--yes", check=False)
    assert difference(before, snapshot(str(world.root))) == []


def test_every_example_is_tried_and_told() -> None:
    assert set(EFFECTS) | ELSEWHERE == set(names())
    assert len(names()) >= 60
    readme = (EXAMPLES / "README.md").read_text()
    assert [name for name in names() if f"[{name}.yaml]({name}.yaml)" not in readme] == []


@pytest.mark.parametrize("name", sorted(EFFECTS))
def test_an_example_shows_what_it_says(examples: World, name: str) -> None:
    effect = EFFECTS[name]
    pod = full_name(examples, effect.pod or name)

    expected = effect.expected
    if expected == "OURS":  # what the machine of the test has, which is only known inside it
        expected = re.escape(os.readlink(effect.script.rpartition(" ")[2]))

    def shown() -> str:
        if effect.script:
            return examples.exec(pod, effect.script)
        if effect.status:
            return str(field(examples.get(pod)["status"], effect.status))
        return examples.logs(pod)

    last = [""]

    def fits() -> bool:
        last[0] = shown()
        return re.fullmatch(expected, last[0].rstrip("\n")) is not None

    try:
        eventually(fits, name, 20)
    except AssertionError:
        assert last[0] == expected  # shows both


def full_name(world: World, name: str) -> str:
    """The name of a pod, of which a made-up end may be left out."""
    if not name.endswith("*"):
        return name
    listed = world.kl("pod", "ls", "-o", "name").stdout.split()
    return next(line for line in listed if name[:-1] in line).rpartition("/")[2]


def field(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value
