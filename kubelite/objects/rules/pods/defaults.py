"""Defaults of a pod: what Kubernetes fills in where a document says nothing. Documents are filled
in place. Pure.

Which fields are filled, and with what, is Kubernetes' (``pkg/apis/core/v1/defaults.go``). Fields
whose default depends on a cluster (tolerations, service accounts, priorities) are left to
admission.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.objects.facts import quantity
from kubelite.objects.facts.names import is_latest_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.lib.json import Object


NAMESPACE = "default"
GRACE_SECONDS = 30
"""terminationGracePeriodSeconds of a pod that does not set it."""
FILE_MODE = 0o644
TOKEN_SECONDS = 3600
VOLUME_MODE = "Filesystem"
_MILLI = quantity.NANO // 1000
_SERVER_FIELDS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")


def pod(document: Object, namespace: str = "") -> None:
    """Fills a Pod; ``namespace`` is where it goes if it names none."""
    metadata = document.setdefault("metadata", {})
    _fill(metadata, namespace=namespace or NAMESPACE)
    pod_spec(document.setdefault("spec", {}))


def without_server_fields(document: Object) -> None:
    """Takes out what only a server sets: what ``kubectl get -o yaml`` shows can be created
    again.
    """
    document.pop("status", None)
    for field in _SERVER_FIELDS:
        (document.get("metadata") or {}).pop(field, None)


def pod_spec(spec: Object) -> None:
    """Fills the spec of a Pod: what a template gets, and what only pods get."""
    template_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1  # SetDefaults_Pod, since 1.22
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for group in ("initContainers", "containers"):
        for container in spec.get(group) or ():
            _request_limits(container)
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    if number := port.get("hostPort") or port.get("containerPort"):
                        port["hostPort"] = number
    if spec.get("resources"):
        _pod_resources(spec)


def template_spec(spec: Object) -> None:
    """Fills a PodSpec of a template."""
    _fill(
        spec,
        dnsPolicy="ClusterFirst",
        restartPolicy="Always",
        schedulerName="default-scheduler",
        terminationGracePeriodSeconds=GRACE_SECONDS,
    )
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(group) or ():
            _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)
    if resources := spec.get("resources"):
        _round_all(resources)
    _round(spec.get("overhead"))


def _fill(holder: Object, **defaults: object) -> None:
    """Sets those of the fields that are absent, null or empty."""
    for field, value in defaults.items():
        if holder.get(field) in (None, ""):
            holder[field] = value


def pull_policy(image: str) -> str:
    """When an image is looked for again: always if its tag is ``latest``, by name or by default,
    since that one moves.
    """
    return "Always" if is_latest_image(image) else "IfNotPresent"


def _container(container: Object) -> None:
    _fill(
        container,
        imagePullPolicy=pull_policy(container.get("image") or ""),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports") or ():
        _fill(port, protocol="TCP")
    for variable in container.get("env") or ():
        if source := variable.get("valueFrom"):
            _field_ref(source.get("fieldRef"))
            _resource_ref(source.get("resourceFieldRef"))
    for kind in _PROBES:
        if container.get(kind) is not None:
            _probe(container[kind])
    if lifecycle := container.get("lifecycle"):
        for event in ("postStart", "preStop"):
            _http_get((lifecycle.get(event) or {}).get("httpGet"))
    if resources := container.get("resources"):
        _round_all(resources)


def _round_all(resources: Object) -> None:
    for amounts in ("limits", "requests"):
        _round(resources.get(amounts))


def _round(amounts: Object | None) -> None:
    """Amounts are kept to the thousandth, rounded up."""
    for resource, text in (amounts or {}).items():
        nano, form = quantity.parse(str(text))
        if nano % _MILLI:
            amounts[resource] = str(quantity.Quantity(-(-nano // _MILLI) * _MILLI, form))  # type: ignore[index]


def _request_limits(container: Object) -> None:
    """A limit is also requested."""
    resources = container.get("resources") or {}
    if limits := resources.get("limits"):
        requests = {**limits, **(resources.get("requests") or {})}
        resources["requests"] = dict(sorted(requests.items()))


def _pod_resources(spec: Object) -> None:
    """Limits of huge pages and requests of the pod as a whole, where it has resources at all."""
    from kubelite.objects.rules.pods.resources import container_totals, has_pod_level

    resources = spec["resources"]
    limits = dict(resources.get("limits") or {})
    for resource, total in container_totals(spec, "limits").items():
        if resource.startswith("hugepages-"):
            limits.setdefault(resource, str(total))
    if limits:
        resources["limits"] = limits
        requests = dict(resources.get("requests") or {})
        for resource, total in container_totals(spec, "requests").items():
            if has_pod_level(resource) and not resource.startswith("hugepages-"):
                requests.setdefault(resource, str(total))
        for resource, text in limits.items():
            if has_pod_level(resource):
                requests.setdefault(resource, text)
        if requests:
            resources["requests"] = requests


def _probe(probe: Object) -> None:
    # Zero means "not given" for these.
    counts = {
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    for field, value in counts.items():
        probe[field] = probe.get(field) or value
    _http_get(probe.get("httpGet"))
    if probe.get("grpc") is not None and probe["grpc"].get("service") is None:
        probe["grpc"]["service"] = ""


def _http_get(action: Object | None) -> None:
    if action is not None:
        _fill(action, path="/", scheme="HTTP")


def _field_ref(reference: Object | None) -> None:
    if reference is not None:
        _fill(reference, apiVersion="v1")


def _resource_ref(reference: Object | None) -> None:
    if reference is not None:
        _fill(reference, divisor="0")


def _volume(volume: Object) -> None:
    """A volume; one without a source is an emptyDir."""
    kinds = [field for field, source in volume.items() if field != "name" and source is not None]
    if not kinds:
        volume["emptyDir"] = {}
    for kind in kinds:
        if fill := _SOURCES.get(kind):
            fill(volume[kind])


def host_path(source: Object) -> None:
    """Whether the path must exist is named by ``type``; an absent one is an empty text."""
    if source.get("type") is None:
        source["type"] = ""


def _files(source: Object) -> None:
    if source.get("defaultMode") is None:
        source["defaultMode"] = FILE_MODE


def _downward_items(source: Object) -> None:
    for item in source.get("items") or ():
        _field_ref(item.get("fieldRef"))
        _resource_ref(item.get("resourceFieldRef"))


def _downward(source: Object) -> None:
    _files(source)
    _downward_items(source)


def _projected(source: Object) -> None:
    _files(source)
    if not source.get("sources"):
        source["sources"] = None
    for part in source.get("sources") or ():
        if downward := part.get("downwardAPI"):
            _downward_items(downward)
        token = part.get("serviceAccountToken")
        if token is not None and token.get("expirationSeconds") is None:
            token["expirationSeconds"] = TOKEN_SECONDS


def _ephemeral(source: Object) -> None:
    if source.get("volumeClaimTemplate") is not None:
        claim_spec(source["volumeClaimTemplate"].setdefault("spec", {}))


def claim_spec(spec: Object) -> None:
    """Fills the spec of a PersistentVolumeClaim, or of a template of one."""
    if spec.get("volumeMode") is None:
        spec["volumeMode"] = VOLUME_MODE


def iscsi(source: Object) -> None:
    """A disk over iSCSI."""
    _fill(source, iscsiInterface="default")


def rbd(source: Object) -> None:
    """A block device of Ceph."""
    _fill(source, pool="rbd", user="admin", keyring="/etc/ceph/keyring")


def azure_disk(source: Object) -> None:
    """A disk of Azure."""
    for field, value in (
        ("cachingMode", "ReadWrite"),
        ("kind", "Shared"),
        ("fsType", "ext4"),
        ("readOnly", False),
    ):
        if source.get(field) is None:
            source[field] = value


def scale_io(source: Object) -> None:
    """A volume of ScaleIO."""
    _fill(source, storageMode="ThinProvisioned", fsType="xfs")


def _image(source: Object) -> None:
    _fill(source, pullPolicy=pull_policy(source.get("reference") or ""))


_SOURCES: dict[str, Callable[[Object], None]] = {
    "secret": _files,
    "configMap": _files,
    "downwardAPI": _downward,
    "projected": _projected,
    "hostPath": host_path,
    "ephemeral": _ephemeral,
    "iscsi": iscsi,
    "rbd": rbd,
    "azureDisk": azure_disk,
    "scaleIO": scale_io,
    "image": _image,
}
