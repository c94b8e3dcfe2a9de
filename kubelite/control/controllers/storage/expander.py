"""Claims that ask for more than their volume has. Pure.

After kubernetes, ``pkg/controller/volume/expand``. Volumes are made larger by their drivers and
kubelets; what is left to do here is to say, on the claim, that somebody has to. Volumes of the
built-in provisioner grow by its hand.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.client.resources import PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES
from kubelite.control.controllers.actions import NOTHING, Emit, Plan
from kubelite.control.controllers.controller import Controller, nobody
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    key_of,
    spec_of,
    status_of,
    uid_of,
    with_type,
)
from kubelite.control.controllers.storage.matching import requested, storage_in
from kubelite.control.controllers.view import View
from kubelite.objects.facts.local_volumes import is_provisioned


def plan(view: View, key: Key, now: float) -> Plan:
    """Tells of a bound claim that has grown."""
    del now
    claim = view.get(PERSISTENT_VOLUME_CLAIMS, *key)
    if claim is None or not _is_bound(claim) or requested(claim) <= _present(claim):
        return NOTHING
    volume = view.get(PERSISTENT_VOLUMES, "", spec_of(claim).get("volumeName") or "")
    if volume is None or is_provisioned(volume):
        return NOTHING
    if (spec_of(volume).get("claimRef") or {}).get("uid") != uid_of(claim):
        return NOTHING
    text = "waiting for an external controller to expand this PVC"
    described = with_type(claim, "v1", "PersistentVolumeClaim")
    return Plan((Emit(described, "Warning", "ExternalExpanding", text),))


def _is_bound(claim: Obj) -> bool:
    return bool(status_of(claim).get("phase") == "Bound")


def _present(claim: Obj) -> int:
    return storage_in(status_of(claim).get("capacity"))


def _grown(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """A claim that asks for more than before, or has got more; the first time, any bound claim."""
    del view
    if new is None or not _is_bound(new):
        return []
    if old is not None and requested(new) <= requested(old) and _present(new) <= _present(old):
        return []
    return [key_of(new)]


PERSISTENT_VOLUME_EXPANDER_CONTROLLER = Controller(
    "persistentvolume-expander-controller",
    "expand-controller",
    "volume_expand",
    {PERSISTENT_VOLUME_CLAIMS: _grown, PERSISTENT_VOLUMES: nobody},
    plan,
)
