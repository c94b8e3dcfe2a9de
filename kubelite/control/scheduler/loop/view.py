"""The objects that a scheduler follows, and which versions of them a server may have."""

from __future__ import annotations

from kubelite.client import resources
from kubelite.client.client import Client
from kubelite.client.informers import Informer, Informers
from kubelite.client.resources import GroupVersionResource

KINDS: dict[str, tuple[GroupVersionResource, ...]] = {
    "Node": (resources.NODES,),
    "Namespace": (resources.NAMESPACES,),
    "Service": (resources.SERVICES,),
    "ReplicationController": (resources.REPLICATION_CONTROLLERS,),
    "ReplicaSet": (resources.REPLICA_SETS,),
    "StatefulSet": (resources.STATEFUL_SETS,),
    "PodDisruptionBudget": (
        resources.POD_DISRUPTION_BUDGETS,
        GroupVersionResource("policy", "v1beta1", "poddisruptionbudgets"),
    ),
    "StorageClass": (resources.STORAGE_CLASSES,),
    "CSINode": (resources.CSI_NODES,),
    "CSIDriver": (resources.CSI_DRIVERS,),
    "CSIStorageCapacity": (
        resources.CSI_STORAGE_CAPACITIES,
        GroupVersionResource("storage.k8s.io", "v1beta1", "csistoragecapacities"),
    ),
    "PersistentVolume": (resources.PERSISTENT_VOLUMES,),
    "PersistentVolumeClaim": (resources.PERSISTENT_VOLUME_CLAIMS,),
    "Pod": (resources.PODS,),
}
"""By kind, the versions in the order of preference; Pods last, since they refer to the others."""


async def served_kinds(client: Client) -> dict[str, GroupVersionResource]:
    """The kinds that the server has, each in the version to use. Raises ClientError."""
    served = await client.served()
    chosen = {
        kind: next((version for version in versions if version in served), None)
        for kind, versions in KINDS.items()
    }
    return {kind: version for kind, version in chosen.items() if version is not None}


async def informers_of(client: Client, informers: Informers) -> dict[str, Informer]:
    """An informer for each kind that the server has, with its first view. Raises ClientError."""
    kinds = await served_kinds(client)
    view = {kind: informers.of(version) for kind, version in kinds.items()}
    for informer in view.values():
        await informer.wait_synced()
    return view
