import pytest

from kubelite.control.api.kinds import pod
from kubelite.control.api.strategy import strategy
from tests.control.api.pure import DEPLOYMENT, POD, SPEC, created, edited, res, res_of, widget

GUARANTEED = {"limits": {"cpu": "1", "memory": "1Gi"}}


def updated(old, new, sub=""):
    return strategy.prepare_update(res_of(old), sub, new, old)


def test_a_new_pod_waits_and_counts_from_one():
    made = created(edited(POD, status={"phase": "Running"}, metadata__generation=9))
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        ([{}], "BestEffort"),
        ([GUARANTEED], "Guaranteed"),
        ([GUARANTEED, {}], "Burstable"),
        ([{"limits": {"cpu": "1"}}], "Burstable"),
        (
            [
                {
                    "limits": {"cpu": "1", "memory": "1Gi"},
                    "requests": {"cpu": "500m", "memory": "1Gi"},
                }
            ],
            "Burstable",
        ),
        (
            [
                {
                    "limits": {"cpu": "1", "memory": "1Gi"},
                    "requests": {"cpu": "1000m", "memory": "1024Mi"},
                }
            ],
            "Guaranteed",
        ),
        (
            [{"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}}],
            "BestEffort",
        ),
        ([{"requests": {"cpu": "0"}}], "BestEffort"),
    ],
)
def test_the_class_of_a_pod_is_read_off_its_resources(resources, qos):
    assert pod.qos_class({"containers": [{"resources": each} for each in resources]}) == qos


def test_first_statuses():
    assert created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})[
        "status"
    ] == {"phase": "Active"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "x"},
        "spec": {"ports": [{"port": 1}]},
    }
    assert created(service)["status"] == {"loadBalancer": {}}
    assert created(edited(DEPLOYMENT, status={"replicas": 3}))["status"] == {}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "x"},
        "status": {"capacity": {"cpu": "4"}},
    }
    assert created(node)["status"]["capacity"] == {"cpu": "4"}


def test_a_namespace_has_its_finalizer_and_its_label():
    made = created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x"}


def test_a_job_finds_its_pods_by_its_uid():
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}}
    made = created({**job, "spec": {"template": {"spec": {**SPEC, "restartPolicy": "Never"}}}})
    uid = made["metadata"]["uid"]
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    labels = made["spec"]["template"]["metadata"]["labels"]
    assert labels["batch.kubernetes.io/controller-uid"] == labels["controller-uid"] == uid
    assert labels["batch.kubernetes.io/job-name"] == labels["job-name"] == "j"


def test_a_job_shares_the_labels_of_its_pods_unless_it_has_some():
    for own in (None, {"a": "b"}):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {**SPEC, "restartPolicy": "Never"}}
        metadata = {"name": "j", **({"labels": own} if own else {})}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata}
        made = created({**job, "spec": {"template": template}})
        labels = made["spec"]["template"]["metadata"]["labels"]
        assert labels["a"] == "b" and labels["job-name"] == "j"
        assert made["metadata"]["labels"] == (own or labels)


def test_a_job_with_its_own_selector_keeps_it():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {**SPEC, "restartPolicy": "Never"}}
    spec = {"manualSelector": True, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    made = created(
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j"}, "spec": spec}
    )
    assert made["spec"]["selector"] == {"matchLabels": {"a": "b"}}
    assert made["spec"]["template"]["metadata"] == {"labels": {"a": "b"}}


def test_the_main_resource_does_not_touch_status():
    old = edited(created(DEPLOYMENT), status={"replicas": 2})
    assert updated(old, edited(old, status={"replicas": 9}))["status"] == {"replicas": 2}
    assert updated(old, edited(old, status=...))["status"] == {"replicas": 2}


def test_status_touches_nothing_else():
    old = created(DEPLOYMENT)
    new = edited(old, spec__replicas=9, metadata__labels={"a": "b"}, status={"replicas": 2})
    assert updated(old, new, "status") == {**old, "status": {"replicas": 2}}


@pytest.mark.parametrize(
    ("change", "generation"),
    [
        ({}, 1),
        ({"metadata__labels": {"a": "b"}}, 1),
        ({"spec__replicas": 2}, 2),
        ({"metadata__generation": 7}, 1),
        ({"metadata__generation": ...}, 1),
        ({"metadata__deletionTimestamp": "2026-01-01T00:00:00Z"}, 2),
    ],
)
def test_the_generation_counts_changes_of_the_spec(change, generation):
    old = created(DEPLOYMENT)
    made = updated(old, edited(old, **change))
    assert made["metadata"]["generation"] == generation
    names = list(made["metadata"])
    assert names.index("uid") < names.index("generation")


def test_kinds_without_generation_never_have_one():
    old = created({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    assert (
        "generation"
        not in updated(old, edited(old, metadata__generation=3, data={"a": "b"}))["metadata"]
    )


def test_a_custom_object_counts_everything_but_metadata_and_status():
    found = widget({"type": "object"})
    first = strategy.prepare_create(
        found, {"metadata": {"name": "w"}, "data": 1, "status": {"x": 1}}
    )
    assert first == {"metadata": {"name": "w", "generation": 1}, "data": 1}
    second = strategy.prepare_update(found, "", {"metadata": {"name": "w"}, "data": 2}, first)
    assert second["metadata"]["generation"] == 2
    assert strategy.prepare_update(
        found, "status", {**second, "data": 3, "status": {"x": 2}}, second
    ) == {
        **second,
        "status": {"x": 2},
    }


def test_resize_takes_resources_of_known_containers_only():
    old = created(POD)
    containers = [
        {**old["spec"]["containers"][0], "image": "other", "resources": {"limits": {"cpu": "2"}}}
    ]
    made = updated(old, edited(old, spec__containers=containers, spec__nodeName="n"), "resize")
    assert (
        made["spec"] == edited(old, spec__containers__0__resources={"limits": {"cpu": "2"}})["spec"]
    )
    assert made["metadata"]["generation"] == 2
    more = updated(old, edited(old, spec__containers=[*containers, {"name": "new"}]), "resize")
    assert [each["name"] for each in more["spec"]["containers"]] == ["web", "new"]


def test_annotations_count_into_the_generation_of_deployments_only():
    for kind, generation in ((DEPLOYMENT, 2), (POD, 1)):
        old = created(kind)
        made = updated(old, edited(old, metadata__annotations={"a": "b"}))
        assert made["metadata"]["generation"] == generation, kind["kind"]


def test_ephemeral_containers_come_alone():
    old = created(POD)
    made = updated(
        old,
        edited(old, spec__ephemeralContainers=[{"name": "d"}], spec__nodeName="n"),
        "ephemeralcontainers",
    )
    assert made["spec"] == {**old["spec"], "ephemeralContainers": [{"name": "d"}]}


def test_finalize_takes_the_finalizers_of_a_namespace():
    old = created({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x"}})
    assert updated(old, edited(old, spec={}, metadata__labels={}), "finalize") == {
        **old,
        "spec": {},
    }
    assert updated(old, edited(old, spec={}))["spec"] == old["spec"]


def test_approval_takes_conditions():
    old = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "x"},
        "spec": {"request": "eA=="},
    }
    new = edited(old, status={"conditions": [{"type": "Approved"}], "certificate": "eA=="}, spec={})
    assert updated(old, new, "approval") == {
        **old,
        "status": {"conditions": [{"type": "Approved"}]},
    }


def test_a_definition_remembers_every_version_that_was_stored():
    versions = [{"name": "v1", "storage": True}, {"name": "v2", "storage": False}]
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "x"},
    }
    old = strategy.prepare_create(res_of(crd), {**crd, "spec": {"versions": versions}})
    assert old["status"]["storedVersions"] == ["v1"]
    new = updated(
        old, edited(old, spec__versions__0__storage=False, spec__versions__1__storage=True)
    )
    assert new["status"]["storedVersions"] == ["v1", "v2"]


def test_what_becomes_of_dependents_and_what_delete_answers():
    assert strategy.default_propagation(res("batch/v1", "Job")) == "Orphan"
    assert strategy.default_propagation(res("v1", "ReplicationController")) == "Orphan"
    assert strategy.default_propagation(res("apps/v1", "Deployment")) == "Background"
    assert strategy.returns_object_on_delete(res("v1", "Service"))
    assert not strategy.returns_object_on_delete(res("v1", "ConfigMap"))
    assert not strategy.returns_object_on_delete(widget(None))
