"""kill -9 at every act of connecting and disconnecting a pod by CNI plug-ins: nothing stays."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.network.cni import Directories
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import Fate, child, ended, quiet
from tests.e2e.world import SLEEP, eventually, kill, pod
from tests.testing.cni import Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
UP = ("record attachment", "CNI ADD bridge", "CNI ADD portmap", "record result of the plug-ins")
DOWN = ("CNI DEL portmap", "CNI DEL bridge", "forget attachment")


class Ward:
    """A state root with one pod, ``p``, whose network is that of ``site``."""

    def __init__(self, folder: Path) -> None:
        self.home, self.site, self._notes = Home(f"{folder}/k"), Site(folder / "cni"), folder / "n"
        self.site.configure(PORTMAP)
        ports = [{"containerPort": 80, "hostPort": 8080}]
        document = pod(SLEEP, ports=ports)
        defaults.pod(document)
        self._pod = msgspec.convert(document, Pod)

    def up(self, fate: Fate | None = None) -> None:
        where = Directories(str(self.site.conf), self.site.path)
        Pods(self.home, trace=fate or quiet).up(self._pod, cni=where, report=quiet)

    def down(self, fate: Fate | None = None) -> None:
        Pods(self.home, trace=fate or quiet).down("default", "p", grace=0, report=quiet)

    def fate(self, until: str, late: float = 0.0) -> Fate:
        return Fate(self._notes, until=until, late=late)

    def address(self) -> str:
        (record,) = Ledger(self.home).pods()
        sandbox = Ledger(self.home).sandbox(record.uid)
        return sandbox.address if sandbox is not None else ""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    before = snapshot(tmp_path / "k")
    created = Ward(tmp_path)
    yield created
    assert created.site.left() == []
    created.site.close()
    assert difference(before, snapshot(tmp_path / "k")) == []


@pytest.mark.parametrize(
    ("act", "late", "is_continued"),
    [
        *((act, 0.0, False) for act in UP),
        ("CNI ADD bridge", 0.02, True),
        ("record sandbox", 0.0, True),
    ],
)
def test_an_up_that_is_killed_is_continued_or_undone(
    ward: Ward, act: str, late: float, *, is_continued: bool
) -> None:
    killed = child(lambda: ward.up(ward.fate(act, late)))
    assert ended(killed) == -signal.SIGKILL
    if is_continued:
        ward.up()
        assert ward.site.leased() == [ward.address()]
        assert len(ward.site.ports()) == 1
    ward.down()


@pytest.mark.parametrize("act", DOWN)
def test_a_down_that_is_killed_is_continued(ward: Ward, act: str) -> None:
    ward.up()
    killed = child(lambda: ward.down(ward.fate(act)))
    assert ended(killed) == -signal.SIGKILL
    ward.down()


def test_what_a_pod_had_goes_when_its_pause_is_killed(ward: Ward) -> None:
    """The care command that the shim executes undoes it, without a network namespace."""
    ward.up()
    (record,) = Ledger(ward.home).pods()
    sandbox = Ledger(ward.home).sandbox(record.uid)
    assert sandbox is not None
    assert ward.site.left() != []
    kill(sandbox.pause_pid)
    eventually(lambda: ward.site.left() == [], "the plug-ins have undone their work")
    ward.down()
