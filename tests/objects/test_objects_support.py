"""Nothing of a manifest is dropped in silence: every field is honoured, told of, or refused."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubelite.lib.json import Object
from kubelite.objects.facts import schema
from kubelite.objects.pod import support
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import path_text
from kubelite.objects.rules.pods import defaults

ROOT = Path(__file__).parents[2]


def fields(kind: str, pattern: str) -> Iterator[str]:
    """The path of every field of a type of the schema, down to where the table has a row, in the
    table's form.
    """
    if pattern in support.TABLE:
        yield pattern
    elif kind[0] == "[":
        yield from fields(kind[1:], support.ROOTS.get(f"{pattern}[]", f"{pattern}[]"))
    elif kind[0] == "{" and not covered(pattern):
        names = ("cpu", "memory", "ephemeral-storage", "anything")
        yield from (f"{pattern}.{name}" for name in names)
    elif (types := schema.types_of(kind)) and not whole(pattern):
        for name, inner in types.items():
            yield from fields(inner, f"{pattern}.{name}" if pattern else name)
    else:
        yield pattern


def whole(pattern: str) -> bool:
    """Whether one row speaks for all that lies below."""
    return covered(pattern) and not any(row.startswith(f"{pattern}.") for row in support.TABLE)


def covered(pattern: str) -> bool:
    parent, _, key = pattern.rpartition(".")
    return support.row_of(parent, key) is not None


def test_every_field_of_a_pod_has_a_row() -> None:
    assert [pattern for pattern in fields("core.v1.Pod", "") if not covered(pattern)] == []


def test_every_row_is_about_a_field() -> None:
    reached = set(fields("core.v1.Pod", ""))
    assert [
        pattern for pattern in support.TABLE if not pattern.endswith("*") and pattern not in reached
    ] == []


def test_the_page_about_fields_is_the_one_that_is_made() -> None:
    made = runpy.run_path(str(ROOT / "scripts" / "make_pod_spec.py"))
    written = (ROOT / "docs" / "pod-spec.md").read_text(encoding="utf-8")
    assert written == made["page"](), "run scripts/make_pod_spec.py"
    for _, _, definition in made["SECTIONS"]:
        for name in schema.types_of(definition):
            assert f"\n| `{name}` | " in written


def test_every_row_that_is_not_honoured_says_why() -> None:
    assert all(row.reason for row in support.TABLE.values() if row.level is not Level.HONOURED)


def made(container: dict[str, Any] | None = None, **spec: Any) -> Object:
    metadata = spec.pop("metadata", {"name": "p"})
    whole = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec},
    }
    document, causes = reading.read("core.v1.Pod", whole)
    assert causes == []
    assert isinstance(document, dict)
    return document


def told(pod: Object) -> list[tuple[str, str]]:
    return [(path_text(finding.path), finding.level.name) for finding in support.check(pod)]


HONOURED = made(
    {
        "command": ["sh"], "args": ["-c"], "workingDir": "/", "tty": True, "stdin": True,
     "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 1},
        "livenessProbe": {"grpc": {"port": 1}},
     "readinessProbe": {"httpGet": {"port": "a"}, "periodSeconds": 1},
        "lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "preStop": {"tcpSocket": {"port": 1}},
                      "stopSignal": "SIGINT"},
        "env": [{"name": "A", "value": "x"},
                {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
                {"name": "D", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}],
        "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1", "protocol": "UDP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "2Mi"},
                      "requests": {"cpu": "1m"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True, "subPath": "s",
                          "mountPropagation": "None"}],
        "securityContext": {
            "runAsUser": 1, "privileged": True, "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"},
            "appArmorProfile": {"type": "Unconfined"},
        },
    },
    initContainers=[{"name": "i", "image": "i"},
                    {"name": "s", "image": "i", "restartPolicy": "Always"}],
    volumes=[{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
             {"name": "d", "emptyDir": {"sizeLimit": "1Mi"}},
             {"name": "h", "hostPath": {"path": "/"}},
             {"name": "m", "configMap": {"name": "m", "items": [{"key": "k", "path": "p"}]}},
             {"name": "s", "secret": {"secretName": "s"}},
             {"name": "a",
              "downwardAPI": {"items": [{"path": "n",
                                         "fieldRef": {"fieldPath": "metadata.name"}}]}},
             {"name": "j",
              "projected": {"defaultMode": 256, "sources": [{"secret": {"name": "s"}}]}}],
    metadata={"name": "p", "namespace": "n", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    hostNetwork=True, hostPID=True, shareProcessNamespace=False, restartPolicy="Always",
    hostUsers=False, os={"name": "linux"},
    dnsConfig={"options": [{"name": "ndots", "value": "1"}]},
    hostAliases=[{"ip": "::1", "hostnames": ["a"]}],
    securityContext={"fsGroup": 1, "sysctls": [{"name": "net.a", "value": "1"}],
                     "supplementalGroupsPolicy": "Strict"},
)  # fmt: skip


def test_what_this_version_promises_raises_no_finding() -> None:
    assert told(HONOURED) == []


@pytest.mark.parametrize(
    ("pod", "path", "level"),
    [
        (
            made({"volumeDevices": [{"name": "v", "devicePath": "/dev/v"}]}),
            "spec.containers[0].volumeDevices",
            "REFUSED",
        ),
        *(
            (
                made(
                    volumes=[
                        {"name": "v", "projected": {"sources": [{source: {"path": "p", **more}}]}}
                    ]
                ),
                f"spec.volumes[0].projected.sources[0].{source}",
                "REFUSED",
            )
            for source, more in (("serviceAccountToken", {}), ("clusterTrustBundle", {"name": "b"}))
        ),
        (made(volumes=[{"name": "v", "rbd": {"image": "m"}}]), "spec.volumes[0].rbd", "REFUSED"),
        (
            made(volumes=[{"name": "v", "emptyDir": {"medium": "Flash"}}]),
            "spec.volumes[0].emptyDir.medium",
            "REFUSED",
        ),
        (
            made({"resources": {"limits": {"a.b/gpu": "1"}}}),
            "spec.containers[0].resources.limits.a.b/gpu",
            "REFUSED",
        ),
        (
            made({"resources": {"limits": {"memory": "100m"}}}),
            "spec.containers[0].resources.limits.memory",
            "LOUD",
        ),
        (
            made(securityContext={"seLinuxChangePolicy": "Recursive"}),
            "spec.securityContext.seLinuxChangePolicy",
            "QUIET",
        ),
        (made(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds", "LOUD"),
        (
            made(volumes=[{"name": "v", "emptyDir": {"medium": "memory"}}]),
            "spec.volumes[0].emptyDir.medium",
            "REFUSED",
        ),
        (
            made({"ports": [{"containerPort": 1, "hostIP": "x"}]}),
            "spec.containers[0].ports[0].hostIP",
            "FATAL",
        ),
        (made(os={"name": "windows"}), "spec.os.name", "FATAL"),
        (made(ephemeralContainers=[{"name": "e"}]), "spec.ephemeralContainers", "REFUSED"),
        (made(affinity={"nodeAffinity": {}}), "spec.affinity", "QUIET"),
        (made(serviceAccountName="a"), "spec.serviceAccountName", "QUIET"),
        (made(metadata={"name": "p", "uid": "u"}), "metadata.uid", "QUIET"),
        (
            made(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}),
            "spec.securityContext.appArmorProfile.type",
            "LOUD",
        ),
    ],
)
def test_what_it_does_not_do_is_told(pod: Object, path: str, level: str) -> None:
    assert told(pod) == [(path, level)]


def test_lenient_leaves_out_what_was_refused_and_only_that() -> None:
    pod = made(
        {
            "envFrom": [{"configMapRef": {"name": "m"}}],
            "volumeDevices": [{"name": "d", "devicePath": "/dev/d"}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        },
        volumes=[{"name": "v", "rbd": {"image": "m"}}],
        serviceAccountName="robot",
    )
    support.without_refused(pod, support.check(pod))
    assert told(pod) == [("spec.serviceAccountName", "QUIET")]
    (container,) = pod["spec"]["containers"]
    assert container["envFrom"] == [{"configMapRef": {"name": "m"}}]
    assert "volumeDevices" not in container
    defaults.pod(pod)
    (volume,) = pod["spec"]["volumes"]
    assert volume == {"name": "v", "emptyDir": {}}


def test_a_pull_policy_is_without_effect_on_the_machines_own_files() -> None:
    def notes(**container: str) -> list[str]:
        pod = {"spec": {"containers": [{"name": "c", **container}]}}
        return [finding.message for finding in support.check(pod)]

    (note,) = notes(image="host", imagePullPolicy="Always")
    assert note.startswith("imagePullPolicy has no effect")
    assert notes(image="host", imagePullPolicy="IfNotPresent") == []
    assert notes(image="nginx", imagePullPolicy="Always") == []
