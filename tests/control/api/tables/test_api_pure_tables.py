from datetime import UTC, datetime

import pytest

from kubelite.control.api.kinds import registry
from kubelite.control.api.strategy import strategy
from kubelite.control.api.tables import tables
from kubelite.objects.rules import printing
from tests.control.api.pure import DEPLOYMENT, POD, RESOURCES, created, edited, res, res_of, widget

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BORN = "2026-01-31T11:55:00Z"


def shown(obj):
    """Cells by column name, without those only ``-o wide`` shows, and those."""
    made = strategy.render_table(
        res_of(obj), [edited(obj, metadata__creationTimestamp=BORN)], now=NOW
    )
    (row,) = made["rows"]
    columns = made["columnDefinitions"]
    assert len(columns) == len(row["cells"])
    narrow = {
        each["name"]: cell
        for each, cell in zip(columns, row["cells"], strict=True)
        if not each["priority"]
    }
    wide = {
        each["name"]: cell
        for each, cell in zip(columns, row["cells"], strict=True)
        if each["priority"]
    }
    return narrow, wide


def running(name="c", ready=True, restarts=0, **more):
    return {
        "name": name,
        "ready": ready,
        "restartCount": restarts,
        "state": {"running": {}},
        **more,
    }


def waiting(reason, **more):
    return {
        "name": "c",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": {"reason": reason}},
        **more,
    }


def ended(code=0, reason="", signal=0, **more):
    state = {
        "exitCode": code,
        **({"reason": reason} if reason else {}),
        **({"signal": signal} if signal else {}),
    }
    return {"name": "c", "ready": False, "restartCount": 0, "state": {"terminated": state}, **more}


def pod(phase="Running", main=(), init=(), conditions=(), specs=(), **more):
    status = {"phase": phase, "containerStatuses": list(main), "initContainerStatuses": list(init)}
    status["conditions"] = [{"type": kind, "status": "True"} for kind in conditions]
    return edited(POD, status=status, spec__initContainers=list(specs), **more)


INIT = [{"name": "a"}, {"name": "b"}]
SIDECAR = [{"name": "s", "restartPolicy": "Always"}]


@pytest.mark.parametrize(
    ("obj", "ready", "status"),
    [
        (pod("Pending"), "0/1", "Pending"),
        (pod(main=[running()]), "1/1", "Running"),
        (pod(main=[running(ready=False)]), "0/1", "Running"),
        (pod("Pending", [waiting("ContainerCreating")]), "0/1", "ContainerCreating"),
        (pod(main=[waiting("CrashLoopBackOff")]), "0/1", "CrashLoopBackOff"),
        (pod("Succeeded", [ended(0, "Completed")]), "0/1", "Completed"),
        (pod("Failed", [ended(1, "Error")]), "0/1", "Error"),
        (pod("Failed", [ended(3)]), "0/1", "ExitCode:3"),
        (pod("Failed", [ended(137, signal=9)]), "0/1", "Signal:9"),
        (pod("Pending", init=[running("a")], specs=INIT), "0/1", "Init:0/2"),
        (pod("Pending", init=[ended(0), waiting("PodInitializing")], specs=INIT), "0/1",
         "Init:1/2"),
        (pod("Pending", init=[waiting("ImagePullBackOff")], specs=INIT), "0/1",
         "Init:ImagePullBackOff"),
        (pod("Pending", init=[ended(2)], specs=INIT), "0/1", "Init:ExitCode:2"),
        (pod("Pending", init=[ended(1, "Error")], specs=INIT), "0/1", "Init:Error"),
        (pod("Pending", init=[ended(9, signal=9)], specs=INIT), "0/1", "Init:Signal:9"),
        (pod(main=[running()], init=[running("s", started=True)], specs=SIDECAR), "2/2", "Running"),
        (pod(main=[ended(0, "Completed"), running()], conditions=["Ready"]), "1/1", "Running"),
        (pod(main=[ended(0, "Completed"), running()]), "1/1", "NotReady"),
        (pod(main=[running()], metadata__deletionTimestamp=BORN), "1/1", "Terminating"),
        (pod("Succeeded", [ended(0, "Completed")], metadata__deletionTimestamp=BORN), "0/1",
         "Completed"),
        (edited(pod("Failed"), status__reason="Evicted"), "0/1", "Evicted"),
        (edited(pod(main=[running()], metadata__deletionTimestamp=BORN), status__reason="NodeLost"),
         "1/1", "Unknown"),
        (edited(POD,
                status={"phase": "Pending",
                        "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated",
                                        "status": "False"}]}), "0/1", "SchedulingGated"),
    ],
)  # fmt: skip
def test_the_status_of_a_pod(obj, ready, status):
    narrow, _ = shown(obj)
    assert (narrow["Ready"], narrow["Status"]) == (ready, status)


def test_restarts_tell_when_the_last_one_was():
    last = {"lastState": {"terminated": {"finishedAt": "2026-01-31T11:58:30Z"}}}
    assert shown(pod(main=[running(restarts=3, **last)]))[0]["Restarts"] == "3 (90s ago)"
    assert shown(pod(main=[running(restarts=3)]))[0]["Restarts"] == "3"
    assert (
        shown(pod(main=[running()], init=[ended(0, restartCount=5)], specs=INIT))[0]["Restarts"]
        == "0"
    )


def test_the_wide_cells_of_a_pod():
    assert shown(POD)[1] == {
        "IP": "<none>",
        "Node": "<none>",
        "Nominated Node": "<none>",
        "Readiness Gates": "<none>",
    }
    full = pod(
        conditions=["g"],
        spec__nodeName="n",
        spec__readinessGates=[{"conditionType": "g"}, {"conditionType": "h"}],
    )
    full = edited(full, status__podIPs=[{"ip": "10.0.0.1"}], status__nominatedNodeName="m")
    assert shown(full)[1] == {
        "IP": "10.0.0.1",
        "Node": "n",
        "Nominated Node": "m",
        "Readiness Gates": "1/2",
    }


def test_a_pod_that_has_ended_says_so_in_its_row():
    (row,) = strategy.render_table(res("v1", "Pod"), [pod("Succeeded")], now=NOW)["rows"]
    assert row["conditions"][0]["reason"] == "Succeeded"
    assert printing.row_conditions(pod()) == []


def obj(api_version, kind, **rest):
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}, **rest}


ROLE = {"kind": "Role", "name": "r"}
ROWS = [
    (edited(DEPLOYMENT, spec__replicas=3,
            status={"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}),
     {"Name": "web", "Ready": "1/3", "Up-to-date": 2, "Available": 1, "Age": "5m"},
     {"Containers": "web", "Images": "nginx:1.27", "Selector": "app=web"}),
    (obj("apps/v1", "ReplicaSet", spec={"replicas": 2}, status={"replicas": 2, "readyReplicas": 1}),
     {"Desired": 2, "Current": 2, "Ready": 1}, {"Selector": "<none>"}),
    (obj("apps/v1", "StatefulSet", spec={"replicas": 2}, status={"readyReplicas": 1}),
     {"Ready": "1/2"}, {}),
    (obj("apps/v1", "DaemonSet", spec={"template": {"spec": {"nodeSelector": {"a": "b"}}}},
         status={"desiredNumberScheduled": 3, "numberReady": 2}),
     {"Desired": 3, "Ready": 2, "Node Selector": "a=b"}, {}),
    (obj("batch/v1", "Job", spec={"completions": 3},
         status={"succeeded": 1, "startTime": "2026-01-31T11:59:00Z"}),
     {"Status": "Running", "Completions": "1/3", "Duration": "60s"}, {}),
    (obj("batch/v1", "Job", spec={"parallelism": 2},
         status={"conditions": [{"type": "Failed", "status": "True"}]}),
     {"Status": "Failed", "Completions": "0/1 of 2", "Duration": ""}, {}),
    (obj("batch/v1", "CronJob", spec={"schedule": "@daily", "suspend": True},
         status={"active": [{}], "lastScheduleTime": "2026-01-31T11:59:00Z"}),
     {"Schedule": "@daily", "Timezone": "<none>", "Suspend": "True", "Active": 1,
      "Last Schedule": "60s"}, {}),
    (obj("v1", "Service",
         spec={"type": "NodePort", "clusterIP": "10.0.0.1",
               "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"},
                         {"port": 53, "protocol": "UDP"}], "selector": {"a": "b"}}),
     {"Type": "NodePort", "Cluster-IP": "10.0.0.1", "External-IP": "<none>",
      "Port(s)": "80:30080/TCP,53/UDP"}, {"Selector": "a=b"}),
    (obj("v1", "Service", spec={"type": "LoadBalancer"}),
     {"Cluster-IP": "<none>", "External-IP": "<pending>", "Port(s)": "<none>"}, {}),
    (obj("v1", "Service", spec={"type": "ExternalName", "externalName": "a.b"}),
     {"External-IP": "a.b"}, {}),
    (obj("v1", "Node",
         status={"conditions": [{"type": "Ready", "status": "True"}],
                 "nodeInfo": {"kubeletVersion": "v1"},
                 "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]},
         spec={"unschedulable": True}),
     {"Status": "Ready,SchedulingDisabled", "Roles": "<none>", "Version": "v1"},
     {"Internal-IP": "1.2.3.4", "External-IP": "<none>", "OS-Image": "<unknown>"}),
    (obj("v1", "Node", status={"conditions": [{"type": "Ready", "status": "Unknown"}]}),
     {"Status": "NotReady"}, {}),
    (obj("v1", "Namespace", status={"phase": "Active"}),
     {"Name": "x", "Status": "Active", "Age": "5m"}, {}),
    (obj("v1", "Secret", type="Opaque", data={"a": "", "b": ""}), {"Type": "Opaque", "Data": 2},
     {}),
    (obj("v1", "ConfigMap", data={"a": ""}, binaryData={"b": ""}), {"Data": 2}, {}),
    (obj("v1", "PersistentVolumeClaim",
         spec={"volumeName": "v", "storageClassName": "s", "volumeMode": "Filesystem"},
         status={"phase": "Bound", "capacity": {"storage": "1Gi"},
                 "accessModes": ["ReadWriteOnce", "ReadOnlyMany"]}),
     {"Status": "Bound", "Volume": "v", "Capacity": "1Gi", "Access Modes": "RWO,ROX",
      "StorageClass": "s", "VolumeAttributesClass": "<unset>"}, {"VolumeMode": "Filesystem"}),
    (obj("v1", "PersistentVolume",
         spec={"capacity": {"storage": "1Gi"}, "claimRef": {"namespace": "n", "name": "c"},
               "persistentVolumeReclaimPolicy": "Delete"}, status={"phase": "Bound"}),
     {"Capacity": "1Gi", "Reclaim Policy": "Delete", "Status": "Bound", "Claim": "n/c"},
     {"VolumeMode": "<unset>"}),
    (obj("v1", "Endpoints",
         subsets=[{"addresses": [{"ip": f"1.1.1.{n}"} for n in range(5)],
                   "ports": [{"port": 80}]}]),
     {"Endpoints": "1.1.1.0:80,1.1.1.1:80,1.1.1.2:80 + 2 more..."}, {}),
    (obj("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", ports=[{"port": 80}],
         endpoints=[{"addresses": ["1.1.1.1"]}]),
     {"AddressType": "IPv4", "Ports": "80", "Endpoints": "1.1.1.1"}, {}),
    (obj("networking.k8s.io/v1", "Ingress",
         spec={"ingressClassName": "c", "tls": [{}], "rules": [{"host": "a.b"}]}),
     {"Class": "c", "Hosts": "a.b", "Address": "", "Ports": "80, 443"}, {}),
    (obj("networking.k8s.io/v1", "NetworkPolicy",
         spec={"podSelector": {"matchExpressions": [{"key": "a", "operator": "In",
                                                     "values": ["c", "b"]},
                                                    {"key": "d", "operator": "DoesNotExist"}]}}),
     {"Pod-Selector": "a in (b,c),!d"}, {}),
    (obj("autoscaling/v2", "HorizontalPodAutoscaler",
         spec={"scaleTargetRef": {"kind": "Deployment", "name": "d"}, "maxReplicas": 3,
               "metrics": [{"type": "Resource",
                            "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}]},
         status={"currentReplicas": 2,
                 "currentMetrics": [{"type": "Resource",
                                     "resource": {"current": {"averageUtilization": 10}}}]}),
     {"Reference": "Deployment/d", "Targets": "cpu: 10%/80%", "MinPods": "<unset>",
      "MaxPods": 3, "Replicas": 2}, {}),
    (obj("autoscaling/v1", "HorizontalPodAutoscaler", spec={"targetCPUUtilizationPercentage": 50}),
     {"Targets": "cpu: <unknown>/50%"}, {}),
    (obj("policy/v1", "PodDisruptionBudget", spec={"minAvailable": "50%"},
         status={"disruptionsAllowed": 1}),
     {"Min Available": "50%", "Max Unavailable": "N/A", "Allowed Disruptions": 1}, {}),
    (obj("v1", "ResourceQuota",
         status={"hard": {"pods": "3", "limits.cpu": "2"}, "used": {"pods": "1"}}),
     {"Request": "pods: 1/3", "Limit": "limits.cpu: 0/2"}, {}),
    (obj("rbac.authorization.k8s.io/v1", "RoleBinding", roleRef=ROLE,
         subjects=[{"kind": "User", "name": "u"},
                   {"kind": "ServiceAccount", "namespace": "n", "name": "s"}]), {"Role": "Role/r"},
     {"Users": "u", "Groups": "", "ServiceAccounts": "n/s"}),
    (obj("rbac.authorization.k8s.io/v1", "ClusterRole"), {"Created At": BORN}, {}),
    (obj("storage.k8s.io/v1", "StorageClass", provisioner="p", reclaimPolicy="Delete"),
     {"Provisioner": "p", "AllowVolumeExpansion": False}, {}),
    (obj("certificates.k8s.io/v1", "CertificateSigningRequest",
         spec={"signerName": "s", "username": "u"},
         status={"conditions": [{"type": "Approved"}], "certificate": "x"}),
     {"SignerName": "s", "Requestor": "u", "RequestedDuration": "<none>",
      "Condition": "Approved,Issued"}, {}),
    (obj("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "h"}), {"Holder": "h"}, {}),
    (obj("v1", "Event", involvedObject={"kind": "Pod", "name": "p"}, type="Normal",
         reason="Started", message="m\n", lastTimestamp="2026-01-31T11:59:00Z", count=4,
         source={"component": "c", "host": "h"}),
     {"Last Seen": "60s", "Type": "Normal", "Reason": "Started", "Object": "pod/p", "Message": "m"},
     {"Source": "c, h", "Count": 4, "Name": "x"}),
    (obj("apps/v1", "ControllerRevision", revision=3,
         metadata={"name": "x",
                   "ownerReferences": [{"kind": "StatefulSet", "apiVersion": "apps/v1", "name": "s",
                                        "controller": True}]}),
     {"Controller": "statefulset.apps/s", "Revision": 3}, {}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "narrow", "wide"),
    ROWS,
    ids=lambda value: value.get("kind", "") if isinstance(value, dict) else "",
)
def test_cells(given, narrow, wide):
    found, more = shown(given)
    assert {key: found[key] for key in narrow} == narrow
    assert {key: more[key] for key in wide} == wide


@pytest.mark.parametrize("found", RESOURCES, ids=lambda each: f"{each.plural}.{each.group}")
def test_every_kind_has_a_row_even_when_it_is_empty(found):
    bare = {"apiVersion": found.gv, "kind": found.kind, "metadata": {"name": "x"}}
    made = strategy.render_table(found, [bare], now=NOW)
    # Kubernetes gives an IPAddress an age, and no column for it.
    unnamed = found.kind == "IPAddress"
    assert len(made["columnDefinitions"]) + unnamed == len(made["rows"][0]["cells"])


def test_a_default_storage_class_says_so():
    default = edited(
        obj("storage.k8s.io/v1", "StorageClass"),
        metadata__annotations={"storageclass.kubernetes.io/is-default-class": "true"},
    )
    assert shown(default)[0]["Name"] == "x (default)"


def test_a_table_and_what_its_rows_carry():
    made = strategy.render_table(
        res("v1", "Pod"), [POD], now=NOW, metadata={"resourceVersion": "5"}
    )
    assert list(made)[:3] == ["kind", "apiVersion", "metadata"]
    assert made["metadata"] == {"resourceVersion": "5"}
    assert made["rows"][0]["object"] == {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": POD["metadata"],
    }
    assert (
        strategy.render_table(res("v1", "Pod"), [POD], now=NOW, include="Object")["rows"][0][
            "object"
        ]
        == POD
    )
    bare = strategy.render_table(res("v1", "Pod"), [POD], now=NOW, include="None", columns=False)
    assert bare["columnDefinitions"] == []
    assert bare["rows"][0]["object"] is None


def test_a_list_of_metadata():
    made = tables.partial_list([tables.partial(POD)], {"resourceVersion": "5"})
    assert (made["kind"], made["items"][0]["metadata"]) == (
        "PartialObjectMetadataList",
        POD["metadata"],
    )


def test_metadata_alone_lack_the_annotations_that_stand_for_fields():
    counted, own = {"deprecated.daemonset.template.generation": "1"}, {"a": "b"}
    for annotations, kept in ((counted, {}), ({**counted, **own}, {"annotations": own})):
        obj = {"metadata": {"name": "d", "annotations": annotations}, "spec": {}}
        daemon_set = res("apps/v1", "DaemonSet")
        assert strategy.partial(daemon_set, obj)["metadata"] == {"name": "d", **kept}
        assert strategy.partial(res("v1", "Pod"), obj)["metadata"] == obj["metadata"]
        (row,) = strategy.render_table(daemon_set, [obj], now=NOW)["rows"]
        assert row["object"]["metadata"] == {"name": "d", **kept}


def columns(*given):
    return widget(
        {"type": "object"},
        additionalPrinterColumns=[
            dict(zip(("name", "type", "jsonPath"), each, strict=True)) for each in given
        ],
    )


def test_a_custom_kind_shows_what_it_declares():
    found = columns(
        ("Size", "integer", ".spec.size"),
        ("On", "boolean", ".spec.on"),
        ("Since", "date", ".status.at"),
        ("Names", "string", ".spec.names[*]"),
        ("Odd", "integer", ".spec.names"),
        ("None", "string", ".spec.none"),
        ("Map", "string", ".spec.map"),
    )
    widget_obj = {
        "metadata": {"name": "w"},
        "spec": {"size": 0, "on": False, "names": ["a", "b"], "map": {"k": 1}},
        "status": {"at": BORN},
    }
    (row,) = strategy.render_table(found, [widget_obj], now=NOW)["rows"]
    assert row["cells"] == ["w", 0, False, "5m", "a b", None, None, '{"k":1}']


def test_a_custom_kind_without_columns_shows_its_age():
    made = strategy.render_table(
        widget(None), [{"metadata": {"name": "w", "creationTimestamp": BORN}}], now=NOW
    )
    assert [each["name"] for each in made["columnDefinitions"]] == ["Name", "Age"]
    assert made["rows"][0]["cells"] == ["w", "5m"]


def test_only_known_kinds_have_columns():
    served = {(found.group, found.kind) for found in RESOURCES} | {
        ("autoscaling", "Scale"),
        ("apiregistration.k8s.io", "APIService"),
    }
    assert set(registry.KINDS) - served == set()


def test_what_is_stored_can_be_shown():
    assert shown(created(DEPLOYMENT))[0]["Ready"] == "0/1"


def test_numbers_and_truth_values_say_so():
    made = strategy.render_table(res("apps/v1", "ReplicaSet"), [], now=NOW)
    types = {each["name"]: each["type"] for each in made["columnDefinitions"]}
    assert types == {"Name": "string", "Desired": "integer", "Current": "integer",
                     "Ready": "integer", "Age": "string",
                     "Containers": "string", "Images": "string", "Selector": "string"}  # fmt: skip
    for each in RESOURCES:
        for column in strategy.render_table(each, [], now=NOW)["columnDefinitions"]:
            assert (
                column["type"] in ("string", "integer", "boolean", "date")
                and column["name"][-1] not in "#?"
            )


def test_endpoints_come_port_by_port():
    subset = {
        "addresses": [{"ip": "10.0.0.1"}, {"ip": "::1"}],
        "ports": [{"port": 80}, {"port": 81}],
    }
    narrow, _ = shown(obj("v1", "Endpoints", subsets=[subset]))
    assert narrow["Endpoints"] == "10.0.0.1:80,[::1]:80,10.0.0.1:81 + 1 more..."
    narrow, _ = shown(obj("v1", "Endpoints", subsets=[{"addresses": [{"ip": "10.0.0.1"}]}]))
    assert narrow["Endpoints"] == "10.0.0.1"
