"""Admission, attacked: around the levels of pod security, past limits and quotas by resizing,
growing and renaming.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from kubelite.control.api.server.lifecycle import Options
from tests.control.api.admission.test_api_admission import SPACE, quota
from tests.control.world import PODS, cluster, pod

if TYPE_CHECKING:
    from pathlib import Path

LABEL = "pod-security.kubernetes.io/"
SAFE = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def labelled(**modes: str) -> dict[str, Any]:
    return {
        "metadata": {
            "labels": {f"{LABEL}{mode.replace('_', '-')}": value for mode, value in modes.items()}
        }
    }


def with_context(name: str = "p", **context: Any) -> dict[str, Any]:
    return pod(name, containers=[{"name": "c", "image": "i", "securityContext": context}])


def asking(name: str, cpu: str, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}
    return pod(name, containers=[{"name": "c", "image": "i", "resources": resources}], **spec)


BREACHES: list[tuple[str, str]] = [
    ('{"hostPID": true}', "host namespaces"),
    ('{"hostIPC": true}', "host namespaces"),
    (
        '{"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}}',
        "forbidden sysctls",
    ),
    ('{"securityContext": {"seLinuxOptions": {"type": "spc_t"}}}', "seLinuxOptions"),
    ('{"securityContext": {"seccompProfile": {"type": "Unconfined"}}}', "seccompProfile"),
    (
        '{"securityContext": {"appArmorProfile": {"type": "Unconfined"}}}',
        "forbidden AppArmor profile",
    ),
    ('{"volumes": [{"name": "v", "hostPath": {"path": "/etc"}}]}', "hostPath volumes"),
    ('{"C": {"securityContext": {"privileged": true}}}', "privileged"),
    (
        '{"C": {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}}',
        "non-default capabilities",
    ),
    ('{"C": {"securityContext": {"procMount": "Unmasked"}}, "hostUsers": false}', "procMount"),
    ('{"C": {"ports": [{"containerPort": 80, "hostPort": 80}]}}', "hostPort"),
    (
        '{"C": {"livenessProbe": {"httpGet": {"port": 1, "host": "10.0.0.1"}}}}',
        "probe or lifecycle host",
    ),
    (
        '{"C": {"lifecycle": {"preStop": {"httpGet": {"port": 1, "host": "10.0.0.1"}}}}}',
        "probe or lifecycle host",
    ),
    ('{"I": {"securityContext": {"privileged": true}}}', "privileged"),
]


@pytest.mark.parametrize(("said", "why"), BREACHES)
async def test_baseline_is_not_gone_around(tmp_path: Path, said: str, why: str) -> None:
    spec = json.loads(said)
    container, first = spec.pop("C", {}), spec.pop("I", None)
    spec["containers"] = [{"name": "c", "image": "i", **container}]
    if first is not None:
        spec["initContainers"] = [{"name": "i", "image": "i", **first}]
    async with cluster(tmp_path) as api:
        assert (await api.create(f"{PODS}?dryRun=All", pod("p", **spec))).code == 201
        (await api.patch(SPACE, labelled(enforce="baseline"))).ok()
        refused = await api.create(PODS, pod("p", **spec))
        assert (
            refused.code,
            f'violates PodSecurity "baseline:latest": {why}' in refused.value["message"],
        ) == (403, True), refused.body


async def test_a_debugging_container_is_held_to_the_level(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        (await api.create(PODS, with_context(**SAFE))).ok()
        (await api.patch(SPACE, labelled(enforce="restricted"))).ok()
        loose = {"name": "d", "image": "i", "securityContext": {"privileged": True}}
        refused = await api.patch(
            f"{PODS}/p/ephemeralcontainers", {"spec": {"ephemeralContainers": [loose]}}, "strategic"
        )
        assert (refused.code, "privileged" in refused.value["message"]) == (403, True)
        held = {**loose, "securityContext": SAFE}
        assert (
            await api.patch(
                f"{PODS}/p/ephemeralcontainers",
                {"spec": {"ephemeralContainers": [held]}},
                "strategic",
            )
        ).code == 200


async def test_old_pods_stay_and_can_be_let_go(tmp_path: Path) -> None:
    """A new level warns of what is there; a label, a status or a finalizer of an old pod is no new
    pod.
    """
    async with cluster(tmp_path) as api:
        for name in ("a", "b", "c"):
            (await api.create(PODS, pod(name, hostPID=name != "c"))).ok()
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        (await api.patch(f"{PODS}/a", held)).ok()
        told = await api.patch(SPACE, labelled(enforce="baseline"))
        warned = ", ".join(told.headers.getall("Warning"))  # type: ignore[attr-defined]
        assert (
            'existing pods in namespace \\"default\\" violate the new '
            'PodSecurity enforce level \\"baseline:latest\\"'
        ) in warned
        assert "a (and 1 other pod): host namespaces" in warned
        again = await api.patch(SPACE, {"metadata": {"labels": {"x": "y"}}})
        assert "Warning" not in again.headers
        assert (await api.patch(f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}})).code == 200
        assert (await api.patch(f"{PODS}/a/status", {"status": {"phase": "Running"}})).code == 200
        assert (
            await api.patch(
                f"{PODS}/a",
                {"spec": {"containers": [{"name": "c", "image": "other"}]}},
                "strategic",
            )
        ).code == 403
        await api.delete(f"{PODS}/a")
        assert (await api.patch(f"{PODS}/a", {"metadata": {"finalizers": None}})).code == 200
        assert (await api.get(f"{PODS}/a")).code == 404


async def test_levels_have_versions(tmp_path: Path) -> None:
    probing = {"name": "c", "image": "i", "livenessProbe": {"tcpSocket": {"port": 1, "host": "h"}}}
    tcp = {"sysctls": [{"name": "net.ipv4.tcp_keepalive_time", "value": "9"}]}
    async with cluster(tmp_path) as api:
        for version, probes, sysctl in (
            ("latest", 403, 201),
            ("v1.34", 403, 201),
            ("v1.33", 201, 201),
            ("v1.28", 201, 403),
            ("v1.999", 403, 201),
        ):
            (await api.patch(SPACE, labelled(enforce="baseline", enforce_version=version))).ok()
            reply = await api.create(f"{PODS}?dryRun=All", pod("p", containers=[probing]))
            assert reply.code == probes, version
            assert probes == 201 or f'"baseline:{version}"' in reply.value["message"]
            assert (
                await api.create(f"{PODS}?dryRun=All", pod("p", securityContext=tcp))
            ).code == sysctl, version
        for mode, value in (
            ("enforce", "high"),
            ("audit", "High"),
            ("warn", ""),
            ("enforce_version", "1.30"),
            ("warn_version", "v2.1"),
        ):
            wrong = await api.patch(SPACE, labelled(**{mode: value}))
            field = f"metadata.labels[{LABEL}{mode.replace('_', '-')}]"
            assert (wrong.code, wrong.value["details"]["causes"][0]["field"]) == (422, field)


async def test_what_breaks_a_level_is_noted_for_audit(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    options = Options("", audit_log=str(log), audit_rules=({"level": "Metadata"},))
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "hostPID": True},
    }
    workload = {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    }
    async with cluster(tmp_path, options=options) as api:
        (
            await api.patch(
                SPACE, labelled(enforce="privileged", audit="baseline", audit_version="v1.30")
            )
        ).ok()
        (await api.create(PODS, pod("p", hostNetwork=True))).ok()
        (await api.create(PODS, pod("quiet"))).ok()
        (await api.create("/apis/apps/v1/namespaces/default/deployments", workload)).ok()
        (await api.patch(SPACE, labelled(enforce="restricted", audit="privileged"))).ok()
        assert (await api.create(PODS, pod("refused"))).code == 403
    made = [
        line for line in map(json.loads, log.read_text().splitlines()) if line["verb"] == "create"
    ]
    notes = [
        {
            key.removeprefix(LABEL): value
            for key, value in each["annotations"].items()
            if key.startswith(LABEL)
        }
        for each in made
    ]
    violation = 'would violate PodSecurity "baseline:v1.30": host namespaces '
    assert notes == [
        {
            "enforce-policy": "privileged:latest",
            "audit-violations": violation + "(hostNetwork=true)",
        },
        {"enforce-policy": "privileged:latest"},
        {"enforce-policy": "privileged:latest", "audit-violations": violation + "(hostPID=true)"},
        {"enforce-policy": "restricted:latest"},
    ]
    assert made[-1]["responseStatus"]["reason"] == "Forbidden"
    assert made[-1]["annotations"]["authorization.k8s.io/decision"] == "allow"


async def test_a_resize_counts_and_is_bounded(tmp_path: Path) -> None:
    item = {"type": "Container", "max": {"cpu": "3"}}
    bounds = {
        "kind": "LimitRange",
        "apiVersion": "v1",
        "metadata": {"name": "l"},
        "spec": {"limits": [item]},
    }
    async with cluster(tmp_path) as api:
        await api.create(f"{SPACE}/resourcequotas", quota(**{"requests.cpu": "4"}))
        (await api.create(PODS, asking("a", "1"))).ok()
        (await api.create(PODS, asking("b", "1"))).ok()
        (await api.create(f"{SPACE}/limitranges", bounds)).ok()

        def resized(cpu: str) -> dict[str, Any]:
            return {
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}},
                        }
                    ]
                }
            }

        async def resize(name: str, cpu: str) -> int:
            return (await api.patch(f"{PODS}/{name}/resize", resized(cpu), "strategic")).code

        async def used() -> str:
            return str(
                (await api.get(f"{SPACE}/resourcequotas/q")).ok()["status"]["used"]["requests.cpu"]
            )

        assert (await resize("a", "3500m"), await used()) == (403, "2")
        assert (await resize("a", "3"), await used()) == (200, "4")
        assert (await resize("b", "1100m"), await used()) == (403, "4")
        assert (await resize("a", "500m"), await used()) == (200, "1500m")
        codes = await asyncio.gather(*(resize(name, "3") for name in ("a", "b")))
        assert (sorted(codes), await used()) in (([200, 403], "4"), ([200, 403], "3500m"))
        await api.delete(f"{PODS}/a")
        await api.delete(f"{PODS}/b")
        assert await used() == "0"


async def test_scopes_of_a_quota(tmp_path: Path) -> None:
    def scoped(name: str, hard: dict[str, str], **spec: Any) -> dict[str, Any]:
        return {
            "kind": "ResourceQuota",
            "apiVersion": "v1",
            "metadata": {"name": name},
            "spec": {"hard": hard, **spec},
        }

    high = {
        "kind": "PriorityClass",
        "apiVersion": "scheduling.k8s.io/v1",
        "metadata": {"name": "high"},
        "value": 1000,
    }
    term = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    async with cluster(tmp_path) as api:
        await api.create("/apis/scheduling.k8s.io/v1/priorityclasses", high)
        for body in (
            scoped("best", {"pods": "1"}, scopes=["BestEffort"]),
            scoped("short", {"pods": "1"}, scopes=["Terminating"]),
            scoped("high", {"pods": "1"}, scopeSelector={"matchExpressions": [term]}),
        ):
            (await api.create(f"{SPACE}/resourcequotas", body)).ok()
        made = [
            await api.create(PODS, body)
            for body in (
                pod("be1"), pod("be2"), asking("bu1", "1"), asking("bu2", "1"),
                asking("t1", "1", activeDeadlineSeconds=9),
                asking("t2", "1", activeDeadlineSeconds=9),
                asking("h1", "1", priorityClassName="high"),
                asking("h2", "1", priorityClassName="high"),
            )
        ]  # fmt: skip
        assert [reply.code for reply in made] == [201, 403, 201, 201, 201, 403, 201, 403]
        assert (
            "exceeded quota: high, requested: pods=1, used: pods=1, limited: pods=1"
            in made[-1].value["message"]
        )
        done = {"status": {"phase": "Succeeded"}}
        assert (await api.patch(f"{PODS}/t1/status", done)).code == 200
        assert (await api.create(PODS, asking("t2", "1", activeDeadlineSeconds=9))).code == 201


async def test_a_claim_grows_where_its_class_lets_it(tmp_path: Path) -> None:
    classes, claims = "/apis/storage.k8s.io/v1/storageclasses", f"{SPACE}/persistentvolumeclaims"

    def size(amount: str) -> dict[str, Any]:
        return {"spec": {"resources": {"requests": {"storage": amount}}}}

    async with cluster(tmp_path) as api:
        await api.create(f"{SPACE}/resourcequotas", quota(**{"requests.storage": "5Gi"}))
        for name, grows in (("rigid", False), ("elastic", True)):
            body = {
                "kind": "StorageClass",
                "apiVersion": "storage.k8s.io/v1",
                "provisioner": "x.example.com/y",
            }
            (
                await api.create(
                    classes, {**body, "metadata": {"name": name}, "allowVolumeExpansion": grows}
                )
            ).ok()
            spec = {
                **size("1Gi")["spec"],
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": name,
                "volumeName": name,
            }
            claim = {
                "kind": "PersistentVolumeClaim",
                "apiVersion": "v1",
                "metadata": {"name": name},
                "spec": spec,
            }
            (await api.create(claims, claim)).ok()
            unbound = await api.patch(f"{claims}/{name}", size("2Gi"))
            assert unbound.code in (403, 422)
            (await api.patch(f"{claims}/{name}/status", {"status": {"phase": "Bound"}})).ok()
        refused = await api.patch(f"{claims}/rigid", size("2Gi"))
        assert (refused.code, "must support resize" in refused.value["message"]) == (403, True), (
            refused.body
        )
        assert (await api.patch(f"{claims}/elastic", size("2Gi"))).code == 200
        over = await api.patch(f"{claims}/elastic", size("9Gi"))
        assert (over.code, "exceeded quota" in over.value["message"]) == (403, True)
        grown = {"status": {"phase": "Bound", "capacity": {"storage": "2Gi"}}}
        (await api.patch(f"{claims}/elastic/status", grown)).ok()
        assert (await api.patch(f"{claims}/elastic", size("1Gi"))).code == 422


async def test_runtime_classes_say_what_pods_cost_and_where_they_run(tmp_path: Path) -> None:
    async with cluster(tmp_path) as api:
        scheduling = {
            "nodeSelector": {"kind": "vm"},
            "tolerations": [{"key": "vm", "operator": "Exists"}],
        }
        body = {
            "kind": "RuntimeClass",
            "apiVersion": "node.k8s.io/v1",
            "metadata": {"name": "vm"},
            "handler": "vm",
            "overhead": {"podFixed": {"cpu": "250m"}},
            "scheduling": scheduling,
        }
        (await api.create("/apis/node.k8s.io/v1/runtimeclasses", body)).ok()
        spec = (
            await api.create(PODS, pod("p", runtimeClassName="vm", nodeSelector={"a": "b"}))
        ).ok()["spec"]
        assert (spec["overhead"], spec["nodeSelector"]) == (
            {"cpu": "250m"},
            {"a": "b", "kind": "vm"},
        )
        assert "vm" in [each.get("key") for each in spec["tolerations"]]
        for wrong in (
            {"overhead": {"cpu": "1"}},
            {"overhead": {"cpu": "1"}, "runtimeClassName": "vm"},
            {"runtimeClassName": "vm", "nodeSelector": {"kind": "metal"}},
        ):
            assert (await api.create(PODS, pod("q", **wrong))).code == 403, wrong
        await api.create(f"{SPACE}/resourcequotas", quota(**{"requests.cpu": "1"}))
        assert (await api.create(PODS, asking("r", "800m", runtimeClassName="vm"))).code == 403
        assert (
            await api.create(PODS, asking("s", "700m", runtimeClassName="vm"))
        ).code == 403  # the first pod's overhead counts
        assert (await api.create(PODS, asking("t", "500m", runtimeClassName="vm"))).code == 201


async def test_limits_say_what_they_gave(tmp_path: Path) -> None:
    item = {
        "type": "Container",
        "default": {"cpu": "1", "memory": "1Gi"},
        "defaultRequest": {"cpu": "100m"},
    }
    bounds = {
        "kind": "LimitRange",
        "apiVersion": "v1",
        "metadata": {"name": "l"},
        "spec": {"limits": [item]},
    }
    async with cluster(tmp_path) as api:
        (await api.create(f"{SPACE}/limitranges", bounds)).ok()
        made = (await api.create(PODS, pod("p"))).ok()
        said = made["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
        assert said == (
            "LimitRanger plugin set: cpu, memory request for container "
            "c; cpu, memory limit for container c"
        )
        full = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
        quiet = (
            await api.create(
                PODS, pod("q", containers=[{"name": "c", "image": "i", "resources": full}])
            )
        ).ok()
        assert "annotations" not in quiet["metadata"]
