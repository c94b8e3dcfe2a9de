"""Environment of a container and ``$(VAR)`` in texts, as the kubelet has them. Pure.

Variables may name the ones declared before them. What nobody declared stays as it is written, and
``$$(VAR)`` is how a text says ``$(VAR)``. Values of ConfigMaps and Secrets are looked up by the
caller's function.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from kubelite.objects.facts import quantity
from kubelite.objects.pod import qos

if TYPE_CHECKING:
    from kubelite.objects.pod.container import (
        Container,
        EnvFromSource,
        EnvVarSource,
        FileKeySelector,
        ResourceFieldSelector,
    )
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
    pod_ips: tuple[str, ...] = ()
    cpu: int = 0
    memory: int = 0
    storage: int = 0


Lookup = Callable[[str, str], Mapping[str, bytes] | None]
"""Values by key of a ConfigMap or Secret, by its kind and name; of a file of variables, by "file"
and VOLUME/PATH. None where there is none.
"""


class MissingSource(ValueError):
    """A ConfigMap, a Secret or a key of one is missing that a variable needs; in the kubelet's
    words.
    """


def expand(text: str, variables: Mapping[str, str]) -> str:
    """The text with each ``$(NAME)`` that is known replaced, and each ``$$`` made one ``$``."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        return "$" if match[1] is None else variables.get(match[1], match[0])

    return re.sub(_REFERENCE, value, text)


def container_env(
    pod: Pod, container: Container, values: Values, lookup: Lookup | None = None
) -> dict[str, str]:
    """The variables that the manifest declares for a container, expanded, in their order.

    Without ``lookup`` variables from ConfigMaps and Secrets are left out. Raises MissingSource.
    """
    env: dict[str, str] = {}
    if lookup is not None:
        for source in container.env_from:
            env.update(_all_values(source, lookup))
    for variable in container.env:
        if variable.value_from is None:
            env[variable.name] = expand(variable.value or "", env)
            continue
        text = _from(pod, container, variable.value_from, values)
        if text is None and lookup is not None:
            text = _value(pod, variable.value_from, lookup)
        if text is not None:
            env[variable.name] = text
    return env


def needs_lookup(container: Container) -> bool:
    """Whether any variable comes from a ConfigMap, a Secret or a file."""
    sources = (variable.value_from for variable in container.env)
    return bool(container.env_from) or any(
        source is not None
        and (source.config_map_key_ref or source.secret_key_ref or source.file_key_ref)
        for source in sources
    )


def needs_files(container: Container) -> bool:
    """Whether any variable comes from a file that another container writes."""
    sources = (variable.value_from for variable in container.env)
    return any(source is not None and source.file_key_ref for source in sources)


def _all_values(source: EnvFromSource, lookup: Lookup) -> dict[str, str]:
    """Every key of a ConfigMap or Secret as a variable; keys that hold binary data are left out."""
    reference = source.config_map_ref or source.secret_ref
    if reference is None:
        return {}
    kind = "ConfigMap" if source.config_map_ref is not None else "Secret"
    data = lookup(kind, reference.name or "")
    if data is None:
        if reference.optional:
            return {}
        raise MissingSource(f'{kind.lower()} "{reference.name}" not found')
    prefix = source.prefix or ""
    return {f"{prefix}{key}": text for key, text in _texts(data)}


def _texts(values: Mapping[str, bytes]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        try:
            yield key, value.decode()
        except UnicodeDecodeError:
            continue


def _value(pod: Pod, source: EnvVarSource, lookup: Lookup) -> str | None:
    """The value of one key, None for an optional one that is missing."""
    if source.file_key_ref is not None:
        return _file_value(source.file_key_ref, lookup)
    selector = source.config_map_key_ref or source.secret_key_ref
    if selector is None:
        return None
    kind = "ConfigMap" if source.config_map_key_ref is not None else "Secret"
    data = lookup(kind, selector.name or "")
    if data is not None and selector.key in data:
        return data[selector.key].decode("utf-8", "surrogateescape")
    if selector.optional:
        return None
    if data is None:
        raise MissingSource(f'{kind.lower()} "{selector.name}" not found')
    where = f"{pod.metadata.namespace or 'default'}/{selector.name}"
    raise MissingSource(f"couldn't find key {selector.key} in {kind} {where}")


def _file_value(selector: FileKeySelector, lookup: Lookup) -> str | None:
    variables = lookup("file", f"{selector.volume_name}/{selector.path}")
    if variables is not None and selector.key in variables:
        return variables[selector.key].decode()
    if selector.optional:
        return None
    where = f'environment file "{selector.path}" of volume "{selector.volume_name}"'
    if variables is None:
        raise MissingSource(f"{where} not found")
    raise MissingSource(f'couldn\'t find key "{selector.key}" in {where}')


def volume_field(pod: Pod, path: str, values: Values) -> str:
    """The value of a field as a file of a downward API volume, which may be all labels or all
    annotations: a line ``key="value"`` each, sorted.
    """
    if path not in ("metadata.labels", "metadata.annotations"):
        return field(pod, path, values)
    entries = pod.metadata.labels if path == "metadata.labels" else pod.metadata.annotations
    return "\n".join(f"{key}={_quoted(value)}" for key, value in sorted(entries.items()))


def _quoted(text: str) -> str:
    """As Go's ``%q`` writes it."""
    import json  # a start of most pods does without

    return json.dumps(text, ensure_ascii=False)


def is_field(path: str) -> bool:
    """Whether a ``fieldRef`` may name this path in an environment variable."""
    return path in FIELDS or re.fullmatch(_SUBSCRIPT, path) is not None


def field(pod: Pod, path: str, values: Values) -> str:
    """The value of a field of the pod; "" for one that is not set. The path is one of FIELDS."""
    subscript = re.fullmatch(_SUBSCRIPT, path)
    if subscript is not None:
        pairs = pod.metadata.labels if subscript[1] == "labels" else pod.metadata.annotations
        return pairs.get(subscript[2], "")
    known = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": values.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": values.host_ip,
        "status.hostIPs": values.host_ip,
        "status.podIP": next(iter(values.pod_ips), ""),
        "status.podIPs": ",".join(values.pod_ips),
    }
    return known.get(path) or ""


def resource(
    pod: Pod, container: Container, selector: ResourceFieldSelector, values: Values
) -> str:
    """A request or limit divided by the divisor and rounded up; where there is no limit, what the
    node has.
    """
    owner = _named(pod, selector.container_name) or container
    kind, _, name = selector.resource.partition(".")
    amounts = qos.limits(owner) if kind == "limits" else qos.requests(owner)
    whole = {"cpu": values.cpu, "memory": values.memory, "ephemeral-storage": values.storage}
    amount = amounts.get(name) or (whole.get(name, 0) if kind == "limits" else 0)
    divisor = (
        selector.divisor if selector.divisor and quantity.parse(selector.divisor).nano else "1"
    )
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
    return next((container for container in containers if container.name == name), None)
