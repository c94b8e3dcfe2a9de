"""Has the volumes of CSI drivers published for a pod, before its sandbox is made: mounts of the
host that come later are not seen in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.kubelet.decide import container_config
from kubelite.node.volume import local, payload
from kubelite.node.volume.claims import ClaimObjects
from kubelite.node.volume.csi import drivers, publishing, requests
from kubelite.node.volume.csi.publishing import Uses
from kubelite.node.volume.csi.requests import DriverVolume, SecretName
from kubelite.node.volume.errors import MountFailed, VolumeError
from kubelite.node.volume.mounts import Place
from kubelite.objects.rules.driver_volumes import attachment_name


def publish(state: PodState, places: Mapping[str, Place], trace: Callable[[str], None]) -> None:
    """Returns when all of them can be used. Raises MountFailed with the kubelet's sentence,
    VolumeError for volumes that the pod can never have.
    """
    if state.cluster is None:
        raise VolumeError("volumes of CSI drivers need a cluster: `kubelite up` starts one")
    objects = state.cluster.objects(state.record)
    volumes = _volumes(state, objects, places)
    requests.refuse_shared_places(volumes)
    for volume in volumes:
        trace("publish volume of a driver")
        try:
            _publish(state, objects, volume)
        except MountFailed:
            raise
        except VolumeError as error:
            raise _failed("MountVolume.SetUp", volume, error) from error


def _volumes(
    state: PodState, objects: ClaimObjects, places: Mapping[str, Place]
) -> list[DriverVolume]:
    volumes = []
    for declared in state.pod.spec.volumes:
        place = places[declared.name]
        if declared.csi is not None:
            volumes.append(requests.inline(declared, state.pod))
        elif place.is_of_driver:
            persistent = objects.persistent_volume(place.type)
            if persistent is None:
                raise MountFailed(
                    f'MountVolume.SetUp failed for volume "{place.type}" : persistentvolumes '
                    f'"{place.type}" not found'
                )
            volumes.append(requests.persistent(persistent, read_only=place.read_only))
    return volumes


def _publish(state: PodState, objects: ClaimObjects, volume: DriverVolume) -> None:
    drivers.require_grpc()
    driver_object = objects.csi_driver(volume.driver)
    requests.check_mode(volume, driver_object)
    attached = {}
    if requests.needs_attachment(volume, driver_object):
        attached = _attached(state, objects, volume)
    driver = _registered(state.home.root, volume)
    capabilities = drivers.capabilities(driver.socket, "Node")
    group = container_config.fs_group(state.pod)
    uses = Uses(
        requests.capability(volume, capabilities, group),
        attached,
        requests.publish_context(volume, driver_object, state.pod),
        _secret(objects, volume.stage_secret),
        _secret(objects, volume.publish_secret),
    )
    try:
        publishing.publish(state.home.root, state.uid, volume, driver, capabilities, uses)
    except VolumeError as error:
        raise MountFailed(error.message) from error
    if group is not None and requests.is_given_to_group(volume, driver_object, capabilities):
        security = state.pod.spec.security_context
        local.give_to_group(
            publishing.target(state.home.root, state.uid, volume),
            group,
            read_only=False,
            only_on_mismatch=security is not None
            and security.fs_group_change_policy == "OnRootMismatch",
        )


def _registered(root: str, volume: DriverVolume) -> drivers.RegisteredDriver:
    """Raises MountFailed; both steps of the kubelet have a sentence of their own."""
    try:
        return drivers.registered(root, volume.driver)
    except drivers.GrpcMissing:
        raise
    except VolumeError as error:
        if volume.is_inline:
            text = f"kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: {error}"
            raise _failed("MountVolume.SetUp", volume, text) from error
        text = (
            f"kubernetes.io/csi: attacher.MountDevice failed to create newCsiDriverClient: {error}"
        )
        raise _failed("MountVolume.MountDevice", volume, text) from error


def _attached(state: PodState, objects: ClaimObjects, volume: DriverVolume) -> dict[str, str]:
    """What the driver's controller said when the volume was attached. Raises MountFailed while it
    is not.
    """
    assert state.cluster is not None, "claims are a cluster's"
    name = attachment_name(volume.driver, volume.handle, state.cluster.node.name)
    attachment = objects.volume_attachment(name)
    if attachment is None:
        text = f'volumeattachments.storage.k8s.io "{name}" not found'
        raise _failed("MountVolume.WaitForAttach", volume, text)
    status: Mapping[str, Any] = attachment.get("status") or {}
    if not status.get("attached"):
        error = status.get("attachError") or {}
        text = str(error.get("message") or f"volume attachment {name} is not attached yet")
        raise _failed("MountVolume.WaitForAttach", volume, text)
    return dict(status.get("attachmentMetadata") or {})


def _secret(objects: ClaimObjects, name: SecretName | None) -> dict[str, str]:
    """Raises VolumeError for one that is not there or is no text."""
    if name is None:
        return {}
    secret = objects.secret_of(*name)
    if secret is None:
        raise VolumeError(
            f"failed to find the secret {name.name} in the namespace {name.namespace}: secrets "
            f'"{name.name}" not found'
        )
    try:
        return {key: value.decode() for key, value in payload.secret_data(secret).items()}
    except UnicodeDecodeError:
        raise VolumeError(
            f"the secret {name.namespace}/{name.name} for a driver holds bytes that are no text"
        ) from None


def _failed(step: str, volume: DriverVolume, why: object) -> MountFailed:
    return MountFailed(f'{step} failed for volume "{volume.spec_name}" : {why}')
