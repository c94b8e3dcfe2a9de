"""What every namespace has: its ServiceAccount and the cluster's certificate authority. Pure.

After kubernetes, ``pkg/controller/serviceaccount`` and
``pkg/controller/certificates/rootcacertpublisher``.
An API server beside these controllers creates both with the namespace; here they come back when
somebody removes them. The certificate is that of kube-system, which the API server writes when it
starts.
"""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.client.resources import CONFIG_MAPS, NAMESPACES, SERVICE_ACCOUNTS
from kubelite.control.controllers.actions import NOTHING, Create, Plan, Update
from kubelite.control.controllers.controller import Controller, own_key
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    name_of,
    namespace_of,
    status_of,
    with_type,
)
from kubelite.control.controllers.view import View

ACCOUNT, ROOT_CA = "default", "kube-root-ca.crt"
_SOURCES = ("kube-system", "default", "kube-public")
_ANNOTATIONS = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
    "kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes "
    "clusters."
}


def plan_account(view: View, key: Key, now: float) -> Plan:
    """Creates the ServiceAccount of a namespace that lacks it."""
    del now
    name = key[1]
    if not _is_active(view, name) or view.get(SERVICE_ACCOUNTS, name, ACCOUNT) is not None:
        return NOTHING
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": name},
    }
    return Plan((Create(SERVICE_ACCOUNTS, body),))


def plan_authority(view: View, key: Key, now: float) -> Plan:
    """Creates or mends the ConfigMap with the certificate authority."""
    del now
    name = key[1]
    if not _is_active(view, name):
        return NOTHING
    data = next((data for source in _SOURCES if (data := _data(view, source))), None)
    if data is None:
        return NOTHING
    present = view.get(CONFIG_MAPS, name, ROOT_CA)
    if present is None:
        metadata = {"name": ROOT_CA, "namespace": name, "annotations": _ANNOTATIONS}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        return Plan((Create(CONFIG_MAPS, body),))
    if present.get("data") == data:
        return NOTHING
    metadata = {**present["metadata"], "annotations": _ANNOTATIONS}
    changed = with_type(present, "v1", "ConfigMap") | {"metadata": metadata, "data": data}
    return Plan((Update(CONFIG_MAPS, changed),))


def _data(view: View, namespace: str) -> Obj | None:
    present = view.get(CONFIG_MAPS, namespace, ROOT_CA)
    return present.get("data") if present is not None else None


def _is_active(view: View, name: str) -> bool:
    namespace = view.get(NAMESPACES, "", name)
    return (
        namespace is not None
        and not is_deleting(namespace)
        and status_of(namespace).get("phase") != "Terminating"
    )


def _namespace_of_account(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view
    if old is None or new is not None or name_of(old) != ACCOUNT:
        return []
    return [("", namespace_of(old))]


def _namespace_of_authority(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    del view
    obj = new if new is not None else old
    if obj is None or name_of(obj) != ROOT_CA:
        return []
    return [("", namespace_of(obj))]


SERVICE_ACCOUNT_CONTROLLER = Controller(
    "serviceaccount-controller",
    "service-account-controller",
    "serviceaccount-controller",
    {NAMESPACES: own_key, SERVICE_ACCOUNTS: _namespace_of_account},
    plan_account,
)
ROOT_CA_CONTROLLER = Controller(
    "root-ca-certificate-publisher-controller",
    "root-ca-cert-publisher",
    "root-ca-cert-publisher",
    {NAMESPACES: own_key, CONFIG_MAPS: _namespace_of_authority},
    plan_authority,
)
