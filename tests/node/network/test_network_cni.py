"""CNI: which network a directory asks for, what plug-ins are told, what their answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubelite.node.network.bandwidth import Bandwidth
from kubelite.node.network.cni import requests, results
from kubelite.node.network.cni.config import Network, choose, parse
from kubelite.node.network.cni.requests import PodFacts
from kubelite.node.network.errors import PluginFailed, PortRefused
from kubelite.node.network.ports import HostPort
from kubelite.node.network.resolver import Resolv

BRIDGE = {"type": "bridge", "isGateway": True}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True, "bandwidth": False}}


def encoded(**fields: Any) -> bytes:
    document = {"cniVersion": "1.0.0", "name": "net", "plugins": [BRIDGE, PORTMAP], **fields}
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


def network(**fields: Any) -> Network:
    return parse("/etc/cni/10.conflist", encoded(**fields))


def test_the_first_valid_file_in_lexical_order_counts_and_the_faults_before_it_are_named() -> None:
    files = {
        "99-last.conflist": encoded(name="last"),
        "20-second.conf": json.dumps({"cniVersion": "0.4.0", "name": "single", **BRIDGE}).encode(),
        "10-broken.conflist": b"{",
        "05-readme.txt": b"not for us",
    }
    choice = choose("/d", files)
    assert (choice.network.name, choice.network.version) == ("single", "0.4.0")
    assert [plugin["type"] for plugin in choice.network.plugins] == ["bridge"]
    assert len(choice.faults) == 1
    assert "/d/10-broken.conflist is not JSON" in choice.faults[0]


def test_a_directory_without_a_valid_file_says_what_is_wrong() -> None:
    with pytest.raises(PluginFailed, match=r"no CNI network is configured: /d has no file"):
        choose("/d", {"notes.txt": b""})
    with pytest.raises(PluginFailed, match=r"/d/a.conf is no CNI network configuration: the type"):
        choose("/d", {"a.conf": encoded(plugins=[{}]), "b.conf": b"["})


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"cniVersion": "0.4.0", "cniVersions": ["1.0.0", "1.1.0"]}, "1.1.0"),
        ({"cniVersion": "1.0.0", "cniVersions": ["1.0.0", "2.0.0"]}, "1.0.0"),
        ({"cniVersion": None, "cniVersions": ["0.3.1"]}, "0.3.1"),
    ],
)
def test_the_latest_version_that_both_know_is_spoken(fields: Any, version: str) -> None:
    assert network(**fields).version == version


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cniVersion": "0.2.0"}, "cniVersion 0.2.0 is not one of 0.3.0"),
        ({"cniVersion": None}, "cniVersion 0.1.0 is not one of"),
        ({"name": "../net"}, "name must be letters"),
        ({"name": None}, "name must be letters"),
        ({"plugins": []}, "at least one plug-in"),
        ({"plugins": [{"type": "../../bin/sh"}]}, "the name of its program, not '../../bin/sh'"),
        ({"plugins": ["bridge"]}, "the type of a plug-in"),
        ({"plugins": [{**BRIDGE, "capabilities": [1]}]}, "capabilities of plug-in bridge"),
        ({"disableGC": "maybe"}, "disableGC must be true or false"),
    ],
)
def test_invalid_configuration_is_refused_with_its_file(fields: Any, message: str) -> None:
    with pytest.raises(PluginFailed) as caught:
        network(**fields)
    assert "/etc/cni/10.conflist" in caught.value.message
    assert message in caught.value.message


def test_switches_may_be_strings() -> None:
    assert network(disableCheck="true").disable_check
    assert not network(disableCheck="false").disable_check
    assert network(disableGC=True).disable_gc


POD = PodFacts(
    "default",
    "web",
    "some-uid",
    ports=(
        HostPort(host_port=80, container_port=8080),
        HostPort(host_port=53, container_port=53, protocol="UDP", host_ip="192.0.2.1"),
    ),
    bandwidth=Bandwidth(egress=125_000),
    resolv=Resolv(("10.96.0.10",), ("svc.cluster.local",)),
    cgroup="/kubelite/pod1",
)


def test_runtime_config_is_what_capabilities_stand_for() -> None:
    assert requests.runtime_config(POD) == {
        "aliases": ["web"],
        "cgroupPath": "/kubelite/pod1",
        "dns": {"servers": ["10.96.0.10"], "searches": ["svc.cluster.local"]},
        "portMappings": [
            {"hostPort": 80, "containerPort": 8080, "protocol": "tcp"},
            {"hostPort": 53, "containerPort": 53, "protocol": "udp", "hostIP": "192.0.2.1"},
        ],
        "bandwidth": {"egressRate": 1_000_000, "egressBurst": 524_288},
    }
    assert requests.runtime_config(PodFacts("default", "web", "u")) == {"aliases": ["web"]}


def test_a_plug_in_is_told_only_what_it_has_a_capability_for() -> None:
    net, runtime = network(), requests.runtime_config(POD)
    first, second = (requests.plugin_config(net, plugin, runtime) for plugin in net.plugins)
    assert first == {**BRIDGE, "name": "net", "cniVersion": "1.0.0"}
    assert second == {
        "type": "portmap",
        "name": "net",
        "cniVersion": "1.0.0",
        "runtimeConfig": {"portMappings": runtime["portMappings"]},
    }
    chained = requests.plugin_config(net, PORTMAP, {}, {"ips": []})
    assert (chained["prevResult"], "runtimeConfig" in chained) == ({"ips": []}, False)


def test_host_ports_that_no_plug_in_opens_are_refused_and_bandwidth_is_warned_of() -> None:
    with pytest.raises(PortRefused, match="hostPort 80/TCP: no plug-in of the CNI network net"):
        requests.refuse_unserved(network(plugins=[BRIDGE]), POD)
    (warning,) = requests.refuse_unserved(network(), POD)
    assert "bandwidth is not limited" in warning
    both = {"type": "both", "capabilities": {"portMappings": True, "bandwidth": True}}
    assert requests.refuse_unserved(network(plugins=[both]), POD) == ()


def test_variables_and_arguments_are_those_of_the_runtimes_of_kubernetes() -> None:
    args = requests.arguments(POD, "abc")
    assert args == (
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;"
        "K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=some-uid"
    )
    assert requests.environment("DEL", "/a:/b", "abc", args, "") == {
        "CNI_COMMAND": "DEL",
        "CNI_CONTAINERID": "abc",
        "CNI_NETNS": "",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": args,
        "CNI_PATH": "/a:/b",
    }


def test_garbage_collection_names_the_attachments_that_there_are() -> None:
    config = requests.collection_config(network(), BRIDGE, ["b", "a"])
    valid = [{"containerID": id, "ifname": "eth0"} for id in ("a", "b")]
    assert config["cni.dev/valid-attachments"] == valid == config["cni.dev/attachments"]


RESULT = {
    "interfaces": [
        {"name": "cni0"},
        {"name": "veth1"},
        {"name": "eth0", "sandbox": "/proc/1/ns/net"},
        {"name": "net1", "sandbox": "/proc/1/ns/net"},
    ],
    "ips": [
        {"interface": 3, "address": "10.9.9.9/24"},
        {"interface": 2, "address": "10.1.0.5/16", "gateway": "10.1.0.1"},
        {"interface": 2, "address": "fd00::5/64"},
        {"interface": 0, "address": "10.1.0.1/16"},
    ],
}


def test_addresses_are_those_of_the_pods_interface() -> None:
    assert results.addresses(network(), RESULT) == (
        ("10.1.0.5", "fd00::5"),
        "10.1.0.1",
        ("cni0", "veth1"),
    )
    bare = {"ips": [{"version": "4", "address": "10.1.0.5/16"}]}
    assert results.addresses(network(), bare) == (("10.1.0.5",), "", ())
    with pytest.raises(PluginFailed, match="gives the pod no address"):
        results.addresses(network(), {"interfaces": RESULT["interfaces"]})


@pytest.mark.parametrize(
    ("output", "log", "sentence"),
    [
        (
            b'{"code": 11, "msg": "no addresses", "details": "all\\nin use"}',
            b"",
            "has failed to ADD: no addresses; all in use (code 11)",
        ),
        (b"", b"starting\npanic: oh\n", "has failed to ADD: panic: oh"),
        (b"words", b"", "has failed to ADD: words"),
        (b"", b"", "has failed to ADD: it says nothing"),
        (b'{"code": 7}', b"", "has failed to ADD: it says nothing (code 7)"),
    ],
)
def test_a_failure_is_told_in_the_plug_ins_own_words(
    output: bytes, log: bytes, sentence: str
) -> None:
    error = results.failure(network(), "bridge", "ADD", output, log)
    assert error.message == f"CNI plug-in bridge of network net {sentence}"


def test_a_failure_of_versions_says_where_they_are_written() -> None:
    error = results.failure(network(), "bridge", "ADD", b'{"code": 1, "msg": "incompatible"}', b"")
    assert error.hint.startswith("change cniVersion in /etc/cni/10.conflist")
