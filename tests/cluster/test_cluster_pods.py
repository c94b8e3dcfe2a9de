"""A real kubectl brings pods to life on this machine, and everything may be killed."""

from __future__ import annotations

import json
import os
import signal
import socket

from tests.cluster.world import Cluster, eventually

WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {greeting: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: s3cret}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command: [sh, -c, "echo started; trap 'exit 0' TERM; while :; do sleep 0.1; done"]
    resources: {requests: {memory: 16Mi}, limits: {memory: 64Mi}}
    env:
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: key, key: password}}}
    envFrom: [{configMapRef: {name: conf}, prefix: CONF_}]
    volumeMounts:
    - {name: conf, mountPath: /conf}
    - {name: key, mountPath: /key}
    - {name: info, mountPath: /info}
  volumes:
  - {name: conf, configMap: {name: conf}}
  - {name: key, secret: {secretName: key, defaultMode: 256}}
  - name: info
    downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def run_web(cluster: Cluster) -> None:
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(WEB)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")


def test_a_pod_of_the_cluster_has_what_its_manifest_says(cluster):
    run_web(cluster)
    pod = cluster.get("pod", "web")
    assert pod["status"]["podIP"] and pod["status"]["hostIP"]
    assert cluster.kubectl("logs", "web").stdout == "started\n"
    inside = cluster.kubectl(
        "exec",
        "web",
        "--",
        "sh",
        "-c",
        "cat /conf/greeting; echo; cat /key/password; echo; stat -Lc %a /key/password;"
        " cat /info/labels; echo; echo $PASSWORD $CONF_greeting $KUBERNETES_SERVICE_HOST;"
        " ls /var/run/secrets/kubernetes.io/serviceaccount; touch /conf/x",
        check=False,
    ).stdout.split("\n")
    assert inside[:5] == ["hello", "s3cret", "400", 'app="web"', "s3cret hello 10.96.0.1"]
    assert inside[5:8] == ["ca.crt", "namespace", "token"]
    reasons = {event["reason"] for event in cluster.get("events")["items"]}
    assert {"Scheduled", "Pulled", "Created", "Started"} <= reasons


TOKENS = """
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  securityContext: {runAsUser: 1000}
  terminationGracePeriodSeconds: 1
  containers: [{name: a, image: host, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: others}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: host, command: [sleep, infinity], securityContext: {runAsUser: 1000}}
  - {name: b, image: host, command: [sleep, infinity], securityContext: {runAsUser: 2000}}
"""


def test_a_token_is_for_the_users_of_the_pod(cluster):
    """Closed where they are one; where there are several, each of them reads it."""
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(TOKENS)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/own", "pod/others", "--timeout=30s")
    path = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    script = f"stat -Lc '%a %u' {path}; head -c 3 {path}"
    for pod, container, expected in (
        ("own", "a", "600 1000\neyJ"),
        ("others", "a", "644 0\neyJ"),
        ("others", "b", "644 0\neyJ"),
    ):
        seen = cluster.kubectl("exec", pod, "-c", container, "--", "sh", "-c", script).stdout
        assert seen == expected


def test_names_of_services_resolve_inside(cluster):
    run_web(cluster)
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    script = (
        "import socket; print(socket.gethostbyname('web.default'),"
        " socket.gethostbyname('kubernetes.default'))"
    )
    found = cluster.kubectl("exec", "web", "--", "python3", "-c", script).stdout
    assert found == f"{address} 10.96.0.1\n"


def test_a_mounted_config_map_changes_with_its_object(cluster):
    run_web(cluster)
    cluster.kubectl("patch", "configmap", "conf", "-p", '{"data":{"greeting":"changed"}}')

    def content() -> bool:
        return cluster.kubectl("exec", "web", "--", "cat", "/conf/greeting").stdout == "changed"

    eventually(content)


def test_what_changes_in_a_pod_reaches_the_running_one(cluster):
    run_web(cluster)
    cluster.kubectl("label", "pod", "web", "tier=front")

    def labels() -> bool:
        return 'tier="front"' in cluster.kubectl("exec", "web", "--", "cat", "/info/labels").stdout

    eventually(labels)
    assert cluster.get("pod", "web")["status"]["containerStatuses"][0]["restartCount"] == 0
    limits = {"memory": "96Mi"}
    wanted = {"containers": [{"name": "a", "resources": {"limits": limits}}]}
    patch = ["--subresource", "resize", "-p", json.dumps({"spec": wanted})]
    cluster.kubectl("patch", "pod", "web", *patch)

    def resized() -> bool:
        status = cluster.get("pod", "web")["status"]["containerStatuses"][0]
        return status["resources"]["limits"] == limits and status["restartCount"] == 0

    eventually(resized)
    cluster.kubectl("patch", "pod", "web", "-p", '{"spec":{"activeDeadlineSeconds":1}}')
    eventually(lambda: cluster.get("pod", "web")["status"].get("reason") == "DeadlineExceeded")


def test_our_own_verbs_show_a_pod_of_the_cluster_and_leave_it_to_its_api(cluster):
    run_web(cluster)
    assert "web" in cluster.kl("pod", "ls").stdout
    assert cluster.kl("pod", "logs", "web").stdout == "started\n"
    assert cluster.kl("pod", "exec", "web", "--", "cat", "/conf/greeting").stdout == "hello"
    for words in (("down", "web"), ("stop", "web"), ("restart", "web"), ("pause", "web")):
        refused = cluster.kl("pod", *words, check=False)
        assert refused.returncode == 1
        assert "is one of the cluster, which is changed through its API" in refused.stderr
        assert "`kubectl -n default delete pod web` removes it" in refused.stderr
    status = cluster.get("pod", "web")["status"]
    assert status["phase"] == "Running" and status["containerStatuses"][0]["restartCount"] == 0


HOST_PORT = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  nodeName: %s
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command: [sleep, infinity]
    ports: [{containerPort: 80, hostPort: 21017}]
"""


def test_a_pod_whose_host_port_is_taken_has_failed(cluster):
    (node,) = cluster.get("nodes")["items"]
    cluster.apply(HOST_PORT % ("first", node["metadata"]["name"]))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/first", "--timeout=30s")
    cluster.apply(HOST_PORT % ("second", node["metadata"]["name"]))
    eventually(lambda: cluster.get("pod", "second")["status"]["phase"] == "Failed")
    assert cluster.get("pod", "second")["status"]["reason"] == "NodePorts"
    cluster.kubectl("delete", "pod", "first", "--force", "--grace-period=0")
    cluster.apply(HOST_PORT % ("third", node["metadata"]["name"]))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/third", "--timeout=30s")


LARGE = """
apiVersion: v1
kind: Pod
metadata: {name: large}
spec:
  nodeName: %s
  containers:
  - {name: a, image: host, command: [sleep, infinity], resources: {requests: {cpu: "1000"}}}
"""


def test_a_pod_that_asks_for_more_than_the_node_has_left_has_failed(cluster):
    (node,) = cluster.get("nodes")["items"]
    cluster.apply(LARGE % node["metadata"]["name"])
    eventually(lambda: cluster.get("pod", "large")["status"]["phase"] == "Failed")
    status = cluster.get("pod", "large")["status"]
    assert status["reason"] == "OutOfcpu"
    assert "Node didn't have enough resource: cpu, requested: 1000000, used: " in status["message"]
    (event,) = eventually(
        lambda: cluster.get("events", "--field-selector", "involvedObject.name=large")["items"]
    )
    assert event["reason"] == "OutOfcpu"


NEVER_CREATED = """
apiVersion: v1
kind: Pod
metadata: {name: paths}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: a
    image: host
    command: [sleep, infinity]
    env: [{name: PART, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['part']"}}}]
    volumeMounts: [{name: data, mountPath: /data, subPathExpr: $(PART)/x}]
  volumes: [{name: data, emptyDir: {}}]
"""


NO_IMAGE = """
apiVersion: v1
kind: Pod
metadata: {name: unpulled}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - {name: a, image: "IMAGE"}
  - {name: b, image: host, command: [sleep, infinity]}
"""


def test_an_image_that_cannot_be_pulled_waits_and_says_so(cluster):
    """ErrImagePull, then ImagePullBackOff with the cause; each event names its container."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        image = f"127.0.0.1:{server.getsockname()[1]}/app:1"
    cluster.apply(NO_IMAGE.replace("IMAGE", image))

    def waiting(name: str) -> dict[str, str]:
        statuses = cluster.get("pod", "unpulled")["status"].get("containerStatuses", ())
        return next((s["state"]["waiting"] for s in statuses if s["name"] == name), {})

    eventually(lambda: waiting("a").get("reason") == "ImagePullBackOff")
    message = waiting("a")["message"]
    assert message.startswith(f'Back-off pulling image "{image}": ErrImagePull: failed to pull')
    assert waiting("b")["reason"] == "ContainerCreating"

    def events() -> list[tuple[str, str]]:
        found = cluster.get("events", "--field-selector", "involvedObject.name=unpulled")["items"]
        assert all(
            e["involvedObject"].get("fieldPath") == "spec.containers{a}"
            for e in found
            if e["source"].get("component") == "kubelet"
        )
        return [(e["reason"], e["message"]) for e in found]

    expected = {
        ("Pulling", f'Pulling image "{image}"'),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", f'Back-off pulling image "{image}"'),
        ("Failed", "Error: ImagePullBackOff"),
    }
    eventually(lambda: expected <= set(events()))
    cluster.kubectl("delete", "pod", "unpulled", "--grace-period=1")


def test_a_container_that_cannot_be_created_is_tried_again_whatever_the_restart_policy(cluster):
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(NEVER_CREATED)

    def reason() -> str:
        (status,) = cluster.get("pod", "paths")["status"]["containerStatuses"]
        return status["state"]["waiting"]["reason"]

    assert eventually(lambda: reason() == "CreateContainerConfigError")
    assert cluster.get("pod", "paths")["status"]["phase"] == "Pending"
    cluster.kubectl("annotate", "pod", "paths", "part=y")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/paths", "--timeout=60s")
    (status,) = cluster.get("pod", "paths")["status"]["containerStatuses"]
    assert status["restartCount"] == 0 and "terminated" not in status.get("lastState", {})


def test_a_pod_waits_for_a_config_map_and_says_so(cluster):
    cluster.kubectl("taint", "nodes", "--all", "node.kubernetes.io/not-ready-", check=False)
    cluster.apply(WEB.replace("name: conf}\ndata", "name: later}\ndata"))

    def told() -> bool:
        events = cluster.get("events")["items"]
        return any(
            event["reason"] == "FailedMount" and 'configmap "conf" not found' in event["message"]
            for event in events
        )

    eventually(told)
    assert cluster.get("pod", "web")["status"]["phase"] == "Pending"
    cluster.kubectl("create", "configmap", "conf", "--from-literal=greeting=hello")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")


def test_a_deleted_pod_ends_and_goes(cluster):
    run_web(cluster)
    cluster.kubectl("delete", "pod", "web", "--timeout=20s")
    assert cluster.get("pods")["items"] == []
    assert "web" not in cluster.kl("pod", "ls", "-A").stdout


def test_server_and_node_may_be_killed_and_the_pod_runs_on(cluster):
    run_web(cluster)
    identity = cluster.get("pod", "web")["status"]["containerStatuses"][0]["containerID"]
    for name in ("node", "server"):
        before = cluster.child(name)
        os.kill(before, signal.SIGKILL)
        eventually(lambda before=before, name=name: cluster.child(name) not in (0, before))
    eventually(lambda: cluster.kubectl("get", "nodes", check=False).returncode == 0)
    eventually(lambda: cluster.kubectl("exec", "web", "--", "true", check=False).returncode == 0)
    status = cluster.get("pod", "web")["status"]["containerStatuses"][0]
    assert (status["containerID"], status["restartCount"]) == (identity, 0)
    cluster.kubectl("delete", "pod", "web", "--timeout=30s")


def test_up_again_and_status_and_the_machine_is_clean_after_down(cluster):
    assert "1 of 1 ready" in cluster.kl("status").stdout
    cluster.up()
    first = cluster.record()["pid"]
    assert cluster.record()["pid"] == first
    cluster.kl("down")
    done = cluster.kl("status", check=False)
    assert (done.returncode, "is not running" in done.stderr) == (1, True)
    cluster.up()
    assert cluster.record()["pid"] != first
    assert cluster.get("nodes")["items"][0]["metadata"]["name"]
