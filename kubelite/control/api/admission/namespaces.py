"""Namespaces: nothing is created in one that is missing or terminating, and each has its
ServiceAccount and the cluster's certificate from the start, where controllers would make them.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import Cause, not_found, refused
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from kubelite.control.api.admission.chain import Attempt, Rule
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Change


MAKERS = {
    "serviceaccounts": "serviceaccount-controller",
    "configmaps": "root-ca-certificate-publisher-controller",
}
_IMMORTAL = ("default", "kube-system", "kube-public")


async def exists(attempt: Attempt) -> None:
    """Objects are created in namespaces that are there. Raises StatusError 403, 404."""
    namespace = attempt.namespace
    if attempt.operation != "CREATE" or not attempt.request.resource.namespaced:
        return
    namespaces = attempt.context.registry.builtin("", "namespaces")
    entry = await attempt.context.store.get(namespaces.prefix, "", namespace)
    if entry is None:
        raise not_found(namespaces, namespace)
    if b'"deletionTimestamp"' in entry.value and load(entry)["metadata"].get("deletionTimestamp"):
        why = (
            f"unable to create new content in namespace {namespace} because it is being terminated"
        )
        cause = Cause(
            "NamespaceTerminating",
            f"namespace {namespace} is being terminated",
            "metadata.namespace",
        )
        raise refused(attempt.request.resource, attempt.name, why, [cause])


async def label(attempt: Attempt) -> None:
    """A namespace bears its name as a label."""
    if attempt.of("", "namespaces") and attempt.operation != "DELETE":
        metadata = attempt.obj["metadata"]
        if metadata.get("name"):
            metadata["labels"] = {
                **(metadata.get("labels") or {}),
                "kubernetes.io/metadata.name": metadata["name"],
            }


async def protect(attempt: Attempt) -> None:
    """Some namespaces cannot be deleted. Raises StatusError 403."""
    if attempt.operation == "DELETE" and attempt.of("", "namespaces") and attempt.name in _IMMORTAL:
        raise refused(attempt.request.resource, attempt.name, "this namespace may not be deleted")


def seed_namespace(authority: str, beside: Container[str]) -> Rule:
    """Gives a new namespace those of its initial objects whose controllers run ``beside``."""

    async def rule(attempt: Attempt) -> None:
        if not attempt.creates("", "namespaces"):
            return
        registry, store = attempt.context.registry, attempt.context.store
        given = initial_objects(registry, attempt.name, authority)
        changes = [creation(store, res, obj) for res, obj in given if MAKERS[res.plural] in beside]
        try:
            await store.commit(changes)
        except Conflict:
            return  # somebody who watches namespaces was faster

    return rule


def initial_objects(
    registry: Registry, name: str, authority: str
) -> Iterator[tuple[Resource, Object]]:
    """What each namespace holds from its first moment: its ServiceAccount, and the cluster's
    certificate.
    """
    account = {
        "kind": "ServiceAccount",
        "apiVersion": "v1",
        "metadata": {"name": "default", "namespace": name},
    }
    yield registry.builtin("", "serviceaccounts"), account
    metadata = {
        "name": "kube-root-ca.crt",
        "namespace": name,
        "annotations": {
            "kubernetes.io/description": "Contains a CA bundle that can be used to verify the "
            "kube-apiserver when "
            "using internal endpoints such as the internal service IP or kubernetes.default.svc. "
            "No other usage is guaranteed across distributions of Kubernetes clusters."
        },
    }
    config = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": metadata,
        "data": {"ca.crt": authority},
    }
    yield registry.builtin("", "configmaps"), config


def creation(store: Store, res: Resource, obj: Object) -> Change:
    """The change that creates an object of the server's own."""
    metadata = {**obj["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": timestamp()}
    whole, _ = strategy.conform(res, {**obj, "metadata": metadata})
    prepared = strategy.prepare_create(res, whole)
    if "status" in obj:
        prepared["status"] = obj["status"]
    value = strategy.stored(res, prepared)
    return store.change(
        res.prefix, metadata.get("namespace", ""), metadata["name"], value, expected=0
    )
