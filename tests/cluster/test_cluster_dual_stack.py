"""A cluster whose pods and Services have addresses of both families."""

from __future__ import annotations

from tests.cluster.world import eventually

OBJECTS = """
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: ipv6}
spec: {cidrs: ["fd00:10:96::/112"]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: host
    command: [python3, -m, http.server, "8080", --bind, "::", --directory, /etc]
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
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {matchLabels: {app: web}}}
"""
ASK = """
import socket, sys, urllib.request
family = {"4": socket.AF_INET, "6": socket.AF_INET6}[sys.argv[1]]
(_, _, _, _, (address, *_)), *_ = socket.getaddrinfo("web", 80, family, socket.SOCK_STREAM)
host = f"[{address}]" if ":" in address else address
print(address, urllib.request.urlopen(f"http://{host}/hostname", timeout=2).read().decode())
"""


def test_a_service_is_reached_by_name_in_both_families_and_closed_by_a_policy(cluster):
    (cluster.root / "node.json").write_text('{"dualStack": true}')
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(OBJECTS)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/client", "--timeout=60s")
    assert [":" in entry["ip"] for entry in cluster.get("pod", "web")["status"]["podIPs"]] == [
        False,
        True,
    ]
    addresses = cluster.get("service", "web")["spec"]["clusterIPs"]

    def answer(family: str) -> list[str]:
        command = ("exec", "client", "--", "python3", "-c", ASK, family)
        return cluster.kubectl(*command, check=False).stdout.split()

    for family, address in zip("46", addresses, strict=True):
        eventually(lambda f=family, a=address: answer(f) == [a, "web"])
    cluster.apply(DENY)
    for family in "46":
        eventually(lambda f=family: answer(f) == [])
