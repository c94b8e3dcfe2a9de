"""What a driver is asked for a volume of a pod. Pure.

Rules and sentences are the kubelet's (``pkg/volume/csi``): which access mode a driver gets, when
it is told about the pod, and whether the node gives the files to the pod's fsGroup itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.lib.digest import hexdigest
from kubelite.node.volume.errors import VolumeError
from kubelite.objects.rules import driver_volumes

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Pod, Volume

STAGE_UNSTAGE_VOLUME, EXPAND_VOLUME, SINGLE_NODE_MULTI_WRITER, VOLUME_MOUNT_GROUP = 1, 3, 5, 6
"""Capabilities of a driver's node side."""
_MODES = {"ReadWriteOnce": 1, "ReadWriteOncePod": 1, "ReadOnlyMany": 3, "ReadWriteMany": 5}
_MODES_OF_PODS = {**_MODES, "ReadWriteOnce": 7, "ReadWriteOncePod": 6}
"""For drivers that tell one pod of a node from several."""
_POD = "csi.storage.k8s.io"


class SecretName(NamedTuple):
    """A Secret that a driver is to be given."""

    namespace: str
    name: str


class DriverVolume(NamedTuple):
    """A volume of a driver as one pod uses it. ``spec_name`` is the name of the PersistentVolume,
    or of the pod's volume for an ``is_inline`` one.
    """

    driver: str
    handle: str
    spec_name: str
    is_inline: bool = False
    is_block: bool = False
    read_only: bool = False
    attributes: Mapping[str, str] = {}
    fs_type: str = ""
    mount_options: tuple[str, ...] = ()
    access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    stage_secret: SecretName | None = None
    publish_secret: SecretName | None = None


def persistent(volume: Mapping[str, Any], *, read_only: bool) -> DriverVolume:
    """The volume of a PersistentVolume with a ``csi`` source."""
    spec, source = volume["spec"], volume["spec"]["csi"]
    return DriverVolume(
        source["driver"],
        source["volumeHandle"],
        volume["metadata"]["name"],
        is_block=spec.get("volumeMode") == "Block",
        read_only=read_only or bool(source.get("readOnly")),
        attributes=source.get("volumeAttributes") or {},
        fs_type=source.get("fsType") or "",
        mount_options=tuple(spec.get("mountOptions") or ()),
        access_modes=tuple(spec.get("accessModes") or ("ReadWriteOnce",)),
        stage_secret=_secret(source.get("nodeStageSecretRef")),
        publish_secret=_secret(source.get("nodePublishSecretRef")),
    )


def inline(volume: Volume, pod: Pod) -> DriverVolume:
    """The volume that a driver makes for a pod and removes with it."""
    source = volume.csi
    assert source is not None, "a volume of a driver"
    secret, namespace = source.node_publish_secret_ref, pod.metadata.namespace or "default"
    uid = pod.metadata.uid or ""
    return DriverVolume(
        source.driver,
        f"csi-{hexdigest(f'{uid}{volume.name}'.encode())}",
        volume.name,
        is_inline=True,
        read_only=bool(source.read_only),
        attributes=source.volume_attributes,
        fs_type=source.fs_type or "",
        publish_secret=SecretName(namespace, secret.name or "") if secret is not None else None,
    )


def _secret(reference: Mapping[str, str] | None) -> SecretName | None:
    return SecretName(reference["namespace"], reference["name"]) if reference else None


def refuse_shared_places(volumes: Iterable[DriverVolume]) -> None:
    """Refuses an inline volume of a pod with the name of a PersistentVolume that the pod has too:
    both would be published in one place, and only one be taken back. Raises VolumeError.
    """
    handles: dict[str, str] = {}
    for volume in volumes:
        if handles.setdefault(volume.spec_name, volume.handle) != volume.handle:
            raise VolumeError(
                f'two volumes of CSI drivers are named "{volume.spec_name}", an inline one of the '
                "pod and the PersistentVolume of one of its claims",
                hint="give the inline volume another name",
            )


def check_mode(volume: DriverVolume, driver: Mapping[str, Any] | None) -> None:
    """Whether the CSIDriver allows such volumes; one without an object serves persistent ones.
    Raises VolumeError.
    """
    wanted = "Ephemeral" if volume.is_inline else "Persistent"
    problem = f'volume mode "{wanted}" not supported by driver {volume.driver}'
    if driver is None:
        if volume.is_inline:
            raise VolumeError(f"{problem} (no CSIDriver object)")
        return
    modes = driver["spec"].get("volumeLifecycleModes") or ["Persistent"]
    if wanted not in modes:
        listed = " ".join(f'"{mode}"' for mode in modes)
        raise VolumeError(f"{problem} (only supports [{listed}])")


def needs_attachment(volume: DriverVolume, driver: Mapping[str, Any] | None) -> bool:
    """Whether a volume has to be attached to the node first."""
    if volume.is_inline:
        return False
    return driver_volumes.attach_required(driver)


def capability(
    volume: DriverVolume, capabilities: frozenset[int], group: int | None
) -> dict[str, Any]:
    """How the volume is to be used; ``group`` is the pod's fsGroup."""
    modes = _MODES_OF_PODS if SINGLE_NODE_MULTI_WRITER in capabilities else _MODES
    use: dict[str, Any] = {"access_mode": {"mode": modes.get(volume.access_modes[0], 0)}}
    if volume.is_block:
        return {**use, "block": {}}
    mount: dict[str, Any] = {"fs_type": volume.fs_type, "mount_flags": list(volume.mount_options)}
    if group is not None and VOLUME_MOUNT_GROUP in capabilities:
        mount["volume_mount_group"] = str(group)
    return {**use, "mount": mount}


def publish_context(
    volume: DriverVolume, driver: Mapping[str, Any] | None, pod: Pod
) -> dict[str, str]:
    """The volume's attributes, with what a driver that wants it (podInfoOnMount) is told about the
    pod.
    """
    if driver is None or not driver["spec"].get("podInfoOnMount"):
        return dict(volume.attributes)
    return {
        **volume.attributes,
        f"{_POD}/pod.name": pod.metadata.name or "",
        f"{_POD}/pod.namespace": pod.metadata.namespace or "default",
        f"{_POD}/pod.uid": pod.metadata.uid or "",
        f"{_POD}/serviceAccount.name": pod.spec.service_account_name or "default",
        f"{_POD}/ephemeral": "true" if volume.is_inline else "false",
    }


def is_given_to_group(
    volume: DriverVolume, driver: Mapping[str, Any] | None, capabilities: frozenset[int]
) -> bool:
    """Whether the node changes the files to the pod's fsGroup: not where the driver does or will
    not have it.
    """
    if volume.is_block or volume.read_only or VOLUME_MOUNT_GROUP in capabilities:
        return False
    policy = driver["spec"].get("fsGroupPolicy") if driver is not None else None
    if policy in ("None", "File"):
        return bool(policy == "File")
    return bool(volume.fs_type) and "ReadWriteOnce" in volume.access_modes
