"""Finds out where the volumes of a pod's claims lie, once: a bound claim keeps its volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.runtime.records import ClaimedVolume
from kubelite.node.volume import claims
from kubelite.node.volume.claims import ClaimObjects, ClaimUse
from kubelite.node.volume.csi import paths
from kubelite.node.volume.errors import SourceNotReady
from kubelite.node.volume.mounts import Place

if TYPE_CHECKING:
    from collections.abc import Mapping


def places(state: PodState) -> Mapping[str, Place]:
    """The places of the pod's claims and of its drivers' volumes. Those of claims are looked up and
    recorded: later starts need no API server. Raises SourceNotReady, VolumeError.
    """
    return {**_of_claims(state), **_inline(state)}


def _inline(state: PodState) -> Mapping[str, Place]:
    """Volumes that drivers make for the pod."""
    return {
        volume.name: Place(
            volume.name,
            "csi",
            paths.published(state.home.root, state.uid, volume.name),
            volume.name,
            bool(volume.csi.read_only),
        )
        for volume in state.pod.spec.volumes
        if volume.csi is not None
    }


def _of_claims(state: PodState) -> Mapping[str, Place]:
    by_volume = {name: _place(name, claimed) for name, claimed in state.record.claimed.items()}
    missing = [use for use in claims.uses(state.pod) if use.volume not in by_volume]
    if not missing:
        return by_volume
    for use in missing:
        by_volume[use.volume] = (
            _of_manifest(state, use)
            if state.cluster is None
            else _of_cluster(state, state.cluster.objects(state.record), use)
        )
    state.record.claimed = {name: _record(place) for name, place in by_volume.items()}
    state.save()
    return by_volume


def _of_cluster(state: PodState, objects: ClaimObjects, use: ClaimUse) -> Place:
    try:
        place = claims.place(use, state.pod, objects, state.home.volumes)
    except SourceNotReady as error:
        message = f'MountVolume.SetUp failed for volume "{use.volume}" : {error}'
        raise SourceNotReady(message) from error
    if place.path:
        return place
    of_kind = paths.published_device if place.kind == "block" else paths.published
    return place._replace(path=of_kind(state.home.root, state.uid, place.type))


def _of_manifest(state: PodState, use: ClaimUse) -> Place:
    """A local pod's claim is a directory that outlives it, or ends with it if it is ephemeral."""
    if use.is_ephemeral:
        return Place(use.volume, "disk", f"{state.home.pod(state.uid)}/volumes/{use.volume}")
    path = state.home.claim(state.record.namespace, use.claim)
    return Place(use.volume, "provisioned", path, "", use.read_only)


def _place(name: str, claimed: ClaimedVolume) -> Place:
    return Place(name, cast(Any, claimed.kind), claimed.path, claimed.type, claimed.read_only)


def _record(place: Place) -> ClaimedVolume:
    return ClaimedVolume(place.kind, place.path, place.type, place.read_only)
