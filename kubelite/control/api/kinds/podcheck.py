"""What is wrong with the spec of a pod, in a Pod or in a template. Documents in, causes out. Pure.

Rules are Kubernetes' (``pkg/apis/core/validation``); what is only missing or not known is said by
``required``. Paths are those of the document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds import metadata, podvolumes
from kubelite.control.api.wire import causes
from kubelite.objects.facts import names, quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

Object = dict[str, Any]
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_NAME_RULES = {
    "hostname": names.label,
    "subdomain": names.label,
    "nodeName": names.subdomain,
    "serviceAccountName": names.subdomain,
    "priorityClassName": names.subdomain,
    "runtimeClassName": names.subdomain,
    "schedulerName": names.qualified,
}
_NOT_NEGATIVE = "must be greater than or equal to 0"
_NATIVE = ("cpu", "memory", "ephemeral-storage")


def check(spec: Object, path: str = "spec") -> Iterator[Cause]:
    """Everything that is wrong with a PodSpec."""
    volumes = {each.get("name", "") for each in spec.get("volumes") or ()}
    yield from podvolumes.check(spec.get("volumes") or (), f"{path}.volumes")
    for group in ("initContainers", "containers", "ephemeralContainers"):
        yield from _containers(spec, group, volumes, path)
    yield from _names(spec, path)
    yield from _numbers(spec, path)
    yield from _placement(spec, path)
    yield from _ports_taken(spec, path)
    if spec.get("dnsPolicy") == "None" and not (spec.get("dnsConfig") or {}).get("nameservers"):
        yield causes.required(
            f"{path}.dnsConfig.nameservers",
            "must provide at least one DNS nameserver when `dnsPolicy` is None",
        )


def _names(spec: Object, path: str) -> Iterator[Cause]:
    for field, rule in _NAME_RULES.items():
        for why in rule(spec[field]) if spec.get(field) else ():
            yield causes.invalid(f"{path}.{field}", spec[field], why)
    yield from metadata.labels(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    seen: set[str] = set()
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, each in enumerate(spec.get(group) or ()):
            name, here = each.get("name", ""), f"{path}.{group}[{index}].name"
            for why in names.label(name) if name else ():
                yield causes.invalid(here, name, why)
            if name and name in seen:
                yield causes.duplicate(here, name)
            seen.add(name)


def _numbers(spec: Object, path: str) -> Iterator[Cause]:
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline < 2**31:
        yield causes.invalid(
            f"{path}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"
        )
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0:
        yield causes.invalid(f"{path}.terminationGracePeriodSeconds", grace, _NOT_NEGATIVE)
    if security := spec.get("securityContext"):
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            yield from _id(security.get(field), f"{path}.securityContext.{field}")


def _id(number: int | None, path: str) -> Iterator[Cause]:
    if number is not None and not 0 <= number < 2**31:
        yield causes.invalid(path, number, "must be between 0 and 2147483647, inclusive")


def _containers(spec: Object, group: str, volumes: set[str], path: str) -> Iterator[Cause]:
    for index, each in enumerate(spec.get(group) or ()):
        here = f"{path}.{group}[{index}]"
        if not each.get("image"):
            yield causes.required(f"{here}.image")
        elif each["image"] != each["image"].strip():
            yield causes.invalid(
                f"{here}.image", each["image"], "must not have leading or trailing whitespace"
            )
        yield from _ports(each, here)
        yield from _environment(each, here)
        if resources := each.get("resources"):
            yield from _resources(resources, f"{here}.resources")
        yield from _mounts(each, volumes, here)
        allowed = group == "containers" or (
            group == "initContainers" and each.get("restartPolicy") == "Always"
        )
        yield from _probes(each, allowed, here)
        if security := each.get("securityContext"):
            yield from _security(security, f"{here}.securityContext")


def _ports(container: Object, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(container.get("ports") or ()):
        here, name, number = (
            f"{path}.ports[{index}]",
            port.get("name", ""),
            port.get("containerPort", 0),
        )
        for why in names.port_name(name) if name else ():
            yield causes.invalid(f"{here}.name", name, why)
        if name and name in seen:
            yield causes.duplicate(f"{here}.name", name)
        seen.add(name)
        if not number:
            yield causes.required(f"{here}.containerPort")
        elif why := port_number(number):
            yield causes.invalid(f"{here}.containerPort", number, why)
        if port.get("hostPort") and (why := port_number(port["hostPort"])):
            yield causes.invalid(f"{here}.hostPort", port["hostPort"], why)


def port_number(number: Any) -> str:
    """What is wrong with the number of a port; empty when nothing is."""
    right = isinstance(number, int) and 1 <= number <= 65535
    return "" if right else "must be between 1 and 65535, inclusive"


def _ports_taken(spec: Object, path: str) -> Iterator[Cause]:
    taken: set[tuple[Any, ...]] = set()
    for index, each in enumerate(spec.get("containers") or ()):
        for number, port in enumerate(each.get("ports") or ()):
            if not port.get("hostPort"):
                continue
            here = f"{path}.containers[{index}].ports[{number}]"
            key = (port.get("protocol"), port.get("hostIP"), port["hostPort"])
            if key in taken:
                yield causes.duplicate(f"{here}.hostPort", f"{key[0]}/{key[1] or ''}/{key[2]}")
            taken.add(key)
            if spec.get("hostNetwork") and port["hostPort"] != port.get("containerPort"):
                why = "must match `hostPort` when `hostNetwork` is true"
                yield causes.invalid(f"{here}.containerPort", port.get("containerPort"), why)


def _environment(container: Object, path: str) -> Iterator[Cause]:
    for index, each in enumerate(container.get("env") or ()):
        here, name = f"{path}.env[{index}]", each.get("name", "")
        for why in names.env_name(name) if name else ():
            yield causes.invalid(f"{here}.name", name, why)
        source = each.get("valueFrom")
        if source is None:
            continue
        if each.get("value"):
            yield causes.invalid(
                f"{here}.valueFrom", "", "may not be specified when `value` is not empty"
            )
        if len(source) > 1:
            yield causes.invalid(
                f"{here}.valueFrom", "", "may not have more than one field specified at a time"
            )
        elif not source:
            kinds = (
                "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            )
            yield causes.invalid(f"{here}.valueFrom", "", f"must specify one of: {kinds}")
    for index, each in enumerate(container.get("envFrom") or ()):
        number = ("configMapRef" in each) + ("secretRef" in each)
        if number != 1:
            why = (
                "must specify one of: `configMapRef` or `secretRef`"
                if not number
                else "may not have more than one field specified at a time"
            )
            yield causes.invalid(f"{path}.envFrom[{index}]", "", why)


def _resources(resources: Object, path: str) -> Iterator[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            here = f"{path}.{side}[{name}]"
            for why in _resource_name(name):
                yield causes.invalid(here, name, why)
            if quantity.parse(str(text)).nano < 0:
                yield causes.invalid(here, text, _NOT_NEGATIVE)
    for name, text in requests.items():
        limit = limits.get(name)
        extended = "/" in name and not name.startswith("kubernetes.io/")
        if limit is None:
            if extended:
                yield causes.required(
                    f"{path}.limits", "Limit must be set for non overcommitable resources"
                )
        elif quantity.parse(str(text)).nano > quantity.parse(str(limit)).nano:
            yield causes.invalid(
                f"{path}.requests", text, f"must be less than or equal to {name} limit of {limit}"
            )
        elif extended and quantity.parse(str(text)).nano != quantity.parse(str(limit)).nano:
            yield causes.invalid(
                f"{path}.requests", text, f"must be equal to {name} limit of {limit}"
            )


def _resource_name(name: str) -> list[str]:
    if "/" not in name and name not in _NATIVE and not name.startswith("hugepages-"):
        return ["must be a standard resource for containers", "must be a fully qualified name"]
    return names.qualified(name)


def _mounts(container: Object, volumes: set[str], path: str) -> Iterator[Cause]:
    paths: set[str] = set()
    for index, each in enumerate(container.get("volumeMounts") or ()):
        here, at = f"{path}.volumeMounts[{index}]", each.get("mountPath", "")
        if each.get("name") and each["name"] not in volumes:
            yield causes.not_found(f"{here}.name", each["name"])
        if at and at in paths:
            yield causes.invalid(f"{here}.mountPath", at, "must be unique")
        paths.add(at)
        for field in ("subPath", "subPathExpr"):
            if below := each.get(field):
                yield from podvolumes.local_path(below, f"{here}.{field}")
        if each.get("subPath") and each.get("subPathExpr"):
            yield causes.invalid(
                f"{here}.subPathExpr",
                each["subPathExpr"],
                "subPathExpr and subPath are mutually exclusive",
            )
    for index, each in enumerate(container.get("volumeDevices") or ()):
        if each.get("name") and each["name"] not in volumes:
            yield causes.not_found(f"{path}.volumeDevices[{index}].name", each["name"])


def _probes(container: Object, allowed: bool, path: str) -> Iterator[Cause]:
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        here = f"{path}.{kind}"
        if not allowed:
            yield causes.forbidden(
                here,
                "may not be set for init containers without restartPolicy=Always, nor for ephemeral containers",
            )
        yield from _handler(probe, here)
        for field in (
            "initialDelaySeconds",
            "timeoutSeconds",
            "periodSeconds",
            "successThreshold",
            "failureThreshold",
        ):
            if probe.get(field, 0) < 0:
                yield causes.invalid(f"{here}.{field}", probe[field], _NOT_NEGATIVE)
        if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield causes.invalid(f"{here}.successThreshold", probe["successThreshold"], "must be 1")
    for event in ("postStart", "preStop"):
        handler = (container.get("lifecycle") or {}).get(event)
        if handler is not None:
            yield from _handler(
                handler, f"{path}.lifecycle.{event}", ("exec", "httpGet", "tcpSocket", "sleep")
            )


def _handler(probe: Object, path: str, known: tuple[str, ...] = _HANDLERS) -> Iterator[Cause]:
    chosen = [each for each in known if each in probe]
    if not chosen:
        yield causes.required(path, "must specify a handler type")
    for extra in chosen[1:]:
        yield causes.forbidden(f"{path}.{extra}", "may not specify more than 1 handler type")
    if "exec" in probe and not probe["exec"].get("command"):
        yield causes.required(f"{path}.exec.command")
    for kind in ("httpGet", "tcpSocket", "grpc"):
        port = (probe.get(kind) or {}).get("port")
        if isinstance(port, int) and (why := port_number(port)):
            yield causes.invalid(f"{path}.{kind}.port", port, why)
        for why in names.port_name(port) if isinstance(port, str) else ():
            yield causes.invalid(f"{path}.{kind}.port", port, why)


def _security(security: Object, path: str) -> Iterator[Cause]:
    for field in ("runAsUser", "runAsGroup"):
        yield from _id(security.get(field), f"{path}.{field}")
    if security.get("allowPrivilegeEscalation") is False:
        if security.get("privileged"):
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            yield causes.invalid(path, False, why)
        if "SYS_ADMIN" in ((security.get("capabilities") or {}).get("add") or ()):
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            yield causes.invalid(path, False, why)


def _placement(spec: Object, path: str) -> Iterator[Cause]:
    for index, each in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(each, f"{path}.tolerations[{index}]")
    if affinity := spec.get("affinity"):
        yield from _affinity(affinity, f"{path}.affinity")
    for index, each in enumerate(spec.get("topologySpreadConstraints") or ()):
        here = f"{path}.topologySpreadConstraints[{index}]"
        if each.get("maxSkew", 0) <= 0:
            yield causes.invalid(
                f"{here}.maxSkew", each.get("maxSkew", 0), "must be greater than zero"
            )
        yield from metadata.selector(each.get("labelSelector"), f"{here}.labelSelector")


def _affinity(affinity: Object, path: str) -> Iterator[Cause]:
    for terms, here in _node_terms(affinity.get("nodeAffinity") or {}, f"{path}.nodeAffinity"):
        yield from _node_term(terms, here)
    for kind in ("podAffinity", "podAntiAffinity"):
        for term, here in _pod_terms(affinity.get(kind) or {}, f"{path}.{kind}"):
            yield from metadata.selector(term.get("labelSelector"), f"{here}.labelSelector")


def _toleration(each: Object, path: str) -> Iterator[Cause]:
    for why in names.qualified(each["key"]) if each.get("key") else ():
        yield causes.invalid(f"{path}.key", each["key"], why)
    if not each.get("key") and each.get("operator") != "Exists":
        yield causes.invalid(
            f"{path}.operator",
            each.get("operator", ""),
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        )
    if each.get("operator") == "Exists" and each.get("value"):
        yield causes.invalid(
            f"{path}.operator", each, "value must be empty when `operator` is 'Exists'"
        )
    if each.get("tolerationSeconds") is not None and each.get("effect") != "NoExecute":
        yield causes.invalid(
            f"{path}.effect",
            each.get("effect", ""),
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        )


def _node_terms(node: Object, path: str) -> Iterator[tuple[Object, str]]:
    must = node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    here = f"{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    yield from (
        (each, f"{here}[{index}]") for index, each in enumerate(must.get("nodeSelectorTerms") or ())
    )
    here = f"{path}.preferredDuringSchedulingIgnoredDuringExecution"
    wishes = node.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    yield from (
        (each.get("preference") or {}, f"{here}[{index}].preference")
        for index, each in enumerate(wishes)
    )


def _node_term(term: Object, path: str) -> Iterator[Cause]:
    for index, each in enumerate(term.get("matchExpressions") or ()):
        here, operator, values = (
            f"{path}.matchExpressions[{index}]",
            each.get("operator"),
            each.get("values") or [],
        )
        if operator in ("In", "NotIn") and not values:
            yield causes.required(
                f"{here}.values", "must be specified when `operator` is 'In' or 'NotIn'"
            )
        if operator in ("Exists", "DoesNotExist") and values:
            yield causes.forbidden(
                f"{here}.values",
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            )
        if operator in ("Gt", "Lt") and len(values) != 1:
            yield causes.required(
                f"{here}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"
            )
        for why in names.qualified(each.get("key", "")):
            yield causes.invalid(f"{here}.key", each.get("key", ""), why)


def _pod_terms(affinity: Object, path: str) -> Iterator[tuple[Object, str]]:
    must = "requiredDuringSchedulingIgnoredDuringExecution"
    yield from (
        (each, f"{path}.{must}[{index}]") for index, each in enumerate(affinity.get(must) or ())
    )
    wish = "preferredDuringSchedulingIgnoredDuringExecution"
    for index, each in enumerate(affinity.get(wish) or ()):
        yield each.get("podAffinityTerm") or {}, f"{path}.{wish}[{index}].podAffinityTerm"
