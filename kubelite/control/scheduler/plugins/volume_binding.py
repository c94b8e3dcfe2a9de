"""VolumeBinding, VolumeZone, VolumeRestrictions and NodeVolumeLimits: where a pod's volumes can be.
Pure.

A claim that is bound ties the pod to the nodes of its volume. One that waits for its first consumer
is matched with free volumes, the smallest that will do, or provisioned; which nodes allow that is
worked out for groups of like nodes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubelite.control.scheduler.facts.traits import Disk, Traits
from kubelite.control.scheduler.plugins.reasons import Reason
from kubelite.control.scheduler.snapshot.claims import claim_keys
from kubelite.control.scheduler.snapshot.nodes import Nodes
from kubelite.control.scheduler.snapshot.storage import (
    NO_PROVISIONER,
    Claim,
    Storage,
    StorageClass,
    Volume,
)
from kubelite.objects.facts.labels import Requirement

REGION, ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
_ZONE_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": ZONE,
    "failure-domain.beta.kubernetes.io/region": REGION,
    ZONE: ZONE,
    REGION: REGION,
}
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"


class Verdict(NamedTuple):
    """What the volumes of a pod say. ``problem`` keeps it from every node, ``fixed`` are sets of
    nodes it is kept from.
    """

    problem: str
    fixed: tuple[tuple[Reason, int], ...]
    waiting: tuple[Claim, ...]  # to be bound where the pod goes


def judge(traits: Traits, storage: Storage, nodes: Nodes, filters: tuple[str, ...]) -> Verdict:
    """The verdict of VolumeBinding and VolumeZone, as far as the profile has them."""
    if not (traits.claims or traits.ephemeral_claims):
        return Verdict("", (), ())
    problem = _problem(traits, storage, filters)
    if problem:
        return Verdict(problem, (), ())
    claims = [storage.claims[key] for key in claim_keys(traits) if key in storage.claims]
    waiting = tuple(claim for claim in claims if not claim.volume)
    fixed: list[tuple[Reason, int]] = []
    if "VolumeBinding" in filters:
        fixed += _bound(claims, storage, nodes)
        fixed += _unbound(waiting, storage, nodes)
    if "VolumeZone" in filters:
        fixed += _zones(claims, storage, nodes)
    return Verdict("", tuple((reason, mask) for reason, mask in fixed if mask), waiting)


def _problem(traits: Traits, storage: Storage, filters: tuple[str, ...]) -> str:
    looks = {"VolumeBinding", "VolumeZone", "VolumeRestrictions"} & set(filters)
    for name in traits.ephemeral_claims if "VolumeBinding" in looks else ():
        if problem := _not_own(name, traits, storage):
            return problem
    for name in traits.claims:
        if looks and f"{traits.namespace}/{name}" not in storage.claims:
            return f'persistentvolumeclaim "{name}" not found'
    if "VolumeBinding" not in looks:
        return ""
    claims = [storage.claims[key] for key in claim_keys(traits)]
    problem = next((claim.problem for claim in claims if claim.problem), "")
    return problem or next(
        (text for text in (_immediate(claim, storage) for claim in claims) if text), ""
    )


def _not_own(name: str, traits: Traits, storage: Storage) -> str:
    """What is wrong with the claim of an ephemeral volume, which must be made for the pod."""
    claim = storage.claims.get(f"{traits.namespace}/{name}")
    if claim is None:
        return (
            f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
        )
    pod, uid = traits.identity
    if uid and claim.owner != uid:
        return (
            f"PVC {traits.namespace}/{name} was not created for pod {traits.namespace}/{pod} "
            "(pod is not owner)"
        )
    return ""


def _immediate(claim: Claim, storage: Storage) -> str:
    if claim.volume:
        return ""
    storage_class = storage.classes.get(claim.storage_class)
    return "" if storage_class is not None and storage_class.waits else UNBOUND


def _bound(claims: list[Claim], storage: Storage, nodes: Nodes) -> Iterator[tuple[Reason, int]]:
    for claim in claims:
        if not claim.volume:
            continue
        volume = storage.volumes.get(claim.volume)
        if volume is None:
            yield Reason.PV_MISSING, nodes.all
        else:
            yield Reason.PV_AFFINITY, nodes.all & ~_reach(volume, nodes)


def _reach(volume: Volume, nodes: Nodes) -> int:
    return nodes.all if volume.terms is None else nodes.any_term(volume.terms)


def _zones(claims: list[Claim], storage: Storage, nodes: Nodes) -> Iterator[tuple[Reason, int]]:
    """Nodes that have no zone or region at all are left alone."""
    zoned = 0
    for label in _ZONE_LABELS:
        zoned |= nodes.having(label)
    for claim in claims:
        volume = storage.volumes.get(claim.volume)
        for label in _ZONE_LABELS:
            values = (
                frozenset(volume.labels[label].split("__"))
                if volume and label in volume.labels
                else frozenset()
            )
            if values and all(values):
                allowed = nodes.matching(Requirement(label, "In", values))
                modern = nodes.matching(Requirement(_ZONE_LABELS[label], "In", values))
                yield Reason.VOLUME_ZONE, zoned & ~(allowed | (modern & ~nodes.having(label)))


class _Offer(NamedTuple):
    """What can serve the claims that wait, and which nodes each reaches."""

    volumes: list[tuple[Volume, int]]
    makers: dict[
        str, tuple[int, int]
    ]  # per claim: where its class may provision, and where there is space too


def _unbound(
    waiting: tuple[Claim, ...], storage: Storage, nodes: Nodes
) -> Iterator[tuple[Reason, int]]:
    if not waiting:
        return
    offer = _offer(waiting, storage, nodes)
    masks = [mask for _, mask in offer.volumes] + [
        mask for pair in offer.makers.values() for mask in pair
    ]
    for group in _split(nodes.all, masks):
        node = (group & -group).bit_length() - 1
        reason = _serve(waiting, offer, node)[1]
        if reason is not None:
            yield reason, group


def choose(
    waiting: tuple[Claim, ...], storage: Storage, nodes: Nodes, node: int
) -> list[tuple[str, str]]:
    """Which volume each waiting claim gets on a node: (claim, volume), "" for one that is
    provisioned.
    """
    return _serve(waiting, _offer(waiting, storage, nodes), node)[0]


def _split(whole: int, masks: list[int]) -> list[int]:
    groups = [whole] if whole else []
    for mask in set(masks):
        groups = [part for group in groups for part in (group & mask, group & ~mask) if part]
    return groups


def _offer(waiting: tuple[Claim, ...], storage: Storage, nodes: Nodes) -> _Offer:
    classes = {claim.storage_class for claim in waiting}
    usable = [volume for volume in storage.volumes.values() if volume.storage_class in classes]
    volumes = sorted(usable, key=lambda volume: volume.size)
    makers = {claim.key: _makers(claim, storage, nodes) for claim in waiting}
    return _Offer([(volume, _reach(volume, nodes)) for volume in volumes], makers)


def _makers(claim: Claim, storage: Storage, nodes: Nodes) -> tuple[int, int]:
    kind = storage.classes.get(claim.storage_class)
    if kind is None or kind.provisioner in ("", NO_PROVISIONER):
        return 0, 0
    allowed = nodes.any_term(kind.topologies) if kind.topologies else nodes.all
    if claim.selected_node:
        chosen = nodes.index.get(claim.selected_node)
        allowed &= 0 if chosen is None else 1 << chosen
    return allowed, allowed & _space(claim, kind, storage, nodes)


def _space(claim: Claim, kind: StorageClass, storage: Storage, nodes: Nodes) -> int:
    if not storage.checks_capacity.get(kind.provisioner):
        return nodes.all
    mask = 0
    for capacity in storage.capacities.values():
        if (
            capacity.storage_class == kind.name
            and capacity.largest >= claim.size
            and not capacity.selector.nothing
        ):
            reach = nodes.all
            for requirement in capacity.selector.requirements:
                reach &= nodes.matching(requirement)
            mask |= reach
    return mask


def _serve(
    waiting: tuple[Claim, ...], offer: _Offer, node: int
) -> tuple[list[tuple[str, str]], Reason | None]:
    """Small claims choose first, so that a large volume is left for a large claim."""
    taken: set[str] = set()
    served = []
    for claim in sorted(waiting, key=lambda claim: claim.size):
        volume = "" if claim.selected_node else _smallest(claim, offer, node, taken)
        allowed, spacious = offer.makers[claim.key]
        if not volume and not allowed >> node & 1:
            return [], Reason.NO_PV
        if not volume and not spacious >> node & 1:
            return [], Reason.NO_SPACE
        taken.add(volume)
        served.append((claim.key, volume))
    return served, None


def _smallest(claim: Claim, offer: _Offer, node: int, taken: set[str]) -> str:
    for volume, reach in offer.volumes:
        if volume.name not in taken and reach >> node & 1 and _suits(claim, volume):
            return volume.name
    return ""


def _suits(claim: Claim, volume: Volume) -> bool:
    if volume.claim:
        is_free = volume.claim == claim.key and volume.claim_uid in ("", claim.uid)
    else:
        is_free = volume.available
    return is_free and (
        volume.storage_class == claim.storage_class
        and volume.size >= claim.size
        and volume.modes >= claim.modes
        and volume.block == claim.block
        and claim.selector.matches(volume.labels)
    )


def conflict(mine: Disk, other: Disk) -> bool:
    """Whether two pods of a node cannot have these disks at the same time."""
    if mine.kind != other.kind or mine.names != other.names or (mine.read_only and other.read_only):
        return False
    return mine.kind != "rbd" or bool(mine.monitors & other.monitors)
