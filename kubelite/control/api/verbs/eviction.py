"""``/eviction``: a deletion that asks the disruption budgets first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.verbs.delete import check_preconditions, delete_one
from kubelite.control.api.verbs.delete_options import options_of
from kubelite.control.api.verbs.read import entry_of
from kubelite.control.api.verbs.write import ATTEMPTS
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.selectors import matcher
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    bad_request,
    body,
    conflict,
    internal,
    too_many_requests,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.verbs.delete_options import DeleteOptions
    from kubelite.control.api.wire.request import Request
    from kubelite.control.store.types import Entry


_CONDITION = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


async def evict(context: Context, request: Request) -> Answer:
    """POST of an Eviction. Raises StatusError: 429 when a budget does not allow it now."""
    value = typed(
        "policy.v1.Eviction", codec.decode(await request.read_body(), request.content_type).value
    )
    if value["metadata"].get("name", request.name) != request.name:
        raise bad_request("name in URL does not match name in Eviction object")
    options = options_of(value.get("deleteOptions") or {})
    pod = load(await entry_of(context.store, request))
    if not _needs_no_budget(pod):
        await _spend_budget(context, request, pod, dry_run=options.dry_run)
    if not options.dry_run:
        options = await _mark(context, request, options)
    await delete_one(context, request, request.namespace, request.name, options)
    return json_answer(body("Success", code=201), 201)


async def _mark(context: Context, request: Request, options: DeleteOptions) -> DeleteOptions:
    """Says in the status of a pod why it goes, so that a Job can tell an eviction from a failure;
    the options for the pod as it then is. Raises StatusError 404, 409.
    """
    res = request.resource
    for _ in range(ATTEMPTS):
        entry = await entry_of(context.store, request)
        pod = load(entry)
        check_preconditions(res, pod, options)
        try:
            marked = with_condition(pod, timestamp())
            entry = await write(context.store, res, marked, entry, companions=[])
        except Conflict:
            continue
        return options._replace(revision=str(entry.revision) if options.revision else "")
    raise conflict(res, request.name)


def with_condition(pod: dict[str, Any], now: str) -> dict[str, Any]:
    """A pod that is being evicted."""
    status = pod.get("status") or {}
    present = status.get("conditions") or []
    before: Any = next(
        (condition for condition in present if condition.get("type") == _CONDITION["type"]), {}
    )
    since = before["lastTransitionTime"] if before.get("status") == "True" else now
    condition = {**_CONDITION, "lastProbeTime": None, "lastTransitionTime": since}
    rest = [condition for condition in present if condition is not before]
    return {**pod, "status": {**status, "conditions": [*rest, condition]}}


def _needs_no_budget(pod: dict[str, Any]) -> bool:
    phase = pod.get("status", {}).get("phase")
    return phase in ("Succeeded", "Failed", "Pending") or bool(
        pod["metadata"].get("deletionTimestamp")
    )


async def _spend_budget(
    context: Context, request: Request, pod: dict[str, Any], *, dry_run: bool
) -> None:
    """Takes one disruption from the budget that covers a pod, exactly once under concurrency."""
    for _ in range(16):
        budgets = await _budgets_of(context, pod)
        if not budgets:
            return
        if len(budgets) > 1:
            raise internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource "
                "does not support."
            )
        if await _take(context, budgets[0], request.name, dry_run=dry_run):
            return
    raise too_many_requests("Too many evictions at once; try again", 1)


async def _budgets_of(context: Context, pod: dict[str, Any]) -> list[Entry]:
    labels = pod["metadata"].get("labels") or {}
    page = await context.store.page("poddisruptionbudgets", pod["metadata"]["namespace"])
    return [
        entry
        for entry in page.entries
        if matcher((load(entry).get("spec") or {}).get("selector"))(labels)
    ]


async def _take(context: Context, entry: Entry, pod_name: str, *, dry_run: bool) -> bool:
    """One disruption less; False when somebody else changed the budget meanwhile. Raises
    StatusError 429.
    """
    budget = load(entry)
    status = budget.setdefault("status", {})
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise blocked(budget, 10, "is still being processed by the server.")
    if status.get("disruptionsAllowed", 0) <= 0:
        raise blocked(
            budget,
            0,
            f"needs {status.get('desiredHealthy', 0)} healthy pods and has "
            f"{status.get('currentHealthy', 0)} currently",
        )
    status["disruptionsAllowed"] -= 1
    status.setdefault("disruptedPods", {})[pod_name] = timestamp()
    res = context.registry.builtin("policy", "poddisruptionbudgets")
    try:
        await write(context.store, res, budget, entry, companions=[], dry_run=dry_run)
    except Conflict:
        return False
    return True


def blocked(budget: dict[str, Any], retry: int, why: str) -> StatusError:
    """429 with the cause that ``kubectl drain`` looks for."""
    message = f"The disruption budget {budget['metadata']['name']} {why}"
    cause = Cause("DisruptionBudget", message)
    return too_many_requests(
        "Cannot evict pod as it would violate the pod's disruption budget.", retry, [cause]
    )
