"""What Kubernetes says of an object with a pod template: the API server's own rules, at the places
of the file. Pure.

Imported for manifests that hold one: those with pods only start faster.
"""

from __future__ import annotations

import re

from kubelite.control.api.strategy import strategy
from kubelite.control.api.wire import status
from kubelite.control.api.wire.resource import builtin
from kubelite.lib.json import Object
from kubelite.objects.facts import schema
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import Cause, Key, Path, copied
from kubelite.objects.rules.pods import defaults

_RESOURCES = {(resource.gv, resource.kind): resource for resource in builtin()}
_UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that a server would give: a Job's selector is made of it."""


def judge(value: Object, namespace: str | None) -> tuple[Object, list[Cause]]:
    """The object as it was written, in its namespace, and everything that is wrong with it."""
    resource = _RESOURCES[value["apiVersion"], value["kind"]]
    definition = schema.definition_of(value)
    assert definition is not None, "the schema has all kinds with templates"
    document, causes = reading.read(definition, value)
    defaults.without_server_fields(document)
    document |= {"apiVersion": value["apiVersion"], "kind": value["kind"]}
    metadata = document.setdefault("metadata", {})
    metadata["namespace"] = metadata.get("namespace") or namespace or defaults.NAMESPACE
    if causes:
        return document, causes
    complete, _ = strategy.conform(resource, copied(document))
    complete["metadata"]["uid"] = _UID
    complete = strategy.prepare_create(resource, complete)
    return document, [_of_status(cause) for cause in strategy.validate_create(resource, complete)]


def _of_status(cause: status.Cause) -> Cause:
    return Cause(_path(cause.field), cause.reason, cause.message)


def _path(text: str) -> Path:
    """The steps of a field as the API writes it: ``spec.containers[0].resources.limits[cpu]``."""
    steps = re.findall(r"\[([0-9]+)\]|\[([^\]]*)\]|([^.\[\]]+)", text)
    return tuple(int(index) if index else name or Key(key) for index, key, name in steps)
