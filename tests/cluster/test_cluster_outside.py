"""Services and Ingresses as they are reached from outside, from kubectl to packets."""

from __future__ import annotations

import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kubelite.testing.host import difference, snapshot
from tests.cluster.world import Cluster, eventually
from tests.control.debian import free_ports

POOL = "198.18.77.7"
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command:
    - sh
    - -c
    - mkdir -p /w && cd /w && echo here > index.html && exec python3 -m http.server 8080
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
  - host: web.example
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
"""


@pytest.fixture
def cluster(tmp_path: Path):
    world = Cluster(tmp_path / "root")
    before = snapshot(str(world.root))
    world.ingress_port, tls = free_ports(2)
    pool = ("--load-balancer-pool", POOL)
    ports = ("--ingress-port", str(world.ingress_port), "--ingress-tls-port", str(tls))
    try:
        world.up(*pool, *ports)
        yield world
    except BaseException:
        print(world.logs_of_processes())
        raise
    finally:
        world.kl("down", check=False)
        world.kl("system", "reset", "--yes", check=False)
    assert difference(before, snapshot(str(world.root))) == []


def fetch(url: str, host: str = "") -> str:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode().strip()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode().strip()}"


def test_a_load_balancer_and_an_ingress(cluster: Cluster) -> None:
    cluster.apply(WEB)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    address = "jsonpath={.status.loadBalancer.ingress[0].ip}"
    eventually(lambda: cluster.kubectl("get", "service", "web", "-o", address).stdout == POOL)
    eventually(lambda: fetch(f"http://{POOL}/") == "here")
    spec = cluster.get("service", "web")["spec"]
    health = f"http://127.0.0.1:{spec['healthCheckNodePort']}/"
    eventually(lambda: '"localEndpoints": 1' in fetch(health))

    eventually(lambda: cluster.kubectl("get", "ingress", "web", "-o", address).stdout)
    site = f"http://127.0.0.1:{cluster.ingress_port}/"
    eventually(lambda: fetch(site, "web.example") == "here")
    assert fetch(site, "other.example").startswith("404")

    cluster.kubectl("delete", "pod", "web", "--timeout=20s")
    eventually(lambda: fetch(site, "web.example") == "503 no pod of the Service is ready")
    eventually(lambda: fetch(health).startswith("503"))
    cluster.kubectl("delete", "service", "web")
    eventually(lambda: POOL not in addresses())
    with pytest.raises(OSError):
        socket.create_connection((POOL, 80), 1).close()


def addresses() -> str:
    """What ip(8) says of this machine's addresses."""
    return subprocess.run(["ip", "address"], capture_output=True, text=True, check=True).stdout
