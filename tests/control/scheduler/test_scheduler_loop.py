"""The scheduler at work on a real API server: bindings, sentences, events, preemption, volumes."""

from __future__ import annotations

import asyncio

from kubelite.client import resources
from kubelite.client.resources import NODES, PODS
from tests.control.scheduler.live import Live, add_node, node_of, pod, scheduled, scheduling


async def test_a_pod_gets_a_node_and_an_event_says_so(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        await live.client.create(PODS, pod("web"))
        assert await live.bound("web") == "n1"
        assert scheduled(live.pods.get("default", "web"))["status"] == "True"
        (event,) = await live.events("Scheduled")
        assert event["message"] == "Successfully assigned default/web to n1"
        assert event["reportingComponent"] == "default-scheduler"
        assert event["action"] == "Binding"


async def test_a_pod_that_fits_nowhere_says_why_and_waits_for_what_helps(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await live.client.create(PODS, pod("web", "3"))
        condition = await live.refused("web")
        assert condition["reason"] == "Unschedulable"
        assert condition["message"] == "no nodes available to schedule pods"
        await add_node(live.client, "n1", amounts={"cpu": "1"})
        sentence = (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: "
            "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
        )
        pending = await live.until("web", lambda pod: scheduled(pod).get("message") == sentence)
        assert scheduled(pending)["observedGeneration"] == pending["metadata"]["generation"]
        messages = {event["message"] for event in await live.events("FailedScheduling")}
        assert "no nodes available to schedule pods" in messages
        more = {"status": {"allocatable": {"cpu": "4"}, "capacity": {"cpu": "4"}}}
        await live.client.patch_status(NODES, "n1", more, kind="strategic")
        assert await live.bound("web") == "n1"


async def test_room_that_becomes_free_goes_to_who_waits(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        await live.client.create(PODS, pod("a", "3"))
        await live.bound("a")
        await live.client.create(PODS, pod("b", "3"))
        await live.refused("b")
        await live.client.delete(PODS, "a", "default", grace_seconds=0)
        assert await live.bound("b") == "n1"
        await live.client.create(PODS, pod("c", "3"))
        await live.refused("c")
        done = {"status": {"phase": "Succeeded"}}
        await live.client.patch_status(PODS, "b", done, "default", kind="strategic")
        assert await live.bound("c") == "n1"


async def test_preemption_ends_victims_with_grace_and_nominates(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        high = {"metadata": {"name": "high"}, "value": 1000}
        await live.client.create(resources.PRIORITY_CLASSES, high)
        await live.client.create(PODS, pod("low", "3"))
        await live.bound("low")
        await live.client.create(PODS, pod("vip", "3", priorityClassName="high"))
        low = await live.until("low", lambda pod: pod["metadata"].get("deletionTimestamp"))
        assert low["metadata"]["deletionGracePeriodSeconds"] == 30
        conditions = {each["type"]: each for each in low["status"]["conditions"]}
        assert conditions["DisruptionTarget"]["reason"] == "PreemptionByScheduler"
        assert conditions["DisruptionTarget"]["message"] == (
            "default-scheduler: preempting to accommodate a higher priority pod"
        )
        vip = await live.until("vip", lambda pod: pod["status"].get("nominatedNodeName"))
        assert vip["status"]["nominatedNodeName"] == "n1" and not node_of(vip)
        (event,) = await live.events("Preempted")
        assert event["message"] == f"Preempted by pod {vip['metadata']['uid']} on node n1"
        assert event["involvedObject"]["name"] == "low" and event["related"]["name"] == "vip"
        await live.client.create(PODS, pod("small", "2"))
        await live.refused("small")
        await live.client.delete(PODS, "low", "default", grace_seconds=0)
        assert await live.bound("vip") == "n1"


async def test_gates_and_other_schedulers(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        await live.client.create(PODS, pod("gated", schedulingGates=[{"name": "example.com/a"}]))
        await live.client.create(PODS, pod("other", schedulerName="nobody"))
        await live.client.create(PODS, pod("web"))
        await live.bound("web")
        assert not node_of(live.pods.get("default", "gated"))
        assert "conditions" not in live.pods.get("default", "other")["status"]
        open_patch = {"spec": {"schedulingGates": []}}
        await live.client.patch(PODS, "gated", open_patch, "default")
        assert await live.bound("gated") == "n1"
        assert not node_of(live.pods.get("default", "other"))


async def test_profiles_are_chosen_by_name(tmp_path) -> None:
    configuration = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [
            {"schedulerName": "default-scheduler"},
            {
                "schedulerName": "packing",
                "pluginConfig": [
                    {
                        "name": "NodeResourcesFit",
                        "args": {"scoringStrategy": {"type": "MostAllocated"}},
                    }
                ],
                "plugins": {"score": {"disabled": [{"name": "NodeResourcesBalancedAllocation"}]}},
            },
        ],
    }
    async with scheduling(tmp_path, configuration=configuration) as live:
        await add_node(live.client, "n1")
        await add_node(live.client, "n2")
        await live.client.create(PODS, pod("first", "2"))
        first = await live.bound("first")
        await live.client.create(PODS, pod("packed", "1", schedulerName="packing"))
        assert await live.bound("packed") == first
        await live.client.create(PODS, pod("spread", "1"))
        assert await live.bound("spread") != first
        events = {
            event["involvedObject"]["name"]: event for event in await live.events("Scheduled")
        }
        assert events["packed"]["reportingComponent"] == "packing"


async def selected(live: Live, claim: str, node: str) -> None:
    """Waits until the claim is to be provisioned for the node."""
    for _ in range(1000):
        obj = await live.client.get(resources.PERSISTENT_VOLUME_CLAIMS, claim, "default")
        annotations = obj["metadata"].get("annotations") or {}
        if annotations.get("volume.kubernetes.io/selected-node") == node:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"no node is selected for claim {claim}")


async def test_a_claim_that_waits_is_provisioned_for_the_node(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        await live.client.create(
            resources.STORAGE_CLASSES,
            {
                "metadata": {"name": "slow"},
                "provisioner": "example.com/disk",
                "volumeBindingMode": "WaitForFirstConsumer",
            },
        )
        claims = resources.PERSISTENT_VOLUME_CLAIMS
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "slow",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        await live.client.create(
            claims, {"metadata": {"name": "data", "namespace": "default"}, "spec": spec}
        )
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        await live.client.create(PODS, pod("db", volumes=[volume]))
        await selected(live, "data", "n1")
        assert not node_of(live.pods.get("default", "db"))
        bound = {
            "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "pv-1"},
        }
        await live.client.patch(claims, "data", bound, "default")
        assert await live.bound("db") == "n1"
        # Another pair of these names waits for a volume of its own.
        await live.client.delete(PODS, "db", "default", grace_seconds=0)
        await live.client.delete(claims, "data", "default")
        await live.client.patch(claims, "data", {"metadata": {"finalizers": None}}, "default")
        await live.client.create(
            claims, {"metadata": {"name": "data", "namespace": "default"}, "spec": spec}
        )
        await live.client.create(PODS, pod("db", volumes=[volume]))
        await selected(live, "data", "n1")


async def test_a_node_that_is_cordoned_gets_nothing_until_it_is_not(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        await add_node(live.client, "n1")
        await live.client.patch(NODES, "n1", {"spec": {"unschedulable": True}})
        await live.client.create(PODS, pod("web"))
        condition = await live.refused("web")
        assert "node(s) were unschedulable" in condition["message"]
        await live.client.patch(NODES, "n1", {"spec": {"unschedulable": None, "taints": None}})
        assert await live.bound("web") == "n1"


async def test_a_claim_that_waits_gets_a_volume_of_the_node(tmp_path) -> None:
    async with scheduling(tmp_path) as live:
        for name in ("n1", "n2"):
            await add_node(live.client, name)
        await live.client.create(
            resources.STORAGE_CLASSES,
            {
                "metadata": {"name": "local"},
                "provisioner": "kubernetes.io/no-provisioner",
                "volumeBindingMode": "WaitForFirstConsumer",
            },
        )
        terms = [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["n2"]}]
        await live.client.create(
            resources.PERSISTENT_VOLUMES,
            {
                "metadata": {"name": "disk"},
                "spec": {
                    "capacity": {"storage": "5Gi"},
                    "accessModes": ["ReadWriteOnce"],
                    "storageClassName": "local",
                    "local": {"path": "/mnt/disk"},
                    "nodeAffinity": {
                        "required": {"nodeSelectorTerms": [{"matchExpressions": terms}]}
                    },
                },
            },
        )
        available = {"status": {"phase": "Available"}}
        await live.client.patch_status(resources.PERSISTENT_VOLUMES, "disk", available)
        claims = resources.PERSISTENT_VOLUME_CLAIMS
        spec = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "local",
            "resources": {"requests": {"storage": "1Gi"}},
        }
        claim = await live.client.create(
            claims, {"metadata": {"name": "data", "namespace": "default"}, "spec": spec}
        )
        volume = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
        await live.client.create(PODS, pod("db", volumes=[volume]))
        for _ in range(300):
            disk = await live.client.get(resources.PERSISTENT_VOLUMES, "disk")
            if "claimRef" in disk["spec"]:
                break
            await asyncio.sleep(0.01)
        assert disk["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        assert disk["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
        bound = {
            "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
            "spec": {"volumeName": "disk"},
        }
        await live.client.patch(claims, "data", bound, "default")
        assert await live.bound("db") == "n2"
