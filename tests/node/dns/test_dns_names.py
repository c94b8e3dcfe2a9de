"""Names of the cluster's domain, by the DNS-based service discovery specification."""

from __future__ import annotations

import pytest

from kubelite.node.dns.names import NOT_THERE, Record, resolve, reversed_address

DOMAIN = "cluster.local"


def service(name, cluster_ip, **spec):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    spec = {"clusterIPs": [cluster_ip], "ports": ports, **spec}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": spec}


SERVICES = {
    "web": service("web", "10.96.0.10"),
    "db": service("db", "None"),
    "none": service("none", "None"),
    "docs": {
        "metadata": {"name": "docs", "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": "docs.example.com."},
    },
}
SLICE = {
    "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": "db"}},
    "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
    "endpoints": [
        {"addresses": ["10.0.0.1"], "hostname": "db-0", "conditions": {"ready": True}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
        {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
    ],
}


class Objects:
    changes = 0

    def service(self, namespace, name):
        return SERVICES.get(name) if namespace == "shop" else None

    def slices(self, namespace, name):
        return [SLICE] if (namespace, name) == ("shop", "db") else []

    def has_namespace(self, name):
        return name in ("shop", "default")

    def service_at(self, address):
        return SERVICES["web"] if address == "10.96.0.10" else None

    def endpoints_at(self, address):
        return [(SLICE, e) for e in SLICE["endpoints"] if address in e["addresses"]]


def ask(name, record_type="A"):
    return resolve(name, record_type, DOMAIN, Objects())


@pytest.mark.parametrize(
    ("name", "record_type", "data"),
    [
        ("web.shop.svc.cluster.local", "A", ["10.96.0.10"]),
        ("web.shop.svc.cluster.local", "AAAA", []),
        ("db.shop.svc.cluster.local", "A", ["10.0.0.1", "10.0.0.2"]),
        ("none.shop.svc.cluster.local", "A", []),
        ("db-0.db.shop.svc.cluster.local", "A", ["10.0.0.1"]),
        ("10-0-0-2.db.shop.svc.cluster.local", "A", ["10.0.0.2"]),
        ("docs.shop.svc.cluster.local", "A", ["docs.example.com"]),
        ("10-9-8-7.default.pod.cluster.local", "A", ["10.9.8.7"]),
        ("dns-version.cluster.local", "TXT", ["1.1.0"]),
        ("_http._tcp.web.shop.svc.cluster.local", "SRV", [(80, "web.shop.svc.cluster.local")]),
        ("_http._tcp.web.shop.svc.cluster.local", "A", []),
        ("shop.svc.cluster.local", "A", []),
        ("svc.cluster.local", "A", []),
        ("cluster.local", "A", []),
        ("10.0.96.10.in-addr.arpa", "PTR", ["web.shop.svc.cluster.local"]),
        ("9.9.9.9.in-addr.arpa", "PTR", None),
        ("1.0.0.10.in-addr.arpa", "PTR", ["db-0.db.shop.svc.cluster.local"]),
    ],
)
def test_what_exists(name, record_type, data):
    answer = ask(name, record_type)
    if data is None:
        assert answer is None, "an address that is not the cluster's is asked elsewhere"
        return
    assert answer.exists
    assert [record.data for record in answer.records] == data


@pytest.mark.parametrize(
    "name",
    [
        "gone.shop.svc.cluster.local",
        "web.gone.svc.cluster.local",
        "gone.svc.cluster.local",
        "web.shop.cluster.local",
        "a.web.shop.svc.cluster.local",
        "10-0-0-3.db.shop.svc.cluster.local",
        "_sql._udp.db.shop.svc.cluster.local",
        "a.docs.shop.svc.cluster.local",
        "web.pod.cluster.local",
        "not-an-address.shop.pod.cluster.local",
        "10-9-8-7.gone.pod.cluster.local",
        "example.com.cluster.local",
    ],
)
def test_what_does_not_exist(name):
    assert ask(name) == NOT_THERE


def test_other_domains_are_asked_elsewhere():
    assert ask("example.com") is None
    assert ask("notcluster.local") is None


def test_srv_records_of_a_headless_service_name_each_endpoint():
    answer = ask("_sql._tcp.db.shop.svc.cluster.local", "SRV")
    base = "db.shop.svc.cluster.local"
    assert [record.data for record in answer.records] == [
        (5432, f"db-0.{base}"),
        (5432, f"10-0-0-2.{base}"),
    ]
    assert answer.additional == (
        Record(f"db-0.{base}", "A", "10.0.0.1"),
        Record(f"10-0-0-2.{base}", "A", "10.0.0.2"),
    )


def test_reverse_names():
    assert reversed_address("4.3.2.1.in-addr.arpa") == "1.2.3.4"
    ipv6 = "1." + "0." * 30 + "f.ip6.arpa"
    assert reversed_address(ipv6) == "f000::1"
    assert reversed_address("x.in-addr.arpa") is None
