"""Every rule of core/v1 that a pod or a pod template breaks, all at once and in Kubernetes' order.
Documents in, causes out. Pure.

The documents have their defaults (``pods/defaults``) and the types of the schema; nothing here
raises. Rules and sentences are those of Kubernetes 1.36 (``pkg/apis/core/validation``).

Rules about fields that many pods do not have are imported when one has them: they would be most of
a command's start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.objects.facts import names
from kubelite.objects.rules import metadata
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    not_found,
    required,
    required_one_of,
)
from kubelite.objects.rules.pods import containers
from kubelite.objects.rules.pods.containers import Surroundings, each_container

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.lib.json import Object

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
MAX_DEADLINE = 2**31 - 1


def on_create(pod: Object) -> Iterator[Cause]:
    """A new pod, which has its name and namespace already."""
    yield from metadata.on_create(pod.get("metadata") or {}, names.subdomain)
    yield from body(pod)
    yield from only_on_create(pod)


def only_on_create(pod: Object) -> Iterator[Cause]:
    """What a pod cannot begin with."""
    spec = pod.get("spec") or {}
    if spec.get("ephemeralContainers"):
        yield forbidden(("spec", "ephemeralContainers"), "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        why = "cannot be set until all schedulingGates have been cleared"
        yield forbidden(("spec", "nodeName"), why)
    if (pod.get("metadata") or {}).get("annotations"):
        from kubelite.objects.rules.pods.annotations import annotation_conflicts

        yield from annotation_conflicts(pod["metadata"], spec)


def body(pod: Object) -> Iterator[Cause]:
    """What holds for a pod at any time, without its metadata."""
    meta, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    yield from _annotations(meta, spec, ("metadata", "annotations"))
    yield from pod_spec(spec, ("spec",), pod_name=meta.get("name", ""), in_pod=True)
    if not spec.get("serviceAccountName"):
        yield from _tokens_without_account(spec)
    for group in ("containers", "initContainers"):
        yield from containers.image_spaces(spec, group, ("spec",))


def _annotations(meta: Object, spec: Object, path: Path) -> Iterator[Cause]:
    if meta.get("annotations"):
        from kubelite.objects.rules.pods.annotations import pod_annotations

        yield from pod_annotations(meta, spec, path)


def _tokens_without_account(spec: Object) -> Iterator[Cause]:
    for index, volume in enumerate(spec.get("volumes") or ()):
        for number, source in enumerate((volume.get("projected") or {}).get("sources") or ()):
            if "serviceAccountToken" in source:
                here = ("spec", "volumes", index, "projected", "sources", number)
                why = "must not be specified when serviceAccountName is not set"
                yield forbidden((*here, "serviceAccountToken"), why)


def template(given: Object, path: Path) -> Iterator[Cause]:
    """A pod template: labels, annotations and spec of the pods that are made from it."""
    meta, spec = given.get("metadata") or {}, given.get("spec") or {}
    yield from metadata.labels(meta.get("labels") or {}, (*path, "labels"))
    annotations = (*path, "annotations")
    yield from metadata.annotation_map(meta.get("annotations") or {}, annotations)
    yield from _annotations(meta, spec, annotations)
    yield from pod_spec(spec, (*path, "spec"))
    if spec.get("ephemeralContainers"):
        why = "ephemeral containers not allowed in pod template"
        yield forbidden((*path, "spec", "ephemeralContainers"), why)


def pod_spec(
    spec: Object, path: Path, *, pod_name: str = "", in_pod: bool = False
) -> Iterator[Cause]:
    """A PodSpec, of a pod or of a template."""
    grace_seconds = spec.get("terminationGracePeriodSeconds")
    if grace_seconds is None:
        yield required((*path, "terminationGracePeriodSeconds"))
    good: dict[str, Object] = {}
    if given := spec.get("volumes"):
        from kubelite.objects.rules.pods.volumes import volumes

        good, causes = volumes(given, (*path, "volumes"), pod_name)
        yield from causes
    claims: Sequence[Object] = ()
    if given := spec.get("resourceClaims"):
        claims = given
        yield from _resource_claims(claims, (*path, "resourceClaims"))
    around = Surroundings(
        volumes=good,
        claims=frozenset(claim["name"] for claim in claims if claim.get("name")),
        restart_policy=spec.get("restartPolicy", ""),
        host_users=spec.get("hostUsers", True),
        grace_seconds=grace_seconds,
        os=(spec.get("os") or {}).get("name", ""),
    )
    yield from containers.containers(spec, around, path)
    if (given := spec.get("resources")) is not None:
        yield from _pod_resources(given, spec, (*path, "resources"))
    if spec.get("hostNetwork"):
        from kubelite.objects.rules.pods.network import host_ports

        yield from host_ports(spec, path, in_pod=in_pod)
    policy = spec.get("restartPolicy")
    yield from required_one_of((*path, "restartPolicy"), policy, RESTART_POLICIES)
    yield from required_one_of((*path, "dnsPolicy"), spec.get("dnsPolicy"), DNS_POLICIES)
    if given := spec.get("nodeSelector"):
        yield from metadata.labels(given, (*path, "nodeSelector"))
    yield from _security(spec, (*path, "securityContext"))
    yield from _placement(spec, path)
    every = list(each_container(spec, path))
    yield from _host_processes(spec, every, path)
    if spec.get("hostUsers") is False or spec.get("hostnameOverride") is not None:
        yield from _host_namespaces(spec, every, path)
    yield from _names_and_limits(spec, path)
    if spec.get("os") is not None:
        from kubelite.objects.rules.pods.systems import operating_system

        yield from operating_system(spec, every, path)
    if (given := spec.get("schedulingGroup")) is not None:
        yield from _scheduling_group(given, (*path, "schedulingGroup"))
    yield from _files_of_variables(spec, every)


def _resource_claims(claims: Sequence[Object], path: Path) -> Iterator[Cause]:
    taken: set[str] = set()
    for index, claim in enumerate(claims):
        here, name = (*path, index), claim.get("name", "")
        if not name:
            yield required((*here, "name"))
        elif name in taken:
            yield duplicate((*here, "name"), name)
        else:
            yield from each_invalid((*here, "name"), name, names.label(name))
        taken.add(name)
        fields = [f for f in ("resourceClaimName", "resourceClaimTemplateName") if f in claim]
        if len(fields) > 1:
            why = (
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
            )
            yield invalid(here, claim, why, "core.v1.PodResourceClaim")
        if not fields:
            why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
            yield invalid(here, claim, why, "core.v1.PodResourceClaim")
        for field in fields:
            yield from each_invalid((*here, field), claim[field], names.subdomain(claim[field]))


def _pod_resources(given: Object, spec: Object, path: Path) -> Iterator[Cause]:
    """``spec.resources``, against what the containers ask for."""
    from kubelite.objects.rules.pods import resources

    if (spec.get("os") or {}).get("name") == "windows":
        yield forbidden(path, "may not be set for a windows pod")
        return
    if given.get("claims"):
        yield forbidden((*path, "claims"), "claims may not be set for Resources at pod-level")
    yield from resources.pod_resources(given, path)
    yield from resources.against_containers(spec, path)


def _security(spec: Object, path: Path) -> Iterator[Cause]:
    if spec.get("securityContext") or (spec.get("hostPID") and spec.get("shareProcessNamespace")):
        from kubelite.objects.rules.pods.security import pod_security

        yield from pod_security(spec.get("securityContext") or {}, spec, path)


def _placement(spec: Object, path: Path) -> Iterator[Cause]:
    """Affinity, gates and spread, and the resolver between them, as Kubernetes has it."""
    if given := spec.get("affinity"):
        from kubelite.objects.rules.pods.placement import affinity

        yield from affinity(given, (*path, "affinity"))
    if spec.get("dnsConfig") is not None or spec.get("dnsPolicy") == "None":
        from kubelite.objects.rules.pods.network import dns_config

        policy = spec.get("dnsPolicy", "")
        yield from dns_config(spec.get("dnsConfig"), policy, (*path, "dnsConfig"))
    if any(map(spec.get, ("readinessGates", "schedulingGates", "topologySpreadConstraints"))):
        from kubelite.objects.rules.pods.placement import gates_and_spread

        yield from gates_and_spread(spec, path)


def _host_processes(
    spec: Object, every: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    contexts = [holder.get("securityContext") or {} for holder in (spec, *(c for c, _ in every))]
    if any("windowsOptions" in context for context in contexts):
        from kubelite.objects.rules.pods.security import host_processes

        yield from host_processes(spec, every, path)


def _host_namespaces(
    spec: Object, every: Sequence[tuple[Object, Path]], path: Path
) -> Iterator[Cause]:
    from kubelite.objects.rules.pods.network import host_users, hostname_override

    yield from host_users(spec, every, path)
    yield from hostname_override(spec, path)


def _names_and_limits(spec: Object, path: Path) -> Iterator[Cause]:
    for field in ("serviceAccountName", "nodeName"):
        if name := spec.get(field):
            yield from each_invalid((*path, field), name, names.subdomain(name))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= MAX_DEADLINE:
        why = names.between(1, MAX_DEADLINE)
        yield invalid((*path, "activeDeadlineSeconds"), deadline, why)
    for field in ("hostname", "subdomain"):
        if name := spec.get(field):
            yield from each_invalid((*path, field), name, names.label(name))
    if given := spec.get("tolerations"):
        from kubelite.objects.rules.pods.placement import tolerations

        yield from tolerations(given, (*path, "tolerations"))
    if given := spec.get("hostAliases"):
        from kubelite.objects.rules.pods.network import host_aliases

        yield from host_aliases(given, (*path, "hostAliases"))
    if name := spec.get("priorityClassName"):
        yield from each_invalid((*path, "priorityClassName"), name, names.subdomain(name))
    if (name := spec.get("runtimeClassName")) is not None:
        yield from each_invalid((*path, "runtimeClassName"), name, names.subdomain(name))
    if (policy := spec.get("preemptionPolicy")) is not None:
        yield from required_one_of((*path, "preemptionPolicy"), policy, PREEMPTION_POLICIES)
    if given := spec.get("overhead"):
        from kubelite.objects.rules.pods.resources import overhead

        yield from overhead(given, (*path, "overhead"))


def _scheduling_group(group: Object, path: Path) -> Iterator[Cause]:
    name = group.get("podGroupName")
    if name is None:
        yield invalid((*path, "podGroupName"), None, "must specify one of: `podGroupName`")
    else:
        yield from each_invalid((*path, "podGroupName"), name, names.subdomain(name))


def _files_of_variables(spec: Object, every: Sequence[tuple[Object, Path]]) -> Iterator[Cause]:
    """Variables read from files find them in an emptyDir of the pod."""
    by_name = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    for container, path in every:
        for index, variable in enumerate(container.get("env") or ()):
            source = variable.get("valueFrom")
            reference = source.get("fileKeyRef") if source else None
            if reference is None:
                continue
            name = reference.get("volumeName", "")
            here = (*path, "env", index, "valueFrom", "fileKeyRef", "volumeName")
            if name not in by_name:
                yield not_found(here, name)
            elif "emptyDir" not in by_name[name]:
                yield invalid(here, name, "referenced volume must be of type emptyDir")
