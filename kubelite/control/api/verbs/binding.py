"""``/binding``: a scheduler says where a pod runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.verbs.write import change_object
from kubelite.control.api.verbs.write_options import write_options
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.documents import copy
from kubelite.control.api.wire.status import (
    bad_request,
    body,
    conflict,
)
from kubelite.control.api.wire.timestamp import timestamp

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
        conditions[:] = [
            condition for condition in conditions if condition.get("type") != "PodScheduled"
        ]
        conditions.append(
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp()}
        )
        return new, []

    plain = msgspec.structs.replace(
        request, resource=pods, name=name, sub="binding", content_type="application/json"
    )
    await change_object(context, plain, change, write_options(request), checks_uid=True)
    return json_answer(body("Success", code=201), 201)


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
