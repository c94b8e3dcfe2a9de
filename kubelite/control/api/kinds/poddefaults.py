"""Defaults of a pod's spec, wherever it stands: in a Pod or in a template. Values are structs of
``model``. Pure.

Which fields are filled, and with what, is Kubernetes' (``pkg/apis/core/v1/defaults.go``).
"""

from __future__ import annotations

from typing import Any

from kubelite.control.api.schema import structs

_FILE_MODE = 0o644
_VOLUME_MODE = "Filesystem"


def pod(spec: Any) -> None:
    """What a Pod gets and a template does not, and then what both get."""
    if spec.enableServiceLinks is None:
        spec.enableServiceLinks = True
    for container in (*(spec.initContainers or ()), *(spec.containers or ())):
        for name, limit in container.resources.limits.items():
            container.resources.requests.setdefault(name, limit)
    template(spec)


def template(spec: Any) -> None:
    """Fills a PodSpec in place."""
    spec.dnsPolicy = spec.dnsPolicy or "ClusterFirst"
    spec.restartPolicy = spec.restartPolicy or "Always"
    spec.schedulerName = spec.schedulerName or "default-scheduler"
    spec.serviceAccountName = spec.serviceAccount = spec.serviceAccountName or spec.serviceAccount
    if spec.securityContext is None:
        spec.securityContext = structs.struct("core.v1.PodSecurityContext")()
    if spec.terminationGracePeriodSeconds is None:
        spec.terminationGracePeriodSeconds = 30
    for each in (
        *(spec.initContainers or ()),
        *(spec.containers or ()),
        *(spec.ephemeralContainers or ()),
    ):
        container(each)
        if spec.hostNetwork:
            _host_ports(each)
    for each in spec.volumes:
        volume(each)


def container(each: Any) -> None:
    """Fills a container of any sort in place."""
    each.terminationMessagePath = each.terminationMessagePath or "/dev/termination-log"
    each.terminationMessagePolicy = each.terminationMessagePolicy or "File"
    each.imagePullPolicy = each.imagePullPolicy or pull_policy(each.image)
    for port in each.ports:
        port.protocol = port.protocol or "TCP"
    for probe in (each.livenessProbe, each.readinessProbe, each.startupProbe):
        if probe is not None:
            _probe(probe)
    for handler in (each.lifecycle.postStart, each.lifecycle.preStop) if each.lifecycle else ():
        if handler is not None:
            _http(handler.httpGet)
    for variable in each.env:
        if variable.valueFrom is not None and variable.valueFrom.fieldRef is not None:
            _field_ref(variable.valueFrom.fieldRef)


def pull_policy(image: str) -> str:
    """Always for the tag ``latest``, said or meant; IfNotPresent for any other and for digests."""
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if not digest and tag in ("", "latest") else "IfNotPresent"


def _host_ports(each: Any) -> None:
    for port in each.ports:
        port.hostPort = port.hostPort or port.containerPort


def _probe(probe: Any) -> None:
    probe.timeoutSeconds = probe.timeoutSeconds or 1
    probe.periodSeconds = probe.periodSeconds or 10
    probe.successThreshold = probe.successThreshold or 1
    probe.failureThreshold = probe.failureThreshold or 3
    _http(probe.httpGet)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _http(action: Any) -> None:
    if action is not None:
        action.path = action.path or "/"
        action.scheme = action.scheme or "HTTP"


def _field_ref(reference: Any) -> None:
    reference.apiVersion = reference.apiVersion or "v1"


def volume(each: Any) -> None:
    """Fills a volume in place; one without a source is an emptyDir."""
    sources = [
        name
        for name in each.__struct_fields__
        if name != "name" and getattr(each, name) is not None
    ]
    if not sources:
        each.emptyDir = structs.struct("core.v1.EmptyDirVolumeSource")()
    for name in sources:
        if fill := _SOURCES.get(name):
            fill(getattr(each, name))


def _with_mode(source: Any) -> None:
    if source.defaultMode is None:
        source.defaultMode = _FILE_MODE


def _downward(source: Any) -> None:
    if hasattr(source, "defaultMode"):
        _with_mode(source)
    for item in source.items:
        if item.fieldRef is not None:
            _field_ref(item.fieldRef)


def _projected(source: Any) -> None:
    _with_mode(source)
    for part in source.sources or ():
        if part.downwardAPI is not None:
            _downward(part.downwardAPI)
        if (
            part.serviceAccountToken is not None
            and part.serviceAccountToken.expirationSeconds is None
        ):
            part.serviceAccountToken.expirationSeconds = 3600


def host_path(source: Any) -> None:
    """Whether the path must exist is said by ``type``; nothing said is written as an empty text."""
    if source.type is None:
        source.type = ""


def _ephemeral(source: Any) -> None:
    if source.volumeClaimTemplate is not None:
        claim(source.volumeClaimTemplate.spec)


def claim(spec: Any) -> None:
    """Fills the spec of a PersistentVolumeClaim, or of a template of one, in place."""
    if spec.volumeMode is None:
        spec.volumeMode = _VOLUME_MODE


_SOURCES = {
    "secret": _with_mode,
    "configMap": _with_mode,
    "downwardAPI": _downward,
    "projected": _projected,
    "hostPath": host_path,
    "ephemeral": _ephemeral,
}
