"""Nothing of a manifest is dropped in silence: every field is honoured, told of, or refused."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kubelite.objects.pod import codec, support
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import defaults
from kubelite.objects.rules.problem import json_path


def fields(annotation: Any, pattern: str) -> Iterator[str]:
    """The path of every field of a type, down to where the table has a row, in the table's form."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if pattern in support.TABLE:
        yield pattern
    elif origin in (types.UnionType, typing.Union):
        for each in arguments:
            if each is not types.NoneType:
                yield from fields(each, pattern)
    elif origin is tuple:
        yield from fields(arguments[0], support.ROOTS.get(f"{pattern}[]", f"{pattern}[]"))
    elif origin is dict and not covered(pattern):
        yield from (
            f"{pattern}.{key}" for key in ("cpu", "memory", "ephemeral-storage", "anything")
        )
    elif (
        isinstance(annotation, type)
        and issubclass(annotation, msgspec.Struct)
        and not whole(pattern)
    ):
        for field in msgspec.structs.fields(annotation):
            yield from fields(
                field.type, f"{pattern}.{field.encode_name}" if pattern else field.encode_name
            )
    else:
        yield pattern


def whole(pattern: str) -> bool:
    """Whether one row speaks for all that lies below."""
    return covered(pattern) and not any(row.startswith(f"{pattern}.") for row in support.TABLE)


def covered(pattern: str) -> bool:
    parent, _, key = pattern.rpartition(".")
    return support.row_of(parent, key) is not None


def test_every_field_of_a_pod_has_a_row() -> None:
    assert [pattern for pattern in fields(Pod, "") if not covered(pattern)] == []


def test_every_row_is_about_a_field() -> None:
    reached = set(fields(Pod, ""))
    assert [
        pattern for pattern in support.TABLE if not pattern.endswith("*") and pattern not in reached
    ] == []


def test_every_row_that_is_not_honoured_says_why() -> None:
    assert all(row.reason for row in support.TABLE.values() if row.level is not Level.HONOURED)


def made(container: dict[str, Any] | None = None, **spec: Any) -> Pod:
    metadata = spec.pop("metadata", {"name": "p"})
    whole = {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec},
    }
    pod, problems = codec.decode(Pod, whole)
    assert pod is not None and problems == []
    return pod


def told(pod: Pod) -> list[tuple[str, str]]:
    return [(json_path(each.problem.path), each.level.name) for each in support.check(pod)]


HONOURED = made(
    {
        "command": ["sh"], "args": ["-c"], "workingDir": "/", "tty": True, "stdin": True, "restartPolicy": "Always",
        "startupProbe": {"exec": {"command": ["true"]}, "terminationGracePeriodSeconds": 1},
        "livenessProbe": {"grpc": {"port": 1}}, "readinessProbe": {"httpGet": {"port": "a"}, "periodSeconds": 1},
        "lifecycle": {"postStart": {"sleep": {"seconds": 1}}, "preStop": {"tcpSocket": {"port": 1}}, "stopSignal": "SIGINT"},
        "env": [{"name": "A", "value": "x"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "ports": [{"containerPort": 80, "hostPort": 80, "hostIP": "127.0.0.1", "protocol": "UDP"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi", "hugepages-2Mi": "2Mi"}, "requests": {"cpu": "1m"}},
        "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True, "subPath": "s", "mountPropagation": "None"}],
        "securityContext": {
            "runAsUser": 1, "privileged": True, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "Localhost", "localhostProfile": "x.json"}, "appArmorProfile": {"type": "Unconfined"},
        },
    },
    initContainers=[{"name": "i", "image": "i"}, {"name": "s", "image": "i", "restartPolicy": "Always"}],
    volumes=[{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}, {"name": "d", "emptyDir": {"sizeLimit": "1Mi"}}, {"name": "h", "hostPath": {"path": "/"}}],
    metadata={"name": "p", "namespace": "n", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    hostNetwork=True, hostPID=True, shareProcessNamespace=False, restartPolicy="Always", hostUsers=False, os={"name": "linux"},
    dnsConfig={"options": [{"name": "ndots", "value": "1"}]}, hostAliases=[{"ip": "::1", "hostnames": ["a"]}],
    securityContext={"fsGroup": 1, "sysctls": [{"name": "net.a", "value": "1"}], "supplementalGroupsPolicy": "Strict"},
)  # fmt: skip


def test_what_this_version_promises_raises_no_finding() -> None:
    assert told(HONOURED) == []


@pytest.mark.parametrize(
    ("pod", "path", "level"),
    [
        (made({"envFrom": [{}]}), "spec.containers[0].envFrom", "REFUSED"),
        (
            made({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}}]}),
            "spec.containers[0].env[0].valueFrom.secretKeyRef",
            "REFUSED",
        ),
        (
            made(volumes=[{"name": "v", "configMap": {"name": "m"}}]),
            "spec.volumes[0].configMap",
            "REFUSED",
        ),
        (made(volumes=[{"name": "v", "rbd": {"image": "m"}}]), "spec.volumes[0].rbd", "REFUSED"),
        (
            made(volumes=[{"name": "v", "emptyDir": {"medium": "HugePages"}}]),
            "spec.volumes[0].emptyDir.medium",
            "REFUSED",
        ),
        (
            made({"resources": {"limits": {"a.b/gpu": "1"}}}),
            'spec.containers[0].resources.limits["a.b/gpu"]',
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
        (made(os={"name": "windows"}), "spec.os.name", "FATAL"),
        (made(ephemeralContainers=[{"name": "e"}]), "spec.ephemeralContainers", "REFUSED"),
        (made(affinity={"nodeAffinity": {}}), "spec.affinity", "QUIET"),
        (made(serviceAccountName="a"), "spec.serviceAccountName", "QUIET"),
        (made(metadata={"name": "p", "uid": "u"}), "metadata.uid", "QUIET"),
        (made(metadata={"generateName": "p-"}), "metadata.generateName", "REFUSED"),
        (
            made(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}),
            "spec.securityContext.appArmorProfile.type",
            "LOUD",
        ),
        (
            made({"ports": [{"containerPort": 1, "hostPort": 1, "protocol": "SCTP"}]}),
            "spec.containers[0].ports[0].hostPort",
            "REFUSED",
        ),
    ],
)
def test_what_it_does_not_do_is_told(pod: Pod, path: str, level: str) -> None:
    assert told(pod) == [(path, level)]


def test_lenient_leaves_out_what_was_refused_and_only_that() -> None:
    pod = made(
        {
            "envFrom": [{"configMapRef": {"name": "m"}}],
            "env": [
                {"name": "A", "valueFrom": {"secretKeyRef": {"key": "k"}}},
                {"name": "B", "value": "b"},
            ],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        },
        volumes=[{"name": "v", "configMap": {"name": "m"}}],
        serviceAccountName="robot",
    )
    left = support.lenient(pod, support.check(pod))
    assert told(left) == [("spec.serviceAccountName", "QUIET")]
    (container,) = left.spec.containers
    assert container.env_from == () and [each.name for each in container.env] == ["A", "B"]
    (volume,) = defaults.pod(left).spec.volumes
    assert volume.empty_dir is not None and volume.config_map is None
    assert support.lenient(HONOURED, []) == HONOURED
