"""Admission: what the cluster adds, what it refuses, and quotas that hold whoever hurries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from kubelite.control.api.server.lifecycle import Options
from kubelite.control.store.sqlite import SQLite
from tests.control.world import CONFIG, PODS, cluster, config_map, pod

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "/api/v1/namespaces/default"
SERVICES = f"{SPACE}/services"


def quota(**hard: str) -> dict[str, Any]:
    return {
        "kind": "ResourceQuota",
        "apiVersion": "v1",
        "metadata": {"name": "q"},
        "spec": {"hard": hard},
    }


def service(name: str, **spec: Any) -> dict[str, Any]:
    spec.setdefault("ports", [{"port": 80}])
    return {"kind": "Service", "apiVersion": "v1", "metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_quota_is_never_exceeded(tmp_path: Path, kind: str) -> None:
    backend = SQLite(str(tmp_path / "s.db")) if kind == "sqlite" else None
    async with cluster(tmp_path, backend) as api:
        await api.create(f"{SPACE}/resourcequotas", quota(pods="10", configmaps="8"))
        creations = [api.create(PODS, pod(f"p{number}")) for number in range(64)]
        codes = [reply.code for reply in await asyncio.gather(*creations)]
        assert (codes.count(201), codes.count(403)) == (10, 54)
        status = (await api.get(f"{SPACE}/resourcequotas/q")).ok()["status"]
        assert status["used"] == {"configmaps": "1", "pods": "10"}
        names = [item["metadata"]["name"] for item in (await api.get(PODS)).ok()["items"]]
        assert all(
            reply.code == 200
            for reply in await asyncio.gather(*(api.delete(f"{PODS}/{name}") for name in names[:4]))
        )
        codes = [
            reply.code
            for reply in await asyncio.gather(
                *(api.create(PODS, pod(f"r{number}")) for number in range(20))
            )
        ]
        assert codes.count(201) == 4
        assert (await api.get(f"{SPACE}/resourcequotas/q")).ok()["status"]["used"]["pods"] == "10"


async def test_a_quota_on_compute_demands_requests(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(
            f"{SPACE}/resourcequotas", quota(**{"requests.cpu": "1", "limits.memory": "1Gi"})
        )
        refused = await api.create(PODS, pod("p"))
        assert refused.value["message"] == (
            'pods "p" is forbidden: failed quota: q: must specify '
            "limits.memory for: c; requests.cpu for: c"
        )
        resources = {"requests": {"cpu": "600m"}, "limits": {"memory": "100Mi"}}
        containers = [{"name": "c", "image": "i", "resources": resources}]
        assert (await api.create(PODS, pod("p", containers=containers))).code == 201
        over = await api.create(PODS, pod("r", containers=containers))
        wanted = (
            'pods "r" is forbidden: exceeded quota: q, requested: requests.cpu=600m, '
            "used: requests.cpu=600m, limited: requests.cpu=1"
        )
        assert over.value["message"] == wanted


async def test_a_new_quota_counts_what_is_there(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(CONFIG, config_map("a"))
        await api.create(f"{SPACE}/resourcequotas", quota(**{"count/configmaps": "2"}))
        assert (await api.get(f"{SPACE}/resourcequotas/q")).ok()["status"]["used"] == {
            "count/configmaps": "2"
        }
        assert (await api.create(CONFIG, config_map("b"))).code == 403
        await api.patch(f"{SPACE}/resourcequotas/q", {"spec": {"hard": {"count/configmaps": "3"}}})
        assert (await api.create(CONFIG, config_map("b"))).code == 201


async def test_where_no_controller_runs_a_quota_limits_what_somebody_has_counted(
    tmp_path: Path,
) -> None:
    async with cluster(tmp_path, options=Options("", beside=())) as api:
        one = {"count/configmaps": "1"}
        await api.create(f"{SPACE}/resourcequotas", quota(**one))
        (await api.create(CONFIG, config_map("a"))).ok()
        assert (await api.get(f"{SPACE}/resourcequotas/q")).ok()["status"] == {}
        counted = {"status": {"hard": one, "used": one}}
        (await api.patch(f"{SPACE}/resourcequotas/q/status", counted)).ok()
        assert (await api.create(CONFIG, config_map("b"))).code == 403


async def test_services_get_addresses_and_ports(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        made = await asyncio.gather(
            *(api.create(SERVICES, service(f"s{number}", type="NodePort")) for number in range(20))
        )
        specs = [reply.ok()["spec"] for reply in made]
        assert len({spec["clusterIP"] for spec in specs}) == 20
        assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 20
        taken = specs[0]["clusterIP"]
        assert (await api.create(SERVICES, service("twice", clusterIP=taken))).code == 422
        assert (await api.create(SERVICES, service("far", clusterIP="192.0.2.1"))).code == 422
        port = specs[1]["ports"][0]["nodePort"]
        assert (
            await api.create(
                SERVICES, service("port", type="NodePort", ports=[{"port": 80, "nodePort": port}])
            )
        ).code == 422
        await api.delete(f"{SERVICES}/s0")
        assert (await api.create(SERVICES, service("twice", clusterIP=taken))).ok()["spec"][
            "clusterIP"
        ] == taken
        headless = (await api.create(SERVICES, service("h", clusterIP="None"))).ok()["spec"]
        assert headless["clusterIPs"] == ["None"]
        external = (
            await api.create(
                SERVICES, service("e", type="ExternalName", externalName="example.com", ports=[])
            )
        ).ok()["spec"]
        assert "clusterIP" not in external
        body = service("s2", type="ClusterIP")
        kept = (await api.update(f"{SERVICES}/s2", body)).ok()["spec"]
        assert kept["clusterIP"] == specs[2]["clusterIP"]
        assert "nodePort" not in kept["ports"][0]


async def test_a_health_check_port_comes_and_goes_with_policy_local(tmp_path: Path) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    async with cluster(tmp_path) as api:
        port = (await api.create(SERVICES, service("a", **local))).ok()["spec"][
            "healthCheckNodePort"
        ]
        assert 30000 <= port <= 32767
        taken = service("b", **local, healthCheckNodePort=port)
        assert (await api.create(SERVICES, taken)).code == 422
        kept = (await api.update(f"{SERVICES}/a", service("a", **local))).ok()["spec"]
        assert kept["healthCheckNodePort"] == port
        body = {"spec": {"externalTrafficPolicy": "Cluster"}}
        changed = (await api.patch(f"{SERVICES}/a", body)).ok()["spec"]
        assert "healthCheckNodePort" not in changed
        assert (await api.create(SERVICES, taken)).ok()["spec"]["healthCheckNodePort"] == port


async def test_families_and_ports_that_services_share(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        dns = [{"name": name, "port": 53, "protocol": name.upper()} for name in ("tcp", "udp")]
        made = (await api.create(SERVICES, service("dns", type="NodePort", ports=dns))).ok()["spec"]
        assert len({port["nodePort"] for port in made["ports"]}) == 1
        for given, field in (
            ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]"),
            ({"ipFamilyPolicy": "RequireDualStack"}, "spec.ipFamilyPolicy"),
            ({"clusterIP": "10.96.0.0"}, "spec.clusterIPs"),
            (
                {
                    "type": "NodePort",
                    "ports": [
                        {**port, "nodePort": 30999, "port": number}
                        for number, port in enumerate(dns, 80)
                    ],
                },
                "spec.ports[1].nodePort",
            ),
        ):
            refused = await api.create(SERVICES, service("x", **given))
            assert [each["field"] for each in refused.value["details"]["causes"]] == [field]
        made = (await api.create(SERVICES, service("bare", clusterIP="None"))).ok()["spec"]
        assert (made["ipFamilyPolicy"], made["ipFamilies"]) == (
            "RequireDualStack",
            ["IPv4", "IPv6"],
        )


async def test_a_second_range_gives_services_addresses_of_both_families(tmp_path: Path) -> None:
    ranges = "/apis/networking.k8s.io/v1/servicecidrs"
    both = {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"}
    async with cluster(tmp_path) as api:
        before = (await api.create(SERVICES, service("old", ipFamilyPolicy="PreferDualStack"))).ok()
        assert before["spec"]["ipFamilies"] == ["IPv4"]
        metadata, spec = {"name": "ipv6"}, {"cidrs": ["fd00:10:96::/112"]}
        body = {"kind": "ServiceCIDR", "apiVersion": "networking.k8s.io/v1"}
        (await api.create(ranges, {**body, "metadata": metadata, "spec": spec})).ok()
        single = (await api.create(SERVICES, service("single"))).ok()["spec"]
        assert (single["ipFamilyPolicy"], single["ipFamilies"]) == ("SingleStack", ["IPv4"])
        six = (await api.create(SERVICES, service("six", ipFamilies=["IPv6"]))).ok()["spec"]
        assert six["clusterIPs"] == [six["clusterIP"]]
        assert six["clusterIP"].startswith("fd00:10:96::")
        made = (await api.create(SERVICES, service("both", **both))).ok()["spec"]
        first, second = made["clusterIPs"]
        assert (":" in first, ":" in second, made["clusterIP"]) == (True, False, first)
        given = {"clusterIP": "fd00:10:96::77"}
        asked = (await api.create(SERVICES, service("asked", **given))).ok()["spec"]
        assert (asked["clusterIPs"], asked["ipFamilies"]) == (["fd00:10:96::77"], ["IPv6"])
        for wrong, field in (
            ({"ipFamilies": ["IPv4", "IPv6"]}, "spec.ipFamilyPolicy"),
            ({"clusterIP": "fd00::1"}, "spec.clusterIPs"),
            (given, "spec.clusterIPs"),
        ):
            refused = await api.create(SERVICES, service("x", **wrong))
            assert [each["field"] for each in refused.value["details"]["causes"]] == [field]
        addresses = "/apis/networking.k8s.io/v1/ipaddresses"
        address = (await api.get(f"{addresses}/{second}")).ok()
        assert address["metadata"]["labels"]["ipaddress.kubernetes.io/ip-family"] == "IPv4"
        assert (await api.get(f"{addresses}/{first}")).code == 200
        body = {"spec": {"ipFamilyPolicy": "SingleStack"}}
        less = (await api.patch(f"{SERVICES}/both", body)).ok()["spec"]
        assert (less["clusterIPs"], less["ipFamilies"]) == ([first], ["IPv6"])
        assert (await api.get(f"{addresses}/{second}")).code == 404
        body = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}
        more = (await api.patch(f"{SERVICES}/single", body)).ok()["spec"]
        assert (more["clusterIPs"][0], more["ipFamilies"]) == (
            single["clusterIP"],
            ["IPv4", "IPv6"],
        )
        assert more["clusterIPs"][1].startswith("fd00:10:96::")


async def test_new_namespaces_are_furnished(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        await api.create(
            "/api/v1/namespaces",
            {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "n"}},
        )
        assert (await api.get("/api/v1/namespaces/n/serviceaccounts/default")).code == 200
        bundle = (await api.get("/api/v1/namespaces/n/configmaps/kube-root-ca.crt")).ok()["data"][
            "ca.crt"
        ]
        assert "BEGIN CERTIFICATE" in bundle
        labels = (await api.get("/api/v1/namespaces/n")).ok()["metadata"]["labels"]
        assert labels == {"kubernetes.io/metadata.name": "n"}
        gone = (await api.delete("/api/v1/namespaces/n")).ok()
        assert (gone["status"]["phase"], gone["spec"]["finalizers"]) == (
            "Terminating",
            ["kubernetes"],
        )
        late = await api.create("/api/v1/namespaces/n/configmaps", config_map("a"))
        assert (late.code, late.value["details"]["causes"][0]["reason"]) == (
            403,
            "NamespaceTerminating",
        )
        await api.update("/api/v1/namespaces/n/finalize", {**gone, "spec": {}})
        assert (await api.get("/api/v1/namespaces/n")).code == 404


async def test_pods_are_given_what_they_need(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        spec = (await api.create(PODS, pod("p"))).ok()["spec"]
        assert (spec["serviceAccountName"], spec["priority"], spec["preemptionPolicy"]) == (
            "default",
            0,
            "PreemptLowerPriority",
        )
        mounts = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
        assert mounts == ["/var/run/secrets/kubernetes.io/serviceaccount"]
        assert [each["key"] for each in spec["tolerations"]] == [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
        ]
        bare = (await api.create(PODS, pod("bare", automountServiceAccountToken=False))).ok()[
            "spec"
        ]
        assert "volumes" not in bare
        lost = await api.create(PODS, pod("lost", priorityClassName="none"))
        assert (
            lost.value["message"]
            == 'pods "lost" is forbidden: no PriorityClass with name none was found'
        )
        critical = (
            await api.create(PODS, pod("c", priorityClassName="system-node-critical"))
        ).ok()["spec"]
        assert critical["priority"] == 2_000_001_000
        assert (await api.create(PODS, pod("r", runtimeClassName="none"))).code == 403


async def test_limits_fill_in_and_bound(tmp_path: Path) -> None:
    item = {
        "type": "Container",
        "default": {"cpu": "1"},
        "defaultRequest": {"cpu": "100m"},
        "max": {"cpu": "2"},
        "min": {"memory": "1Mi"},
    }
    body = {
        "kind": "LimitRange",
        "apiVersion": "v1",
        "metadata": {"name": "l"},
        "spec": {"limits": [item]},
    }
    async with cluster(tmp_path) as api:
        (await api.create(f"{SPACE}/limitranges", body)).ok()
        memory = {"requests": {"memory": "2Mi"}}
        made = await api.create(
            PODS, pod("p", containers=[{"name": "c", "image": "i", "resources": memory}])
        )
        assert made.ok()["spec"]["containers"][0]["resources"] == {
            "limits": {"cpu": "1"},
            "requests": {"cpu": "100m", "memory": "2Mi"},
        }
        refused = await api.create(
            PODS,
            pod(
                "r", containers=[{"name": "c", "image": "i", "resources": {"limits": {"cpu": "3"}}}]
            ),
        )
        assert refused.code == 403
        assert "maximum cpu usage per Container is 2, but limit is 3" in refused.value["message"]
        small = {"requests": {"memory": "1k"}}
        refused = await api.create(
            PODS, pod("s", containers=[{"name": "c", "image": "i", "resources": small}])
        )
        assert (
            "minimum memory usage per Container is 1Mi, but request is 1k"
            in refused.value["message"]
        )


async def test_pod_security_by_namespace(tmp_path: Path) -> None:
    safe = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    levels = {
        "pod-security.kubernetes.io/enforce": "baseline",
        "pod-security.kubernetes.io/warn": "restricted",
    }
    async with cluster(tmp_path) as api:
        await api.patch("/api/v1/namespaces/default", {"metadata": {"labels": levels}})
        bad = await api.create(
            PODS, pod("bad", hostNetwork=True, volumes=[{"name": "v", "hostPath": {"path": "/"}}])
        )
        assert bad.code == 403
        wanted = (
            'violates PodSecurity "baseline:latest": host namespaces '
            '(hostNetwork=true), hostPath volumes (volume "v")'
        )
        assert wanted in bad.value["message"]
        warned = await api.create(PODS, pod("warned"))
        assert warned.code == 201
        assert (
            '"would violate PodSecurity \\"restricted:latest\\": allowPrivilegeEscalation != false'
            in warned.headers["Warning"]
        )
        good = await api.create(
            PODS, pod("good", containers=[{"name": "c", "image": "i", "securityContext": safe}])
        )
        assert (good.code, "Warning" in good.headers) == (201, False)


async def test_claims_get_the_default_class(tmp_path: Path) -> None:
    classes = "/apis/storage.k8s.io/v1/storageclasses"
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    claim = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    async with cluster(tmp_path) as api:
        for name, annotations in (("slow", {}), ("fast", default)):
            body = {
                "kind": "StorageClass",
                "apiVersion": "storage.k8s.io/v1",
                "provisioner": "x.example.com/y",
            }
            (
                await api.create(
                    classes, {**body, "metadata": {"name": name, "annotations": annotations}}
                )
            ).ok()
        made = (await api.create(f"{SPACE}/persistentvolumeclaims", claim)).ok()
        assert made["spec"]["storageClassName"] == "fast"
