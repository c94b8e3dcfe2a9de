"""What an API server and controllers do to objects before a scheduler sees them. Pure.

Files hold what people have: Deployments, priority class names, Nodes with their capacity only. Here
they become pods with a priority and nodes with allocatable resources.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.lib.json import Object
from kubelite.objects.facts import schema
from kubelite.objects.facts.priorities import SYSTEM_CLASSES
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import path_text

MAX_REPLICAS = 100_000
_MAX_SHOWN = 10


def check_fields(objects: Iterable[Object], source: str) -> None:
    """Refuses objects with fields that Kubernetes does not have. Raises CliError with all."""
    problems = [
        Diagnostic(f'unknown field "{field}" of {label}', "KL104", place=source, hint=hint)
        for obj in objects
        for label, field, hint in _unknown_fields(obj)
    ]
    if problems:
        raise CliError(*problems[:_MAX_SHOWN])


def _unknown_fields(obj: Object) -> Iterator[tuple[str, str, str]]:
    """Object, field path and hint for each unknown field of an object whose kind is known."""
    from difflib import get_close_matches

    definition = _definition(obj)
    if definition is None:
        return
    for cause in reading.read(definition, obj)[1]:
        if cause.reason == reading.UNKNOWN_FIELD:
            name = str(cause.path[-1])
            known = {field.lower(): field for field in _siblings(definition, cause.path)}
            close = get_close_matches(name.lower(), known, n=1)
            hint = f'did you mean "{known[close[0]]}"?' if close else ""
            yield _label(obj), path_text(cause.path), hint


def _definition(obj: Object) -> str | None:
    return schema.definition_of({"apiVersion": "v1", **obj})


def _siblings(definition: str, path: tuple[Any, ...]) -> Iterable[str]:
    """The fields that the object at the end of a path has."""
    for step in path[:-1]:
        if isinstance(step, int):
            continue
        definition = schema.types_of(definition).get(str(step), "").lstrip("[{")
    return schema.types_of(definition)


def _label(obj: Object) -> str:
    name = (obj.get("metadata") or {}).get("name") or ""
    return f"{obj.get('kind', 'object')} {name}".rstrip()


def pods_of(objects: Iterable[Object], source: str, nodes: int = 0) -> list[Object]:
    """The pods of a file: Pods, and those that controllers would create of the others.

    ``nodes`` is how many pods a DaemonSet becomes. Raises CliError for a kind without pods.
    """
    pods: list[Object] = []
    for obj in objects:
        created = list(_expanded(obj, nodes))
        if not created and obj.get("kind") not in ("PriorityClass", "Namespace"):
            expected = "expected Pods or objects with a pod template"
            if _template(obj) is None:
                raise CliError(Diagnostic(f"{source}: {_label(obj)} has no pods: {expected}"))
        pods += created
    return pods


def _expanded(obj: Object, nodes: int) -> Iterator[Object]:
    if obj.get("kind") == "Pod":
        yield obj
        return
    template = _template(obj)
    if template is None:
        return
    metadata = obj.get("metadata") or {}
    for number in range(_count(obj, nodes)):
        pod = copy.deepcopy(template)
        pod_metadata = pod.get("metadata") or {}
        pod |= {"apiVersion": "v1", "kind": "Pod"}
        pod["metadata"] = {
            **pod_metadata,
            "name": f"{metadata.get('name', 'pod')}-{number}",
            "namespace": metadata.get("namespace") or "default",
        }
        yield pod


def _template(obj: Object) -> Object | None:
    """The pod template of an object; None if its kind has none."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return None
    if obj.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    template = obj.get("template") if obj.get("kind") == "PodTemplate" else spec.get("template")
    return template if isinstance(template, dict) else None


def _count(obj: Object, nodes: int) -> int:
    """How many pods the object has at once. Raises CliError for an impossible number."""
    spec = obj.get("spec") or {}
    kind = obj.get("kind")
    if kind == "DaemonSet":
        return nodes
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    count = spec.get("parallelism" if kind in ("Job", "CronJob") else "replicas", 1)
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_REPLICAS:
        raise CliError(Diagnostic(f"{_label(obj)}: {count!r} is not a number of pods"))
    return count


def prioritized(pods: Iterable[Object], classes: Mapping[str, Object]) -> list[Object]:
    """Pods with their priority and preemption policy from their priority class, as admission sets
    them. Raises CliError for a class that does not exist.
    """
    default = next(
        (name for name, obj in classes.items() if obj.get("globalDefault") is True), None
    )
    return [_prioritized(pod, classes, default) for pod in pods]


def priority_classes(objects: Iterable[Object]) -> dict[str, Object]:
    """The priority classes among objects, by name; the built-in ones always."""
    classes: dict[str, Object] = {name: {"value": value} for name, value in SYSTEM_CLASSES.items()}
    for obj in objects:
        if obj.get("kind") == "PriorityClass":
            classes[str((obj.get("metadata") or {}).get("name"))] = obj
    return classes


def _prioritized(pod: Object, classes: Mapping[str, Object], default: str | None) -> Object:
    spec = pod.get("spec")
    if not isinstance(spec, dict) or "priority" in spec:
        return pod
    name = spec.get("priorityClassName") or default
    if name is None:
        return pod
    if name not in classes:
        message = f'{_label(pod)}: there is no PriorityClass "{name}"'
        hint = f"add it to the cluster file; there are {', '.join(sorted(classes))}"
        raise CliError(Diagnostic(message, hint=hint))
    chosen = classes[name]
    policy = (
        {"preemptionPolicy": chosen["preemptionPolicy"]} if "preemptionPolicy" in chosen else {}
    )
    return {**pod, "spec": {**policy, **spec, "priority": chosen.get("value", 0)}}


def as_served(obj: Object) -> Object:
    """A Node as an API server has it: what is allocatable is its capacity unless it says so."""
    status = obj.get("status")
    if obj.get("kind") != "Node" or not isinstance(status, dict) or not status.get("capacity"):
        return obj
    if status.get("allocatable"):
        return obj
    return {**obj, "status": {**status, "allocatable": status["capacity"]}}
