"""crun and runc: `run` of a bundle that asks for what the floor's container gets, in the floor's
sandbox. Their root is a plain directory: no overlay to mount, so they have less to do."""

import json
import os
import shutil
from typing import Any

from startup.floor import Floor
from startup.measure import Marks, Subject, Unavailable, run, timed_run
from startup.site import Site, make_root

# fmt: off
_CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP",
    "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)]
_MASKED = [f"/proc/{name}" for name in (
    "acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "timer_stats", "sched_debug",
    "scsi",
)] + ["/sys/firmware", "/sys/devices/virtual/powercap"]
_READ_ONLY = [f"/proc/{name}" for name in ("bus", "fs", "irq", "sys", "sysrq-trigger")]
# fmt: on
_STRICT = ["nosuid", "noexec", "nodev"]
_SHARED = {"network": "net", "ipc": "ipc", "uts": "uts"}
Json = dict[str, Any]


def mount(target: str, kind: str, source: str, *options: str) -> Json:
    """A mount of a bundle's config.json."""
    return {"destination": target, "type": kind, "source": source, "options": list(options)}


def bundle_config(sandbox: int | None, cgroup: str, volume: str, shm: str) -> Json:
    """config.json of a container in the sandbox held by that process; None: with a sandbox of its
    own."""
    capabilities = dict.fromkeys(("bounding", "effective", "permitted"), _CAPABILITIES)
    shared: list[Json] = [{"type": kind} for kind in _SHARED]
    if sandbox is not None:
        shared = [
            {"type": kind, "path": f"/proc/{sandbox}/ns/{file}"} for kind, file in _SHARED.items()
        ]
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["/true"],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": capabilities,
        },
        "root": {"path": "rootfs"},
        "mounts": [
            mount("/proc", "proc", "proc", *_STRICT),
            mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=64k"),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ),
            mount("/dev/shm", "bind", shm, "bind"),
            mount("/dev/mqueue", "mqueue", "mqueue", *_STRICT),
            mount("/sys", "sysfs", "sysfs", *_STRICT, "ro"),
            mount("/srv", "bind", volume, "rbind"),
        ],
        "linux": {
            "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "cgroup"}, *shared],
            "cgroupsPath": cgroup,
            "resources": {
                "cpu": {"shares": 512},
                "memory": {"limit": 64 << 20},
                "pids": {"limit": 128},
                "devices": [{"allow": False, "access": "rwm"}],
            },
            "maskedPaths": _MASKED,
            "readonlyPaths": _READ_ONLY,
        },
    }


class OciRuntime:
    """`crun run` or `runc run`, the whole process from spawn to wait."""

    def __init__(self, site: Site, program: str, floor: Floor) -> None:
        self._site = site
        self._program = program
        self._floor = floor
        self._path = ""
        self._count = 0

    @property
    def _home(self) -> str:
        return str(self._site.work / self._program)

    def prepare(self) -> None:
        path = shutil.which(self._program)
        if path is None:
            raise Unavailable("not installed")
        self._path = path
        bundle = self._site.work / self._program / "bundle"
        make_root(bundle / "rootfs")
        shutil.copy2(self._site.lower / "true", bundle / "rootfs" / "true")
        cgroup = f"/{self._site.cgroup(self._program)}/c"
        config = bundle_config(self._floor.sandbox, cgroup, str(self._site.volume), "/dev/shm")
        (bundle / "config.json").write_text(json.dumps(config))

    def _command(self, *words: str) -> list[str]:
        return [self._path, "--root", f"{self._home}/state", *words]

    def once(self) -> Marks:
        self._count += 1
        command = self._command("run", "--bundle", f"{self._home}/bundle", f"c{self._count}")
        with self._site.isolation.peers():
            return {"exit": timed_run(command, dict(os.environ), self._site.log(self._program))}

    def cleanup(self) -> None:
        """`run` deletes its container; only an interrupted one is still there."""
        if self._path and self._count:
            with self._site.isolation.peers():
                run(self._command("delete", "--force", f"c{self._count}"))


def oci_subjects(site: Site, floor: Floor) -> list[Subject]:
    runtimes = {name: OciRuntime(site, name, floor) for name in ("crun", "runc")}
    return [
        Subject(f"{name} run", "container", "peer", one.once, one.prepare, one.cleanup, 3)
        for name, one in runtimes.items()
    ]
