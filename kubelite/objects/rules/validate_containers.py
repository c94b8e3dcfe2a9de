"""Rules about containers: names, ports, environment, resources, rights. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kubelite.objects.facts import names, quantity
from kubelite.objects.pod.container import (
    Container,
    ContainerPort,
    EnvVar,
    EnvVarSource,
    ResourceFieldSelector,
    ResourceRequirements,
    SeccompProfile,
    SecurityContext,
)
from kubelite.objects.pod.pod import PodSpec
from kubelite.objects.pod.volumes import Volume
from kubelite.objects.rules.findings import Findings
from kubelite.objects.rules.problem import Path
from kubelite.objects.rules.validate_probes import lifecycle, probes
from kubelite.objects.rules.validate_volumes import mounts

MAX_PORT = 65535
MAX_ID = 2**31 - 1
STANDARD = ("cpu", "memory", "ephemeral-storage")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")


def containers(found: Findings, spec: PodSpec, path: Path) -> None:
    """All containers of a pod, each by itself and together."""
    if not spec.containers:
        found.required((*path, "containers"), "a pod has at least one container")
    seen: dict[str, Path] = {}
    taken: dict[str, Path] = {}
    groups = (
        ("initContainers", spec.init_containers),
        ("containers", spec.containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    )
    for kind, group in groups:
        for at, container in enumerate(group):
            where = (*path, kind, at)
            _container(found, container, spec.volumes, where, init=kind == "initContainers")
            found.unique((*where, "name"), container.name, seen)
            if kind == "containers":
                _host_ports(found, container.ports, taken, where)


def _container(
    found: Findings, container: Container, volumes: Sequence[Volume], path: Path, *, init: bool
) -> None:
    found.name((*path, "name"), container.name, names.label(container.name))
    _image(found, container.image, (*path, "image"))
    found.one_of((*path, "imagePullPolicy"), container.image_pull_policy, PULL_POLICIES)
    policies = ("File", "FallbackToLogsOnError")
    found.one_of(
        (*path, "terminationMessagePolicy"), container.termination_message_policy, policies
    )
    found.one_of(
        (*path, "restartPolicy"), container.restart_policy, ("Always", "OnFailure", "Never")
    )
    _restart_rules(found, container, path)
    _ports(found, container.ports, (*path, "ports"))
    for at, variable in enumerate(container.env):
        _variable(found, variable, (*path, "env", at))
    for at, source in enumerate(container.env_from):
        if (source.config_map_ref is None) == (source.secret_ref is None):
            found.invalid(
                (*path, "envFrom", at), "", "must have exactly one of configMapRef and secretRef"
            )
    mounts(found, container, volumes, path)
    requirements(found, container.resources, (*path, "resources"))
    probes(found, container, path, init=init)
    lifecycle(found, container, path, init=init)
    if container.security_context is not None:
        _security(found, container.security_context, (*path, "securityContext"))


def _restart_rules(found: Findings, container: Container, path: Path) -> None:
    if container.restart_policy_rules and container.restart_policy is None:
        found.required((*path, "restartPolicy"), "restartPolicyRules need one beside them")
    for at, rule in enumerate(container.restart_policy_rules):
        where = (*path, "restartPolicyRules", at)
        found.one_of(
            (*where, "action"), rule.action, ("Restart", "RestartAllContainers"), needed=True
        )
        if rule.exit_codes is None:
            found.required((*where, "exitCodes"))
        else:
            found.one_of(
                (*where, "exitCodes", "operator"),
                rule.exit_codes.operator,
                ("In", "NotIn"),
                needed=True,
            )


def _image(found: Findings, image: str | None, path: Path) -> None:
    if not image:
        found.required(path, "this machine's own file system is the image host")
    elif image != image.strip():
        found.invalid(path, image, "must not have leading or trailing whitespace")


def _ports(found: Findings, ports: Sequence[ContainerPort], path: Path) -> None:
    seen: dict[str, Path] = {}
    for at, port in enumerate(ports):
        where = (*path, at)
        if port.name:
            found.name((*where, "name"), port.name, names.port_name(port.name))
            found.unique((*where, "name"), port.name, seen)
        if port.container_port == 0:
            found.required((*where, "containerPort"))
        found.between((*where, "containerPort"), port.container_port or 1, 1, MAX_PORT)
        found.between((*where, "hostPort"), port.host_port or None, 1, MAX_PORT)
        found.one_of((*where, "protocol"), port.protocol, ("TCP", "UDP", "SCTP"))
        if port.host_ip:
            found.address((*where, "hostIP"), port.host_ip)


def _host_ports(
    found: Findings, ports: Sequence[ContainerPort], taken: dict[str, Path], path: Path
) -> None:
    for at, port in enumerate(ports):
        if port.host_port:
            key = f"{port.protocol or 'TCP'}/{port.host_ip or ''}/{port.host_port}"
            where = (*path, "ports", at, "hostPort")
            if key in taken:
                found.duplicate(
                    where,
                    key.replace("//", "/"),
                    "two containers cannot have the same port of the machine",
                )
            taken.setdefault(key, where)


def _variable(found: Findings, variable: EnvVar, path: Path) -> None:
    if not variable.name:
        found.required((*path, "name"))
    else:
        for clause in names.env_name(variable.name):
            found.invalid((*path, "name"), variable.name, clause)
    source = variable.value_from
    if source is None:
        return
    where = (*path, "valueFrom")
    if variable.value:
        found.invalid(where, variable.name, "may not be specified when value is not empty")
    given = [name for name in source.__struct_fields__ if getattr(source, name) is not None]
    if len(given) != 1:
        found.invalid(
            where,
            variable.name,
            "must have exactly one of fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef",
        )
    _source(found, source, where)


def _source(found: Findings, source: EnvVarSource, path: Path) -> None:
    if source.field_ref is not None:
        _field(found, source.field_ref.field_path, (*path, "fieldRef", "fieldPath"))
    if source.resource_field_ref is not None:
        resource_field(found, source.resource_field_ref, (*path, "resourceFieldRef"))
    for name, reference in (
        ("configMapKeyRef", source.config_map_key_ref),
        ("secretKeyRef", source.secret_key_ref),
    ):
        if reference is not None:
            for field, value in (("name", reference.name), ("key", reference.key)):
                if not value:
                    found.required((*path, name, field))


def _field(found: Findings, asked: str, path: Path) -> None:
    from kubelite.objects.pod import expand

    if not asked:
        found.required(path)
    elif not expand.is_field(asked):
        found.unsupported(path, asked, expand.FIELDS)


def resource_field(found: Findings, asked: ResourceFieldSelector, path: Path) -> None:
    """Which request or limit is asked for, and in which unit."""
    kind, _, name = asked.resource.partition(".")
    if not asked.resource:
        found.required((*path, "resource"))
    elif kind not in ("limits", "requests") or not (
        name in STANDARD or name.startswith("hugepages-")
    ):
        allowed = [f"{kind}.{name}" for kind in ("limits", "requests") for name in STANDARD]
        found.unsupported((*path, "resource"), asked.resource, allowed)
    if asked.divisor is not None:
        found.amount((*path, "divisor"), asked.divisor)


def requirements(found: Findings, resources: ResourceRequirements, path: Path) -> None:
    """Requests and limits: names, amounts, and that no limit is below its request."""
    limits = _amounts(found, resources.limits, (*path, "limits"))
    for name, asked in _amounts(found, resources.requests, (*path, "requests")).items():
        where, text = (*path, "requests", name), resources.requests[name]
        allowed = limits.get(name, asked)
        if asked > allowed:
            found.invalid(
                where,
                text,
                f"must be less than or equal to {name} limit of {resources.limits[name]}",
            )
        elif asked < allowed and name not in STANDARD:
            found.invalid(where, text, f"must be equal to {name} limit of {resources.limits[name]}")


def _amounts(found: Findings, texts: Mapping[str, str], path: Path) -> dict[str, int]:
    """The amounts in nanos; what is no quantity is left out."""
    amounts = {}
    for name, text in texts.items():
        _resource_name(found, name, (*path, name))
        nano = found.amount((*path, name), text)
        if nano is not None:
            amounts[name] = nano
            if "/" in name and nano % quantity.NANO:
                found.invalid((*path, name), text, "must be an integer")
    return amounts


def _resource_name(found: Findings, name: str, path: Path) -> None:
    if name in STANDARD or name.startswith("hugepages-"):
        return
    wrong = names.qualified(name)
    if wrong:
        found.invalid(path, name, wrong[0])
    elif "/" not in name:
        from difflib import get_close_matches

        close = get_close_matches(name.lower(), STANDARD, n=1)
        hint = f'did you mean "{close[0]}"?' if close else ""
        why = "must be a standard resource (cpu, memory, ephemeral-storage) or have a domain (as in example.com/gpu)"
        found.invalid(path, name, why, hint)


def _security(found: Findings, context: SecurityContext, path: Path) -> None:
    found.between((*path, "runAsUser"), context.run_as_user, 0, MAX_ID)
    found.between((*path, "runAsGroup"), context.run_as_group, 0, MAX_ID)
    found.one_of((*path, "procMount"), context.proc_mount, ("Default", "Unmasked"))
    if context.seccomp_profile is not None:
        seccomp(found, context.seccomp_profile, (*path, "seccompProfile"))
    if context.allow_privilege_escalation is False:
        added = context.capabilities.add if context.capabilities is not None else ()
        for reason, given in (
            ("privileged is true", context.privileged),
            ("CAP_SYS_ADMIN is added", "SYS_ADMIN" in added or "CAP_SYS_ADMIN" in added),
        ):
            if given:
                found.invalid(
                    (*path, "allowPrivilegeEscalation"), "false", f"may not be false when {reason}"
                )


def seccomp(found: Findings, profile: SeccompProfile, path: Path) -> None:
    """Which profile, and a file exactly where it is a local one."""
    found.one_of(
        (*path, "type"), profile.type, ("Localhost", "RuntimeDefault", "Unconfined"), needed=True
    )
    local = profile.type == "Localhost"
    if local and not profile.localhost_profile:
        found.required((*path, "localhostProfile"))
    if not local and profile.localhost_profile:
        found.invalid(
            (*path, "localhostProfile"),
            profile.localhost_profile,
            "may only be set with type Localhost",
        )
