"""``$(VAR)`` against a slow model, and the environment of a container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.objects.pod import expand
from kubelite.objects.pod.expand import Values
from kubelite.objects.pod.pod import (
    ConfigMapKeySelector,
    Container,
    EnvVar,
    EnvVarSource,
    ObjectFieldSelector,
    ObjectMeta,
    Pod,
    PodSpec,
    ResourceFieldSelector,
    ResourceRequirements,
)

VALUES = Values(
    "node-1", "192.0.2.1", ("10.0.0.7", "fd00::7"), cpu=2000, memory=4 << 30, storage=100
)


def slow(text: str, variables: dict[str, str]) -> str:
    """One character after the other, as the documentation of Kubernetes tells it."""
    out, at = "", 0
    while at < len(text):
        rest = text[at:]
        if rest.startswith("$$"):
            out, at = out + "$", at + 2
        elif rest.startswith("$(") and ")" in rest:
            name = rest[2 : rest.index(")")]
            out += variables.get(name, f"$({name})")
            at += len(name) + 3
        else:
            out, at = out + rest[0], at + 1
    return out


@given(
    st.text("$()AB x\n", max_size=20),
    st.dictionaries(st.sampled_from(["A", "B", "", "$(A"]), st.text("$(A)", max_size=4)),
)
def test_texts_are_expanded_as_in_kubernetes(text: str, variables: dict[str, str]) -> None:
    assert expand.expand(text, variables) == slow(text, variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)-$(B)", "a-b"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$a"),
        ("$$$$(A)", "$$(A)"),
        ("$(NOBODY)", "$(NOBODY)"),
        ("$A $", "$A $"),
        ("$(A", "$(A"),
        ("$(A$(B)", "$(A$(B)"),
        ("", ""),
    ],
)
def test_references_escapes_and_what_is_neither(text: str, expected: str) -> None:
    assert expand.expand(text, {"A": "a", "B": "b"}) == expected


def pod(*env: EnvVar, resources: ResourceRequirements | None = None) -> Pod:
    main = Container(name="c", image="i", env=env, resources=resources or ResourceRequirements())
    other = Container(
        name="d", image="i", resources=ResourceRequirements(requests={"memory": "10Mi"})
    )
    meta = ObjectMeta(
        name="p", namespace="ns", uid="u-1", labels={"a.b/c": "l'1"}, annotations={"note": "n]"}
    )
    return Pod(metadata=meta, spec=PodSpec(containers=(main, other), service_account_name="robot"))


def env_of(*env: EnvVar, resources: ResourceRequirements | None = None) -> dict[str, str]:
    made = pod(*env, resources=resources)
    return expand.container_env(made, made.spec.containers[0], VALUES)


def of_field(path: str) -> EnvVarSource:
    return EnvVarSource(field_ref=ObjectFieldSelector(field_path=path))


def test_a_variable_may_name_those_before_it_and_the_last_of_a_name_wins() -> None:
    found = env_of(
        EnvVar(name="LATER", value="$(A)"),
        EnvVar(name="A", value="1"),
        EnvVar(name="B", value="$(A)2"),
        EnvVar(name="A", value="$(B)3"),
        EnvVar(name="EMPTY"),
    )
    assert found == {"LATER": "$(A)", "A": "123", "B": "12", "EMPTY": ""}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u-1"),
        ("metadata.labels['a.b/c']", "l'1"),
        ("metadata.annotations['note']", "n]"),
        ("metadata.annotations['none']", ""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "192.0.2.1"),
        ("status.podIP", "10.0.0.7"),
        ("status.podIPs", "10.0.0.7,fd00::7"),
    ],
)
def test_fields_of_the_pod(path: str, expected: str) -> None:
    assert expand.is_field(path)
    assert env_of(EnvVar(name="X", value_from=of_field(path))) == {"X": expected}


@pytest.mark.parametrize(
    "path", ["spec.containers", "metadata.labels", "metadata.labels[a]", "status.phase", ""]
)
def test_other_fields_are_not_for_variables(path: str) -> None:
    assert not expand.is_field(path)


@pytest.mark.parametrize(
    ("asked", "divisor", "expected"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "250"),
        ("limits.cpu", "0", "1"),
        ("limits.memory", None, str(64 << 20)),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "1M", "68"),
        ("requests.cpu", "1m", "100"),
        ("requests.memory", "1Ki", str(64 << 10)),
        ("limits.ephemeral-storage", None, "100"),
        ("requests.ephemeral-storage", None, "0"),
    ],
)
def test_resources_are_divided_and_rounded_up(
    asked: str, divisor: str | None, expected: str
) -> None:
    given_limits = ResourceRequirements(
        limits={"cpu": "250m", "memory": "64Mi"}, requests={"cpu": "100m"}
    )
    source = EnvVarSource(resource_field_ref=ResourceFieldSelector(resource=asked, divisor=divisor))
    assert env_of(EnvVar(name="X", value_from=source), resources=given_limits) == {"X": expected}


def test_a_limit_that_is_not_there_is_what_the_node_has_and_other_containers_can_be_asked_for() -> (
    None
):
    def asked(resource: str, container: str | None = None) -> EnvVar:
        selector = ResourceFieldSelector(resource=resource, container_name=container)
        return EnvVar(
            name=f"{resource}/{container}", value_from=EnvVarSource(resource_field_ref=selector)
        )

    assert list(
        env_of(asked("limits.cpu"), asked("limits.memory"), asked("requests.memory", "d")).values()
    ) == [
        "2",
        str(4 << 30),
        str(10 << 20),
    ]


def test_values_from_elsewhere_are_left_out() -> None:
    reference = EnvVarSource(config_map_key_ref=ConfigMapKeySelector(name="m", key="k"))
    assert env_of(EnvVar(name="X", value_from=reference), EnvVar(name="Y", value="$(X)")) == {
        "Y": "$(X)"
    }
