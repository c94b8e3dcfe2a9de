"""kill -9 between the steps in which a pod's volumes are made, mounted and removed: whoever comes
next finishes the work, and nothing is left behind.

Python's steps are the changes to the file system that the room of volumes makes; the kernel's are
the calls that attach a mount, in the shim and in a container that is about to start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from kubelite.node import volume
from kubelite.node.kubelet.act import pod_names
from kubelite.node.kubelet.agent.agent import Agent
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.ledger import Ledger
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import Ward, child, ended, quiet
from tests.e2e.world import World, eventually, world

__all__ = ["world"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ROOM = f"{Path(volume.__file__).parent}/"
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.chmod", "os.chown"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
GROUP = 4321
KINDS = ("config", "secret", "both", "disk", "memory", "data", "host")
SEEN = "/config/a/b /secret/k /both/a /both/name /both/k".split()
SCRIPT = f"""cat {" ".join(SEEN)} > /host/.seen
for v in disk/sub memory/sub data host; do echo -n $v > /$v/file; cat /$v/file >> /host/.seen; done
mv /host/.seen /host/seen; trap 'exit 0' TERM; while :; do sleep 0.02; done"""
WANTED = "1ss1pssdisk/submemory/subdatahost"
OBJECTS: list[dict[str, Any]] = [
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"k": "c3M="}},
]
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Mi"}},
    },
}


def document(host: Path) -> dict[str, Any]:
    """A pod with a volume of each kind that the node makes something for, which writes down what it
    sees.
    """
    sources: dict[str, Any] = {
        "config": {"configMap": {"name": "c", "items": [{"key": "a", "path": "a/b"}]}},
        "secret": {"secret": {"secretName": "s"}},
        "both": {"projected": {"sources": [
            {"configMap": {"name": "c"}},
            {"downwardAPI": {"items": [{"path": "name",
                                        "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"secret": {"name": "s"}},
        ]}},
        "disk": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "data": {"persistentVolumeClaim": {"claimName": "data"}},
        "host": {"hostPath": {"path": str(host), "type": "DirectoryOrCreate"}},
    }  # fmt: skip
    sub = {"disk": "sub", "memory": "sub"}
    mounts = [
        {"name": n, "mountPath": f"/{n}/{sub[n]}" if n in sub else f"/{n}", "subPath": sub.get(n)}
        for n in KINDS
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {
            "restartPolicy": "Always",
            "securityContext": {"fsGroup": GROUP},
            "volumes": [{"name": name, **sources[name]} for name in KINDS],
            "containers": [
                {
                    "name": "c",
                    "image": "host",
                    "command": ["sh", "-c", SCRIPT],
                    "volumeMounts": [{k: v for k, v in m.items() if v} for m in mounts],
                }
            ],
        },
    }


class Place:
    """A state root, the pod, and what it leaves."""

    def __init__(self, tmp_path: Path) -> None:
        self.host = tmp_path / "host/made"
        self.sites = tmp_path / "sites"
        spec = document(self.host)
        defaults.pod(spec)
        pod = msgspec.convert(spec, Pod)
        self.ward = Ward(tmp_path / "k", pod, pod, tmp_path / "tokens")

    def up(self) -> None:
        Pods(self.ward.home).up(self.ward.pod, documents=OBJECTS, report=quiet)

    def down(self) -> None:
        self.ward.verb("down", grace=0)

    def check(self) -> None:
        """The pod sees its volumes; taken down, only what outlives pods is there."""
        content = self.host / "seen"
        self.ward.until(content.exists, "the container has seen its volumes")
        assert content.read_text() == WANTED
        content.unlink()

    def check_gone(self) -> None:
        self.ward.take_down()
        home = self.ward.home
        claim = Path(home.claim("default", "data"))
        places = [Path(name) for name in (home.pods, home.logs, f"{home.run}/pods")]
        self.ward.until(lambda: not any(list(p.glob("*")) for p in places), "nothing is left of it")
        assert set(claim.parent.glob("*")) <= {claim, claim.parent / ".lock"}
        for path in (claim / "file", self.host / "file", self.host / "seen"):
            path.unlink(missing_ok=True)

    def forget(self) -> None:
        """The next pod makes what outlives pods anew."""
        home = self.ward.home
        subprocess.run(["rm", "-rf", home.claim("default", "data"), self.host.parent], check=True)

    def watch(self, last: str = "") -> None:
        """From now on this process notes where the room of volumes changes the file system, and
        dies just before it does so at the place ``last``.
        """

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            if event in CHANGES or (event == "open" and int(arguments[2] or 0) & WRITES):
                site = _site(event)
                if site and site == last:
                    os.kill(os.getpid(), signal.SIGKILL)
                if site:
                    line = f"{site}\n".encode()
                    os.write(notes, line)

        notes = os.open(self.sites, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        sys.addaudithook(hook)

    def noted(self, act: Callable[[], Any]) -> list[str]:
        """The places that ``act`` comes by, each once, in their order."""
        self.sites.write_text("")
        assert ended(child(lambda: (self.watch(), act()))) == 0
        return list(dict.fromkeys(self.sites.read_text().splitlines()))


def _site(event: str) -> str:
    """Where in the room of volumes this comes from; "" for the rest of the program."""
    frame, lines = sys._getframe(2), []
    while frame is not None:
        if frame.f_code.co_filename.startswith(ROOM):
            lines.append(f"{frame.f_code.co_filename[len(ROOM) :]}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return " ".join([event, *lines]) if lines else ""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    before = snapshot(place.ward.home.root)
    yield place
    place.check_gone()
    assert difference(before, snapshot(place.ward.home.root)) == []


def test_a_command_is_killed_at_each_step_of_making_volumes(place: Place) -> None:
    sites = place.noted(place.up)
    place.check()
    place.check_gone()
    assert len(sites) > 20, sites
    for site in sites:
        place.forget()
        code = ended(child(lambda site=site: (place.watch(site), place.up())))
        assert code == -signal.SIGKILL, site
        assert ended(child(place.up)) == 0, site
        place.check()
        place.check_gone()


def test_a_pod_goes_whose_command_was_killed_at_a_step_of_making_volumes(place: Place) -> None:
    """Nobody continues: it is taken down as it is."""
    sites = place.noted(place.up)
    place.check_gone()
    for site in sites[:: len(sites) // 6]:
        place.forget()
        assert ended(child(lambda site=site: (place.watch(site), place.up()))) == -signal.SIGKILL
        assert place.ward.get() is not None
        place.check_gone()


def test_an_agent_is_killed_at_each_step_of_making_volumes(place: Place) -> None:
    """The agent is the one that brings the pod up: the command died with its record."""

    def agent(site: str) -> None:
        place.watch(site)
        Agent(place.ward.home, stays=True).run()

    def claim() -> None:
        place.ward.home.make()
        home, pod = place.ward.home, place.ward.pod
        pod_names.claim(home, Ledger(home), pod, documents=OBJECTS)
        os.kill(os.getpid(), signal.SIGKILL)

    sites = place.noted(place.up)
    place.check_gone()
    for site in sites[1 :: len(sites) // 8]:
        place.forget()
        assert ended(child(claim)) == -signal.SIGKILL
        assert ended(child(lambda site=site: agent(site))) == -signal.SIGKILL, site
        place.ward.start_agent()
        place.check()
        place.check_gone()


def test_a_command_is_killed_at_each_step_of_removing_volumes(place: Place) -> None:
    place.up()
    place.check()
    sites = place.noted(place.down)
    assert sites
    for site in sites:
        assert ended(child(place.up)) == 0
        place.check()
        code = ended(child(lambda site=site: (place.watch(site), place.down())))
        assert code == -signal.SIGKILL, site
        place.check_gone()


def killed_at_a_mount(world: World, manifest: Path, trace: Path, call: str, number: int) -> str:
    """``pod up`` during which a process is killed as it enters its ``number``-th ``call``; returns
    what is left of the trace once that has happened.
    """
    trace.write_text("")
    tracer = ["strace", "-f", "-o", str(trace), "-e", f"trace={call}"]
    inject = f"--inject={call}:signal=SIGKILL:when={number}"
    command = world.command("pod", "up", str(manifest))
    with subprocess.Popen(
        [*tracer, inject, *command],
        env=world.env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as traced:
        try:
            eventually(lambda: "killed by SIGKILL" in trace.read_text(), "a mount was its last", 60)
        finally:
            traced.kill()  # those that it traced go on
    return trace.read_text()


@pytest.mark.parametrize(
    ("call", "number"),
    [("move_mount", 1), ("move_mount", 2), ("move_mount", 5), ("move_mount", 14), ("mount", 1)],
)
def test_a_shim_or_a_container_is_killed_between_two_mounts(
    world: World, tmp_path: Path, call: str, number: int
) -> None:
    """The first mounts are those of the pod, in the shim; later ones are a container's. That the
    host's mount table stays as it was is checked when the test is over.
    """
    host, manifest = tmp_path / "host/made", tmp_path / "p.yaml"
    manifest.write_text(yaml.safe_dump_all([*OBJECTS, CLAIM, document(host)]))
    assert call in killed_at_a_mount(world, manifest, tmp_path / "trace", call, number)
    eventually(lambda: world.up(manifest.read_text(), check=False).returncode == 0, "it is up", 60)
    eventually(lambda: (host / "seen").exists(), "the container has seen its volumes")
    assert (host / "seen").read_text() == WANTED
