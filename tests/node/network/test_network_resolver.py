"""Names of a pod: hostname, hosts, resolv.conf."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubelite.node.network.errors import NameTooLong
from kubelite.node.network.resolver import (
    HostFiles,
    Names,
    Resolv,
    etc_files,
    merge,
    parse,
    pod_names,
    resolv_conf,
)
from kubelite.objects.pod.pod import Pod

HOST = HostFiles(
    "127.0.0.1 localhost\n192.0.2.1 node\n", "nameserver 192.0.2.53\nsearch lan\n", "", "node"
)
STUB = HOST._replace(
    resolv="nameserver 127.0.0.53\noptions edns0\n", upstream="nameserver 192.0.2.54\n"
)


def pod(name: str = "web", namespace: str = "shop", **spec: Any) -> Pod:
    meta = {"name": name, "namespace": namespace}
    return msgspec.convert({"metadata": meta, "spec": {"containers": [{"name": "c"}], **spec}}, Pod)


def resolv(host: HostFiles = HOST, **spec: Any) -> list[str]:
    return resolv_conf(pod(**spec).spec, host)[0].splitlines()


# -- hostname --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, Names("web", "web", "")),
        ({"hostname": "front"}, Names("front", "front", "")),
        ({"subdomain": "site"}, Names("web", "web", "site.shop.svc.cluster.local")),
        ({"subdomain": "site", "setHostnameAsFQDN": True},
         Names("web.site.shop.svc.cluster.local", "web", "site.shop.svc.cluster.local")),
        ({"setHostnameAsFQDN": True}, Names("web", "web", "")),
        ({"hostname": "front", "subdomain": "site", "hostnameOverride": "own.name"},
         Names("own.name", "own.name", "")),
        ({"hostNetwork": True, "hostname": "front"}, Names("node", "node", "")),
    ],
)  # fmt: skip
def test_what_a_pod_is_called(spec: dict[str, Any], names: Names) -> None:
    assert pod_names(pod(**spec), "node") == names


def test_a_long_name_is_cut_to_a_label_that_ends_well() -> None:
    assert pod_names(pod("a" * 61 + "-.b"), "node").hostname == "a" * 61
    assert pod_names(pod("a" * 70), "node").hostname == "a" * 63


def test_a_full_name_that_the_kernel_would_not_take_is_refused() -> None:
    fits = pod("a" * 29, "n" * 5, subdomain="s" * 10, setHostnameAsFQDN=True)
    assert len(pod_names(fits, "node").hostname) == 64
    with pytest.raises(NameTooLong, match="has 65 characters, the kernel allows 64"):
        pod_names(pod("a" * 30, "n" * 5, subdomain="s" * 10, setHostnameAsFQDN=True), "node")


# -- /etc/hosts ------------------------------------------------------------------------------------


def entries(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_hosts_file_names_localhost_the_pod_and_its_aliases() -> None:
    aliases = [{"ip": "192.0.2.9", "hostnames": ["db", "db.lan"]}]
    files = etc_files(pod(subdomain="site", hostAliases=aliases), ["10.208.1.2"], HOST)
    assert files.hosts.startswith("# Kubernetes-managed hosts file.\n")
    rows = entries(files.hosts)
    assert rows[:2] == [
        ["127.0.0.1", "localhost"],
        ["::1", "localhost", "ip6-localhost", "ip6-loopback"],
    ]
    assert rows[-2:] == [
        ["10.208.1.2", "web.site.shop.svc.cluster.local", "web"],
        ["192.0.2.9", "db", "db.lan"],
    ]
    assert files.hostname == "web\n" and files.warnings == ()
    assert "192.0.2.1" not in files.hosts


def test_without_a_subdomain_the_pod_has_one_name() -> None:
    assert entries(etc_files(pod(), ["10.208.1.2"], HOST).hosts)[-1] == ["10.208.1.2", "web"]


def test_on_the_hosts_network_the_hosts_own_file_is_kept() -> None:
    files = etc_files(
        pod(hostNetwork=True, hostAliases=[{"ip": "192.0.2.9", "hostnames": ["db"]}]), [], HOST
    )
    assert HOST.hosts in files.hosts
    assert entries(files.hosts)[-1] == ["192.0.2.9", "db"]
    assert files.hostname == "node\n"


# -- /etc/resolv.conf ------------------------------------------------------------------------------


def test_the_lines_of_resolv_conf() -> None:
    text = (
        "# x\nnameserver 192.0.2.1 # y\n; z\nsearch a\nsearch b c\n"
        "options ndots:2\n options rotate\nnameserver\nsortlist q\n"
    )
    assert parse(text) == Resolv(("192.0.2.1",), ("b", "c"), ("ndots:2", "rotate"))
    assert parse("domain only\n").searches == ("only",)
    assert parse("") == Resolv()


@pytest.mark.parametrize("policy", ["Default", "ClusterFirst", "ClusterFirstWithHostNet"])
def test_without_a_cluster_a_pod_asks_whom_the_host_asks(policy: str) -> None:
    assert resolv(dnsPolicy=policy) == ["nameserver 192.0.2.53", "search lan"]


def test_a_stub_on_the_hosts_loopback_is_replaced_by_whom_it_asks() -> None:
    assert resolv(STUB) == ["nameserver 192.0.2.54"]
    assert resolv(STUB, hostNetwork=True) == ["nameserver 127.0.0.53", "options edns0"]


def test_a_loopback_server_that_nobody_replaces_is_left_out_and_told() -> None:
    text, warnings = resolv_conf(pod().spec, STUB._replace(upstream=""))
    assert "nameserver" not in text
    assert len(warnings) == 1 and "127.0.0.53" in warnings[0]
    mixed = HOST._replace(resolv="nameserver 127.0.0.1\nnameserver 192.0.2.7\n")
    assert resolv(mixed) == ["nameserver 192.0.2.7"]


def test_the_pods_own_config_is_merged_behind_the_hosts() -> None:
    config = {
        "nameservers": ["192.0.2.53", "192.0.2.99"],
        "searches": ["lan", "own"],
        "options": [{"name": "ndots", "value": "3"}, {"name": "rotate"}],
    }
    host = HOST._replace(resolv=HOST.resolv + "options ndots:5 timeout:1\n")
    assert resolv(host, dnsConfig=config) == [
        "nameserver 192.0.2.53",
        "nameserver 192.0.2.99",
        "search lan own",
        "options ndots:3 timeout:1 rotate",
    ]
    assert resolv(host, dnsPolicy="None", dnsConfig=config)[0:3:2] == [
        "nameserver 192.0.2.53",
        "search lan own",
    ]


def test_policy_none_takes_nothing_from_the_host() -> None:
    assert resolv(dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.1"]}) == [
        "nameserver 192.0.2.1"
    ]


def test_what_resolvers_do_not_take_is_left_out_and_told() -> None:
    servers = [f"192.0.2.{n}" for n in range(2)]
    config = {"nameservers": [*servers, "192.0.2.8"], "searches": [f"s{n}" for n in range(40)]}
    host = HOST._replace(resolv="nameserver 192.0.2.53\n")
    text, warnings = resolv_conf(pod(dnsConfig=config).spec, host)
    lines = text.splitlines()
    assert lines[:3] == ["nameserver 192.0.2.53", *(f"nameserver {each}" for each in servers)]
    assert lines[3] == "search " + " ".join(f"s{n}" for n in range(32))
    assert len(warnings) == 2
    long = {"searches": ["x" * 200 for _ in range(11)]}
    assert (
        len(resolv(host, dnsConfig={"searches": [f"{n}{'x' * 200}" for n in range(11)]})[1])
        <= len("search ") + 2048
    )
    assert resolv(host, dnsConfig=long)[1] == "search " + "x" * 200


def test_options_of_one_name_are_there_once() -> None:
    assert merge(Resolv(options=("a:1", "b")), Resolv(options=("a:2",))).options == ("a:2", "b")
