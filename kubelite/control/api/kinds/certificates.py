"""CertificateSigningRequests. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.kinds.rules import Rules
from kubelite.control.api.tables.columns import columns
from kubelite.control.api.tables.text import (
    NONE,
    age_of,
    lookup,
    name_of,
)
from kubelite.lib.json import Object
from kubelite.objects.facts import ages, names

if TYPE_CHECKING:
    from datetime import datetime


Cells = list[Any]


def _signing_request_cells(obj: Object, now: datetime) -> Cells:
    spec, held = (
        obj.get("spec") or {},
        {condition.get("type") for condition in lookup(obj, "status.conditions", [])},
    )
    shown = [kind for kind in ("Approved", "Denied", "Failed") if kind in held] or ["Pending"]
    shown += ["Issued"] if lookup(obj, "status.certificate") else []
    lasts = (
        ages.shown(spec["expirationSeconds"]) if spec.get("expirationSeconds") is not None else NONE
    )
    return [
        name_of(obj),
        age_of(obj, now),
        spec.get("signerName") or NONE,
        spec.get("username", ""),
        lasts,
        ",".join(shown),
    ]


def _prepare_request_update(new: Object, old: Object) -> Object:
    """What was asked for never changes."""
    return {**new, "spec": old.get("spec") or {}}


def _prepare_approval(new: Object, old: Object) -> Object:
    """Conditions and metadata may change, nothing else."""
    status = {
        **(old.get("status") or {}),
        "conditions": (new.get("status") or {}).get("conditions", []),
    }
    return {**_prepare_request_update(new, old), "status": status}


KINDS: dict[tuple[str, str], Rules] = {
    ("certificates.k8s.io", "CertificateSigningRequest"): Rules(
        never_owned=("spec",),
        prepare_update=_prepare_request_update,
        # What a request says is looked at in ``admission/certificates``.
        may_be_empty=("certificates.v1.CertificateSigningRequestSpec.*",),
        columns=columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        cells=_signing_request_cells,
        selectable=("spec.signerName",),
        name=names.path_segment,
        prepare_subresource={"approval": _prepare_approval},
    ),
}
