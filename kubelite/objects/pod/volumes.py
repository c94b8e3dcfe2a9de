"""Volumes: what a pod's containers can share or be given (core/v1). Pure.

The sources that nodes of today serve are typed. Those of cloud disks and network file systems that
Kubernetes has dropped or handed to CSI drivers are kept as plain mappings: nothing here looks into
them.
"""

from typing import Any

from msgspec import field

from kubelite.objects.pod.base import Int32, Int64, Object, QuantityText
from kubelite.objects.pod.container import ObjectFieldSelector, ResourceFieldSelector
from kubelite.objects.pod.meta import LabelSelector, LocalObjectReference, ObjectMeta, Quantities

__all__ = [
    "SOURCES",
    "CSIVolumeSource",
    "ClusterTrustBundleProjection",
    "ConfigMapProjection",
    "ConfigMapVolumeSource",
    "DownwardAPIProjection",
    "DownwardAPIVolumeFile",
    "DownwardAPIVolumeSource",
    "EmptyDirVolumeSource",
    "EphemeralVolumeSource",
    "HostPathVolumeSource",
    "ImageVolumeSource",
    "KeyToPath",
    "NFSVolumeSource",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimTemplate",
    "PersistentVolumeClaimVolumeSource",
    "PodCertificateProjection",
    "ProjectedVolumeSource",
    "SecretProjection",
    "SecretVolumeSource",
    "ServiceAccountTokenProjection",
    "TypedLocalObjectReference",
    "TypedObjectReference",
    "Volume",
    "VolumeProjection",
    "VolumeResourceRequirements",
]

Legacy = dict[str, Any]


class EmptyDirVolumeSource(Object, kw_only=True, frozen=True):
    """A directory that lives as long as the pod, on disk or (``medium: Memory``) in memory."""

    medium: str | None = None
    size_limit: QuantityText | None = None


class HostPathVolumeSource(Object, kw_only=True, frozen=True):
    """A path of the machine."""

    path: str
    type: str | None = None


class KeyToPath(Object, kw_only=True, frozen=True):
    """A key and the file it becomes."""

    key: str
    path: str
    mode: Int32 | None = None


class ConfigMapVolumeSource(Object, kw_only=True, frozen=True):
    """The keys of a ConfigMap as files."""

    name: str | None = None
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int32 | None = None
    optional: bool | None = None


class SecretVolumeSource(Object, kw_only=True, frozen=True):
    """The keys of a Secret as files."""

    secret_name: str | None = None
    items: tuple[KeyToPath, ...] = ()
    default_mode: Int32 | None = None
    optional: bool | None = None


class DownwardAPIVolumeFile(Object, kw_only=True, frozen=True):
    """A field of the pod as a file."""

    path: str
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: Int32 | None = None


class DownwardAPIVolumeSource(Object, kw_only=True, frozen=True):
    """Fields of the pod as files."""

    items: tuple[DownwardAPIVolumeFile, ...] = ()
    default_mode: Int32 | None = None


class ConfigMapProjection(Object, kw_only=True, frozen=True):
    """The keys of a ConfigMap, in a projected volume."""

    name: str | None = None
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


class SecretProjection(Object, kw_only=True, frozen=True):
    """The keys of a Secret, in a projected volume."""

    name: str | None = None
    items: tuple[KeyToPath, ...] = ()
    optional: bool | None = None


class DownwardAPIProjection(Object, kw_only=True, frozen=True):
    """Fields of the pod, in a projected volume."""

    items: tuple[DownwardAPIVolumeFile, ...] = ()


class ServiceAccountTokenProjection(Object, kw_only=True, frozen=True):
    """A token of the pod's service account, in a projected volume."""

    path: str
    audience: str | None = None
    expiration_seconds: Int64 | None = None


class ClusterTrustBundleProjection(Object, kw_only=True, frozen=True):
    """Certificates to trust, in a projected volume."""

    path: str
    name: str | None = None
    signer_name: str | None = None
    label_selector: LabelSelector | None = None
    optional: bool | None = None


class PodCertificateProjection(Object, kw_only=True, frozen=True):
    """A key and a certificate of the pod's own, in a projected volume."""

    signer_name: str
    key_type: str
    max_expiration_seconds: Int32 | None = None
    credential_bundle_path: str | None = None
    key_path: str | None = None
    certificate_chain_path: str | None = None
    user_annotations: dict[str, str] = field(default_factory=dict)


class VolumeProjection(Object, kw_only=True, frozen=True):
    """One source of a projected volume; exactly one is set."""

    secret: SecretProjection | None = None
    config_map: ConfigMapProjection | None = None
    downward_api: DownwardAPIProjection | None = field(default=None, name="downwardAPI")
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    pod_certificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(Object, kw_only=True, frozen=True):
    """Several sources in one directory."""

    sources: tuple[VolumeProjection, ...] = ()
    default_mode: Int32 | None = None


class PersistentVolumeClaimVolumeSource(Object, kw_only=True, frozen=True):
    """A claim of the pod's namespace."""

    claim_name: str
    read_only: bool | None = None


class TypedLocalObjectReference(Object, kw_only=True, frozen=True):
    """An object of the same namespace, by kind and name."""

    kind: str
    name: str
    api_group: str | None = None


class TypedObjectReference(Object, kw_only=True, frozen=True):
    """An object, by kind, namespace and name."""

    kind: str
    name: str
    api_group: str | None = None
    namespace: str | None = None


class VolumeResourceRequirements(Object, kw_only=True, frozen=True):
    """How much storage a claim asks for."""

    limits: Quantities = field(default_factory=dict)
    requests: Quantities = field(default_factory=dict)


class PersistentVolumeClaimSpec(Object, kw_only=True, frozen=True):
    """What a claim asks for."""

    access_modes: tuple[str, ...] = ()
    selector: LabelSelector | None = None
    resources: VolumeResourceRequirements | None = None
    volume_name: str | None = None
    storage_class_name: str | None = None
    volume_mode: str | None = None
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimTemplate(Object, kw_only=True, frozen=True):
    """A claim that is made for the pod."""

    spec: PersistentVolumeClaimSpec
    metadata: ObjectMeta | None = None


class EphemeralVolumeSource(Object, kw_only=True, frozen=True):
    """A claim that comes and goes with the pod."""

    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class NFSVolumeSource(Object, kw_only=True, frozen=True):
    """A directory of an NFS server."""

    server: str
    path: str
    read_only: bool | None = None


class CSIVolumeSource(Object, kw_only=True, frozen=True):
    """A volume that a CSI driver makes for the pod."""

    driver: str
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: dict[str, str] = field(default_factory=dict)
    node_publish_secret_ref: LocalObjectReference | None = None


class ImageVolumeSource(Object, kw_only=True, frozen=True):
    """The files of an image or OCI artifact."""

    reference: str | None = None
    pull_policy: str | None = None


class Volume(Object, kw_only=True, frozen=True):
    """A volume of the pod; exactly one of its sources is set."""

    name: str
    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = field(default=None, name="downwardAPI")
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: Legacy | None = None
    fc: Legacy | None = None
    gce_persistent_disk: Legacy | None = None
    aws_elastic_block_store: Legacy | None = None
    azure_disk: Legacy | None = None
    azure_file: Legacy | None = None
    ceph_fs: Legacy | None = field(default=None, name="cephfs")
    cinder: Legacy | None = None
    flex_volume: Legacy | None = None
    flocker: Legacy | None = None
    git_repo: Legacy | None = None
    glusterfs: Legacy | None = None
    photon_persistent_disk: Legacy | None = None
    portworx_volume: Legacy | None = None
    quobyte: Legacy | None = None
    rbd: Legacy | None = None
    scale_io: Legacy | None = field(default=None, name="scaleIO")
    storage_os: Legacy | None = field(default=None, name="storageos")
    vsphere_volume: Legacy | None = None


SOURCES = tuple(name for name in Volume.__struct_fields__ if name != "name")
"""The attributes of a volume of which exactly one is set."""
