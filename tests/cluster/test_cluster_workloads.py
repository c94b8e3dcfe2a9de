"""Deployments behind Services and Jobs: the whole path from kubectl to packets."""

from __future__ import annotations

import urllib.request

from tests.cluster.world import Cluster, eventually

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: a
        image: host
        command:
        - sh
        - -c
        - mkdir -p /w && cd /w && hostname > index.html && exec python3 -m http.server 8080
        readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}], type: NodePort}
"""
JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: sums}
spec:
  completions: 3
  parallelism: 2
  template:
    spec:
      restartPolicy: Never
      containers: [{name: a, image: host, command: [sh, -c, "echo $((6 * 7))"]}]
"""
CALL = (
    "import urllib.request as u; print(u.urlopen('http://web.default', timeout=5).read().decode())"
)


def pods(cluster: Cluster) -> set[str]:
    return {pod["metadata"]["name"] for pod in cluster.get("pods", "-l", "app=web")["items"]}


def test_a_deployment_is_reached_through_its_service_scaled_healed_and_collected(cluster):
    cluster.apply(WEB)
    cluster.kubectl("wait", "--for=condition=Available", "deploy/web", "--timeout=30s")
    client = ["run", "client", "--image=host", "--restart=Never", "--"]
    cluster.kubectl(*client, "python3", "-c", CALL)
    succeeded = "--for=jsonpath={.status.phase}=Succeeded"
    cluster.kubectl("wait", succeeded, "pod/client", "--timeout=30s")
    assert cluster.kubectl("logs", "client").stdout.strip() in pods(cluster)

    def answers() -> set[str]:
        """The pods that answer on the node's port, called from the host."""
        found = set()
        for _ in range(30):
            with urllib.request.urlopen("http://127.0.0.1:30080/", timeout=5) as reply:
                found.add(reply.read().decode().strip())
        return found

    eventually(lambda: answers() == pods(cluster))
    cluster.kubectl("scale", "deploy/web", "--replicas=3")
    cluster.kubectl("rollout", "status", "deploy/web", "--timeout=30s")
    victim = sorted(pods(cluster))[0]
    cluster.kubectl("delete", "pod", victim, "--timeout=20s")
    eventually(lambda: len(pods(cluster)) == 3 and victim not in pods(cluster))
    cluster.kubectl("delete", "deploy", "web")
    eventually(lambda: not pods(cluster) and not cluster.get("rs")["items"])


def test_a_job_runs_to_its_end(cluster):
    cluster.apply(JOB)
    cluster.kubectl("wait", "--for=condition=Complete", "job/sums", "--timeout=40s")
    logs = cluster.kubectl("logs", "-l", "job-name=sums").stdout
    assert logs.split() == ["42"] * 3
    cluster.kubectl("delete", "job", "sums", "--timeout=20s")
    eventually(lambda: not cluster.get("pods")["items"])
