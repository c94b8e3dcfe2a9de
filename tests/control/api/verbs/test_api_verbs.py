"""Create, read, update, delete: over TLS, as a client sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.control.world import CONFIG, PODS, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path


async def test_an_object_is_created_read_and_deleted(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        made = await api.create(CONFIG, config_map("a", x="1"))
        assert made.code == 201
        assert made.headers["Content-Type"] == "application/json"
        assert made.body.endswith(b"}\n")
        metadata = made.value["metadata"]
        assert metadata["namespace"] == "default"
        assert metadata["uid"]
        assert metadata["creationTimestamp"].endswith("Z")
        assert int(metadata["resourceVersion"]) > 0
        assert (await api.get(f"{CONFIG}/a")).body == made.body
        gone = (await api.delete(f"{CONFIG}/a")).ok()
        details = {"name": "a", "kind": "configmaps", "uid": metadata["uid"]}
        assert gone == {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }
        assert (await api.get(f"{CONFIG}/a")).code == 404


async def test_refusals_are_the_servers_own_bytes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        missing = await api.get(f"{CONFIG}/none")
        assert missing.body == (
            b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",'
            b'"message":"configmaps \\"none\\" not found",'
            b'"reason":"NotFound","details":{"name":"none","kind":"configmaps"},"code":404}\n'
        )
        await api.create(CONFIG, config_map("a"))
        twice = await api.create(CONFIG, config_map("a"))
        assert (twice.code, twice.value["reason"], twice.value["message"]) == (
            409,
            "AlreadyExists",
            'configmaps "a" already exists',
        )
        lost = await api.get("/api/v1/namespaces/default/nothings")
        assert (lost.code, lost.value["message"]) == (
            404,
            "the server could not find the requested resource",
        )
        nowhere = await api.create("/api/v1/namespaces/nowhere/configmaps", config_map("a"))
        assert (nowhere.code, nowhere.value["message"]) == (404, 'namespaces "nowhere" not found')


async def test_an_update_from_an_old_state_conflicts(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        first = (await api.create(CONFIG, config_map("a", x="1"))).ok()
        second = (await api.update(f"{CONFIG}/a", {**first, "data": {"x": "2"}})).ok()
        assert int(second["metadata"]["resourceVersion"]) > int(
            first["metadata"]["resourceVersion"]
        )
        assert second["metadata"]["uid"] == first["metadata"]["uid"]
        late = await api.update(f"{CONFIG}/a", {**first, "data": {"x": "3"}})
        assert late.code == 409
        assert "the object has been modified" in late.value["message"]
        free = (await api.update(f"{CONFIG}/a", config_map("a", x="4"))).ok()
        assert free["data"] == {"x": "4"}
        same = (await api.update(f"{CONFIG}/a", config_map("a", x="4"))).ok()
        assert same["metadata"]["resourceVersion"] == free["metadata"]["resourceVersion"]


async def test_an_update_makes_a_lease_that_is_gone(tmp_path: Path) -> None:
    """A node goes on with the Lease it had at a server that was killed."""
    async with cluster(tmp_path) as api:
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        spec = {"holderIdentity": "n", "leaseDurationSeconds": 40}
        metadata = {"name": "n", "namespace": "default", "resourceVersion": "7"}
        made = await api.update(f"{leases}/n", {"metadata": metadata, "spec": spec})
        assert made.code == 201, made.value
        assert made.value["metadata"]["resourceVersion"] != "7"
        late = await api.update(f"{leases}/n", {"metadata": metadata, "spec": spec})
        assert late.code == 409


async def test_every_patch_kind(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a", x="1"))
        assert (await api.patch(f"{CONFIG}/a", {"data": {"y": "2"}})).ok()["data"] == {
            "x": "1",
            "y": "2",
        }
        operations = [{"op": "remove", "path": "/data/x"}]
        assert (await api.patch(f"{CONFIG}/a", operations, "json")).ok()["data"] == {"y": "2"}
        assert (await api.patch(f"{CONFIG}/a", {"data": {"y": None, "z": "3"}}, "strategic")).ok()[
            "data"
        ] == {"z": "3"}
        applied = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"w": "4"}}
        assert (await api.patch(f"{CONFIG}/a?fieldManager=me", applied, "apply")).ok()["data"] == {
            "w": "4",
            "z": "3",
        }
        nameless = await api.patch(f"{CONFIG}/b?fieldManager=me", applied, "apply")
        assert (nameless.code, nameless.value["reason"]) == (400, "BadRequest")
        named = {**applied, "metadata": {"name": "b"}}
        made = await api.patch(f"{CONFIG}/b?fieldManager=me", named, "apply")
        assert (made.code, made.value["data"]) == (201, {"w": "4"})
        assert (await api.patch(f"{CONFIG}/a", applied, "apply")).code == 422
        wrong = await api.ask(
            "PATCH", f"{CONFIG}/a", raw=b"{}", headers={"Content-Type": "text/plain"}
        )
        assert (wrong.code, wrong.value["reason"]) == (415, "UnsupportedMediaType")


async def test_concurrent_patches_all_arrive(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        wanted = {f"k{number}": str(number) for number in range(30)}
        patches = [
            api.patch(f"{CONFIG}/a", {"data": {key: value}}) for key, value in wanted.items()
        ]
        assert all(each.code == 200 for each in await asyncio.gather(*patches))
        assert (await api.get(f"{CONFIG}/a")).ok()["data"] == wanted


async def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        made = await api.create(CONFIG + "?dryRun=All", config_map("a"))
        assert (made.code, made.value["metadata"]["name"]) == (201, "a")
        assert (await api.get(f"{CONFIG}/a")).code == 404
        first = (await api.create(CONFIG, config_map("a"))).ok()
        assert (await api.patch(f"{CONFIG}/a?dryRun=All", {"data": {"x": "1"}})).ok()["data"] == {
            "x": "1"
        }
        assert (await api.delete(f"{CONFIG}/a?dryRun=All")).code == 200
        assert (await api.get(f"{CONFIG}/a")).ok() == first
        assert (await api.create(CONFIG + "?dryRun=Some", config_map("b"))).code == 422


async def test_names_are_generated(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        body = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"generateName": "job-"}}
        names = [(await api.create(CONFIG, body)).ok()["metadata"]["name"] for _ in range(5)]
        assert len(set(names)) == 5
        assert all(name.startswith("job-") and len(name) == 9 for name in names)
        nameless = await api.create(CONFIG, {"kind": "ConfigMap", "apiVersion": "v1"})
        assert (nameless.code, nameless.value["reason"]) == (422, "Invalid")
        assert "name or generateName is required" in nameless.value["message"]


async def test_finalizers_keep_an_object(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        body = config_map("a")
        body["metadata"]["finalizers"] = ["example.com/hold"]
        await api.create(CONFIG, body)
        going = (await api.delete(f"{CONFIG}/a")).ok()
        assert going["kind"] == "ConfigMap"
        assert going["metadata"]["deletionTimestamp"]
        assert (await api.get(f"{CONFIG}/a")).code == 200
        await api.patch(f"{CONFIG}/a", {"metadata": {"finalizers": None}})
        assert (await api.get(f"{CONFIG}/a")).code == 404


async def test_preconditions_of_a_deletion(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        made = (await api.create(CONFIG, config_map("a"))).ok()
        wrong = await api.delete(f"{CONFIG}/a", {"preconditions": {"uid": "other"}})
        assert wrong.code == 409
        assert (
            await api.delete(f"{CONFIG}/a", {"preconditions": {"resourceVersion": "1"}})
        ).code == 409
        assert (
            await api.delete(f"{CONFIG}/a", {"preconditions": {"uid": made["metadata"]["uid"]}})
        ).code == 200


async def test_propagation_policies_become_finalizers(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        going = (await api.delete(f"{CONFIG}/a?propagationPolicy=Foreground")).ok()
        assert going["metadata"]["finalizers"] == ["foregroundDeletion"]
        await api.create(CONFIG, config_map("b"))
        going = (await api.delete(f"{CONFIG}/b", {"propagationPolicy": "Orphan"})).ok()
        assert going["metadata"]["finalizers"] == ["orphan"]
        assert (await api.delete(f"{CONFIG}/b", {"propagationPolicy": "Wild"})).code == 422


async def test_pods_end_gracefully_once_they_are_on_a_node(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("unscheduled"))
        assert (await api.delete(f"{PODS}/unscheduled")).ok()["kind"] == "Pod"
        assert (await api.get(f"{PODS}/unscheduled")).code == 404
        await api.create(PODS, pod("running", nodeName="n1"))
        going = (await api.delete(f"{PODS}/running")).ok()["metadata"]
        assert going["deletionGracePeriodSeconds"] == 30
        shorter = (await api.delete(f"{PODS}/running", {"gracePeriodSeconds": 5})).ok()["metadata"]
        assert shorter["deletionGracePeriodSeconds"] == 5
        assert shorter["deletionTimestamp"] <= going["deletionTimestamp"]
        assert (await api.get(f"{PODS}/running")).code == 200
        await api.delete(f"{PODS}/running", {"gracePeriodSeconds": 0})
        assert (await api.get(f"{PODS}/running")).code == 404


async def test_a_collection_is_deleted_by_selector(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        for name in ("a", "b", "c"):
            body = config_map(name)
            body["metadata"]["labels"] = {"keep": "no" if name < "c" else "yes"}
            await api.create(CONFIG, body)
        gone = (await api.delete(f"{CONFIG}?labelSelector=keep%3Dno")).ok()
        assert [item["metadata"]["name"] for item in gone["items"]] == ["a", "b"]
        left = (await api.get(f"{CONFIG}?labelSelector=keep")).ok()["items"]
        assert [item["metadata"]["name"] for item in left] == ["c"]


async def test_status_is_written_on_its_own_path(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        made = (await api.create(PODS, pod("p"))).ok()
        assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
        await api.patch(f"{PODS}/p", {"status": {"phase": "Running"}})
        assert (await api.get(f"{PODS}/p")).ok()["status"]["phase"] == "Pending"
        done = (
            await api.patch(
                f"{PODS}/p/status", {"status": {"phase": "Running"}, "spec": {"nodeName": "x"}}
            )
        ).ok()
        assert done["status"]["phase"] == "Running"
        assert "nodeName" not in done["spec"]


async def test_generation_counts_changes_of_the_spec(tmp_path: Path) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    body = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    async with cluster(tmp_path) as api:
        assert (await api.create(path, body)).ok()["metadata"]["generation"] == 1
        assert (await api.patch(f"{path}/d", {"metadata": {"labels": {"x": "y"}}})).ok()[
            "metadata"
        ]["generation"] == 1
        assert (await api.patch(f"{path}/d", {"spec": {"replicas": 4}})).ok()["metadata"][
            "generation"
        ] == 2
        scale = (await api.get(f"{path}/d/scale")).ok()
        assert (scale["kind"], scale["spec"]["replicas"], scale["status"]["selector"]) == (
            "Scale",
            4,
            "a=b",
        )
        assert (await api.patch(f"{path}/d/scale", {"spec": {"replicas": 7}})).ok()["spec"][
            "replicas"
        ] == 7
        assert (await api.get(f"{path}/d")).ok()["spec"]["replicas"] == 7
        assert (await api.update(f"{path}/d/scale", {**scale, "spec": {"replicas": 1}})).code == 409


async def test_a_binding_places_a_pod_once(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        uid = (await api.create(PODS, pod("p"))).ok()["metadata"]["uid"]
        waiting = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        status = {"nominatedNodeName": "n1", "conditions": [waiting]}
        await api.patch(f"{PODS}/p/status", {"status": status})
        body: dict[str, Any] = {
            "kind": "Binding",
            "apiVersion": "v1",
            "metadata": {"name": "p", "annotations": {"a": "b"}},
            "target": {"kind": "Node", "name": "n1"},
        }
        body["metadata"]["uid"] = "of another pod"
        assert (await api.create(f"{PODS}/p/binding", body)).code == 409
        body["metadata"]["uid"] = uid
        assert (await api.create(f"{PODS}/p/binding?dryRun=All", body)).code == 201
        assert (await api.create(f"{PODS}/p/binding", body)).code == 201
        placed = (await api.get(f"{PODS}/p")).ok()
        assert placed["spec"]["nodeName"] == "n1"
        assert placed["metadata"]["annotations"] == {"a": "b"}
        assert "nominatedNodeName" not in placed["status"]
        (condition,) = placed["status"]["conditions"]
        assert (condition["type"], condition["status"]) == ("PodScheduled", "True")
        assert "reason" not in condition
        assert (await api.create(f"{PODS}/p/binding", body)).code == 409


async def test_eviction_asks_the_budget(tmp_path: Path) -> None:
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    async with cluster(tmp_path) as api:
        body = pod("p")
        body["metadata"]["labels"] = {"app": "x"}
        await api.create(PODS, body)
        await api.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}})
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
        await api.create(
            budgets,
            {
                "kind": "PodDisruptionBudget",
                "apiVersion": "policy/v1",
                "metadata": {"name": "b"},
                "spec": spec,
            },
        )
        eviction = {
            "kind": "Eviction",
            "apiVersion": "policy/v1",
            "metadata": {"name": "p", "namespace": "default"},
        }
        blocked = await api.create(f"{PODS}/p/eviction", eviction)
        assert (blocked.code, blocked.value["reason"]) == (429, "TooManyRequests")
        assert blocked.value["details"]["causes"][0]["reason"] == "DisruptionBudget"
        status = {
            "observedGeneration": 1,
            "disruptionsAllowed": 1,
            "currentHealthy": 1,
            "desiredHealthy": 0,
            "expectedPods": 1,
        }
        (await api.patch(f"{budgets}/b/status", {"status": status})).ok()
        assert (await api.create(f"{PODS}/p/eviction", eviction)).code == 201
        assert (await api.get(f"{PODS}/p")).code == 404
        spent = (await api.get(f"{budgets}/b")).ok()["status"]
        assert spent["disruptionsAllowed"] == 0
        assert "p" in spent["disruptedPods"]


async def test_an_eviction_says_in_the_pod_why_it_goes(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(PODS, pod("p", nodeName="n"))
        eviction = {
            "kind": "Eviction",
            "apiVersion": "policy/v1",
            "metadata": {"name": "p"},
            "deleteOptions": {"gracePeriodSeconds": 5},
        }
        assert (await api.create(f"{PODS}/p/eviction", eviction)).code == 201
        left = (await api.get(f"{PODS}/p")).ok()
        assert left["metadata"]["deletionGracePeriodSeconds"] == 5
        (condition,) = left["status"]["conditions"]
        assert (condition["type"], condition["reason"], condition["status"]) == (
            "DisruptionTarget",
            "EvictionByEvictionAPI",
            "True",
        )


async def test_methods_that_mean_nothing_at_a_path(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        for method, path in (
            ("PUT", CONFIG),
            ("PATCH", CONFIG),
            ("POST", f"{CONFIG}/a"),
            ("HEAD", CONFIG),
            ("HEAD", f"{CONFIG}/a"),
            ("OPTIONS", CONFIG),
        ):
            reply = await api.ask(method, path, config_map("a"))
            assert reply.code == 405, (method, path)
            if method != "HEAD":
                assert "details" not in reply.value or reply.value["details"] == {}
