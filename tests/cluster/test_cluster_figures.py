"""What the kubelet's server tells, and to whom; kubectl top and an autoscaler go by it."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from kubelite.objects.facts import quantity
from tests.cluster.world import Cluster, eventually

MEBI = 1 << 20
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {work: hard}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command: [sh, -c, "while :; do :; done"]
    resources: {requests: {cpu: 100m}, limits: {cpu: 200m, memory: 32Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: idle}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command:
    - python3
    - -c
    - import time; kept = b'x' * (64 << 20); open('/tmp/ready', 'w'); time.sleep(600)
    readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
    volumeMounts: [{name: scratch, mountPath: /scratch}]
    lifecycle: {postStart: {exec: {command: [dd, if=/dev/urandom, of=/scratch/x, bs=1M, count=3]}}}
  volumes: [{name: scratch, emptyDir: {}}]
"""


def node_of(cluster: Cluster) -> str:
    return str(cluster.get("nodes")["items"][0]["metadata"]["name"])


def page(cluster: Cluster, path: str) -> str:
    """A page of the kubelet's server, through the API server."""
    return cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node_of(cluster)}/proxy{path}").stdout


def run_pods(cluster: Cluster) -> None:
    cluster.apply(PODS)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/busy", "pod/idle", "--timeout=30s")


def series(text: str) -> dict[str, float]:
    """The values of a page in Prometheus' text form; names with their labels, without times."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    split = [(line.rpartition("}") if "}" in line else line.partition(" ")) for line in lines]
    return {head + mark.strip(): float(rest.split()[0]) for head, mark, rest in split}


def test_the_summary_tells_what_pods_and_node_use(cluster):
    run_pods(cluster)
    summary = json.loads(page(cluster, "/stats/summary"))
    pods = {pod["podRef"]["name"]: pod for pod in summary["pods"]}
    busy, idle = pods["busy"], pods["idle"]
    assert 50_000_000 < busy["containers"][0]["cpu"]["usageNanoCores"] < 300_000_000
    assert busy["containers"][0]["memory"]["availableBytes"] < 32 * MEBI
    memory = idle["containers"][0]["memory"]
    assert 64 * MEBI < memory["workingSetBytes"] < 128 * MEBI
    assert 64 * MEBI < memory["rssBytes"] <= memory["usageBytes"]
    assert idle["cpu"]["usageNanoCores"] < 50_000_000 < busy["cpu"]["usageNanoCores"]
    # Python, pause where it is in the pod's group, and perhaps a probe.
    assert 1 <= idle["process_stats"]["process_count"] <= 3
    scratch = next(volume for volume in idle["volume"] if volume["name"] == "scratch")
    assert 3 * MEBI <= scratch["usedBytes"] < 4 * MEBI
    assert idle["ephemeral-storage"]["usedBytes"] >= scratch["usedBytes"]
    assert [each["name"] for each in idle["network"]["interfaces"]] == ["eth0"]
    node = summary["node"]
    with open("/proc/meminfo", encoding="ascii") as file:
        total = int(file.readline().split()[1]) << 10
    assert node["memory"]["availableBytes"] + node["memory"]["workingSetBytes"] == total
    assert node["nodeName"] == node_of(cluster)
    assert node["rlimit"]["curproc"] > 10
    assert node["fs"]["inodesFree"] <= node["fs"]["inodes"]
    brief = json.loads(page(cluster, "/stats/summary?only_cpu_and_memory=true"))
    assert "fs" not in brief["node"] and "network" not in brief["pods"][0]


def test_metrics_pages_have_the_kubelets_series(cluster):
    run_pods(cluster)
    identity = 'container="a",namespace="default",pod="busy"'
    resource = series(page(cluster, "/metrics/resource"))
    first = resource[f"container_cpu_usage_seconds_total{{{identity}}}"]
    assert resource['pod_memory_working_set_bytes{namespace="default",pod="idle"}'] > 64 * MEBI
    assert resource["node_cpu_usage_seconds_total"] > first > 0
    assert resource["resource_scrape_error"] == 0
    again = series(page(cluster, "/metrics/resource"))
    assert again[f"container_cpu_usage_seconds_total{{{identity}}}"] > first
    cadvisor = series(page(cluster, "/metrics/cadvisor"))
    limit = _only(cadvisor, "container_spec_memory_limit_bytes", 'pod="busy"')
    assert limit == 32 * MEBI
    assert _only(cadvisor, "container_network_receive_bytes_total", 'pod="idle"') >= 0
    own = series(page(cluster, "/metrics"))
    assert own["kubelet_running_pods"] == 2
    assert own["process_resident_memory_bytes"] > 10 * MEBI


def _only(values: dict[str, float], name: str, label: str) -> float:
    (value,) = (value for key, value in values.items() if key.startswith(name) and label in key)
    return value


def test_configz_pods_and_health(cluster):
    run_pods(cluster)
    config = json.loads(page(cluster, "/configz"))["kubeletconfig"]
    assert (config["kind"], config["clusterDNS"]) == ("KubeletConfiguration", ["10.96.0.10"])
    assert config["port"] == cluster.ports[1]
    listed = json.loads(page(cluster, "/pods"))
    assert {pod["metadata"]["name"] for pod in listed["items"]} == {"busy", "idle"}
    assert all(pod["status"]["phase"] == "Running" for pod in listed["items"])
    assert page(cluster, "/healthz") == "ok"


ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scraper}
rules: [{apiGroups: [""], resources: [nodes/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scraper}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scraper}
subjects: [{kind: ServiceAccount, name: default, namespace: default}]
"""


def test_the_kubelet_answers_those_whom_the_api_server_would_let(cluster):
    cluster.apply(ROLE)
    address = cluster.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
    authority = cluster.root / "cluster" / "default" / "server" / "pki" / "ca.crt"
    context = ssl.create_default_context(cafile=str(authority))

    def ask(path: str, token: str) -> tuple[int, str]:
        url = f"https://{address}:{cluster.ports[1]}{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), context=context, timeout=20
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    token = eventually(lambda: cluster.kubectl("create", "token", "default").stdout.strip())
    assert ask("/metrics/resource", token)[0] == 200
    for path in ("/stats/summary", "/pods", "/configz", "/exec/default/a/b?command=true"):
        code, text = ask(path, token)
        assert (code, "Forbidden (user=system:serviceaccount:default:default" in text) == (
            403,
            True,
        )
    assert ask("/metrics", "no-token")[0] == 401
    code, text = ask("/metrics", "")
    assert code == 403
    assert text == (
        "Forbidden (user=system:anonymous, verb=get, resource=nodes, subresource(s)=[metrics])\n"
    )


def test_kubectl_top_shows_what_runs(cluster):
    run_pods(cluster)

    def top(*words: str) -> dict[str, list[str]]:
        rows = cluster.kubectl("top", *words, "--no-headers").stdout.splitlines()
        return {row.split()[0]: row.split()[1:] for row in rows}

    pods = eventually(lambda: len(rows := top("pods")) == 2 and rows)
    assert 50 <= quantity.milli(pods["busy"][0]) <= 300
    assert quantity.milli(pods["idle"][0]) <= 50
    assert 64 * MEBI <= quantity.value(pods["idle"][1]) <= 128 * MEBI
    assert set(top("pods", "-l", "work=hard")) == {"busy"}
    assert set(top("pods", "idle", "--containers")) == {"idle"}
    assert quantity.milli(top("nodes")[node_of(cluster)][0]) >= 50


HPA = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: a
        image: host
        command: [sh, -c, "while :; do :; done"]
        resources: {requests: {cpu: 20m}, limits: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  maxReplicas: 2
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
"""


def test_an_autoscaler_scales_by_what_is_used(cluster):
    cluster.apply(HPA)

    def scaled() -> Any:
        return cluster.get("deploy", "web")["status"].get("readyReplicas") == 2

    eventually(scaled, seconds=120)
    current = cluster.get("hpa", "web")["status"]["currentMetrics"][0]["resource"]["current"]
    assert current["averageUtilization"] > 50
