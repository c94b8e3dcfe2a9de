"""``/binding``: a scheduler says where a pod runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.admission.chain import Attempt
from kubelite.control.api.strategy import strategy
from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.verbs.read import entry_of
from kubelite.control.api.verbs.write import ATTEMPTS, check_uid
from kubelite.control.api.verbs.write_options import write_options
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import (
    bad_request,
    body,
    conflict,
)
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource


async def bind(context: Context, request: Request) -> Answer:
    """POST of a Binding, to ``/pods/x/binding`` or ``/bindings``. Raises StatusError."""
    value = typed(
        "core.v1.Binding", codec.decode(await request.read_body(), request.content_type).value
    )
    target = value["target"]
    if not target.get("name"):
        raise bad_request("target.name: Required value")
    if target.get("kind") not in (None, "", "Node"):
        raise bad_request(
            f'target.kind: Unsupported value: "{target["kind"]}": supported values: "Node", '
            '"<empty>"'
        )
    metadata = value["metadata"]
    name = request.name or metadata.get("name", "")
    if metadata.get("name", name) != name:
        raise bad_request("the name of the Binding does not match the name on the URL")
    pods = context.registry.builtin("", "pods")
    plain = msgspec.structs.replace(request, resource=pods, name=name, sub="binding")
    await _assign(context, plain, value, dry_run=write_options(request).dry_run)
    return json_answer(body("Success", code=201), 201)


async def _assign(
    context: Context, request: Request, binding: dict[str, Any], *, dry_run: bool
) -> None:
    """Writes the node into the pod. As with Kubernetes this is no update of the pod: it is not
    validated again, and has no field manager. Raises StatusError.
    """
    pods = request.resource
    for _ in range(ATTEMPTS):
        before = await entry_of(context.store, request)
        old = strategy.served(pods, load(before))
        _check_bindable(pods, old, binding["target"]["name"])
        check_uid(pods, old, binding)
        attempt = Attempt(context, request, "UPDATE", _bound(old, binding), old, dry_run, [])
        await context.admission.mutate(attempt)
        await context.admission.validate(attempt)
        try:
            await write(
                context.store,
                pods,
                attempt.obj,
                before,
                companions=attempt.companions,
                dry_run=dry_run,
            )
        except Conflict:
            continue
        return
    raise conflict(pods, request.name)


def _bound(pod: dict[str, Any], binding: dict[str, Any]) -> dict[str, Any]:
    """A pod with its node: it no longer waits for room on one."""
    metadata, status = dict(pod["metadata"]), dict(pod.get("status") or {})
    annotations = {
        **(metadata.get("annotations") or {}),
        **(binding["metadata"].get("annotations") or {}),
    }
    if annotations:
        metadata["annotations"] = annotations
    status.pop("nominatedNodeName", None)
    is_scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()}
    status["conditions"] = [
        *(row for row in status.get("conditions") or () if row.get("type") != "PodScheduled"),
        is_scheduled,
    ]
    spec = {**pod["spec"], "nodeName": binding["target"]["name"]}
    return {**pod, "metadata": metadata, "spec": spec, "status": status}


def _check_bindable(pods: Resource, pod: dict[str, Any], node: str) -> None:
    """Whether a pod waits for a node. Raises StatusError 409."""
    name = pod["metadata"]["name"]
    pods = msgspec.structs.replace(pods, plural="pods/binding")
    if pod["metadata"].get("deletionTimestamp"):
        raise conflict(pods, name, f"pod {name} is being deleted, cannot be assigned to a host")
    assigned = pod["spec"].get("nodeName")
    if assigned:
        raise conflict(pods, name, f'pod {name} is already assigned to node "{assigned}"')
    if pod["spec"].get("schedulingGates"):
        raise conflict(pods, name, f"pod {name} has non-empty .spec.schedulingGates")
    if not node:
        raise bad_request("target.name: Required value")
