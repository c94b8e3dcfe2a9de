"""From plain values to pods: what is read, what is refused, and that no value makes it stumble."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.cli.hints import advice
from kubelite.cli.review import judge
from kubelite.objects.pod import codec, support
from kubelite.objects.pod.pod import Pod, ResourceRequirements
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import path_text


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def found(value: dict[str, Any]) -> list[tuple[str, str, str]]:
    document, causes = reading.read("core.v1.Pod", value)
    return [(path_text(each.path), each.message, advice(each, document)) for each in causes]


def decoded(value: dict[str, Any]) -> Pod:
    document, causes = reading.read("core.v1.Pod", value)
    assert causes == []
    return codec.decode(Pod, document)


def test_a_pod_is_read_as_it_is_written() -> None:
    plain = pod(
        hostPID=True,
        nodeSelector={"a": "b"},
        securityContext={"sysctls": [{"name": "a.b", "value": "1"}], "supplementalGroups": [1, 2]},
        volumes=[
            {"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
            {"name": "x", "rbd": {"monitors": ["a"], "image": "b"}},
        ],
    )
    assert msgspec.json.decode(msgspec.json.encode(decoded(plain))) == {
        "apiVersion": "v1",
        "kind": "Pod",
        **plain,
        "spec": {**plain["spec"], "containers": [{"name": "c", "image": "i", "resources": {}}]},
    }


def test_amounts_become_canonical_and_may_be_numbers() -> None:
    limits = {"cpu": 0.5, "memory": 1024, "example.com/x": 2, "ephemeral-storage": " 1024Mi "}
    document, causes = reading.read("core.v1.Container", {"resources": {"limits": limits}})
    assert causes == []
    expected = {"cpu": "500m", "memory": "1024", "example.com/x": "2", "ephemeral-storage": "1Gi"}
    assert document["resources"]["limits"] == expected


def test_null_is_not_set_and_what_is_required_and_missing_is_empty() -> None:
    made = decoded(
        {
            "metadata": None,
            "spec": {"containers": [{"image": None, "ports": [{}]}], "volumes": None},
        }
    )
    (container,) = made.spec.containers
    assert (container.name, container.image, container.ports[0].container_port) == ("", None, 0)
    assert (made.metadata.name, made.spec.volumes, container.resources) == (
        None,
        (),
        ResourceRequirements(),
    )
    assert decoded({}).spec.containers == ()


def test_null_in_a_list_or_a_map_is_empty() -> None:
    spec = {"containers": [{"args": ["a", None]}, None], "nodeSelector": {"a": None}}
    document, causes = reading.read("core.v1.Pod", {"spec": spec})
    assert causes == []
    assert document["spec"]["containers"] == [{"args": ["a", ""]}, {}]
    assert document["spec"]["nodeSelector"] == {"a": ""}


@pytest.mark.parametrize(
    ("spec", "path", "message", "hint"),
    [
        (
            {"hostNetwrk": True},
            "spec.hostNetwrk",
            'unknown field "hostNetwrk"',
            'did you mean "hostNetwork"?',
        ),
        ({"HOSTPID": True}, "spec.HOSTPID", 'unknown field "HOSTPID"', 'did you mean "hostPID"?'),
        (
            {"livenessProbe": {}},
            "spec.livenessProbe",
            'unknown field "livenessProbe"',
            "a field of a container",
        ),
        ({"zzz": 1}, "spec.zzz", 'unknown field "zzz"', ""),
        (
            {"hostname": 7},
            "spec.hostname",
            "expected string, got integer",
            'in quotes: "7"',
        ),
        (
            {"hostname": True},
            "spec.hostname",
            "expected string, got boolean",
            "in quotes",
        ),
        ({"hostname": 1.5}, "spec.hostname", "expected string, got number", "quotes"),
        (
            {"hostPID": "true"},
            "spec.hostPID",
            "expected boolean, got string",
            "leave the quotes out",
        ),
        (
            {"priority": "7"},
            "spec.priority",
            "expected integer, got string",
            "leave the quotes out",
        ),
        ({"priority": 1.5}, "spec.priority", "expected integer, got number", ""),
        ({"priority": True}, "spec.priority", "expected integer, got boolean", ""),
        (
            {"priority": 2**31},
            "spec.priority",
            "Invalid value: 2147483648: must be between",
            "",
        ),
        ({"volumes": {"name": "v"}}, "spec.volumes", "expected list, got mapping", '"- "'),
        ({"volumes": ["v"]}, "spec.volumes[0]", "expected mapping, got string", ""),
        (
            {"securityContext": []},
            "spec.securityContext",
            "expected mapping, got list",
            '"- "',
        ),
        (
            {"nodeSelector": {"a/b": 1}},
            "spec.nodeSelector[a/b]",
            "expected string, got integer",
            "quotes",
        ),
        (
            {"overhead": {"memory": "1GB"}},
            "spec.overhead[memory]",
            '"1GB" is not a quantity',
            "did you mean 1Gi",
        ),
        ({"overhead": {"cpu": []}}, "spec.overhead[cpu]", "expected quantity, got list", ""),
    ],
)
def test_a_wrong_value_is_told_with_its_path_and_a_hint(
    spec: dict[str, Any], path: str, message: str, hint: str
) -> None:
    ((where, said, helped),) = found(pod(**spec))
    assert where == path
    assert said.startswith(message)
    assert hint in helped and (hint or not helped)


def test_all_problems_are_told_and_what_is_good_is_kept() -> None:
    plain = {
        "metadata": {"name": "p", "labels": {"a": 1, "b": "2"}},
        "spec": {
            "containers": [{"name": "c", "image": 7}, "text", {"name": "d", "args": ["a", 1, "c"]}],
            "bogus": 1,
        },
    }
    document, causes = reading.read("core.v1.Pod", plain)
    assert [path_text(cause.path) for cause in causes] == [
        "metadata.labels[a]",
        "spec.containers[0].image",
        "spec.containers[1]",
        "spec.containers[2].args[1]",
        "spec.bogus",
    ]
    made = codec.decode(Pod, document)
    assert made.metadata.labels == {"b": "2"}
    assert [each.name for each in made.spec.containers] == ["c", "", "d"]
    assert made.spec.containers[2].args == ("a", "", "c")


@pytest.mark.parametrize("value", [None, 1, "pod", [], True])
def test_what_is_no_mapping_is_an_empty_pod_with_one_cause(value: Any) -> None:
    document, causes = reading.read("core.v1.Pod", value)
    assert document == {} and len(causes) == 1


def test_ports_of_probes_may_be_numbers_or_names() -> None:
    def read(port: Any) -> tuple[Any, list[str]]:
        probe = {"livenessProbe": {"httpGet": {"port": port}}}
        document, causes = reading.read("core.v1.Container", probe)
        return document["livenessProbe"]["httpGet"].get("port"), [c.message for c in causes]

    assert (read(80), read("web")) == ((80, []), ("web", []))
    assert read(True) == (None, ["expected integer or string, got boolean"])


words = st.sampled_from(
    "metadata name namespace labels annotations spec containers initContainers "
    "image command args env value valueFrom fieldRef "
    "fieldPath resourceFieldRef resource divisor configMapKeyRef key resources "
    "limits requests cpu memory volumeMounts mountPath "
    "subPath volumes emptyDir sizeLimit medium hostPath path type configMap "
    "items projected sources securityContext runAsUser "
    "capabilities add ports containerPort hostPort hostIP protocol "
    "livenessProbe httpGet port exec tcpSocket grpc lifecycle "
    "preStop affinity nodeAffinity "
    "requiredDuringSchedulingIgnoredDuringExecution nodeSelectorTerms "
    "matchExpressions operator "
    "values tolerations effect topologySpreadConstraints maxSkew dnsConfig "
    "nameservers searches hostAliases ip hostnames sysctls "
    "restartPolicy hostUsers overhead status seccompProfile".split()
)
scalars = st.none() | st.booleans() | st.integers(-3, 70000) | st.sampled_from(
    ["", "c", "i", "-1", "1Gi", "100m", "nonsense", "Always", "Exists", "In", "../x", "/a",
     "10.0.0.1", "::1", "A b"]
)  # fmt: skip
plain_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=5),
    max_leaves=30,
)
pods = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.dictionaries(words, plain_values, max_size=4),
        "spec": st.fixed_dictionaries(
            {"containers": st.lists(st.dictionaries(words, plain_values, max_size=6), max_size=2)},
            optional={
                "volumes": st.lists(st.dictionaries(words, plain_values, max_size=3), max_size=2),
                "affinity": plain_values,
            },
        ),
    },
)


@given(pods)
def test_no_value_makes_reading_or_judging_stumble(value: dict[str, Any]) -> None:
    pod = judge(value)
    for cause in pod.causes:
        assert cause.message and "\n" not in cause.message
        advice(cause, pod.complete)
    findings = support.check(pod.written)
    made = codec.decode(Pod, pod.complete)
    again, causes = reading.read("core.v1.Pod", msgspec.json.decode(msgspec.json.encode(made)))
    assert causes == [] and codec.decode(Pod, again) == made
    support.without_refused(pod.complete, findings)
    codec.decode(Pod, pod.complete)


@pytest.mark.parametrize("time", ["2026-01-31", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z", ""])
def test_a_time_that_none_is_is_told(time: str) -> None:
    value = {**pod(), "metadata": {"name": "p", "creationTimestamp": time}}
    (cause,) = found(value)
    assert cause[:1] == ("metadata.creationTimestamp",)
    good = {**pod(), "metadata": {"name": "p", "creationTimestamp": "2026-01-31T12:00:00.5+01:00"}}
    assert found(good) == []


def test_fields_of_features_that_are_off_are_no_fault() -> None:
    sources = [{"clusterTrustBundle": {}}, {"secret": {"name": "s"}}]
    value = pod(volumes=[{"name": "v", "projected": {"sources": sources}}])
    judged = judge(value)
    assert judged.causes == []
    assert any(finding.level for finding in support.check(judged.written))
