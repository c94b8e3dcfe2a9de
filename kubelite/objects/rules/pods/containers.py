"""Rules about the containers of a pod of all three sorts. Documents in, causes out. Pure.

Rules about parts that many containers do not have are imported when one has them: they would be
most of a command's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from kubelite.objects.facts import names
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    named,
    not_found,
    one_of,
    required,
    required_fields,
    required_one_of,
    too_many,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from kubelite.lib.json import Object

GROUPS = ("initContainers", "containers", "ephemeralContainers")
"""Where containers stand in a PodSpec, in the order in which they begin."""
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RULE_ACTIONS = ("Restart", "RestartAllContainers")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")
_MAX_RULES = 20
_MAX_EXIT_CODES = 255
_ONE_FIELD = "may not have more than one field specified at a time"
_NOT_EPHEMERAL = "cannot be set for an Ephemeral Container"
_EPHEMERAL_ORDER = (
    "ports resources resizePolicy restartPolicy restartPolicyRules livenessProbe readinessProbe "
    "startupProbe lifecycle"
).split()
_WATCHED = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
_WATCHED_FIELDS = frozenset(_WATCHED)
_NOT_INIT = "may not be set for init containers without restartPolicy=Always"


class Surroundings(msgspec.Struct, frozen=True):
    """What containers are checked against: volumes that are right, by name, names of resource
    claims, and fields of the pod.
    """

    volumes: dict[str, Object]
    claims: frozenset[str]
    restart_policy: str
    host_users: bool
    grace_seconds: int | None
    os: str


def each_container(spec: Object, path: Path) -> Iterator[tuple[Object, Path]]:
    """Every container of a PodSpec and its path, in the order in which they begin."""
    for group in GROUPS:
        for index, container in enumerate(spec.get(group) or ()):
            yield container, (*path, group, index)


def is_sidecar(container: Object) -> bool:
    """Whether an init container goes on running beside the others."""
    return container.get("restartPolicy") == "Always"


def containers(spec: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    """All containers of a PodSpec."""
    yield from _main_containers(spec, around, (*path, "containers"))
    if spec.get("initContainers"):
        yield from _init_containers(spec, around, (*path, "initContainers"))
    if spec.get("ephemeralContainers"):
        yield from _ephemeral_containers(spec, around, (*path, "ephemeralContainers"))


def image_spaces(spec: Object, group: str, path: Path) -> Iterator[Cause]:
    """Spaces around images, which only templates may have."""
    for index, container in enumerate(spec.get(group) or ()):
        yield from _trimmed(container, (*path, group, index))


def _trimmed(container: Object, path: Path) -> Sequence[Cause]:
    image = container.get("image", "")
    if image == image.strip():
        return ()
    return (invalid((*path, "image"), image, "must not have leading or trailing whitespace"),)


def _main_containers(spec: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    given = spec.get("containers") or ()
    if not given:
        yield required(path)
        return
    taken: set[str] = set()
    for index, container in enumerate(given):
        here, name = (*path, index), container.get("name", "")
        yield from _common(container, around, here)
        if name in taken:
            yield duplicate((*here, "name"), name)
        taken.add(name)
        yield from _hooks_and_probes(container, around, here)
        yield from _restart(container, here)
    yield from _host_port_conflicts(given, path)


def _init_containers(spec: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    taken = {container.get("name", "") for container in spec.get("containers") or ()}
    for index, container in enumerate(spec.get("initContainers") or ()):
        here, name = (*path, index), container.get("name", "")
        yield from _common(container, around, here)
        yield from _restart(container, here)
        if name in taken:
            yield duplicate((*here, "name"), name)
        elif name:
            taken.add(name)
        yield from _host_port_conflicts([container], path)
        if is_sidecar(container):
            yield from _hooks_and_probes(container, around, here)
            continue
        for field in _WATCHED:
            if field in container:
                yield forbidden((*here, field), _NOT_INIT)
        for number, policy in enumerate(container.get("resizePolicy") or ()):
            if policy.get("restartPolicy") == "RestartContainer":
                why = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                where = (*here, "resizePolicy", number, "restartPolicy")
                yield invalid(where, "RestartContainer", why)


def _ephemeral_containers(spec: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    others = {
        container.get("name", "")
        for group in ("containers", "initContainers")
        for container in spec.get(group) or ()
    }
    taken = set(others)
    for index, container in enumerate(spec.get("ephemeralContainers") or ()):
        here, name = (*path, index), container.get("name", "")
        yield from _common(container, around, here)
        yield from _trimmed(container, here)
        if name in taken:
            yield duplicate((*here, "name"), name)
        taken.add(name)
        target = container.get("targetContainerName", "")
        if target and target not in others:
            yield not_found((*here, "targetContainerName"), target)
        yield from _only_ephemeral_fields(container, here)


def _only_ephemeral_fields(container: Object, path: Path) -> Iterator[Cause]:
    for field in _EPHEMERAL_ORDER:
        if container.get(field):
            yield forbidden((*path, field), _NOT_EPHEMERAL)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield forbidden((*path, "volumeMounts", index, field), _NOT_EPHEMERAL)


def _common(container: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    name = container.get("name", "")
    yield from named((*path, "name"), name, names.label(name))
    yield from required_fields(container, path, "image")
    policy = container.get("terminationMessagePolicy")
    yield from required_one_of((*path, "terminationMessagePolicy"), policy, MESSAGE_POLICIES)
    if ports := container.get("ports"):
        yield from _ports(ports, (*path, "ports"))
    if variables := container.get("env"):
        yield from _variables(variables, (*path, "env"))
    if sources := container.get("envFrom"):
        yield from _variable_sources(sources, (*path, "envFrom"))
    if container.get("volumeMounts") or container.get("volumeDevices"):
        yield from _mounts(container, around, path)
    policy = container.get("imagePullPolicy")
    yield from required_one_of((*path, "imagePullPolicy"), policy, PULL_POLICIES)
    if resources := container.get("resources"):
        yield from _resources(resources, around, (*path, "resources"))
    if policies := container.get("resizePolicy"):
        yield from _resize_policies(policies, around.restart_policy, (*path, "resizePolicy"))
    if security := container.get("securityContext"):
        yield from _security(security, around, (*path, "securityContext"))


def _mounts(container: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.mounts import volume_devices, volume_mounts

    yield from volume_mounts(container, around.volumes, path)
    yield from volume_devices(container, around.volumes, path)


def _resources(resources: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.resources import container_resources

    yield from container_resources(resources, path, around.claims)


def _security(context: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.security import container_security

    yield from container_security(context, around.host_users, path)


def _hooks_and_probes(container: Object, around: Surroundings, path: Path) -> Iterator[Cause]:
    if _WATCHED_FIELDS.isdisjoint(container):
        return
    from kubelite.objects.rules.pods.probes import lifecycle, probes

    yield from lifecycle(container, around.grace_seconds, around.os, path)
    yield from probes(container, around.grace_seconds, path)


def _ports(ports: Sequence[Object], path: Path) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, port in enumerate(ports):
        here, name = (*path, index), port.get("name", "")
        clauses = names.port_name(name) if name else []
        yield from each_invalid((*here, "name"), name, clauses)
        if not clauses and name in taken:
            yield duplicate((*here, "name"), name)
        elif name and not clauses:
            taken.add(name)
        number, host_port = port.get("containerPort", 0), port.get("hostPort", 0)
        if not number:
            yield required((*here, "containerPort"))
        else:
            yield from each_invalid((*here, "containerPort"), number, names.port_number(number))
        if host_port:
            clauses = names.port_number(host_port)
            yield from each_invalid((*here, "hostPort"), host_port, clauses)
        yield from required_one_of((*here, "protocol"), port.get("protocol"), PROTOCOLS)


def _host_port_conflicts(containers: Iterable[Object], path: Path) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for number, port in enumerate(container.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            used = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if used in taken:
                yield duplicate((*path, index, "ports", number, "hostPort"), used)
            taken.add(used)


def _variables(variables: Sequence[Object], path: Path) -> Iterator[Cause]:
    for index, variable in enumerate(variables):
        name = variable.get("name", "")
        if clauses := names.env_name(name):
            yield from named((*path, index, "name"), name, clauses)
        if (source := variable.get("valueFrom")) is not None:
            here = (*path, index, "valueFrom")
            yield from _value_from(source, variable.get("value", ""), here)


def _value_from(source: Object, value: str, path: Path) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.fields import VARIABLE_FIELDS, object_field, resource_field

    if "fieldRef" in source:
        yield from object_field(source["fieldRef"], VARIABLE_FIELDS, (*path, "fieldRef"))
    if "resourceFieldRef" in source:
        here = (*path, "resourceFieldRef")
        yield from resource_field(source["resourceFieldRef"], here, in_volume=False)
    for kind in ("configMapKeyRef", "secretKeyRef"):
        if kind in source:
            yield from _key_reference(source[kind], (*path, kind))
    if "fileKeyRef" in source:
        yield from _file_reference(source["fileKeyRef"], (*path, "fileKeyRef"))
    if not source:
        kinds = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield invalid(path, "", f"must specify one of: {kinds}")
    elif value:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif len(source) > 1:
        yield invalid(path, "", _ONE_FIELD)


def _key_reference(reference: Object, path: Path) -> Iterator[Cause]:
    name, key = reference.get("name", ""), reference.get("key", "")
    yield from each_invalid((*path, "name"), name, names.subdomain(name))
    yield from named((*path, "key"), key, names.config_key(key))


def _file_reference(reference: Object, path: Path) -> Iterator[Cause]:
    key, volume = reference.get("key", ""), reference.get("volumeName", "")
    yield from named((*path, "key"), key, names.env_name(key))
    yield from named((*path, "volumeName"), volume, names.label(volume))
    if not reference.get("path"):
        yield required((*path, "path"))
    else:
        from kubelite.objects.rules.pods.paths import no_backsteps

        yield from no_backsteps(reference["path"], (*path, "path"))


def _variable_sources(sources: Sequence[Object], path: Path) -> Iterator[Cause]:
    for index, source in enumerate(sources):
        here = (*path, index)
        if prefix := source.get("prefix"):
            yield from each_invalid((*here, "prefix"), prefix, names.env_name(prefix))
        kinds = [kind for kind in ("configMapRef", "secretRef") if kind in source]
        for kind in kinds:
            name = source[kind].get("name", "")
            yield from named((*here, kind, "name"), name, names.subdomain(name))
        # The path of these causes is the list's, not the item's: so it is in Kubernetes.
        if not kinds:
            yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(kinds) > 1:
            yield invalid(path, "", _ONE_FIELD)


def _resize_policies(policies: Sequence[Object], pod_policy: str, path: Path) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, policy in enumerate(policies):
        resource, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if resource in taken:
            yield duplicate((*path, index), resource)
        taken.add(resource)
        yield from required_one_of(path, resource, ("cpu", "memory"))
        yield from required_one_of(path, restart, RESIZE_POLICIES)
        if pod_policy == "Never" and restart != "NotRequired":
            why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            yield invalid(path, restart, why)


def _restart(container: Object, path: Path) -> Iterator[Cause]:
    """The restart policy of a container and its rules by exit code."""
    policy, rules = container.get("restartPolicy"), container.get("restartPolicyRules") or ()
    if policy is None and rules:
        why = "must specify restartPolicy when restart rules are used"
        yield required((*path, "restartPolicy"), why)
    elif policy is not None:
        yield from one_of((*path, "restartPolicy"), policy, RESTART_POLICIES)
    if len(rules) > _MAX_RULES:
        yield too_many((*path, "restartPolicyRules"), len(rules), _MAX_RULES)
    for index, rule in enumerate(rules):
        here = (*path, "restartPolicyRules", index)
        yield from one_of((*here, "action"), rule.get("action", ""), RULE_ACTIONS)
        yield from _exit_codes(rule.get("exitCodes"), (*here, "exitCodes"))


def _exit_codes(codes: Object | None, path: Path) -> Iterator[Cause]:
    if codes is None:
        yield required(path, "must be specified")
        return
    yield from one_of((*path, "operator"), codes.get("operator", ""), ("In", "NotIn"))
    if len(codes.get("values") or ()) > _MAX_EXIT_CODES:
        yield too_many((*path, "values"), len(codes["values"]), _MAX_EXIT_CODES)
