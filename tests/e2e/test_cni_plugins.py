"""CNI plug-ins, Debian's and some that misbehave, in network namespaces of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.node.network.cni import Directories, attachments, plugins
from kubelite.node.network.cni.attachments import Connection
from kubelite.node.network.cni.requests import PodFacts
from kubelite.node.network.cni.results import Addresses
from kubelite.node.network.errors import NetworkError, PluginFailed
from kubelite.node.network.ports import HostPort
from kubelite.node.runtime.processes import start_ticks
from tests.crash.crashworld import child, ended
from tests.e2e.world import alive, eventually
from tests.testing.cni import Site

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
WEB = HostPort(host_port=8080, container_port=80)
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
NOTE = 'echo "$CNI_COMMAND" >> {notes}; cat > {config}; '
PASS = 'sed "s/.*\\"prevResult\\"://; s/}}$//" {config}'


class Pod:
    """A process in a network namespace of its own, and its connection."""

    def __init__(self, folder: Path, site: Site) -> None:
        self.folder, self.site = folder, site
        folder.mkdir()
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self.holder = (self.process.pid, start_ticks(self.process.pid) or 0)
        own = os.readlink("/proc/self/ns/net")
        eventually(
            lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own, "the pod has its own"
        )
        self.connection = Connection(f"{folder}/cni.json")

    def add(self, *ports: HostPort, connection: Connection | None = None) -> Addresses:
        facts = PodFacts("default", self.folder.name, "uid", ports)
        network = plugins.read_network(str(self.site.conf)).network
        where = Directories(str(self.site.conf), self.site.path)
        id = os.urandom(32).hex()
        return (connection or self.connection).add(network, where, facts, id, self.holder)

    def delete(self) -> None:
        self.connection.delete(f"/proc/{self.process.pid}/ns/net")

    def inside(self, *command: str) -> str:
        enter = ["nsenter", "--net", "-t", str(self.process.pid)]
        return subprocess.run([*enter, *command], capture_output=True, text=True, check=True).stdout

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    created = Site(tmp_path / "site")
    yield created
    assert created.left() == []
    created.close()


@pytest.fixture
def pod(tmp_path: Path, site: Site) -> Iterator[Pod]:
    created = Pod(tmp_path / "pod1", site)
    yield created
    with contextlib.suppress(NetworkError):
        created.delete()
    created.end()
    assert os.listdir(created.folder) == []


@pytest.mark.parametrize("version", ["0.3.1", "1.0.0"])
def test_a_chain_connects_and_disconnects(site: Site, pod: Pod, version: str) -> None:
    site.configure(
        PORTMAP,
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
        *([{"type": "firewall"}] if version != "0.3.1" else []),
        {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}},
        version=version,
    )
    addresses = pod.add(WEB)
    assert addresses[:2] == (("10.88.7.2",), "10.88.7.1")
    assert addresses.host_interfaces == (site.bridge, *site.ports())
    assert "10.88.7.2/24" in pod.inside("ip", "address", "show", "eth0")
    assert pod.inside("sysctl", "-n", "net.core.somaxconn") == "500\n"
    assert len(site.ports()) == 1
    assert site.leased() == ["10.88.7.2"]
    assert any("8080" in rule for rule in site.rules())
    pod.delete()
    assert site.left() == []
    pod.delete()  # there is nothing left to undo


def test_a_check_says_what_has_changed(site: Site, pod: Pod) -> None:
    """Without portmap: that of Debian 12 misses rules of IPv6 where there is no such address."""
    site.configure({"type": "firewall"}, {"type": "tuning"})
    pod.add()
    pod.connection.check()
    pod.inside("ip", "route", "delete", "default")
    with pytest.raises(PluginFailed, match="bridge of network tests has failed to CHECK"):
        pod.connection.check()
    site.configure(disableCheck=True)
    pod.add()
    pod.inside("ip", "route", "delete", "default")
    pod.connection.check()


def test_what_was_made_on_the_host_goes_though_the_namespace_has_gone(site: Site, pod: Pod) -> None:
    site.configure(PORTMAP, subnets=["fd00:88::/64"])
    assert pod.add(WEB).of_pod == ("10.88.7.2", "fd00:88::2")
    for address in ("10.88.7.2/32", "fd00:88::2/128"):
        assert any(f"POSTROUTING -s {address}" in rule for rule in site.rules())
    pod.end()
    pod.connection.delete("")
    assert site.left() == []


def test_an_attachment_is_undone_as_it_was_made(site: Site, pod: Pod) -> None:
    site.configure(PORTMAP)
    pod.add(WEB)
    (site.conf / "10-tests.conflist").unlink()
    pod.delete()
    assert site.left() == []


def test_a_plug_in_that_fails_leaves_nothing_and_is_quoted(site: Site, pod: Pod) -> None:
    site.plugin(
        "refuses",
        '[ "$CNI_COMMAND" = DEL ] || { echo \'{"code": 100, "msg": "no", '
        '"details": "not today"}\'; exit 1; }',
    )
    site.configure(PORTMAP, {"type": "refuses"})
    with pytest.raises(PluginFailed) as caught:
        pod.add(WEB)
    assert caught.value.message == (
        "CNI plug-in refuses of network tests has failed to ADD: no; not today (code 100)"
    )
    assert site.left() == []
    assert pod.connection.read() is None


def test_a_version_that_a_plug_in_refuses_leaves_nothing(site: Site, pod: Pod) -> None:
    site.configure(PORTMAP, {"type": "firewall"}, version="0.3.1")
    with pytest.raises(PluginFailed, match="incompatible CNI versions") as caught:
        pod.add(WEB)
    assert caught.value.hint.startswith(f"change cniVersion in {site.conf}")
    assert site.left() == []
    assert pod.connection.read() is None


def test_what_cannot_be_undone_stays_on_record_until_it_can(site: Site, pod: Pod) -> None:
    site.plugin(
        "stubborn",
        f"[ $CNI_COMMAND = DEL ] && [ ! -e {site.bin}/may ] && exit 1; "
        f"{PASS.format(config='/dev/stdin')}",
    )
    site.configure({"type": "stubborn"})
    pod.add()
    for _ in range(2):
        with pytest.raises(PluginFailed, match="stubborn of network tests has failed to DEL") as e:
            pod.delete()
        assert e.value.hint.startswith(f"delete {pod.folder}/cni.json")
    assert site.leased() == ["10.88.7.2"]
    (site.bin / "may").touch()
    pod.delete()
    assert site.left() == []


def test_a_plug_in_that_hangs_is_killed_with_what_it_has_started(site: Site, pod: Pod) -> None:
    notes = site.bin / "pids"
    site.plugin(
        "hangs", f"[ $CNI_COMMAND = DEL ] && exit 0; sleep 600 & echo $$ $! > {notes}; wait"
    )
    site.configure({"type": "hangs"})
    connection = Connection(f"{pod.folder}/cni.json", timeout=1)
    with pytest.raises(PluginFailed, match=r"hangs .* has not answered to ADD within 1 s"):
        pod.add(connection=connection)
    assert site.left() == []
    for pid in map(int, notes.read_text().split()):
        eventually(lambda pid=pid: not alive(pid), f"process {pid} of the plug-in is gone")


def test_a_missing_plug_in_is_named_before_anything_is_made(site: Site, pod: Pod) -> None:
    site.configure({"type": "absent"})
    with pytest.raises(PluginFailed, match=r"CNI plug-in absent of network tests .* is not in"):
        pod.add()
    assert not Path(f"/sys/class/net/{site.bridge}").exists()


def test_a_plug_in_that_outlives_its_killed_caller_is_waited_for(site: Site, pod: Pod) -> None:
    """Otherwise what it makes after the DEL would stay for ever."""
    begun, go = site.bin / "begun", site.bin / "go"
    site.plugin(
        "slow",
        f"[ $CNI_COMMAND = ADD ] && {{ touch {begun}; until [ -e {go} ]; do sleep 0.02; done; }}; "
        f"exec /usr/lib/cni/bridge",
    )
    site.configure()
    path = site.conf / "10-tests.conflist"
    path.write_text(path.read_text().replace('"type": "bridge"', '"type": "slow"'))
    caller = child(pod.add)
    eventually(begun.exists, "the plug-in has begun")
    os.kill(caller, signal.SIGKILL)
    assert ended(caller) == -signal.SIGKILL
    undoing = child(pod.delete)
    go.touch()
    assert ended(undoing) == 0
    assert site.left() == []
    assert pod.connection.read() is None


def test_status_and_garbage_collection_are_asked_of_plug_ins_of_version_1_1(
    tmp_path: Path, site: Site
) -> None:
    notes, config = tmp_path / "notes", tmp_path / "config"
    site.plugin(
        "modern", NOTE.format(notes=notes, config=config) + "test ! -e " + f"{tmp_path}/ill"
    )
    where = Directories(str(site.conf), site.path)
    site.write([{"type": "modern"}], version="1.0.0", cniVersions=["1.1.0", "1.0.0"])
    attachments.check_status(where)
    assert attachments.collect_garbage(where, lambda: ["id1"]) == []
    assert notes.read_text().split() == ["STATUS", "GC"]
    told = json.loads(config.read_text())
    assert told["cniVersion"] == "1.1.0"
    assert told["cni.dev/valid-attachments"] == [{"containerID": "id1", "ifname": "eth0"}]
    (tmp_path / "ill").touch()
    with pytest.raises(PluginFailed, match="modern of network tests has failed to STATUS"):
        attachments.check_status(where)
    (problem,) = attachments.collect_garbage(where, list)
    assert "modern of network tests has failed to GC" in problem
    notes.unlink()
    site.write([{"type": "modern"}], version="1.1.0", disableGC=True)
    assert attachments.collect_garbage(where, list) == []
    site.write([{"type": "modern"}], version="1.0.0")
    assert attachments.collect_garbage(where, list) == []
    attachments.check_status(where)
    assert not notes.exists()


def test_configuration_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PluginFailed, match=f"{tmp_path}/no cannot be read: No such file") as caught:
        plugins.read_network(f"{tmp_path}/no")
    assert "--cni-conf-dir" in caught.value.hint
