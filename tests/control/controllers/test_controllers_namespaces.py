"""Namespaces: their deletion, and what each of them has."""

from __future__ import annotations

from kubelite.control.controllers.actions import Clear
from kubelite.control.controllers.lifecycle import namespaces, service_accounts
from kubelite.control.controllers.shared.meta import format_time
from tests.control.controllers.plain import NOW, World, pod

KEY = ("", "default")


def namespace(*, deleted=False, name="default"):
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "1"}
    if deleted:
        metadata["deletionTimestamp"] = format_time(NOW - 10)
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Terminating" if deleted else "Active"},
    }


def config_map(name="c", where="default", data=None, **metadata):
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": where,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            **metadata,
        },
        "data": data or {},
    }


def test_a_namespace_goes_with_its_content() -> None:
    other = config_map("kept", "other")
    world = World(namespace(deleted=True), pod("p"), config_map(), other)
    world.run(namespaces.plan(world.view, KEY, NOW))
    assert world.all("Pod") == world.all("Namespace") == []
    assert world.all("ConfigMap") == [other]


def test_one_that_is_not_deleted_stays() -> None:
    world = World(namespace(), config_map())
    assert not namespaces.plan(world.view, KEY, NOW).steps


def test_pods_go_first() -> None:
    world = World(namespace(deleted=True), pod("p", finalizers=["example.com/x"]), config_map())
    plan = namespaces.plan(world.view, KEY, NOW)
    assert plan.wake_at is not None and NOW < plan.wake_at <= NOW + 15
    world.run(plan)
    assert world.all("ConfigMap")
    assert sum(isinstance(action, Clear) for action in world.actions) == 1
    conditions = {c["type"]: c for c in world.get("Namespace", "default")["status"]["conditions"]}
    assert [c["status"] for c in conditions.values()] == ["False", "False", "False", "True", "True"]
    remaining = conditions["NamespaceContentRemaining"]
    assert remaining["message"] == "Some resources are remaining: pods. has 1 resource instances"
    held = conditions["NamespaceFinalizersRemaining"]
    text = "Some content in the namespace has finalizers remaining: "
    assert held["message"] == text + "example.com/x in 1 resource instances"


def test_what_is_held_is_told_once() -> None:
    held = config_map(finalizers=["example.com/x"])
    world = World(namespace(deleted=True), held)
    world.run(namespaces.plan(world.view, KEY, NOW))
    count = len(world.actions)
    world.run(namespaces.plan(world.view, KEY, NOW + 5))
    assert all(isinstance(action, Clear) for action in world.actions[count:])
    world.get("ConfigMap", "c")["metadata"]["finalizers"] = []
    world.run(namespaces.plan(world.view, KEY, NOW + 9))
    assert world.all("Namespace") == []


def test_failures_keep_the_namespace() -> None:
    left = {"remaining": {}, "finalizers": {}, "failures": ["no", "never"]}
    conditions = namespaces.conditions_of(left, (), NOW)
    assert conditions[2]["reason"] == "ContentDeletionFailed"
    assert conditions[2]["message"] == (
        "Failed to delete all resource types, 2 remaining: never, no"
    )


def test_accounts_and_certificates_come_back() -> None:
    authority = {"ca.crt": "pem"}
    world = World(
        namespace(),
        config_map("kube-root-ca.crt", "kube-system", authority),
    )
    assert world.converge(service_accounts.plan_account, KEY) == 1
    assert world.get("ServiceAccount", "default")["metadata"]["namespace"] == "default"
    assert world.converge(service_accounts.plan_authority, KEY) == 1
    made = [c for c in world.all("ConfigMap") if c["metadata"]["namespace"] == "default"]
    assert made[0]["data"] == authority
    made[0]["data"] = {"ca.crt": "wrong"}
    assert world.converge(service_accounts.plan_authority, KEY) == 1
    made = [c for c in world.all("ConfigMap") if c["metadata"]["namespace"] == "default"]
    assert made[0]["data"] == authority


def test_not_in_a_namespace_that_goes() -> None:
    world = World(namespace(deleted=True), config_map("kube-root-ca.crt", "kube-system"))
    assert not service_accounts.plan_account(world.view, KEY, NOW).steps
    assert not service_accounts.plan_authority(world.view, KEY, NOW).steps
