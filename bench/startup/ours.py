"""kubelite itself: its engine in this process, and the whole command.

The pod is podman's: two containers of the small root that execute `/pause`, a directory of the host
at /srv, limits. Beside "kubelite pod" another pod of the home runs, so that only what belongs to
the pod is made, as in the floor. "kubelite first pod" and the command's pod are alone in their
home: bridge, subnet and firewall table are made for each one, as podman makes its.
"""

import contextlib
import os
import shutil
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from startup.isolation import mount_tmpfs, unmount
from startup.measure import BenchError, Marks, Subject, Unavailable, timed_run
from startup.site import Site

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "bench"
_POD = """\
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  volumes:
  - name: data
    hostPath: {{path: {volume}, type: Directory}}
  containers:
"""
_CONTAINER = """\
  - name: {name}
    image: {image}
    imagePullPolicy: Never
    command: [{command}]
    resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}
    volumeMounts: [{{name: data, mountPath: /srv}}]
"""


def manifest(site: Site, name: str, containers: tuple[str, ...], command: str = "/pause") -> str:
    """The pod, as YAML."""
    parts = [_CONTAINER.format(name=each, image=IMAGE, command=command) for each in containers]
    return _POD.format(name=name, volume=site.volume) + "".join(parts)


class Engine:
    """A home below the run's directory, with the small root as its image."""

    def __init__(self, site: Site, name: str) -> None:
        self.site = site
        self.root = site.work / f"kubelite-{name}"
        self._pods: Any = None

    def prepare(self) -> None:
        try:
            from kubelite.core import native  # noqa: F401
            from kubelite.node.image.store import ImageStore
            from kubelite.node.kubelet.pods.pods import Pods
            from kubelite.node.runtime.home import Home
        except ImportError as error:
            raise Unavailable(f"cannot be imported, is it built? {error}") from error
        self.home = Home(str(self.root))
        self.home.make()
        mount_tmpfs(Path(self.home.run))  # the default home's lies in /run
        self.home.make()
        ImageStore(Path(self.home.images)).import_rootfs(IMAGE, self.site.lower)
        self._pods = Pods(self.home)

    def pod(self, name: str, containers: tuple[str, ...], command: str = "/pause") -> Any:
        """The typed pod."""
        import msgspec
        import yaml

        from kubelite.objects.pod.pod import Pod

        return msgspec.convert(yaml.safe_load(manifest(self.site, name, containers, command)), Pod)

    def up(self, pod: Any) -> None:
        self._pods.up(pod, report=_ignore)

    def down(self, name: str) -> None:
        self._pods.down("default", name, grace=0, report=_ignore)

    def cleanup(self) -> None:
        """Takes down what an interruption left, and the home with it."""
        if self._pods is not None:
            from kubelite.node.runtime.errors import RuntimeFailure

            # The run directory is a mount point, which is the one thing that reset cannot remove.
            with contextlib.suppress(RuntimeFailure):
                self._pods.reset(_ignore)
            unmount(Path(self.home.run))
            shutil.rmtree(self.root, ignore_errors=True)


def _ignore(_: object) -> None:
    return None


class EnginePod:
    """From the typed pod to both programs executed and the pod on record as up; its removal is
    outside the stamps.
    """

    def __init__(self, site: Site, name: str, *, beside: bool) -> None:
        self._engine = Engine(site, name)
        self._beside = beside

    def prepare(self) -> None:
        self._engine.prepare()
        self._pod = self._engine.pod("bench", ("one", "two"))
        if self._beside:
            self._engine.up(self._engine.pod("other", ("one",)))

    def once(self) -> Marks:
        start = time.monotonic_ns()
        self._engine.up(self._pod)
        up = time.monotonic_ns() - start
        self._engine.down("bench")
        return {"up": up}

    def cleanup(self) -> None:
        self._engine.cleanup()


class EngineContainer:
    """One container more in a sandbox that is ready: record, directories, cgroup, plan, start; then
    its exit.
    """

    def __init__(self, site: Site) -> None:
        self._engine = Engine(site, "container")
        self._attempt = 0
        self._sandbox: Any = None

    def prepare(self) -> None:
        self._engine.prepare()
        from kubelite.node.cgroup.detect import read_world
        from kubelite.node.cgroup.tree import CgroupTree
        from kubelite.node.kubelet.act import images
        from kubelite.node.runtime.container import Containers
        from kubelite.node.runtime.ledger import Ledger

        home = self._engine.home
        self._engine.up(self._engine.pod("bench", ("hold",)))
        ledger = Ledger(home)
        self._record = next(ledger.pods())
        self._tree = CgroupTree(read_world(), home.cgroup)
        self._containers = Containers(home, ledger, self._tree, self._record, _ignore)
        pod = self._engine.pod("bench", ("more",), "/true")
        self._decide(pod, images.resolve(home, pod), ledger)

    def _decide(self, pod: Any, found: Any, ledger: Any) -> None:
        """What the engine decides about the container, taken once, since it is no part of the
        start.
        """
        from kubelite.node.kubelet.act import facts
        from kubelite.node.kubelet.act.container_inputs import container_inputs, container_mounts
        from kubelite.node.kubelet.act.pod_context import PodContext
        from kubelite.node.kubelet.decide.container_config import NodeFacts
        from kubelite.node.runtime import sandbox
        from kubelite.node.volume.payload import Documents

        home, uid = self._engine.home, self._record.uid
        node = NodeFacts(
            "bench", "", "", facts.cpus(), facts.memory(), facts.capabilities(), "bench"
        )
        context = PodContext(
            home,
            self._tree,
            self._record,
            pod,
            found,
            node,
            facts.read_host_files(),
            lambda: Documents(()),
            {},
            {},
            _ignore,
        )
        self._ledger = ledger
        self._sandbox = sandbox.Sandbox(sandbox.connect(home, uid), ledger.sandbox(uid), -1)
        container = pod.spec.containers[0]
        self._inputs = container_inputs(context, container)
        self._mounts = container_mounts(
            context, self._sandbox.record, container, self._inputs, None
        )

    def once(self) -> Marks:
        self._attempt += 1
        shim, containers = self._sandbox.shim, self._containers
        start = time.monotonic_ns()
        with contextlib.closing(containers.prepare(self._inputs, self._attempt)) as prepared:
            pending = containers.request_start(shim, prepared, self._mounts)
            record = containers.await_start(shim, pending)
            self._ledger.save_container(self._record.uid, record)
            executed = time.monotonic_ns() - start
            ended = shim.exited(shim.ask_wait(record.id), 10)
            exited = time.monotonic_ns() - start
        if ended.code != 0:
            raise BenchError(f"kubelite container: exit code {ended.code}")
        self._undo(shim, record)
        return {"exec": executed, "exit": exited}

    def _undo(self, shim: Any, record: Any) -> None:
        from kubelite.node.runtime.container import cgroup_name

        home, uid = self._engine.home, self._record.uid
        shim.acknowledge(record.id)
        self._tree.remove_container(uid, cgroup_name(record.name, record.attempt))
        shutil.rmtree(f"{home.pod(uid)}/root/{record.name}")
        os.unlink(f"{home.pod_run(uid)}/c-{record.id[:16]}.json")

    def cleanup(self) -> None:
        if self._sandbox is not None:
            self._sandbox.shim.close()
            self._tree.close()
        self._engine.cleanup()


class Command:
    """The whole commands `kubelite pod up`, `pod ls` and `pod down`, Python's start included, from
    spawn to wait.
    """

    def __init__(self, site: Site) -> None:
        self._engine = Engine(site, "command")
        self._site = site

    def prepare(self) -> None:
        self._engine.prepare()
        self._file = self._site.work / "kubelite.yaml"
        self._file.write_text(manifest(self._site, "bench", ("one", "two")))
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        self._environment = {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            "KUBELITE_ROOT": str(self._engine.root),
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        }
        self.once()  # Python's byte code is on disk from here on

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kubelite", *words]

    @property
    def root(self) -> Path:
        """The state root that the commands work on."""
        return self._engine.root

    def timed(self, *words: str) -> int:
        """Nanoseconds that a command takes. Raises BenchError when it fails."""
        return timed_run(self._command(*words), self._environment, self._site.log("kubelite"))

    def once(self) -> Marks:
        words = {
            "up": ("pod", "up", str(self._file)),
            "ls": ("pod", "ls"),
            "down": ("pod", "down", "bench"),
        }
        return {mark: self.timed(*line) for mark, line in words.items()}

    def cleanup(self) -> None:
        self._engine.cleanup()


class WarmCommand(Command):
    """The same by the launcher, with a warm process that is there already."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._engine = Engine(site, "warm")
        self._socket = Path("/run/kubelite-warm", "none")

    def prepare(self) -> None:
        self._launcher = self._site.work / "launcher" / "kubelite"
        self._launcher.parent.mkdir()
        built = ROOT / "build" / "launcher" / os.uname().machine / "kubelite"
        if not built.exists():
            raise Unavailable("the launcher is not built: make build")
        shutil.copy(built, self._launcher)
        python = self._launcher.with_name("kubelite-python")
        python.write_text(f"#!{sys.executable}\nfrom kubelite.cli.main import run\nrun()\n")
        python.chmod(0o755)
        super().prepare()  # the first command finds no warm process, and starts one
        info = self._launcher.stat()
        self._socket = Path("/run/kubelite-warm", f"{info.st_dev}-{info.st_ino}")
        for _ in range(3000):
            if self._socket.exists():
                return
            time.sleep(0.01)
        raise BenchError("no warm process after 30 seconds")

    def _command(self, *words: str) -> list[str]:
        return [str(self._launcher), *words]

    def cleanup(self) -> None:
        if self._socket.exists():
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(self._socket))
                peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            os.kill(int.from_bytes(peer[:4], sys.byteorder), signal.SIGKILL)
            self._socket.unlink()
        super().cleanup()


def our_subjects(site: Site) -> list[Subject]:
    container, command, warm = EngineContainer(site), Command(site), WarmCommand(site)
    alone, beside = EnginePod(site, "pod", beside=False), EnginePod(site, "beside", beside=True)
    return [
        Subject(
            "kubelite container",
            "container",
            "ours",
            container.once,
            container.prepare,
            container.cleanup,
            10,
        ),
        Subject("kubelite pod", "pod", "ours", beside.once, beside.prepare, beside.cleanup, 5),
        Subject("kubelite first pod", "pod", "ours", alone.once, alone.prepare, alone.cleanup, 3),
        Subject(
            "kubelite pod up", "pod", "ours", command.once, command.prepare, command.cleanup, 1
        ),
        Subject("kubelite, warm", "pod", "ours", warm.once, warm.prepare, warm.cleanup, 2),
    ]
