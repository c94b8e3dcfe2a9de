"""LimitRange: defaults for containers that ask for nothing, and bounds for those that ask for too
much or too little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.usage import total
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import refused
from kubelite.lib.json import Object
from kubelite.objects.facts import quantity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.admission.chain import Attempt

ANNOTATION = "kubernetes.io/limit-ranger"
Amounts = dict[str, str]


async def defaults(attempt: Attempt) -> None:
    """Fills in the requests and limits of a new pod's containers."""
    if not attempt.creates("", "pods"):
        return
    spec, notes = attempt.obj.get("spec", {}), []
    for item in await _items(attempt):
        if item.get("type") == "Container":
            for kind, word in (("containers", "container"), ("initContainers", "init container")):
                for container in spec.get(kind) or ():
                    notes += [
                        f"{what} for {word} {container.get('name', '')}"
                        for what in fill(container, item)
                    ]
    if notes:
        metadata = attempt.obj["metadata"]
        note = {ANNOTATION: "LimitRanger plugin set: " + "; ".join(notes)}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **note}


def containers(spec: Object) -> list[Object]:
    """Ordinary and init containers of a pod."""
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def fill(container: Object, item: Object) -> list[str]:
    """Gives a container the defaults of a limit range. A request without a default follows the
    limit. In place.

    Returns what was set: ``cpu, memory request``.
    """
    resources = container.get("resources") or {}
    limits = {**(item.get("default") or {}), **(resources.get("limits") or {})}
    requests = {**(item.get("defaultRequest") or {}), **(resources.get("requests") or {})}
    for name, amount in (resources.get("limits") or {}).items():
        if name not in (resources.get("requests") or {}):
            requests[name] = (
                amount if name not in (item.get("defaultRequest") or {}) else requests[name]
            )
    filled = {"limits": limits, "requests": requests}
    container["resources"] = {**resources, **{key: value for key, value in filled.items() if value}}
    given = {
        "request": sorted(
            set(item.get("defaultRequest") or ()) - set(resources.get("requests") or ())
        ),
        "limit": sorted(set(item.get("default") or ()) - set(resources.get("limits") or ())),
    }
    return [f"{', '.join(names)} {side}" for side, names in given.items() if names]


async def bounds(attempt: Attempt) -> None:
    """Whether a new or resized pod, or a claim, stays within the bounds of its namespace. Raises
    StatusError 403.
    """
    res = attempt.request.resource
    resized = res.group == "" and res.plural == "pods" and attempt.request.sub == "resize"
    is_pod = attempt.creates("", "pods") or resized
    if not is_pod and not (
        attempt.of("", "persistentvolumeclaims") and attempt.operation != "DELETE"
    ):
        return
    problems: list[str] = []
    for item in await _items(attempt):
        for requests, limits in _asked(attempt.obj, item.get("type", ""), is_pod):
            problems += violations(item, requests, limits)
    if problems:
        text = problems[0] if len(problems) == 1 else "[" + ", ".join(dict.fromkeys(problems)) + "]"
        raise refused(attempt.request.resource, attempt.name, text)


async def _items(attempt: Attempt) -> list[Object]:
    page = await attempt.context.store.page("limitranges", attempt.namespace)
    return [
        item for entry in page.entries for item in load(entry).get("spec", {}).get("limits") or ()
    ]


def _asked(obj: Object, kind: str, is_pod: bool) -> Iterator[tuple[Amounts, Amounts]]:
    """What the item's kind of thing asks for: (requests, limits) of each container, of the pod, or
    of the claim.
    """
    spec = obj.get("spec", {})
    if kind == "Container" and is_pod:
        for container in containers(spec):
            resources = container.get("resources") or {}
            yield resources.get("requests") or {}, resources.get("limits") or {}
    elif kind == "Pod" and is_pod:
        yield total(spec, "requests"), total(spec, "limits")
    elif kind == "PersistentVolumeClaim" and not is_pod:
        yield (spec.get("resources") or {}).get("requests") or {}, {}


def violations(item: Object, requests: Amounts, limits: Amounts) -> list[str]:
    """What breaks one item of a LimitRange, in Kubernetes' words."""
    kind, messages = item.get("type", ""), []
    for name, least in (item.get("min") or {}).items():
        requested, capped = requests.get(name), limits.get(name)
        if requested is None:
            messages.append(f"minimum {name} usage per {kind} is {least}.  No request is specified")
        elif quantity.compare(requested, least) < 0:
            messages.append(
                f"minimum {name} usage per {kind} is {least}, but request is {requested}"
            )
        elif capped is not None and quantity.compare(capped, least) < 0:
            messages.append(f"minimum {name} usage per {kind} is {least}, but limit is {capped}")
    for name, most in (item.get("max") or {}).items():
        requested = requests.get(name) if kind == "PersistentVolumeClaim" else limits.get(name)
        word = "request" if kind == "PersistentVolumeClaim" else "limit"
        if requested is None:
            messages.append(f"maximum {name} usage per {kind} is {most}.  No {word} is specified")
        elif quantity.compare(requested, most) > 0:
            messages.append(f"maximum {name} usage per {kind} is {most}, but {word} is {requested}")
    return [*messages, *_ratios(item, requests, limits)]


def _ratios(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, ratio in (item.get("maxLimitRequestRatio") or {}).items():
        head = f"{name} max limit to request ratio per {item.get('type', '')} is {ratio}"
        if name not in requests or name not in limits or not quantity.parse(requests[name]).nano:
            missing = "request" if name not in requests else "limit"
            yield f"{head}, but no {missing} is specified or {missing} is 0"
            continue
        provided = quantity.parse(limits[name]).nano / quantity.parse(requests[name]).nano
        if provided > quantity.parse(str(ratio)).nano / quantity.NANO:
            yield f"{head}, but provided ratio is {provided:.6f}"
