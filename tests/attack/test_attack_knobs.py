"""Attacks through what the host shares with everybody: cgroups, annotations, the network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.attack.arena import Arena, pod

AGENT = (
    "unshare -UrmC sh -c 'mkdir /tmp/c && for h in $(cut -d: -f2 /proc/self/cgroup); do "
    'mount -t cgroup -o "$h" c /tmp/c 2>/dev/null && echo mounted; done; '
    "mount -t cgroup2 c /tmp/c 2>/dev/null && echo mounted' 2>/dev/null; true"
)


def test_no_cgroups_are_mounted_from_a_user_namespace(arena: Arena) -> None:
    """CVE-2022-0492: the first step, which the filter refuses, leads to a release_agent that the
    host runs.
    """
    assert arena.output(AGENT) == ""
    with arena.without("filter"):
        assert (
            "mounted"
            in arena.output(AGENT, securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}).split()
        )


WRITE = (
    "for f in $(find /sys/fs/cgroup -name 'cgroup.procs' 2>/dev/null | "
    "head -5); do (exec 3>>$f) 2>/dev/null && echo $f; done;"
    "mkdir /sys/fs/cgroup/x 2>/dev/null && echo made && rmdir /sys/fs/cgroup/x; true"
)


def test_only_a_privileged_container_writes_to_its_cgroups(arena: Arena) -> None:
    """CVE-2023-25809: and what it reaches begins at its own group."""
    assert arena.output(WRITE) == ""
    bare = arena.output(
        WRITE + "; cut -d: -f3 /proc/self/cgroup | sort -u", securityContext={"privileged": True}
    ).split()
    assert bare[-1] == "/"
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert "/sys/fs/cgroup/cgroup.procs" in bare


def test_a_container_sees_its_own_limits_and_cannot_change_them(arena: Arena) -> None:
    """On v1 too, where each controller has its files below a directory of its name."""
    resources = {"limits": {"memory": "64Mi", "cpu": "500m"}}
    v2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    memory = "memory.max" if v2 else "memory/memory.limit_in_bytes"
    cpu = "cpu.max" if v2 else "cpu/cpu.cfs_quota_us"
    script = (
        f"cd /sys/fs/cgroup; cat {memory} {cpu}; (echo 1 > {memory}) 2>/dev/null && echo written; "
        "ls memory cpu 2>/dev/null | grep -c release_agent"
    )
    said = arena.output(script, resources=resources).split()
    assert said[:2] == [str(64 << 20), "50000"] and said[-1] == "0" and "written" not in said


KNOWN = (
    "io.kubernetes.cri-o.userns-mode io.kubernetes.cri-o.Devices "
    "io.kubernetes.cri-o.ShmSize io.kubernetes.cri-o.TrySkipVolumeSELinuxLabel "
    "io.kubernetes.cri-o.UnifiedCgroup.c "
    "io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw io.containerd.runc.v2.group "
    "io.katacontainers.config "
    "io.podman.annotations.privileged io.podman.annotations.seccomp "
    "io.podman.annotations.label run.oci.handler run.oci.hooks.stdout "
    "run.oci.systemd.subgroup run.oci.delegate-cgroup run.oci.seccomp.plugins "
    "org.systemd.property.ExecStopPost org.systemd.property.DeviceAllow "
    "org.criu.config seccomp-profile.kubernetes.cri-o.io "
    "devices.nri.io mounts.nri.io cdi.k8s.io"
).split()
SAYS = (
    "grep -E 'Seccomp|Cap|NoNew|Groups' /proc/self/status; "
    "cat /proc/self/limits /proc/self/cgroup; ls /dev; awk '{print $5, "
    "$6}' /proc/self/mountinfo | sort; cat /proc/self/uid_map; umask"
)


def test_annotations_of_all_known_runtimes_change_nothing(arena: Arena) -> None:
    """CVE-2024-3154."""
    values = {
        "org.systemd.property.ExecStopPost": (
            "@as [('/bin/sh', ['sh', '-c', 'touch /owned'], false)]"
        )
    }
    annotations = {f"{name}/c": values.get(name, "/dev/kmsg:rwm") for name in KNOWN}
    annotations |= {
        "container.apparmor.security.beta.kubernetes.io/c": "unconfined",
        "container.seccomp.security.alpha.kubernetes.io/c": "unconfined",
        "seccomp.security.alpha.kubernetes.io/pod": "unconfined",
        "security.alpha.kubernetes.io/sysctls": "kernel.core_pattern=x",
    }
    plain = arena.output(SAYS)
    assert arena.output(SAYS, metadata={"annotations": annotations}) == plain
    assert not Path("/owned").exists()
    assert (
        arena.output(SAYS, metadata={"annotations": {"kubelite.io/rlimits": "nofile=50"}}) != plain
    )


PACKET = (
    "import json, os, socket\n"
    "try:\n"
    " s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 3)\n"
    "except PermissionError:\n"
    " print('refused'); raise SystemExit\n"
    "print('made', sorted(n for _, n in socket.if_nameindex()))"
)


def test_packet_sockets_see_the_pods_own_links_only(arena: Arena) -> None:
    """CVE-2020-14386: NET_RAW is among the default capabilities, as with every runtime; without it
    there is no such socket.
    """
    assert arena.output(["python3", "-c", PACKET]).strip() == "made ['eth0', 'lo']"
    without: dict[str, Any] = {"capabilities": {"drop": ["NET_RAW"]}}
    assert arena.output(["python3", "-c", PACKET], securityContext=without).strip() == "refused"


def test_a_pods_link_takes_no_advertised_routers(arena: Arena) -> None:
    """CVE-2020-13401; tests/kernel/test_network.py sends the advertisements."""
    if not Path("/proc/sys/net/ipv6").exists():
        pytest.skip("this kernel has no IPv6")
    said = arena.output(
        "cat /proc/sys/net/ipv6/conf/eth0/accept_ra; "
        "cat /proc/sys/net/ipv4/conf/eth0/route_localnet"
    )
    assert said.split() == ["0", "0"]


def test_what_a_pod_says_of_itself_cannot_end_its_record(arena: Arena) -> None:
    """A name, an annotation, a value with every control character: what is kept reads as what was
    given.
    """
    text = "".join(map(chr, range(1, 32))) + '\x7f\u2028"\\}{'
    arena.up(pod(metadata={"annotations": {"a": text}}, env=[{"name": "A", "value": text}]))
    assert arena.pods.queries.get("default", "p").metadata.annotations["a"] == text  # type: ignore[index]
    assert arena.exec(["sh", "-c", 'printf %s "$A"']) == text
