"""Parts of objects that have a shape of their own: scale, binding, eviction.

``status``, ``finalize``, ``approval``, ``resize`` and ``ephemeralcontainers`` need nothing here:
they are ordinary updates, of which :mod:`~kubelite.control.api.kinds.strategy` says what they may touch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.patching import patch
from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.verbs.delete import delete_one, options_of
from kubelite.control.api.verbs.write import APPLY, PATCHES, change_object
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import copy, load
from kubelite.control.api.wire.selectors import matcher
from kubelite.control.api.wire.status import (
    Cause,
    StatusError,
    bad_request,
    body,
    conflict,
    internal,
    invalid,
    not_found,
    too_many_requests,
    unsupported_media_type,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry


# Scale: the number of replicas of a workload, whatever else it is made of.


async def get_scale(context: Context, request: Request) -> Answer:
    """GET of ``/scale``. Raises StatusError."""
    return json_answer(scale_of(request.resource, load(await _entry(context, request))))


async def _entry(context: Context, request: Request) -> Entry:
    entry = await context.store.get(request.resource.prefix, request.namespace, request.name)
    if entry is None:
        raise not_found(request.resource, request.name)
    return entry


def scale_of(res: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    """The Scale of a workload."""
    paths = scale_paths(res)
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = at(obj, paths["specReplicasPath"])
    status: dict[str, Any] = {"replicas": at(obj, paths["statusReplicasPath"]) or 0}
    selector = _selector_text(res, obj, paths.get("labelSelectorPath", ""))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def scale_paths(res: Resource) -> dict[str, str]:
    """Where a kind keeps its replicas; custom kinds say so in their definition."""
    if res.crd is not None:
        found: dict[str, str] = res.crd.get("subresources", {}).get("scale", {})
        return found
    return {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}


def at(obj: dict[str, Any], path: str) -> Any:
    """The value at a simple JSON path like ``.spec.replicas``; None where there is none."""
    value: Any = obj
    for part in path.strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _selector_text(res: Resource, obj: dict[str, Any], path: str) -> str:
    if res.crd is not None:
        return str(at(obj, path) or "") if path else ""
    selector = obj.get("spec", {}).get("selector") or {}
    if res.plural == "replicationcontrollers":
        selector = {"matchLabels": selector}
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    operators = {"In": "in", "NotIn": "notin"}
    for each in selector.get("matchExpressions") or ():
        if each["operator"] in operators:
            terms.append(
                f"{each['key']} {operators[each['operator']]} ({','.join(sorted(each['values']))})"
            )
        else:
            terms.append(each["key"] if each["operator"] == "Exists" else f"!{each['key']}")
    return ",".join(terms)


async def put_scale(context: Context, request: Request) -> Answer:
    """PUT of ``/scale``. Raises StatusError."""
    value = codec.decode(await request.read_body(), request.content_type).value
    return await _change_scale(context, request, lambda _: value)


async def patch_scale(context: Context, request: Request) -> Answer:
    """PATCH of ``/scale``. Raises StatusError."""
    kind = request.content_type
    if kind not in PATCHES:
        raise unsupported_media_type(PATCHES)
    value = codec.decode(await request.read_body(), "application/json").value
    merge = "application/merge-patch+json" if kind in (APPLY, PATCHES[2]) else kind
    return await _change_scale(
        context, request, lambda scale: patch.apply(merge, request.resource, scale, value)
    )


async def _change_scale(context: Context, request: Request, make: Any) -> Answer:
    """Applies a wish about the Scale to the workload itself."""
    res = request.resource

    def change(old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        wished = typed("autoscaling.v1.Scale", make(scale_of(res, old)))
        replicas = _checked_replicas(request, wished)
        new = copy(old)
        _put(new, scale_paths(res)["specReplicasPath"], replicas)
        new["metadata"]["resourceVersion"] = wished["metadata"].get("resourceVersion", "")
        return new, []

    plain = msgspec.structs.replace(request, sub="", content_type="application/json")
    result = await change_object(context, plain, change)
    return json_answer(scale_of(res, load(result.entry)))


def _checked_replicas(request: Request, wished: Any) -> int:
    if wished["metadata"].get("name", request.name) != request.name:
        raise bad_request("the name of the Scale does not match the name on the URL")
    replicas = int(wished["spec"].get("replicas", 0))
    if replicas < 0:
        message = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(
            request.resource, request.name, [Cause("FieldValueInvalid", message, "spec.replicas")]
        )
    return replicas


def _put(obj: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.strip(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value


# Binding: a scheduler says where a pod runs.


async def bind(context: Context, request: Request) -> Answer:
    """POST of a Binding, to ``/pods/x/binding`` or ``/bindings``. Raises StatusError."""
    value = typed(
        "core.v1.Binding", codec.decode(await request.read_body(), request.content_type).value
    )
    if not value["target"].get("name"):
        raise bad_request("the body of the request is not a Binding with a target")
    metadata = value["metadata"]
    name = request.name or metadata.get("name", "")
    if metadata.get("name", name) != name:
        raise bad_request("the name of the Binding does not match the name on the URL")
    pods = context.registry.builtin("", "pods")
    node, uid = value["target"]["name"], metadata.get("uid")

    def change(old: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        _check_bindable(pods, old, node)
        new = copy(old)
        new["spec"]["nodeName"] = node
        if uid:
            new["metadata"]["uid"] = uid
        new["metadata"].setdefault("annotations", {}).update(metadata.get("annotations") or {})
        if not new["metadata"]["annotations"]:
            del new["metadata"]["annotations"]
        conditions = new.setdefault("status", {}).setdefault("conditions", [])
        conditions[:] = [each for each in conditions if each.get("type") != "PodScheduled"]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()}
        )
        return new, []

    plain = msgspec.structs.replace(
        request, resource=pods, name=name, sub="binding", content_type="application/json"
    )
    await change_object(context, plain, change)
    return json_answer(body("Success", code=201), 201)


def _check_bindable(pods: Resource, pod: dict[str, Any], node: str) -> None:
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict(pods, name, f"pod {name} is being deleted, cannot be assigned to a host")
    assigned = pod["spec"].get("nodeName")
    if assigned:
        raise conflict(pods, name, f'pod {name} is already assigned to node "{assigned}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(pods, name, f"pod {name} has non-empty .spec.schedulingGates")
    if not node:
        raise bad_request("target.name: Required value")


# Eviction: a deletion that asks the disruption budgets first.


async def evict(context: Context, request: Request) -> Answer:
    """POST of an Eviction. Raises StatusError: 429 when a budget does not allow it now."""
    value = typed(
        "policy.v1.Eviction", codec.decode(await request.read_body(), request.content_type).value
    )
    if value["metadata"].get("name", request.name) != request.name:
        raise bad_request("the name of the Eviction does not match the name on the URL")
    options = options_of(request, value.get("deleteOptions") or {})
    pod = load(await _entry(context, request))
    if not _needs_no_budget(pod):
        await _spend_budget(context, request, pod, dry_run=options.dry_run)
    await delete_one(context, request, request.namespace, request.name, options)
    return json_answer(body("Success", code=201), 201)


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
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
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
            f"needs {status.get('desiredHealthy', 0)} healthy pods and has {status.get('currentHealthy', 0)} currently",
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
