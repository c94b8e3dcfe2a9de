"""Approval of the client certificates that kubelets ask for. Pure.

After kubernetes, ``pkg/controller/certificates/approver``: a request for a node's certificate is
approved when its author may ask for it: for his own (``selfnodeclient``), or for any
(``nodeclient``).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubelite.client.resources import CERTIFICATE_SIGNING_REQUESTS, GroupVersionResource
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Create,
    Outcome,
    Plan,
    Step,
    Update,
)
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.conditions import find
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    format_time,
    is_deleting,
    spec_of,
    status_of,
    with_type,
)
from kubelite.control.controllers.view import View

SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
ACCESS_REVIEWS = GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")
_NEEDED = {"digital signature", "client auth"}
_ALLOWED = {*_NEEDED, "key encipherment"}


class Way(NamedTuple):
    """The sub-resource that an author has to be allowed to create, and what is said then."""

    subresource: str
    message: str


_OWN = Way(
    "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."
)
_ANY = Way("nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview.")


def plan(view: View, key: Key, now: float) -> Plan:
    """Asks whether the author may have the certificate, and approves the request."""
    request = view.get(CERTIFICATE_SIGNING_REQUESTS, *key)
    if request is None or is_deleting(request) or is_decided(request):
        return NOTHING
    name = node_of(spec_of(request))
    if not name:
        return NOTHING
    is_own = spec_of(request).get("username") == name
    return Plan((_ask(request, (_OWN, _ANY) if is_own else (_ANY,), now),))


def is_decided(request: Obj) -> bool:
    """Whether somebody has said yes or no to a request."""
    conditions: Sequence[Obj] = status_of(request).get("conditions") or ()
    return bool(status_of(request).get("certificate")) or any(
        find(conditions, type_) for type_ in ("Approved", "Denied")
    )


def node_of(spec: Obj) -> str:
    """The user name of the node for which a client certificate is asked for, "" where the request
    is none of that kind: other names, alternative names or usages.
    """
    usages = set(spec.get("usages") or ())
    if spec.get("signerName") != SIGNER or not _NEEDED <= usages <= _ALLOWED:
        return ""
    try:
        data = base64.b64decode(spec.get("request") or "", validate=True)
        request = x509.load_pem_x509_csr(data)
        has_others = any(
            isinstance(extension.value, x509.SubjectAlternativeName)
            for extension in request.extensions
        )
    except (ValueError, binascii.Error):
        return ""
    names = [str(a.value) for a in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    groups = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if has_others or [str(group.value) for group in groups] != ["system:nodes"]:
        return ""
    return names[0] if len(names) == 1 and names[0].startswith("system:node:") else ""


def _ask(request: Obj, ways: Sequence[Way], now: float) -> Step:
    """Asks for one way after the other."""
    way, *rest = ways

    def answered(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        answer = outcomes[0].result
        if answer is None:
            return ()
        if status_of(answer).get("allowed"):
            return (approval(request, way.message, now),)
        return (_ask(request, rest, now),) if rest else ()

    return Step((Create(ACCESS_REVIEWS, _review(spec_of(request), way)),), answered)


def _review(spec: Obj, way: Way) -> dict[str, Any]:
    who = {"user": spec.get("username") or "", "uid": spec.get("uid") or ""}
    attributes = {
        "group": "certificates.k8s.io",
        "resource": "certificatesigningrequests",
        "verb": "create",
        "subresource": way.subresource,
    }
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "metadata": {},
        "spec": {
            **who,
            "groups": spec.get("groups") or [],
            "extra": spec.get("extra") or {},
            "resourceAttributes": attributes,
        },
    }


def approval(request: Obj, message: str, now: float) -> Update:
    """Approves a request."""
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "AutoApproved",
        "message": message,
        "lastUpdateTime": format_time(now),
        "lastTransitionTime": format_time(now),
    }
    body = with_type(request, "certificates.k8s.io/v1", "CertificateSigningRequest")
    conditions = [*(status_of(request).get("conditions") or ()), condition]
    body["status"] = {**status_of(request), "conditions": conditions}
    return Update(CERTIFICATE_SIGNING_REQUESTS, body, "approval")


CSR_APPROVING_CONTROLLER = Controller(
    "certificatesigningrequest-approving-controller",
    "certificate-controller",
    "certificate-controller",
    {CERTIFICATE_SIGNING_REQUESTS: own_key},
    plan,
)
