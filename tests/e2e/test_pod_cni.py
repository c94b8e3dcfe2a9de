"""Pods whose network CNI plug-ins make: addresses, host ports, failures, and what stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubelite.core import native
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.network import ipam
from kubelite.node.network.errors import PortTaken
from kubelite.node.runtime.home import Home
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from tests.e2e.test_pod_network import fetched, from_pod, server
from tests.e2e.world import SLEEP, World, eventually, kill, pod
from tests.testing.cni import Site

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}


@pytest.fixture
def site(tmp_path: Path, world: World) -> Iterator[Site]:
    """Its network is the node's setting."""
    created = Site(tmp_path / "cni")
    world.root.mkdir()
    setting = {"cniConfDir": str(created.conf), "cniBinDir": created.path}
    (world.root / "node.json").write_text(json.dumps(setting))
    yield created
    for item in json.loads(world.kl("pod", "ls", "-A", "-o", "json").stdout)["items"]:
        world.down(item["metadata"]["name"])
    assert created.left() == []
    created.close()


def with_port(made: dict[str, Any], port: int) -> dict[str, Any]:
    made["spec"]["containers"][0]["ports"] = [{"containerPort": 8000, "hostPort": port}]
    return made


def test_pods_have_the_addresses_and_host_ports_that_plug_ins_give(
    world: World, site: Site
) -> None:
    site.configure(PORTMAP, {"type": "tuning"})
    native.net_bridge("up0", ipam.number("192.0.2.1"), 24)
    try:
        world.up(with_port(server("a", "page-a", 8000), 8088))
        field = {"fieldRef": {"fieldPath": "status.podIP"}}
        world.up(pod(SLEEP, name="b", env=[{"name": "IP", "valueFrom": field}]))
        a, b = (world.get(name)["status"] for name in ("a", "b"))
        assert (a["podIP"], a["hostIP"], b["podIP"]) == ("10.88.7.2", "10.88.7.1", "10.88.7.3")
        script = "echo $IP; grep -w b /etc/hosts; ip -o address show lo"
        said = world.exec("b", script)
        assert said.startswith("10.88.7.3\n10.88.7.3\tb\n")
        assert "127.0.0.1/8" in said
        assert fetched("http://10.88.7.2:8000/") == "page-a"
        assert from_pod(world, "b", "http://10.88.7.2:8000/", "c") == "page-a"
        assert from_pod(world, "b", "http://192.0.2.1:8088/", "c") == "page-a"
        second = world.up(with_port(server("c", "page-c", 8000), 8088), check=False)
        assert "hostPort 8088/TCP is already taken by pod default/a" in second.stderr
        shown = world.inspect("a")["sandbox"]
        assert (shown["address"], shown["bridge"]) == ("10.88.7.2", None)
        world.down("a")
        assert site.leased() == ["10.88.7.3"]
    finally:
        native.net_delete("up0")


def test_of_two_pods_that_start_at_once_one_gets_the_host_port(world: World, site: Site) -> None:
    """The second has started and ended its start before the first is on record."""
    site.configure(PORTMAP)

    def trace(step: str) -> None:
        if step == "record attachment":
            world.up(with_port(pod(SLEEP, name="second"), 8089))

    document = with_port(pod(SLEEP, name="first"), 8089)
    defaults.pod(document)
    with pytest.raises(
        PortTaken, match=r"hostPort 8089/TCP is already taken by pod default/second"
    ):
        Pods(Home(str(world.root)), trace=trace).up(
            msgspec.convert(document, Pod), report=lambda _: None
        )
    assert len(site.leased()) == 1


def test_a_flag_names_the_network_of_one_pod_and_its_host_port_needs_a_plug_in(
    world: World, tmp_path: Path, site: Site
) -> None:
    site.configure()
    other = Site(tmp_path / "other", "cnitest1", "10.88.8.0/24")
    other.configure()
    flag = ["--cni-conf-dir", str(other.conf)]
    world.kl("pod", "up", "-", *flag, input=json.dumps(pod(SLEEP)))
    assert world.get("p")["status"]["podIP"] == "10.88.8.2"
    world.down("p")
    assert other.left() == []
    other.close()
    refused = world.up(with_port(server("a", "page-a", 8000), 8088), check=False)
    assert refused.returncode != 0
    assert "hostPort 8088/TCP: no plug-in of the CNI network tests" in refused.stderr
    assert "portMappings" in refused.stderr


def test_a_plug_in_that_fails_fails_the_command_in_its_own_words(world: World, site: Site) -> None:
    site.plugin(
        "refuses", '[ $CNI_COMMAND = DEL ] || { echo \'{"code": 100, "msg": "full"}\'; exit 1; }'
    )
    site.configure({"type": "refuses"})
    failed = world.up(pod(SLEEP), check=False)
    assert failed.returncode == 1
    said = "CNI plug-in refuses of network tests has failed to ADD: full (code 100)"
    assert said in failed.stderr
    assert world.files() == set()
    assert "the CNI plug-ins are ready\n" in world.kl("system", "check").stdout
    (site.bin / "refuses").unlink()
    checked = world.kl("system", "check", check=False)
    assert (checked.returncode, "CNI plug-in refuses of network" in checked.stdout) == (1, True)
    site.plugin("refuses", "exit 0")
    assert site.left() == []


def test_a_pod_of_an_agent_waits_for_its_network_and_says_why(world: World, site: Site) -> None:
    """Pause is killed, and the network fails when the sandbox is made again."""
    site.plugin(
        "moody",
        f"[ $CNI_COMMAND = ADD ] && [ -e {site.bin}/ill ] && {{ echo '"
        '{"code": 11, "msg": "not yet"}\'; exit 1; }; '
        'sed "s/.*\\"prevResult\\"://; s/}$//"',
    )
    site.configure({"type": "moody"})
    world.up(pod(SLEEP, spec={"restartPolicy": "Always"}))
    (site.bin / "ill").touch()
    pause = world.inspect("p")["sandbox"]["pause"]
    kill(pause)

    def said() -> bool:
        events = world.inspect("p")["events"]
        return any(
            event["reason"] == "FailedCreatePodSandBox"
            and "moody of network tests has failed to ADD: not yet (code 11)" in event["message"]
            for event in events
        )

    eventually(said, "an event says why the pod has no network", 30)


def test_a_network_that_cannot_be_undone_is_an_event_and_fails_the_command(
    world: World, site: Site
) -> None:
    stuck = site.bin / "stuck"
    site.plugin(
        "stubborn",
        f"[ $CNI_COMMAND = DEL ] && [ -e {stuck} ] && {{ echo '"
        '{"code": 101, "msg": "busy"}\'; exit 1; }; '
        'sed "s/.*\\"prevResult\\"://; s/}$//"',
    )
    site.configure({"type": "stubborn"})
    world.up(pod(SLEEP, spec={"restartPolicy": "Always"}))
    stuck.touch()
    kill(world.inspect("p")["sandbox"]["pause"])
    reason = "CNI plug-in stubborn of network tests has failed to DEL: busy (code 101)"

    def told() -> bool:
        return any(
            event["reason"] == "FailedKillPod" and reason in event["message"]
            for event in world.inspect("p")["events"]
        )

    eventually(told, "an event says why the sandbox is not removed", 30)
    failed = world.kl("pod", "down", "p", "--grace-period", "0", check=False)
    assert (failed.returncode, reason in failed.stderr) == (1, True)
    assert "cni.json to give up what the plug-in holds" in failed.stderr
    stuck.unlink()
    # The agent tries again, too, and may be done before this command looks for the pod.
    world.kl("pod", "down", "p", "--grace-period", "0", check=False)
    eventually(lambda: world.kl("pod", "ls", "-o", "name").stdout == "", "the pod is gone", 30)
    assert site.left() == []


def test_an_agent_that_starts_collects_garbage_and_checks_the_pods(
    world: World, tmp_path: Path, site: Site
) -> None:
    notes, ill = tmp_path / "notes", tmp_path / "ill"
    site.plugin(
        "modern",
        f'echo "$CNI_COMMAND $(cat)" >> {notes}\n'
        'case $CNI_COMMAND in ADD) echo \'{"ips": [{"address": "192.0.2.77/32"}]}\';; '
        f'CHECK) [ ! -e {ill} ] || {{ echo \'{{"code": 99, "msg": "cut off"}}\'; exit 1; }};; '
        "esac",
    )
    site.write([{"type": "modern"}], version="1.1.0")
    world.up(pod(SLEEP, spec={"restartPolicy": "Always"}))
    (path,) = world.root.glob("pods/*/cni.json")
    id = json.loads(path.read_text().splitlines()[0])["container_id"]

    def told() -> list[str]:
        return notes.read_text().splitlines()

    def collected() -> bool:
        configs = [json.loads(line[3:]) for line in told() if line.startswith("GC ")]
        kept = {"containerID": id, "ifname": "eth0"}
        return any(kept in config["cni.dev/valid-attachments"] for config in configs)

    eventually(collected, "the agent has collected garbage, but not what the pod has")
    eventually(lambda: any(line.startswith("CHECK ") for line in told()), "it has checked the pod")
    assert world.inspect("p")["sandbox"]["address"] == "192.0.2.77"
    agent = json.loads(world.kl("system", "info", "-o", "json").stdout)["agent"]["pid"]
    kill(agent)
    ill.touch()
    world.up(pod(SLEEP, name="q", spec={"restartPolicy": "Always"}))

    def event() -> bool:
        return any(
            event["reason"] == "NetworkCheckFailed" and "cut off (code 99)" in event["message"]
            for event in world.inspect("p")["events"]
        )

    eventually(event, "an event says what is wrong with the pod's network", 30)
