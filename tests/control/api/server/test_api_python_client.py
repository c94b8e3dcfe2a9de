"""The official Python client, typed, dynamic and asyncio, against a real ``kubelite server``."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.control.api.server.test_api_crash import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

kubernetes = pytest.importorskip("kubernetes")

from kubernetes import client, config, dynamic, utils, watch  # noqa: E402
from kubernetes.client.exceptions import ApiException  # noqa: E402

LABELS = {"app": "web"}


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("python-client")
    server = Process(folder)
    server.start()
    yield str(folder / f"config-{server.port}")
    server.stop()


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Any:
    return config.new_client_from_config(kubeconfig)


@pytest.fixture
def space(api: Any, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own."""
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60].strip("-")
    client.CoreV1Api(api).create_namespace({"metadata": {"name": name}})
    return name


def outcome(status: Any) -> str:
    """What a Status says; some versions of the client give it as a dict."""
    return str(status["status"] if isinstance(status, dict) else status.status)


def deployment(name: str) -> Any:
    container = client.V1Container(
        name="web", image="example/web", ports=[client.V1ContainerPort(container_port=80)]
    )
    template = client.V1PodTemplateSpec(
        metadata=client.V1ObjectMeta(labels=LABELS), spec=client.V1PodSpec(containers=[container])
    )
    spec = client.V1DeploymentSpec(
        replicas=2, selector=client.V1LabelSelector(match_labels=LABELS), template=template
    )
    return client.V1Deployment(
        api_version="apps/v1", kind="Deployment", metadata=client.V1ObjectMeta(name=name), spec=spec
    )


def test_core_objects(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    body = client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name="a", labels={"e2e": "1"}), data={"x": "1"}
    )
    made = core.create_namespaced_config_map(space, body)
    assert made.metadata.creation_timestamp.tzinfo is not None
    assert core.read_namespaced_config_map("a", space).data == {"x": "1"}
    made.data["y"] = "2"
    assert core.replace_namespaced_config_map("a", space, made).data == {"x": "1", "y": "2"}
    assert core.patch_namespaced_config_map("a", space, {"data": {"z": "3"}}).data["z"] == "3"
    patched = core.patch_namespaced_config_map("a", space, [{"op": "remove", "path": "/data/x"}])
    assert patched.data == {"y": "2", "z": "3"}
    assert [
        each.metadata.name
        for each in core.list_namespaced_config_map(space, label_selector="e2e=1").items
    ] == ["a"]
    assert core.list_config_map_for_all_namespaces(
        field_selector=f"metadata.namespace={space}", limit=1
    ).metadata._continue
    with pytest.raises(ApiException) as caught:
        core.replace_namespaced_config_map("a", space, made)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    assert outcome(core.delete_namespaced_config_map("a", space)) == "Success"
    with pytest.raises(ApiException) as caught:
        core.read_namespaced_config_map("a", space)
    assert caught.value.status == 404


def test_services_are_answered_with_on_deletion(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    ports = [
        client.V1ServicePort(port=80, name="http"),
        client.V1ServicePort(port=443, name="https"),
    ]
    spec = client.V1ServiceSpec(selector=LABELS, ports=ports)
    core.create_namespaced_service(
        space, client.V1Service(metadata=client.V1ObjectMeta(name="s"), spec=spec)
    )
    change = {
        "spec": {"ports": [{"name": "new", "port": 8080, "protocol": "TCP", "targetPort": 8080}]}
    }
    assert len(core.patch_namespaced_service("s", space, change).spec.ports) == 3
    gone = core.delete_namespaced_service("s", space)
    assert isinstance(gone, client.V1Service)
    assert gone.metadata.name == "s"


def test_pods_and_their_status(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    pod = {
        "metadata": {"name": "p", "labels": LABELS},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    made = core.create_namespaced_pod(space, pod)
    assert (made.status.phase, made.spec.service_account_name) == ("Pending", "default")
    core.patch_namespaced_pod_status(
        "p", space, {"status": {"phase": "Running", "podIP": "10.0.0.1"}}
    )
    assert core.read_namespaced_pod_status("p", space).status.pod_ip == "10.0.0.1"
    target = client.V1ObjectReference(kind="Node", name="n1")
    binding = client.V1Binding(metadata=client.V1ObjectMeta(name="p"), target=target)
    core.create_namespaced_pod_binding("p", space, binding, _preload_content=False)
    assert core.read_namespaced_pod("p", space).spec.node_name == "n1"
    assert [
        each.metadata.name
        for each in core.list_pod_for_all_namespaces(field_selector="spec.nodeName=n1").items
    ] == ["p"]
    going = core.delete_namespaced_pod("p", space, grace_period_seconds=5)
    assert going.metadata.deletion_grace_period_seconds == 5
    core.delete_namespaced_pod("p", space, grace_period_seconds=0)
    assert core.list_namespaced_pod(space).items == []


def test_workloads(api: Any, space: str) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(space, deployment("d"))
    scale = apps.read_namespaced_deployment_scale("d", space)
    assert (scale.spec.replicas, scale.status.selector) == (2, "app=web")
    assert (
        apps.patch_namespaced_deployment_scale("d", space, {"spec": {"replicas": 5}}).spec.replicas
        == 5
    )
    change = {
        "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "example/web:2"}]}}}
    }
    changed = apps.patch_namespaced_deployment("d", space, change)
    assert (changed.spec.template.spec.containers[0].image, changed.metadata.generation) == (
        "example/web:2",
        3,
    )
    assert changed.spec.template.spec.containers[0].ports[0].container_port == 80
    status = {"status": {"replicas": 5, "readyReplicas": 3}}
    assert apps.patch_namespaced_deployment_status("d", space, status).status.ready_replicas == 3
    assert (
        outcome(apps.delete_namespaced_deployment("d", space, propagation_policy="Background"))
        == "Success"
    )
    batch = client.BatchV1Api(api)
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}
    job = batch.create_namespaced_job(
        space, {"metadata": {"name": "j"}, "spec": {"template": template}}
    )
    assert job.spec.selector.match_labels
    body = client.V1DeleteOptions(propagation_policy="Background")
    assert outcome(batch.delete_namespaced_job("j", space, body=body)) == "Success"


def test_watches(api: Any, space: str) -> None:
    core = client.CoreV1Api(api)
    revision = core.list_namespaced_config_map(space).metadata.resource_version
    for name in ("a", "b"):
        core.create_namespaced_config_map(space, {"metadata": {"name": name}})
    core.patch_namespaced_config_map("a", space, {"data": {"x": "1"}})
    core.delete_namespaced_config_map("a", space)
    core.delete_namespaced_config_map("b", space)
    seen = [
        (event["type"], event["object"].metadata.name)
        for event in watch.Watch().stream(
            core.list_namespaced_config_map, space, resource_version=revision, timeout_seconds=1
        )
    ]
    assert seen == [
        ("ADDED", "a"),
        ("ADDED", "b"),
        ("MODIFIED", "a"),
        ("DELETED", "a"),
        ("DELETED", "b"),
    ]
    started = time.monotonic()
    assert list(watch.Watch().stream(core.list_namespaced_secret, space, timeout_seconds=1)) == []
    assert time.monotonic() - started < 5


def test_create_from_yaml(api: Any, space: str) -> None:
    manifests = Path(__file__).resolve().parents[3] / "kubectl" / "manifests"
    made = utils.create_from_yaml(api, str(manifests / "web.yaml"), namespace=space)
    assert [each[0].kind if isinstance(each, list) else each.kind for each in made] == [
        "Deployment",
        "Service",
    ]
    with pytest.raises(utils.FailToCreateError) as caught:
        utils.create_from_yaml(api, str(manifests / "web.yaml"), namespace=space)
    assert "AlreadyExists" in str(caught.value)
    utils.create_from_directory(
        api, str(manifests.parent / "manifests" / "single"), namespace=space
    )
    assert client.CoreV1Api(api).read_namespaced_pod("single", space)


def test_rbac_and_reviews(api: Any, space: str) -> None:
    rbac = client.RbacAuthorizationV1Api(api)
    rules = [client.V1PolicyRule(verbs=["get"], api_groups=[""], resources=["pods"])]
    rbac.create_namespaced_role(
        space, client.V1Role(metadata=client.V1ObjectMeta(name="r"), rules=rules)
    )
    subject = client.RbacV1Subject(kind="User", name="ann", api_group="rbac.authorization.k8s.io")
    reference = client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="r")
    body = client.V1RoleBinding(
        metadata=client.V1ObjectMeta(name="b"), subjects=[subject], role_ref=reference
    )
    rbac.create_namespaced_role_binding(space, body)
    attributes = client.V1ResourceAttributes(namespace=space, verb="get", resource="pods")
    spec = client.V1SubjectAccessReviewSpec(user="ann", resource_attributes=attributes)
    review = client.AuthorizationV1Api(api).create_subject_access_review(
        client.V1SubjectAccessReview(spec=spec)
    )
    assert review.status.allowed is True
    core = client.CoreV1Api(api)
    request = client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600)
    )
    token = core.create_namespaced_service_account_token("default", space, request).status.token
    seen = client.AuthenticationV1Api(api).create_token_review(
        client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token))
    )
    assert seen.status.user.username == f"system:serviceaccount:{space}:default"


def test_other_kinds(api: Any, space: str) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    assert "apps" in [group.name for group in client.ApisApi(api).get_api_versions().groups]
    core = client.CoreV1Api(api)
    core.create_namespaced_resource_quota(
        space, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    )
    assert core.read_namespaced_resource_quota("q", space).status.used == {"pods": "0"}
    core.create_namespaced_secret(
        space, client.V1Secret(metadata=client.V1ObjectMeta(name="s"), string_data={"a": "b"})
    )
    assert core.read_namespaced_secret("s", space).data == {"a": "Yg=="}
    hpa = {
        "metadata": {"name": "h"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "targetCPUUtilizationPercentage": 50,
        },
    }
    client.AutoscalingV1Api(api).create_namespaced_horizontal_pod_autoscaler(space, hpa)
    second = client.AutoscalingV2Api(api).read_namespaced_horizontal_pod_autoscaler("h", space)
    assert second.spec.metrics[0].resource.target.average_utilization == 50
    lease = client.V1Lease(
        metadata=client.V1ObjectMeta(name="l"), spec=client.V1LeaseSpec(holder_identity="me")
    )
    leases = client.CoordinationV1Api(api)
    leases.create_namespaced_lease(space, lease)
    assert leases.read_namespaced_lease("l", space).spec.holder_identity == "me"
    events = client.EventsV1Api(api)
    event = {
        "metadata": {"name": "e"}, "eventTime": "2026-01-01T00:00:00.000001Z", "action": "Act",
        "reason": "R", "type": "Normal",
        "reportingController": "c.example.com/c", "reportingInstance": "i", "note": "n",
        "regarding": {"kind": "Pod", "namespace": space, "name": "p"},
    }  # fmt: skip
    events.create_namespaced_event(space, event)
    assert core.list_namespaced_event(space).items[0].message == "n"
    for field in ("reportingController=c.example.com/c", "regarding.name=p"):
        assert len(events.list_namespaced_event(space, field_selector=field).items) == 1


def test_dynamic_client(api: Any, space: str) -> None:
    found = dynamic.DynamicClient(api)
    maps = found.resources.get(api_version="v1", kind="ConfigMap")
    made = maps.create(body={"metadata": {"name": "a"}, "data": {"x": "1"}}, namespace=space)
    assert made.data.x == "1"
    assert maps.get(name="a", namespace=space).metadata.uid == made.metadata.uid
    assert (
        maps.patch(
            body={"data": {"y": "2"}},
            name="a",
            namespace=space,
            content_type="application/merge-patch+json",
        ).data.y
        == "2"
    )
    applied = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"z": "3"},
    }
    done = maps.server_side_apply(
        body=applied, name="a", namespace=space, field_manager="tests", dry_run="All"
    )
    assert any(
        each.manager == "tests" and each.operation == "Apply"
        for each in done.metadata.managedFields
    )
    assert "z" not in maps.get(name="a", namespace=space).data.to_dict()
    assert [each.metadata.name for each in maps.get(namespace=space, label_selector="!none").items][
        -1
    ] == "kube-root-ca.crt"
    revision = maps.get(namespace=space).metadata.resourceVersion
    maps.delete(name="a", namespace=space)
    event = next(maps.watch(namespace=space, resource_version=revision, timeout=5))
    assert (event["type"], event["object"].metadata.name) == ("DELETED", "a")
    deployments = found.resources.get(api_version="apps/v1", kind="Deployment")
    deployments.create(
        body=client.ApiClient().sanitize_for_serialization(deployment("d")), namespace=space
    )
    deployments.scale.patch(body={"spec": {"replicas": 4}}, name="d", namespace=space)
    assert deployments.get(name="d", namespace=space).spec.replicas == 4


def test_custom_resources(api: Any, space: str) -> None:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"}
    spec = {
        "group": "python.example.com",
        "scope": "Namespaced",
        "names": names,
        "versions": [version],
    }
    extensions = client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(
        {"metadata": {"name": "gadgets.python.example.com"}, "spec": spec}
    )
    custom = client.CustomObjectsApi(api)
    where = ("python.example.com", "v1", space, "gadgets")
    body = {
        "apiVersion": "python.example.com/v1",
        "kind": "Gadget",
        "metadata": {"name": "g"},
        "spec": {"size": 1},
    }
    custom.create_namespaced_custom_object(*where, body)
    assert (
        custom.patch_namespaced_custom_object(*where, "g", {"spec": {"size": 2}})["spec"]["size"]
        == 2
    )
    assert [
        each["metadata"]["name"] for each in custom.list_namespaced_custom_object(*where)["items"]
    ] == ["g"]
    assert custom.delete_namespaced_custom_object(*where, "g")["status"] == "Success"
    gadgets = dynamic.DynamicClient(api).resources.get(
        api_version="python.example.com/v1", kind="Gadget"
    )
    assert gadgets.create(body=body, namespace=space).spec.size == 1
    extensions.delete_custom_resource_definition("gadgets.python.example.com")


def test_asyncio(kubeconfig: str, space: str) -> None:
    from kubernetes.aio import client as aio
    from kubernetes.aio import config as aio_config
    from kubernetes.aio import watch as aio_watch

    async def run() -> None:
        async with await aio_config.new_client_from_config(kubeconfig) as api:
            core, apps = aio.CoreV1Api(api), aio.AppsV1Api(api)
            await core.create_namespaced_config_map(
                space, {"metadata": {"name": "a"}, "data": {"x": "1"}}
            )
            assert (await core.read_namespaced_config_map("a", space)).data == {"x": "1"}
            await apps.create_namespaced_deployment(
                space, client.ApiClient().sanitize_for_serialization(deployment("d"))
            )
            assert (
                await apps.patch_namespaced_deployment("d", space, {"spec": {"replicas": 3}})
            ).spec.replicas == 3
            async with aio_watch.Watch().stream(
                core.list_namespaced_config_map, space, timeout_seconds=1
            ) as stream:
                names = [event["object"].metadata.name async for event in stream]
            assert sorted(names) == ["a", "kube-root-ca.crt"]
            await core.delete_namespaced_config_map("a", space)

    asyncio.run(run())
