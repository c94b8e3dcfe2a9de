"""Approval of the serving certificates that kubelets ask for. Pure.

Kubernetes leaves these to somebody who knows which addresses are a node's. Here a node gets one for
its own name and the addresses in its Node object, unless another node or the API server has one of
them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from kubelite.client.resources import CERTIFICATE_SIGNING_REQUESTS, ENDPOINTS, NODES
from kubelite.control.controllers.actions import NOTHING, Plan
from kubelite.control.controllers.certificates.approving import approval, is_decided
from kubelite.control.controllers.controller import Controller, nobody, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    key_of,
    name_of,
    spec_of,
    status_of,
)
from kubelite.control.controllers.view import View

SIGNER = "kubernetes.io/kubelet-serving"
USER = "system:node:"
_MESSAGE = "Auto approving kubelet serving certificate for the addresses of its Node."


class Requested(NamedTuple):
    """What a request asks for: the subject's common name, and host names and addresses."""

    name: str
    hosts: frozenset[str]


def plan(view: View, key: Key, now: float) -> Plan:
    """Approves a node's request for its own name and addresses."""
    request = view.get(CERTIFICATE_SIGNING_REQUESTS, *key)
    if request is None or is_deleting(request) or is_decided(request):
        return NOTHING
    spec = spec_of(request)
    user = str(spec.get("username") or "")
    if spec.get("signerName") != SIGNER or not user.startswith(USER):
        return NOTHING
    requested = _requested(spec)
    node = view.get(NODES, "", user.removeprefix(USER))
    if requested is None or node is None or requested.name != user or not requested.hosts:
        return NOTHING
    if not requested.hosts <= _own(node) - _of_others(view, node):
        return NOTHING
    return Plan((approval(request, _MESSAGE, now),))


def _requested(spec: Obj) -> Requested | None:
    """None for what is no request."""
    try:
        data = base64.b64decode(spec.get("request") or "", validate=True)
        request = x509.load_pem_x509_csr(data)
        (name,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, binascii.Error, x509.ExtensionNotFound):
        return None
    hosts = [*names.get_values_for_type(x509.DNSName)]
    hosts += [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return Requested(str(name.value), frozenset(hosts)) if len(hosts) == len(names) else None


def _own(node: Obj) -> set[str]:
    return {str(entry["address"]) for entry in status_of(node).get("addresses") or ()}


def _of_others(view: View, node: Obj) -> set[str]:
    others = [other for other in view.list(NODES) if name_of(other) != name_of(node)]
    taken = {address for other in others for address in _own(other)}
    servers = view.get(ENDPOINTS, "default", "kubernetes") or {}
    subsets = servers.get("subsets") or ()
    listed = (entry["ip"] for subset in subsets for entry in subset.get("addresses") or ())
    return taken | set(listed)


def _requests_of_node(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """What a node has asked for before its addresses were seen here."""
    if new is None or (old is not None and _own(old) == _own(new)):
        return []
    user = USER + name_of(new)
    requests = view.list(CERTIFICATE_SIGNING_REQUESTS)
    return [key_of(request) for request in requests if spec_of(request).get("username") == user]


KUBELET_SERVING_APPROVING_CONTROLLER = Controller(
    "kubelet-serving-approving-controller",
    "certificate-controller",
    "certificate-controller",
    {
        CERTIFICATE_SIGNING_REQUESTS: own_key,
        NODES: _requests_of_node,
        ENDPOINTS: nobody,
    },
    plan,
)
