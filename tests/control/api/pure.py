"""What the tests of the API's pure half share: resources by name, small manifests, and the way a
create goes.
"""

from __future__ import annotations

import copy
from typing import Any

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire import resource
from kubelite.control.api.wire.resource import Resource
from kubelite.control.api.wire.status import StatusError, invalid

NOW = "2026-01-31T12:00:00Z"
RESOURCES = resource.builtin(metrics=True)
_BY_KIND = {(res.gv, res.kind): res for res in RESOURCES}

SPEC = {"containers": [{"name": "web", "image": "nginx:1.27"}]}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": SPEC}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": SPEC}
SELECTOR = {"matchLabels": {"app": "web"}}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {"selector": SELECTOR, "template": TEMPLATE},
}


def res(api_version: str, kind: str) -> Resource:
    return _BY_KIND[(api_version, kind)]


def res_of(obj: dict[str, Any]) -> Resource:
    return res(obj["apiVersion"], obj["kind"])


def edited(obj: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A copy with values set by path, ``spec__replicas=3``; ``...`` removes."""
    found = copy.deepcopy(obj)
    for path, value in fields.items():
        *way, last = path.split("__")
        at: Any = found
        for step in way:
            at = at[int(step)] if step.isdigit() else at.setdefault(step, {})
        key: Any = int(last) if last.isdigit() else last
        if value is ...:
            at.pop(key, None)
        else:
            at[key] = copy.deepcopy(value)
    return found


def created(obj: dict[str, Any], validation: str = "Strict") -> dict[str, Any]:
    """The object as a server would store it. Raises StatusError."""
    found = res_of(obj)
    made, _ = strategy.conform(found, copy.deepcopy(obj), validation=validation)
    metadata = made["metadata"]
    metadata["uid"] = "11111111-2222-3333-4444-555555555555"
    if found.namespaced:
        metadata.setdefault("namespace", "default")
    made = strategy.order(found, strategy.prepare_create(found, made))
    if causes := strategy.validate_create(found, made):
        raise invalid(found, metadata.get("name", ""), causes)
    return made


def refusal(obj: dict[str, Any], validation: str = "Strict") -> dict[str, Any]:
    """The Status that a create ends with."""
    try:
        made = created(obj, validation)
    except StatusError as error:
        return error.status
    raise AssertionError(f"accepted: {made}")


def causes(obj: dict[str, Any]) -> dict[str, str]:
    """What is wrong with an object, by field."""
    return {each.get("field", ""): each["message"] for each in refusal(obj)["details"]["causes"]}


def widget(schema: dict[str, Any] | None, **version: Any) -> Resource:
    """A custom resource of one version."""
    crd = {
        "name": "v1",
        **({"schema": {"openAPIV3Schema": schema}} if schema is not None else {}),
        **version,
    }
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget", "namespaced": True}
    return Resource(
        "example.com",
        "v1",
        prefix="example.com/widgets",
        storage_version="example.com/v1",
        crd=crd,
        subresources=("status",),
        **names,
    )
