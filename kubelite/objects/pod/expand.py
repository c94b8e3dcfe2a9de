"""Environment of a container and ``$(VAR)`` in texts, as the kubelet has them. Pure.

Variables may name the ones declared before them. What nobody declared stays as it is written, and
``$$(VAR)`` is how a text says ``$(VAR)``. Values from ConfigMaps, Secrets and files are not known
here; such variables are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubelite.objects.facts import quantity
from kubelite.objects.pod import qos

if TYPE_CHECKING:
    from kubelite.objects.pod.container import Container, EnvVarSource, ResourceFieldSelector
    from kubelite.objects.pod.pod import Pod

# Compiled when a text needs them.
_REFERENCE = r"\$(?:\$|\(([^)]*)\))"
_SUBSCRIPT = r"(?s)metadata\.(labels|annotations)\['(.+)'\]"

FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels['KEY']",
    "metadata.annotations['KEY']",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
"""What ``fieldRef`` may name in an environment variable."""


class Values(NamedTuple):
    """What only the node knows: names, addresses, and what it can give a pod. Milli-CPUs, bytes."""

    node_name: str = ""
    host_ip: str = ""
    pod_ip: str = ""
    cpu: int = 0
    memory: int = 0
    storage: int = 0


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with each ``$(NAME)`` that is known replaced, and each ``$$`` made one ``$``."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return re.sub(_REFERENCE, value, text)


def container_env(pod: Pod, container: Container, values: Values) -> dict[str, str]:
    """The variables that the manifest declares for a container, expanded, in their order."""
    env: dict[str, str] = {}
    for variable in container.env:
        if variable.value_from is None:
            env[variable.name] = expand(variable.value or "", env)
            continue
        found = _from(pod, container, variable.value_from, values)
        if found is not None:
            env[variable.name] = found
    return env


def is_field(path: str) -> bool:
    """Whether a ``fieldRef`` may name this path in an environment variable."""
    return path in FIELDS or re.fullmatch(_SUBSCRIPT, path) is not None


def field(pod: Pod, path: str, values: Values) -> str:
    """The value of a field of the pod; "" for one that is not set. The path is one of FIELDS."""
    subscript = re.fullmatch(_SUBSCRIPT, path)
    if subscript is not None:
        found = pod.metadata.labels if subscript[1] == "labels" else pod.metadata.annotations
        return found.get(subscript[2], "")
    known = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": values.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": values.host_ip,
        "status.hostIPs": values.host_ip,
        "status.podIP": values.pod_ip,
        "status.podIPs": values.pod_ip,
    }
    return known.get(path) or ""


def resource(pod: Pod, container: Container, asked: ResourceFieldSelector, values: Values) -> str:
    """A request or limit divided by the divisor and rounded up; where there is no limit, what the
    node has.
    """
    owner = _named(pod, asked.container_name) or container
    kind, _, name = asked.resource.partition(".")
    amounts = qos.limits(owner) if kind == "limits" else qos.requests(owner)
    whole = {"cpu": values.cpu, "memory": values.memory, "ephemeral-storage": values.storage}
    amount = amounts.get(name) or (whole.get(name, 0) if kind == "limits" else 0)
    divisor = asked.divisor if asked.divisor and quantity.parse(asked.divisor).nano else "1"
    return str(
        -(-amount // (quantity.milli(divisor) if name == "cpu" else quantity.value(divisor)))
    )


def _from(pod: Pod, container: Container, source: EnvVarSource, values: Values) -> str | None:
    if source.field_ref is not None:
        return field(pod, source.field_ref.field_path, values)
    if source.resource_field_ref is not None:
        return resource(pod, container, source.resource_field_ref, values)
    return None


def _named(pod: Pod, name: str | None) -> Container | None:
    containers = (*pod.spec.containers, *pod.spec.init_containers)
    return next((each for each in containers if each.name == name), None)
