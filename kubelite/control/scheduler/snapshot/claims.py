"""The claims of a pod, and what a node attaches for them. Pure."""

from __future__ import annotations

from kubelite.control.scheduler.facts.traits import Traits
from kubelite.control.scheduler.snapshot.storage import Storage


def claim_keys(traits: Traits) -> tuple[str, ...]:
    """The pod's claims as "ns/name"."""
    return tuple(
        f"{traits.namespace}/{name}" for name in (*traits.claims, *traits.ephemeral_claims)
    )


def attachments(traits: Traits, storage: Storage) -> tuple[tuple[str, str], ...]:
    """The (driver, volume) that a node attaches for the pod, grouped by driver, for drivers that
    some node limits.
    """
    limited = {driver for limits in storage.limits.values() for driver in limits}
    attached = set()
    for key in claim_keys(traits) if limited else ():
        claim = storage.claims.get(key)
        volume = storage.volumes.get(claim.volume) if claim else None
        kind = storage.classes.get(claim.storage_class) if claim else None
        driver = (
            volume.driver
            if volume
            else kind.provisioner
            if kind and claim and not claim.volume
            else ""
        )
        if driver in limited:
            attached.add((driver, volume.handle if volume and volume.handle else key))
    return tuple(sorted(attached))


def single_pod_claims(traits: Traits, storage: Storage) -> tuple[str, ...]:
    """The claims that one pod at a time may use."""
    claims = (storage.claims.get(key) for key in claim_keys(traits))
    return tuple(claim.key for claim in claims if claim and "ReadWriteOncePod" in claim.modes)
