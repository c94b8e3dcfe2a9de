"""What the API server puts into a pod where a manifest says nothing (core/v1 defaulting). Pure.

A pod goes in and a pod comes out; what was said stays as it was said. Fields whose default depends
on a cluster (tolerations, service accounts, priorities) are not touched: admission gives them, not
defaulting.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubelite.objects.pod.container import (
    Container,
    EnvVar,
    Lifecycle,
    LifecycleHandler,
    Probe,
    ResourceRequirements,
)
from kubelite.objects.pod.pod import Pod, PodSecurityContext, PodSpec
from kubelite.objects.pod.volumes import (
    SOURCES,
    EmptyDirVolumeSource,
    ProjectedVolumeSource,
    Volume,
    VolumeProjection,
)

NAMESPACE = "default"
GRACE_SECONDS = 30
FILE_MODE = 0o644
TOKEN_SECONDS = 3600


def pod(given: Pod, namespace: str | None = None) -> Pod:
    """The pod with every default; ``namespace`` is where it goes if it names none."""
    metadata = given.metadata
    if not metadata.namespace:
        metadata = replace(metadata, namespace=namespace or NAMESPACE)
    return replace(given, metadata=metadata, spec=_spec(given.spec))


def fresh(given: Pod) -> Pod:
    """The pod without what only a server sets: what ``kubectl get -o yaml`` shows can be created
    again.
    """
    metadata = replace(
        given.metadata,
        uid=None,
        resource_version=None,
        generation=None,
        creation_timestamp=None,
        deletion_timestamp=None,
        deletion_grace_period_seconds=None,
        self_link=None,
        managed_fields=(),
    )
    return replace(given, metadata=metadata, status=None)


def _unset(value: Any) -> bool:
    return value is None or value == ""


def _filled(given: Any, **defaults: Any) -> Any:
    """The object with those of its fields set that were not."""
    missing = {name: value for name, value in defaults.items() if _unset(getattr(given, name))}
    return replace(given, **missing) if missing else given


def _spec(spec: PodSpec) -> PodSpec:
    account = spec.service_account_name or spec.service_account
    filled: PodSpec = _filled(
        spec,
        restart_policy="Always",
        dns_policy="ClusterFirst",
        termination_grace_period_seconds=GRACE_SECONDS,
        scheduler_name="default-scheduler",
        enable_service_links=True,
        security_context=PodSecurityContext(),
        service_account_name=account,
        service_account=account,
    )
    on_host = bool(spec.host_network)
    return replace(
        filled,
        containers=tuple(_container(each, on_host) for each in spec.containers),
        init_containers=tuple(_container(each, on_host) for each in spec.init_containers),
        ephemeral_containers=tuple(_container(each, on_host) for each in spec.ephemeral_containers),
        volumes=tuple(map(_volume, spec.volumes)),
        resources=_resources(spec.resources) if spec.resources is not None else None,
    )


def pull_policy(image: str) -> str:
    """When an image is looked for again: always if its tag is ``latest``, said or not, since that
    one moves.
    """
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _container(given: Any, on_host: bool) -> Any:
    filled: Container = _filled(
        given,
        image_pull_policy=pull_policy(given.image or ""),
        termination_message_path="/dev/termination-log",
        termination_message_policy="File",
    )
    return replace(
        filled,
        ports=tuple(_port(each, on_host) for each in given.ports),
        env=tuple(map(_variable, given.env)),
        resources=_resources(given.resources),
        liveness_probe=_probe(given.liveness_probe),
        readiness_probe=_probe(given.readiness_probe),
        startup_probe=_probe(given.startup_probe),
        lifecycle=_lifecycle(given.lifecycle),
    )


def _port(given: Any, on_host: bool) -> Any:
    filled = _filled(given, protocol="TCP")
    return replace(filled, host_port=given.host_port or given.container_port) if on_host else filled


def _variable(given: EnvVar) -> EnvVar:
    source = given.value_from
    if source is None:
        return given
    if source.field_ref is not None:
        source = replace(source, field_ref=_filled(source.field_ref, api_version="v1"))
    if source.resource_field_ref is not None:
        source = replace(source, resource_field_ref=_filled(source.resource_field_ref, divisor="0"))
    return replace(given, value_from=source)


def _resources(given: ResourceRequirements) -> ResourceRequirements:
    """A limit is also what is asked for."""
    return replace(given, requests={**given.limits, **given.requests})


def _probe(given: Probe | None) -> Probe | None:
    if given is None:
        return None
    knobs = {
        "timeout_seconds": 1,
        "period_seconds": 10,
        "success_threshold": 1,
        "failure_threshold": 3,
    }
    filled: Probe = replace(
        given, **{name: getattr(given, name) or value for name, value in knobs.items()}
    )
    if filled.http_get is not None:
        filled = replace(filled, http_get=_filled(filled.http_get, path="/", scheme="HTTP"))
    if filled.grpc is not None and filled.grpc.service is None:
        filled = replace(filled, grpc=replace(filled.grpc, service=""))
    return filled


def _lifecycle(given: Lifecycle | None) -> Lifecycle | None:
    if given is None:
        return None
    return replace(given, post_start=_handler(given.post_start), pre_stop=_handler(given.pre_stop))


def _handler(given: LifecycleHandler | None) -> LifecycleHandler | None:
    if given is None or given.http_get is None:
        return given
    return replace(given, http_get=_filled(given.http_get, path="/", scheme="HTTP"))


def _volume(given: Volume) -> Volume:
    if given.host_path is not None:
        return replace(given, host_path=replace(given.host_path, type=given.host_path.type or ""))
    for name in ("config_map", "secret", "downward_api", "projected"):
        source = getattr(given, name)
        if source is not None:
            given = replace(given, **{name: _filled(source, default_mode=FILE_MODE)})
    if given.projected is not None:
        return replace(given, projected=_projected(given.projected))
    if all(getattr(given, name) is None for name in SOURCES):
        return replace(given, empty_dir=EmptyDirVolumeSource())
    return given


def _projected(given: ProjectedVolumeSource) -> ProjectedVolumeSource:
    return replace(given, sources=tuple(map(_projection, given.sources)))


def _projection(given: VolumeProjection) -> VolumeProjection:
    if given.service_account_token is None:
        return given
    return replace(
        given,
        service_account_token=_filled(
            given.service_account_token, expiration_seconds=TOKEN_SECONDS
        ),
    )
