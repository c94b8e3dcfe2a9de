import pytest

from kubelite.objects.rules.pods.defaults import pull_policy
from tests.control.api.pure import DEPLOYMENT, POD, SELECTOR, SPEC, TEMPLATE, created, edited


def container(**fields):
    return created(
        edited(POD, **{f"spec__containers__0__{key}": value for key, value in fields.items()})
    )["spec"]["containers"][0]


def test_a_pod():
    spec = created(POD)["spec"]
    assert {key: value for key, value in spec.items() if key != "containers"} == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    assert spec["containers"] == [
        {
            "name": "web",
            "image": "nginx:1.27",
            "resources": {},
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
        }
    ]


def test_what_was_said_stays():
    said = edited(
        POD,
        spec__restartPolicy="Never",
        spec__terminationGracePeriodSeconds=0,
        spec__enableServiceLinks=False,
    )
    spec = created(said)["spec"]
    assert (
        spec["restartPolicy"],
        spec["terminationGracePeriodSeconds"],
        spec["enableServiceLinks"],
    ) == ("Never", 0, False)


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "Always"),
        ("-no reference", "IfNotPresent"),
    ],
)
def test_an_image_is_pulled_always_when_its_tag_moves(image, policy):
    assert pull_policy(image) == policy


def test_a_limit_is_a_request_too():
    resources = container(
        resources={"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "500m"}}
    )["resources"]
    assert resources["requests"] == {"cpu": "500m", "memory": "2Gi"}


def test_probes_ports_and_references():
    made = container(
        livenessProbe={"httpGet": {"port": 80}},
        readinessProbe={"grpc": {"port": 80}},
        ports=[{"containerPort": 80}],
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    )
    assert made["livenessProbe"] == {
        "httpGet": {"path": "/", "port": 80, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert made["readinessProbe"]["grpc"] == {"port": 80, "service": ""}
    assert made["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert made["env"][0]["valueFrom"]["fieldRef"] == {
        "apiVersion": "v1",
        "fieldPath": "metadata.name",
    }


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({}, {"emptyDir": {}}),
        ({"configMap": {"name": "c"}}, {"configMap": {"name": "c", "defaultMode": 420}}),
        ({"secret": {"secretName": "s"}}, {"secret": {"secretName": "s", "defaultMode": 420}}),
        ({"hostPath": {"path": "/x"}}, {"hostPath": {"path": "/x", "type": ""}}),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
            {
                "projected": {
                    "sources": [{"serviceAccountToken": {"expirationSeconds": 3600, "path": "t"}}],
                    "defaultMode": 420,
                }
            },
        ),
    ],
)
def test_volumes(given, made):
    assert created(
        edited(POD, spec__serviceAccountName="a", spec__volumes=[{"name": "v", **given}])
    )["spec"]["volumes"] == [{"name": "v", **made}]


def test_host_network_gives_each_port_itself():
    made = created(
        edited(POD, spec__hostNetwork=True, spec__containers__0__ports=[{"containerPort": 80}])
    )
    assert made["spec"]["containers"][0]["ports"] == [
        {"hostPort": 80, "containerPort": 80, "protocol": "TCP"}
    ]


def test_both_names_of_the_service_account():
    spec = created(edited(POD, spec__serviceAccount="me"))["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("me", "me")


def test_a_template_is_a_pod_without_service_links():
    spec = created(DEPLOYMENT)["spec"]
    assert "enableServiceLinks" not in spec["template"]["spec"]
    assert spec["template"]["spec"]["schedulerName"] == "default-scheduler"
    assert {
        key: spec[key]
        for key in ("replicas", "strategy", "revisionHistoryLimit", "progressDeadlineSeconds")
    } == {
        "replicas": 1,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        },
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


def test_recreate_has_no_rolling_update():
    assert created(edited(DEPLOYMENT, spec__strategy={"type": "Recreate"}))["spec"]["strategy"] == {
        "type": "Recreate"
    }


def made(api_version, kind, spec=None, **rest):
    obj = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **rest}
    return created(obj if spec is None else {**obj, "spec": spec})


def test_stateful_sets_and_daemon_sets():
    base = {"selector": SELECTOR, "template": TEMPLATE}
    claim = {
        "metadata": {"name": "d"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    stateful = made("apps/v1", "StatefulSet", {**base, "volumeClaimTemplates": [claim]})["spec"]
    assert stateful["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
    }
    assert stateful["podManagementPolicy"] == "OrderedReady"
    assert stateful["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    assert stateful["volumeClaimTemplates"][0]["kind"] == "PersistentVolumeClaim"
    assert stateful["volumeClaimTemplates"][0]["spec"]["volumeMode"] == "Filesystem"
    daemon = made("apps/v1", "DaemonSet", base)["spec"]
    assert daemon["updateStrategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
    }


JOB = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {**SPEC, "restartPolicy": "Never"}}}


def test_jobs():
    job = made("batch/v1", "Job", JOB)
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert job["metadata"]["labels"]["a"] == "b"
    spec = job["spec"]
    wanted = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }
    assert {key: spec[key] for key in wanted} == wanted
    assert "completions" not in made("batch/v1", "Job", {**JOB, "parallelism": 2})["spec"]


def test_cron_jobs():
    spec = made("batch/v1", "CronJob", {"schedule": "@hourly", "jobTemplate": {"spec": JOB}})[
        "spec"
    ]
    wanted = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
    }
    assert {key: spec[key] for key in wanted} == wanted
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"] == "ClusterFirst"


def test_services():
    plain = made("v1", "Service", {"ports": [{"port": 80}]})["spec"]
    assert plain == {
        "ports": [{"protocol": "TCP", "port": 80, "targetPort": 80}],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "internalTrafficPolicy": "Cluster",
    }
    outside = made(
        "v1",
        "Service",
        {"ports": [{"port": 80}], "type": "LoadBalancer", "sessionAffinity": "ClientIP"},
    )["spec"]
    assert (outside["externalTrafficPolicy"], outside["allocateLoadBalancerNodePorts"]) == (
        "Cluster",
        True,
    )
    assert outside["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


def test_secrets_take_string_data_into_data():
    made_secret = made("v1", "Secret", stringData={"a": "b"}, data={"a": "eA==", "c": "eA=="})
    assert (made_secret["data"], made_secret["type"]) == ({"a": "Yg==", "c": "eA=="}, "Opaque")
    assert "stringData" not in made_secret


def test_autoscalers_of_both_versions():
    target = {
        "scaleTargetRef": {"kind": "Deployment", "name": "x", "apiVersion": "apps/v1"},
        "maxReplicas": 3,
    }
    assert made("autoscaling/v1", "HorizontalPodAutoscaler", target)["spec"]["minReplicas"] == 1
    spec = made("autoscaling/v2", "HorizontalPodAutoscaler", {**target, "behavior": {}})["spec"]
    assert spec["metrics"][0]["resource"] == {
        "name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 80},
    }
    assert spec["behavior"]["scaleDown"] == {
        "selectPolicy": "Max",
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
    }
    assert [each["value"] for each in spec["behavior"]["scaleUp"]["policies"]] == [4, 100]


def test_the_rest():
    assert made("networking.k8s.io/v1", "NetworkPolicy", {})["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress"],
    }
    assert made("networking.k8s.io/v1", "NetworkPolicy", {"egress": [{}]})["spec"][
        "policyTypes"
    ] == ["Ingress", "Egress"]
    storage = made("storage.k8s.io/v1", "StorageClass", provisioner="p")
    assert (storage["reclaimPolicy"], storage["volumeBindingMode"]) == ("Delete", "Immediate")
    assert (
        made("scheduling.k8s.io/v1", "PriorityClass", value=5)["preemptionPolicy"]
        == "PreemptLowerPriority"
    )
    binding = made(
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={"kind": "Role", "name": "r"},
        subjects=[{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}],
    )
    assert [each.get("apiGroup") for each in binding["subjects"]] == [
        "rbac.authorization.k8s.io",
        None,
    ]
    limits = made(
        "v1",
        "LimitRange",
        {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]},
    )["spec"]["limits"][0]
    assert (limits["default"], limits["defaultRequest"]) == (
        {"cpu": "2"},
        {"cpu": "2", "memory": "1Mi"},
    )
    claim = made(
        "v1",
        "PersistentVolumeClaim",
        {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    )
    assert (claim["spec"]["volumeMode"], claim["status"]) == ("Filesystem", {"phase": "Pending"})
