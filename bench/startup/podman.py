"""`podman kube play` of a pod with two containers and a network, from an image made of the small
root.

podman works below the run's directory, in the peers' mount namespace and the run's network
namespace. Where raising hard limits is refused, a small runtime in front of crun takes the
`rlimits` that podman always asks for out of config.json.
"""

import os
import shutil
from pathlib import Path

from startup.measure import BenchError, Marks, Subject, Unavailable, run, timed_run
from startup.site import Site, compile_c, pack

_IMAGE = "localhost/kubelite-bench:latest"
_CAP_SYS_RESOURCE = 24
_POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: bench
spec:
  restartPolicy: Never
  volumes:
  - name: data
    hostPath: {{path: {volume}, type: Directory}}
  containers:
"""
_CONTAINER = """\
  - name: {name}
    image: {image}
    imagePullPolicy: Never
    command: [/pause]
    resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}
    volumeMounts: [{{name: data, mountPath: /srv}}]
"""
_CONFIGURATION = """\
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
static_dir = "{home}/static"
tmp_dir = "{home}/tmp"
volume_path = "{home}/volumes"
[engine.runtimes]
crun = ["{runtime}"]
[network]
network_backend = "netavark"
network_config_dir = "{home}/networks"
"""
_STORAGE = """\
[storage]
driver = "overlay"
graphroot = "{home}/root"
runroot = "{home}/runroot"
"""
_NEEDED = ("podman", "crun", "conmon", "catatonit", "iptables")
_NETAVARK = [Path(folder) / "netavark" for folder in ("/usr/lib/podman", "/usr/libexec/podman")]


def _may_raise_limits() -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)
    return False


def _is_installed(program: str) -> bool:
    return (
        shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/libexec/podman") is not None
    )


class Podman:
    """The whole `podman kube play` command, from spawn to wait; `pod rm` is outside the stamps."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._home = site.work / "podman"
        self._environment: dict[str, str] = {}

    def prepare(self) -> None:
        missing = [name for name in _NEEDED if not _is_installed(name)]
        missing += [] if any(path.exists() for path in _NETAVARK) else ["netavark"]
        if missing:
            raise Unavailable(f"not installed: {', '.join(missing)}")
        self._home.mkdir()
        self._configure(self._runtime())
        self._write_pod()
        pack(self._site.lower, self._home / "root.tar")
        self._podman("import", "--quiet", str(self._home / "root.tar"), _IMAGE)
        self.once()  # builds podman's own pause image

    def _runtime(self) -> Path:
        """crun, or what stands in front of it; podman looks at the program's name."""
        real = shutil.which("crun")
        assert real is not None
        if _may_raise_limits():
            return Path(real)
        front = self._home / "bin" / "crun"
        front.parent.mkdir()
        compile_c(front, ["nolimits.c"], f'-DREAL_RUNTIME="{real}"')
        return front

    def _configure(self, runtime: Path) -> None:
        containers, storage = self._home / "containers.conf", self._home / "storage.conf"
        containers.write_text(_CONFIGURATION.format(home=self._home, runtime=runtime))
        storage.write_text(_STORAGE.format(home=self._home))
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "HOME": str(self._home),
            "CONTAINERS_CONF": str(containers),
            "CONTAINERS_STORAGE_CONF": str(storage),
        }

    def _write_pod(self) -> None:
        text = _POD.format(volume=self._site.volume)
        text += "".join(_CONTAINER.format(name=name, image=_IMAGE) for name in ("one", "two"))
        (self._home / "pod.yaml").write_text(text)

    def _command(self, *words: str) -> list[str]:
        program = shutil.which("podman") or "/usr/bin/podman"
        return [
            program,
            "--root",
            f"{self._home}/root",
            "--runroot",
            f"{self._home}/runroot",
            *words,
        ]

    def _podman(self, *words: str) -> None:
        """An unmeasured podman command. Raises BenchError with what it said."""
        with self._site.isolation.peers():
            code, said = run(self._command(*words), self._environment)
        if code != 0:
            raise BenchError(f"podman {words[0]}: {said[-800:]}")

    def once(self) -> Marks:
        command = self._command("kube", "play", str(self._home / "pod.yaml"))
        with self._site.isolation.peers():
            up = timed_run(command, self._environment, self._site.log("podman"))
        self._podman("pod", "rm", "--force", "--time", "0", "bench")
        return {"up": up}

    def cleanup(self) -> None:
        """Ends the pods and lets podman unmount and delete its storage."""
        if not self._environment:
            return
        self._podman("pod", "rm", "--force", "--time", "0", "--all")
        self._podman("system", "reset", "--force")


def podman_subjects(site: Site) -> list[Subject]:
    podman = Podman(site)
    return [
        Subject("podman kube play", "pod", "peer", podman.once, podman.prepare, podman.cleanup, 1)
    ]
