"""Why a node may not do something, in the words of Kubernetes' node authorizer
(``plugin/pkg/auth/authorizer/node``). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubelite.control.api.wire.attributes import AuthorizationAttributes

_OWN_VERBS = ("get", "create", "update", "patch", "delete")
_LISTING = ("list", "watch")


def why(node: str, attributes: AuthorizationAttributes) -> str:
    """The reason of a refusal; "" where the authorizer gives none, as for resources that belong to
    no node.
    """
    place = (attributes.group, attributes.resource)
    return _REASONS[place](node, attributes) if place in _REASONS else ""


def _unrelated(node: str, attributes: AuthorizationAttributes) -> str:
    if not attributes.name:
        return "No Object name found"
    return f"no relationship found between node '{node}' and this object"


def _read(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.verb not in ("get", *_LISTING):
        return "can only read resources of this type"
    if attributes.sub:
        return "cannot read subresource"
    if not attributes.namespace:
        return "can only read namespaced object of this type"
    return _unrelated(node, attributes)


def _get(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.verb != "get":
        return "can only get individual resources of this type"
    return "cannot get subresource" if attributes.sub else _unrelated(node, attributes)


def _claim(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.sub != "status":
        return _get(node, attributes)
    if attributes.verb not in ("update", "patch"):
        return "can only get/update/patch this type"
    return _unrelated(node, attributes)


def _token(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.verb != "create" or not attributes.name:
        return "can only create tokens for individual service accounts"
    if attributes.sub != "token":
        return "can only create token subresource of serviceaccount"
    return _unrelated(node, attributes)


def _lease(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.verb not in _OWN_VERBS:
        return "can only get, create, update, patch, or delete a node lease"
    if attributes.namespace != "kube-node-lease":
        return 'can only access leases in the "kube-node-lease" system namespace'
    return "can only access node lease with the same name as the requesting node"


def _csi_node(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.verb not in _OWN_VERBS:
        return "can only get, create, update, patch, or delete a CSINode"
    if attributes.sub:
        return "cannot authorize CSINode subresources"
    return "can only access CSINode with the same name as the requesting node"


def _slice(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.sub:
        return "cannot authorize ResourceSlice subresources"
    if attributes.verb in ("get", "update", "patch", "delete"):
        return _unrelated(node, attributes)
    if attributes.verb in (*_LISTING, "deletecollection"):
        return "can only list/watch/deletecollection resourceslices with nodeName field selector"
    return (
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, "
        "update, patch, delete, deletecollection"
    )


def _node(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.sub or attributes.verb not in ("get", *_LISTING):
        return ""
    if not attributes.name:
        return f"node '{node}' cannot read all nodes, only its own Node object"
    return f"node '{node}' cannot read '{attributes.name}', only its own Node object"


def _pod(node: str, attributes: AuthorizationAttributes) -> str:
    if attributes.sub or attributes.verb not in ("get", *_LISTING):
        return ""
    if attributes.verb == "get" or attributes.name:
        return _unrelated(node, attributes)
    return "can only list/watch pods with spec.nodeName field selector"


_REASONS: dict[tuple[str, str], Callable[[str, AuthorizationAttributes], str]] = {
    ("", "secrets"): _read,
    ("", "configmaps"): _read,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _get,
    ("resource.k8s.io", "resourceclaims"): _get,
    ("storage.k8s.io", "volumeattachments"): _get,
    ("", "serviceaccounts"): _token,
    ("coordination.k8s.io", "leases"): _lease,
    ("storage.k8s.io", "csinodes"): _csi_node,
    ("resource.k8s.io", "resourceslices"): _slice,
    ("", "nodes"): _node,
    ("", "pods"): _pod,
}
