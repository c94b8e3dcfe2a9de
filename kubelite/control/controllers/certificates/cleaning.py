"""Removal of CertificateSigningRequests that are done with. Pure.

After kubernetes, ``pkg/controller/certificates/cleaner``: decided ones go after an hour, others
after a day.
"""

from __future__ import annotations

from kubelite.client.resources import CERTIFICATE_SIGNING_REQUESTS
from kubelite.control.controllers.actions import NOTHING, Delete, Plan
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    created_at,
    is_deleting,
    parse_time,
    status_of,
    uid_of,
)
from kubelite.control.controllers.view import View

DECIDED_SECONDS, PENDING_SECONDS = 3600.0, 86400.0


def plan(view: View, key: Key, now: float) -> Plan:
    """Deletes a request whose time is over."""
    request = view.get(CERTIFICATE_SIGNING_REQUESTS, *key)
    if request is None or is_deleting(request):
        return NOTHING
    end = expires_at(request)
    if end is None:
        return NOTHING
    if end > now:
        return Plan((), end)
    return Plan((Delete(CERTIFICATE_SIGNING_REQUESTS, *key, uid_of(request)),))


def expires_at(request: Obj) -> float | None:
    """When a request goes, in seconds since 1970; None for one that is approved and waits for its
    signer.
    """
    conditions = status_of(request).get("conditions") or ()
    for type_ in ("Denied", "Failed"):
        if (verdict := find(conditions, type_)) is not None:
            return _decided_at(verdict, request) + DECIDED_SECONDS
    approval = find(conditions, "Approved")
    if approval is None:
        return created_at(request) + PENDING_SECONDS
    if not status_of(request).get("certificate"):
        return None
    return _decided_at(approval, request) + DECIDED_SECONDS


def _decided_at(verdict: Obj, request: Obj) -> float:
    return parse_time(verdict.get("lastUpdateTime")) or created_at(request)


CSR_CLEANER_CONTROLLER = Controller(
    "certificatesigningrequest-cleaner-controller",
    "certificate-controller",
    "certificate-controller",
    {CERTIFICATE_SIGNING_REQUESTS: own_key},
    plan,
    workers=1,
)
