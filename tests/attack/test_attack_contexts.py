"""Generated security contexts, really started, against a model of what the kernel should say of the
process.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubelite.node.runtime.identity import ALL_CAPABILITIES
from tests.attack.arena import Arena, pod

DEFAULT = 0xA80425FB
FULL = int(
    next(
        line.split()[1]
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapPrm")
    ),
    16,
)
names = st.lists(
    st.sampled_from(["NET_ADMIN", "SYS_TIME", "CHOWN", "KILL", "SYS_ADMIN", "NET_BIND_SERVICE"]),
    max_size=3,
    unique=True,
)
ids = st.sampled_from([0, 4321, 54321])  # but for root none that the image has a group for
contexts = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": ids,
        "runAsGroup": st.sampled_from([0, 5, 65534]),
        "allowPrivilegeEscalation": st.booleans(),
        "readOnlyRootFilesystem": st.booleans(),
        "capabilities": st.fixed_dictionaries(
            {}, optional={"add": names, "drop": st.one_of(st.just(["ALL"]), names)}
        ),
        "seccompProfile": st.sampled_from([{"type": "RuntimeDefault"}, {"type": "Unconfined"}]),
        "privileged": st.booleans(),
        "procMount": st.sampled_from(["Default", "Unmasked"]),
    },
)
shared = st.fixed_dictionaries(
    {},
    optional={
        "runAsUser": st.sampled_from([0, 777]),
        "supplementalGroups": st.lists(st.sampled_from([11, 12, 13]), max_size=2, unique=True),
        "supplementalGroupsPolicy": st.sampled_from(["Merge", "Strict"]),
        "fsGroup": st.sampled_from([21, 22]),
        "fsGroupChangePolicy": st.sampled_from(["Always", "OnRootMismatch"]),
        "seccompProfile": st.sampled_from([{"type": "RuntimeDefault"}, {"type": "Unconfined"}]),
    },
)


def mask(words: list[str]) -> int:
    return sum(1 << ALL_CAPABILITIES.index(word) for word in words)


def model(own: dict[str, Any], pods: dict[str, Any]) -> dict[str, Any]:
    """What /proc/PID/status should say; written from the Kubernetes documentation, not from the
    product.
    """
    uid = own.get("runAsUser", pods.get("runAsUser", 0))
    gid = own.get("runAsGroup", 0)
    privileged = own.get("privileged", False)
    wanted = own.get("capabilities", {})
    dropped = wanted.get("drop", [])
    bounding = 0 if "ALL" in dropped else DEFAULT & ~mask(dropped)
    bounding = FULL if privileged else (bounding | mask(wanted.get("add", []))) & FULL
    seccomp = own.get("seccompProfile", pods.get("seccompProfile", {"type": "RuntimeDefault"}))[
        "type"
    ]
    groups = {
        gid,
        *pods.get("supplementalGroups", []),
        *([pods["fsGroup"]] if "fsGroup" in pods else []),
    }
    return {
        "Uid": [str(uid)] * 4,
        "Gid": [str(gid)] * 4,
        "Groups": sorted(map(str, groups)),
        "CapBnd": bounding,
        "CapEff": bounding if uid == 0 else 0,
        "CapInh": 0,
        "CapAmb": 0,
        "NoNewPrivs": int(own.get("allowPrivilegeEscalation") is False),
        "Seccomp": 0 if privileged or seccomp == "Unconfined" else 2,
    }


def mounted(own: dict[str, Any], pods: dict[str, Any]) -> list[str]:
    """What LOOK should say: is / writable, is /proc/keys covered, can /proc/sys be written, who
    owns the volume.
    """
    open_ = own.get("privileged", False) or own.get("procMount") == "Unmasked"
    group = pods.get("fsGroup", 0)
    return [
        "ro" if own.get("readOnlyRootFilesystem") else "rw",
        "0:0" if open_ else "1:3",
        "rw" if open_ else "ro",
        str(group),
    ]


LOOK = (
    "awk '$5 == \"/\" {print substr($6, 1, 2)}' /proc/self/mountinfo; stat -c %t:%T /proc/keys; "
    'awk \'$5 == "/proc/sys" {found = substr($6, 1, 2)} END {print found == "" ? '
    '"rw" : found}\' /proc/self/mountinfo; stat -c %g /v'
)


def effective(status: str) -> dict[str, Any]:
    fields = {
        key: value.split()
        for key, _, value in (line.partition(":") for line in status.splitlines())
    }
    found: dict[str, Any] = {
        "Uid": fields["Uid"],
        "Gid": fields["Gid"],
        "Groups": sorted(fields["Groups"]),
    }
    found |= {key: int(fields[key][0], 16) for key in ("CapBnd", "CapEff", "CapInh", "CapAmb")}
    return found | {key: int(fields[key][0]) for key in ("NoNewPrivs", "Seccomp")}


def contradicts(own: dict[str, Any]) -> bool:
    """Kubernetes refuses a container that may not gain rights and has them all."""
    added = own.get("capabilities", {}).get("add", [])
    return own.get("allowPrivilegeEscalation") is False and (
        own.get("privileged", False) or "SYS_ADMIN" in added
    )


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(contexts.filter(lambda own: not contradicts(own)), shared, st.booleans())
def test_a_process_is_what_its_security_context_says(
    arena: Arena, own: dict[str, Any], pods: dict[str, Any], users: bool
) -> None:
    if not users:  # procMount Unmasked needs a user namespace
        own = {key: value for key, value in own.items() if key != "procMount"}
    spec: dict[str, Any] = {"securityContext": pods, **({"hostUsers": False} if users else {})}
    spec["volumes"] = [{"name": "v", "emptyDir": {}}]
    arena.up(pod(spec=spec, securityContext=own, volumeMounts=[{"name": "v", "mountPath": "/v"}]))
    try:
        expected = model(own, pods)
        assert effective(arena.exec(["cat", "/proc/self/status"])) == expected
        assert effective(arena.exec(["cat", "/proc/1/status"])) == expected
        assert arena.exec(LOOK).split() == mounted(own, pods)
        written = arena.exec("touch /tmp/written-here 2>/dev/null && echo yes || echo no").strip()
        assert written == ("no" if own.get("readOnlyRootFilesystem") else "yes")
    finally:
        arena.down()
