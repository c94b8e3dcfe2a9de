"""Namespaces: nothing is created in one that is not there or is going, and each is furnished from
its first moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.server import seed
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import Cause, not_found, refused
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt, Rule

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


def furnish(authority: str) -> Rule:
    """Gives a new namespace its ServiceAccount and the cluster's certificate."""

    async def rule(attempt: Attempt) -> None:
        if not attempt.creates("", "namespaces"):
            return
        registry, store = attempt.context.registry, attempt.context.store
        given = seed.in_every_namespace(registry, attempt.name, authority)
        changes = [seed.change(store, res, obj) for res, obj in given]
        try:
            await store.commit(changes)
        except Conflict:
            return  # somebody who watches namespaces was faster

    return rule
