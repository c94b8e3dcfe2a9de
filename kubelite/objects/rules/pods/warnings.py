"""What is odd about a pod without being wrong: deprecated, without effect, or hidden by something
else. Pure.

Facts are those of Kubernetes' ``pkg/api/pod/warnings.go``; kubectl shows each as ``Warning:``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.objects.facts import quantity
from kubelite.objects.rules.pods.annotations import APP_ARMOR

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]
_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": "deprecated since v1.17; use "
    '"topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": "deprecated since v1.17; use "
    '"topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": "deprecated since v1.17; use "
    '"node.kubernetes.io/instance-type" instead',
}
_VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": "non-functional in v1.16+; use the "
    '"priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field '
    "instead",
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" '
    "field instead",
    "seccomp.security.alpha.kubernetes.io/pod": _SECCOMP,
}
_BY_CONTAINER = {
    "container.seccomp.security.alpha.kubernetes.io/": (_SECCOMP, "seccompProfile"),
    APP_ARMOR: (
        'deprecated since v1.30; use the "appArmorProfile" field instead',
        "appArmorProfile",
    ),
}
_OF_POD = "metadata.annotations"
_DISTINCT = {"hostAliases": "ip", "imagePullSecrets": "name"}
_BYTES = ("memory", "ephemeral-storage")
_NO_POD = "a null labelSelector results in matching no pod"
_TERMS = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)


def of_pod(metadata: Object, spec: Object, prefix: str = "") -> Iterator[str]:
    """Everything odd about a pod, or with a ``prefix`` like ``spec.template.`` about the template
    of one.
    """
    path = f"{prefix}spec"
    if metadata.get("annotations"):
        yield from _annotations(metadata["annotations"], spec, f"{prefix}metadata.annotations")
    for key in spec.get("nodeSelector") or ():
        if key in _LABELS:
            yield f"{path}.nodeSelector[{key}]: {_LABELS[key]}"
    if spec.get("affinity"):
        yield from _affinity(spec["affinity"], f"{path}.affinity")
    for index, constraint in enumerate(spec.get("topologySpreadConstraints") or ()):
        yield from _spread(constraint, f"{path}.topologySpreadConstraints[{index}]")
    for index, volume in enumerate(spec.get("volumes") or ()):
        for kind in volume:
            if kind in _VOLUMES:
                yield f"{path}.volumes[{index}].{kind}: {_VOLUMES[kind]}"
        yield from _overlapping(volume)
    for field, key in _DISTINCT.items():
        if spec.get(field):
            yield from _repeated(spec[field], field, key, path)
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield (
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid "
            "and will be treated as 1"
        )
    yield from _containers(spec, path)


class _Placed(NamedTuple):
    """A file of a volume and what it comes from, as warnings name it."""

    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}"' + (f" ({self.source})" if self.source else "")


def _overlapping(volume: Object) -> Iterator[str]:
    """Files of a volume that hide each other, and sources that say nothing."""
    name, projected = volume.get("name", ""), volume.get("projected")
    for kind, shown, key in _MADE_OF_ITEMS:
        source = volume.get(kind)
        if source and source.get("items"):
            origin = f'{shown} "{source.get(key, "")}"' if key else shown
            placed = [_Placed(_path(item)) for item in source["items"]]
            yield from _collisions(placed, f'volume "{name}" ({origin})')
    if not projected:
        return
    placed = []
    for source in projected.get("sources") or ():
        if not any(value is not None for value in source.values()):
            yield f'volume "{name}" (Projected) has no sources provided'
        placed += _projected(source)
    yield from _collisions(placed, f'volume "{name}" (Projected)')


_MADE_OF_ITEMS = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("downwardAPI", "DownwardAPI", ""),
)


def _projected(source: Object) -> list[_Placed]:
    placed = []
    for kind, shown, key in _MADE_OF_ITEMS:
        given = source.get(kind)
        if given and given.get("items"):
            origin = f'{shown} "{given.get("name", "")}"' if key else shown
            placed += [_Placed(_path(item), origin) for item in given["items"]]
    if token := source.get("serviceAccountToken"):
        placed.append(_Placed(_path(token), "ServiceAccountToken"))
    if bundle := source.get("clusterTrustBundle"):
        origin = f'ClusterTrustBundle "{bundle.get("name") or bundle.get("signerName", "")}"'
        placed.append(_Placed(_path(bundle), origin))
    return placed


def _path(source: Object) -> str:
    path: str = source.get("path", "")
    return path.rstrip("/")


def _collisions(placed: list[_Placed], volume: str) -> Iterator[str]:
    for position, file in enumerate(placed):
        here = f"{file.path}/"
        for other in placed[:position]:
            there = f"{other.path}/"
            if here.startswith(there) or there.startswith(here):
                yield f"{volume}: overlapping paths: {file} with {other}"


def _annotations(given: Object, spec: Object, path: str) -> Iterator[str]:
    own = spec.get("securityContext") or {}
    for key, message in _ANNOTATIONS.items():
        if key in given and not (message == _SECCOMP and own.get("seccompProfile")):
            yield f"{path}[{key}]: {message}"
    for kind in _BY_CONTAINER:
        if kind != APP_ARMOR or path != _OF_POD:
            yield from _by_container(kind, given, spec, path)


def app_armor_annotations(metadata: Object, spec: Object) -> Iterator[str]:
    """The profiles that a new pod names by annotations only, as it is sent: later they are in
    fields.
    """
    yield from _by_container(APP_ARMOR, metadata.get("annotations") or {}, spec, _OF_POD)


def _by_container(kind: str, given: Object, spec: Object, path: str) -> Iterator[str]:
    """The annotations of one kind that name a container without such a field."""
    message, field = _BY_CONTAINER[kind]
    own = spec.get("securityContext") or {}
    containers = {
        container.get("name", ""): container.get("securityContext") or {}
        for container in _all(spec)
    }
    for key in given:
        name = key.removeprefix(kind)
        if (
            key.startswith(kind)
            and name in containers
            and not (containers[name].get(field) or own.get(field))
        ):
            yield f"{path}[{key}]: {message}"


def _all(spec: Object) -> list[Object]:
    return [
        container
        for kind in ("initContainers", "containers", "ephemeralContainers")
        for container in spec.get(kind) or ()
    ]


def _affinity(given: Object, path: str) -> Iterator[str]:
    node = given.get("nodeAffinity") or {}
    required, preferred = _TERMS
    for index, term in enumerate((node.get(required) or {}).get("nodeSelectorTerms") or ()):
        yield from _node_term(term, f"{path}.nodeAffinity.{required}.nodeSelectorTerms[{index}]")
    for index, term in enumerate(node.get(preferred) or ()):
        yield from _node_term(
            term.get("preference") or {}, f"{path}.nodeAffinity.{preferred}[{index}].preference"
        )
    for kind in ("podAffinity", "podAntiAffinity"):
        for terms in _TERMS:
            for index, term in enumerate((given.get(kind) or {}).get(terms) or ()):
                where = f"{path}.{kind}.{terms}[{index}]"
                if terms == preferred:
                    where, term = f"{where}.podAffinityTerm", term.get("podAffinityTerm") or {}
                if term.get("labelSelector") is None:
                    yield f"{where}.labelSelector: {_NO_POD}"


def _node_term(term: Object, path: str) -> Iterator[str]:
    for index, expression in enumerate(term.get("matchExpressions") or ()):
        key = expression.get("key")
        if key in _LABELS:
            yield f"{path}.matchExpressions[{index}].key: {key} is {_LABELS[key]}"


def _spread(constraint: Object, path: str) -> Iterator[str]:
    key = constraint.get("topologyKey", "")
    if key in _LABELS:
        yield f"{path}.topologyKey: {key} is {_LABELS[key]}"
    if constraint.get("labelSelector") is None:
        yield f"{path}.labelSelector: {_NO_POD}"


def _repeated(entries: list[Object], field: str, key: str, path: str) -> Iterator[str]:
    values: set[str] = set()
    for index, entry in enumerate(entries):
        value = entry.get(key, "")
        if field == "imagePullSecrets" and not value:
            yield f'{path}.{field}[{index}].{key}: invalid empty name ""'
        elif value in values:
            yield f'{path}.{field}[{index}].{key}: duplicate {key} "{value}"'
        values.add(value)


def _containers(spec: Object, path: str) -> Iterator[str]:
    ports: dict[tuple[Any, str], list[tuple[str, Object]]] = {}
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind) or ()):
            where = f"{path}.{kind}[{index}]"
            if container.get("resources"):
                yield from fractions(container["resources"], f"{where}.resources", _BYTES)
            if len(container.get("env") or ()) > 1:
                yield from _hidden(container["env"], where)
            for number, port in enumerate(container.get("ports") or ()):
                here = f"{where}.ports[{number}]"
                yield from _port(port, here, ports)
                if port.get("hostIP") and not port.get("hostPort"):
                    yield f"{here}: hostIP set without hostPort: {_printed_port(port)}"


def _printed_port(port: Object) -> str:
    """A port as Go prints a struct."""
    fields = {"Name": "name", "HostPort": "hostPort", "ContainerPort": "containerPort"}
    fields |= {"Protocol": "protocol", "HostIP": "hostIP"}
    zero = {"HostPort": 0, "ContainerPort": 0}
    shown = (f"{go}:{port.get(name, zero.get(go, ''))}" for go, name in fields.items())
    return "{" + " ".join(shown) + "}"


def fractions(resources: Object, path: str, names: tuple[str, ...]) -> Iterator[str]:
    """Parts of bytes among limits and requests."""
    for kind in ("limits", "requests"):
        amounts = resources.get(kind) or {}
        for name in names:
            if name in amounts and quantity.has_fraction(text := str(amounts[name])):
                yield (
                    f'{path}.{kind}[{name}]: fractional byte value "{text}" is invalid, must be an '
                    "integer"
                )


def _hidden(env: list[Object], path: str) -> Iterator[str]:
    names: set[str] = set()
    for index, variable in enumerate(env):
        name = variable.get("name", "")
        if name in names and not _extends(variable, f"$({name})"):
            yield (
                f'{path}.env[{index}]: hides previous definition of "{name}", which may be '
                "dropped when using apply"
            )
        names.add(name)


def _extends(variable: Object, reference: str) -> bool:
    """Whether a variable adds something to what ``reference`` stands for."""
    value = variable.get("value") or ""
    return not variable.get("valueFrom") and value != reference and reference in value


def _port(
    port: Object, path: str, known: dict[tuple[Any, str], list[tuple[str, Object]]]
) -> Iterator[str]:
    ip, host = port.get("hostIP", ""), port.get("hostPort", 0)
    others = known.setdefault((port.get("containerPort"), port.get("protocol", "TCP")), [])
    for where, other in others:
        their_ip, theirs = other.get("hostIP", ""), other.get("hostPort", 0)
        if (ip, host) == (their_ip, theirs):
            yield f"{path}: duplicate port definition with {where}"
        elif not host or not theirs:
            yield f"{path}: overlapping port definition with {where}"
        elif host == theirs and bool(ip) != bool(their_ip):
            yield f"{path}: dangerously ambiguous port definition with {where}"
    others.append((path, port))
