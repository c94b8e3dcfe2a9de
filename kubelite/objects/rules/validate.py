"""Every rule of core/v1 that a pod breaks, all at once. Pure.

The rules are those of the API server for a new pod; words and limits are Kubernetes', the hints
ours. The pod may have its defaults or not. Nothing here raises: what is no quantity or no address
is a finding like any other.
"""

from __future__ import annotations

from kubelite.objects.facts import names
from kubelite.objects.pod.meta import ObjectMeta
from kubelite.objects.pod.pod import Pod, PodDNSConfig, PodSecurityContext, PodSpec
from kubelite.objects.rules.findings import Findings
from kubelite.objects.rules.problem import Path, Problem
from kubelite.objects.rules.validate_containers import containers, requirements, seccomp
from kubelite.objects.rules.validate_volumes import volumes

MAX_ID = 2**31 - 1
MAX_SECONDS = 2**31 - 1
MAX_ANNOTATIONS = 256 << 10
MAX_NAMESERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_TEXT = 2048

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
_SYSCTL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_./")


def pod(given: Pod) -> list[Problem]:
    """All findings, in the order of the fields."""
    found = Findings()
    metadata(found, given.metadata, ("metadata",))
    _spec(found, given.spec, ("spec",))
    return found.problems


def metadata(found: Findings, meta: ObjectMeta, path: Path) -> None:
    """Name, namespace, labels and annotations."""
    found.name(
        (*path, "name"), meta.name, names.subdomain(meta.name or ""), needed=not meta.generate_name
    )
    found.name(
        (*path, "namespace"), meta.namespace, names.label(meta.namespace or ""), needed=False
    )
    found.labels((*path, "labels"), meta.labels)
    for key in meta.annotations:
        for clause in names.annotation(key):
            found.invalid((*path, "annotations", key), key, clause)
    if sum(len(key) + len(value) for key, value in meta.annotations.items()) > MAX_ANNOTATIONS:
        found.invalid(
            (*path, "annotations"), "…", f"must have no more than {MAX_ANNOTATIONS} bytes in all"
        )


def _spec(found: Findings, spec: PodSpec, path: Path) -> None:
    volumes(found, spec, path)
    containers(found, spec, path)
    _life(found, spec, path)
    _host(found, spec, path)
    _network(found, spec, path)
    if spec.security_context is not None:
        _security(found, spec.security_context, spec, (*path, "securityContext"))
    if spec.resources is not None:
        requirements(found, spec.resources, (*path, "resources"))
    for name, text in spec.overhead.items():
        found.amount((*path, "overhead", name), text)
    _references(found, spec, path)
    if _placed(spec):
        from kubelite.objects.rules.validate_placement import placement

        placement(found, spec, path)


def _placed(spec: PodSpec) -> bool:
    return bool(
        spec.affinity
        or spec.tolerations
        or spec.topology_spread_constraints
        or spec.node_selector
        or spec.scheduling_gates
        or spec.readiness_gates
    )


def _life(found: Findings, spec: PodSpec, path: Path) -> None:
    found.one_of((*path, "restartPolicy"), spec.restart_policy, RESTART_POLICIES)
    grace = spec.termination_grace_period_seconds
    found.at_least((*path, "terminationGracePeriodSeconds"), grace, 0)
    found.between((*path, "activeDeadlineSeconds"), spec.active_deadline_seconds, 1, MAX_SECONDS)
    found.one_of(
        (*path, "preemptionPolicy"), spec.preemption_policy, ("PreemptLowerPriority", "Never")
    )
    if spec.os is not None:
        found.one_of((*path, "os", "name"), spec.os.name, ("linux", "windows"), needed=True)


def _host(found: Findings, spec: PodSpec, path: Path) -> None:
    if spec.share_process_namespace and spec.host_pid:
        found.forbidden((*path, "shareProcessNamespace"), "may not be set together with hostPID")
    if spec.host_users is False:
        shared = {
            "hostNetwork": spec.host_network,
            "hostPID": spec.host_pid,
            "hostIPC": spec.host_ipc,
        }
        for name in (name for name, asked in shared.items() if asked):
            found.forbidden((*path, name), "may not be set when hostUsers is false")
    if spec.host_network:
        for kind, group in (
            ("containers", spec.containers),
            ("initContainers", spec.init_containers),
        ):
            for at, container in enumerate(group):
                for number, port in enumerate(container.ports):
                    if port.host_port and port.host_port != port.container_port:
                        where = (*path, kind, at, "ports", number, "hostPort")
                        found.invalid(
                            where,
                            port.host_port,
                            "must be the containerPort when hostNetwork is true",
                        )


def _network(found: Findings, spec: PodSpec, path: Path) -> None:
    found.name((*path, "hostname"), spec.hostname, names.label(spec.hostname or ""), needed=False)
    found.name(
        (*path, "subdomain"), spec.subdomain, names.label(spec.subdomain or ""), needed=False
    )
    override = spec.hostname_override
    found.name((*path, "hostnameOverride"), override, names.subdomain(override or ""), needed=False)
    if override and (spec.host_network or spec.set_hostname_as_fqdn):
        found.forbidden(
            (*path, "hostnameOverride"), "may not be set with hostNetwork or setHostnameAsFQDN"
        )
    found.one_of((*path, "dnsPolicy"), spec.dns_policy, DNS_POLICIES)
    config = spec.dns_config or PodDNSConfig()
    if spec.dns_policy == "None" and not config.nameservers:
        found.required(
            (*path, "dnsConfig", "nameservers"),
            "dnsPolicy None leaves the pod without any other name server",
        )
    _dns(found, config, (*path, "dnsConfig"))
    for at, alias in enumerate(spec.host_aliases):
        where = (*path, "hostAliases", at)
        found.address((*where, "ip"), alias.ip)
        for number, name in enumerate(alias.hostnames):
            found.name((*where, "hostnames", number), name, names.subdomain(name))


def _dns(found: Findings, config: PodDNSConfig, path: Path) -> None:
    if len(config.nameservers) > MAX_NAMESERVERS:
        found.invalid(
            (*path, "nameservers"),
            len(config.nameservers),
            f"must be no more than {MAX_NAMESERVERS}",
        )
    for at, server in enumerate(config.nameservers):
        found.address((*path, "nameservers", at), server)
    if len(config.searches) > MAX_SEARCHES:
        found.invalid(
            (*path, "searches"), len(config.searches), f"must be no more than {MAX_SEARCHES}"
        )
    if len(" ".join(config.searches)) > MAX_SEARCH_TEXT:
        found.invalid(
            (*path, "searches"), "…", f"must be no more than {MAX_SEARCH_TEXT} characters in all"
        )
    for at, domain in enumerate(config.searches):
        if domain != ".":
            plain = domain.removesuffix(".").replace("_", "a")
            found.name((*path, "searches", at), domain, names.subdomain(plain))
    for at, option in enumerate(config.options):
        if not option.name:
            found.required((*path, "options", at, "name"))


def _security(found: Findings, context: PodSecurityContext, spec: PodSpec, path: Path) -> None:
    for name, number in (
        ("runAsUser", context.run_as_user),
        ("runAsGroup", context.run_as_group),
        ("fsGroup", context.fs_group),
    ):
        found.between((*path, name), number, 0, MAX_ID)
    for at, group in enumerate(context.supplemental_groups):
        found.between((*path, "supplementalGroups", at), group, 0, MAX_ID)
    found.one_of(
        (*path, "fsGroupChangePolicy"), context.fs_group_change_policy, ("OnRootMismatch", "Always")
    )
    found.one_of(
        (*path, "supplementalGroupsPolicy"), context.supplemental_groups_policy, ("Merge", "Strict")
    )
    if context.seccomp_profile is not None:
        seccomp(found, context.seccomp_profile, (*path, "seccompProfile"))
    seen: dict[str, Path] = {}
    for at, sysctl in enumerate(context.sysctls):
        where = (*path, "sysctls", at, "name")
        _sysctl(found, sysctl.name, spec, where)
        found.unique(where, sysctl.name, seen)


def _sysctl(found: Findings, name: str, spec: PodSpec, path: Path) -> None:
    parts = name.replace("/", ".").split(".")
    if not name:
        found.required(path)
    elif len(name) > names.MAX_SUBDOMAIN or not _SYSCTL.issuperset(name) or not all(parts):
        found.invalid(path, name, "must be the name of a sysctl (as in net.ipv4.tcp_syncookies)")
    elif (parts[0] == "net" and spec.host_network) or (parts[0] == "kernel" and spec.host_ipc):
        found.invalid(path, name, "may not be set in the host's namespace, which this pod shares")


def _references(found: Findings, spec: PodSpec, path: Path) -> None:
    """Names of other objects."""
    for field, value in (
        ("serviceAccountName", spec.service_account_name),
        ("nodeName", spec.node_name),
        ("runtimeClassName", spec.runtime_class_name),
        ("priorityClassName", spec.priority_class_name),
    ):
        found.name((*path, field), value, names.subdomain(value or ""), needed=False)
    for at, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            found.required((*path, "imagePullSecrets", at, "name"))
    seen: dict[str, Path] = {}
    for at, claim in enumerate(spec.resource_claims):
        where = (*path, "resourceClaims", at)
        found.name((*where, "name"), claim.name, names.label(claim.name))
        found.unique((*where, "name"), claim.name, seen)
        if bool(claim.resource_claim_name) == bool(claim.resource_claim_template_name):
            found.invalid(
                where, claim.name, "must have either resourceClaimName or resourceClaimTemplateName"
            )
