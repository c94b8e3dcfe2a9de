"""A cluster whose pods get their network from CNI plug-ins: Services, names and policies work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.world import Cluster, cluster_that_is_up, eventually
from tests.testing.cni import Site

OBJECTS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: host
    command: [python3, -m, http.server, "8080", --directory, /etc]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: host, command: [sleep, "600"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}}
"""
ILL = """
apiVersion: v1
kind: Pod
metadata: {name: ill}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: host, command: [sleep, "600"]}]
"""
ASK = (
    "import urllib.request as r; "
    "print(r.urlopen('http://web/hostname', timeout=2).read().decode(), end='')"
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    created = Site(tmp_path / "cni")
    yield created
    created.close()


def test_services_names_policies_and_failures_of_plug_ins(tmp_path: Path, site: Site) -> None:
    site.configure()
    options = ("--cni-conf-dir", str(site.conf), "--cni-bin-dir", site.path)
    with cluster_that_is_up(tmp_path / "root", *options) as cluster:
        cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
        cluster.apply(OBJECTS)
        ready = ("wait", "--for=condition=Ready", "pod/web", "pod/client", "--timeout=60s")
        cluster.kubectl(*ready)
        addresses = {cluster.get("pod", name)["status"]["podIP"] for name in ("web", "client")}
        assert addresses == set(site.leased()) == {"10.88.7.2", "10.88.7.3"}
        assert route_localnet(site) == "1\n"
        eventually(lambda: answer(cluster) == "web\n")
        cluster.apply(DENY)
        eventually(lambda: answer(cluster) == "")
        site.plugin(
            "refuses", '[ $CNI_COMMAND = DEL ] || { echo \'{"code": 100, "msg": "no"}\'; exit 1; }'
        )
        site.configure({"type": "refuses"})
        cluster.apply(ILL)
        eventually(lambda: "refuses of network tests has failed to ADD: no" in events(cluster))
        cluster.kubectl("delete", "pod", "--all", "--wait=true")
        assert site.left() == []
        cluster.kl("down")
        assert route_localnet(site) == "0\n"
        site.remove_bridge()


def route_localnet(site: Site) -> str:
    return Path(f"/proc/sys/net/ipv4/conf/{site.bridge}/route_localnet").read_text()


def answer(cluster: Cluster) -> str:
    return cluster.kubectl("exec", "client", "--", "python3", "-c", ASK, check=False).stdout


def events(cluster: Cluster) -> str:
    listed = cluster.get("events", "--field-selector", "reason=FailedCreatePodSandBox")
    return " ".join(item["message"] for item in listed["items"])
