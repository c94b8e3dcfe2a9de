"""Events about pods that a controller has created or deleted, in Kubernetes' words. Pure."""

from __future__ import annotations

from kubelite.control.controllers.actions import Create, Delete, Emit, Outcome
from kubelite.control.controllers.shared.meta import Obj, name_of


def pod_event(owner: Obj, outcome: Outcome) -> Emit | None:
    """The Event of an outcome; None where nobody is told: the pod is there already, or its
    namespace is ending.
    """
    action, refusal = outcome.action, outcome.refusal
    if not isinstance(action, Create | Delete):
        return None
    verb = "creating" if isinstance(action, Create) else "deleting"
    if refusal is not None:
        if refusal.is_exists or refusal.is_namespace_ending:
            return None
        reason = "FailedCreate" if verb == "creating" else "FailedDelete"
        return Emit(owner, "Warning", reason, f"Error {verb}: {refusal.message}")
    if isinstance(action, Create):
        name = name_of(outcome.result or action.body)
        return Emit(owner, "Normal", "SuccessfulCreate", f"Created pod: {name}")
    return Emit(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {action.name}")
