"""What may change in a pod that exists: by the pod itself, its containers for debugging, a resize,
its status. New and old document in, causes out. Pure.

Rules are those of Kubernetes' ``ValidatePodUpdate`` and its sisters.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from kubelite.lib.json import Object
from kubelite.objects.facts import go_types, names
from kubelite.objects.facts.static_pods import MIRROR
from kubelite.objects.rules.cause import (
    Cause,
    Key,
    Path,
    duplicate,
    each_invalid,
    forbidden,
    invalid,
    required,
    value_text,
)
from kubelite.objects.rules.pods.annotations import APP_ARMOR
from kubelite.objects.rules.pods.checks import MAX_DEADLINE
from kubelite.objects.rules.pods.containers import is_sidecar
from kubelite.objects.rules.pods.placement import REQUIRED_TERMS
from kubelite.objects.rules.pods.resources import qos_class

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_UPDATABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)
_ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"
_RESIZABLE = "only cpu and memory resources are mutable"
_GROUPS = ("containers", "initContainers")
_MUTABLE = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
_NODES = ("nodeAffinity",)
_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")


def on_update(new: Object, old: Object) -> Iterator[Cause]:
    """What changed in a pod and may not; the new pod by itself is not looked at."""
    yield from _annotations(new, old)
    now, before = new.get("spec") or {}, old.get("spec") or {}
    for group in _GROUPS:
        causes, stop = _images(now.get(group) or (), before.get(group) or (), ("spec", group))
        yield from causes
        if stop:
            return
    causes, stop = _deadline(now, before)
    yield from causes
    if stop:
        return
    if now == before:
        return
    yield from _tolerations(now, before)
    yield from _gates(now, before)
    gated = bool(before.get("schedulingGates"))
    if gated:
        yield from _placement(now, before)
    kept = _with_fixed_part(now, before, gated)
    if kept != before:
        difference = go_types.difference("core.v1.PodSpec", before, kept)
        yield forbidden(("spec",), f"{_UPDATABLE}\n{difference}")


def _annotations(new: Object, old: Object) -> Iterator[Cause]:
    """Annotations that the kubelet has acted upon already."""
    now = (new.get("metadata") or {}).get("annotations") or {}
    before = (old.get("metadata") or {}).get("annotations") or {}
    if now == before:
        return
    for key in {**before, **now}:
        if now.get(key) == before.get(key):
            continue
        verb = "remove or update" if key in before else "add"
        here = ("metadata", "annotations", Key(key))
        if key.startswith(APP_ARMOR):
            yield forbidden(here, f"may not {verb} AppArmor annotations")
        if key == MIRROR:
            yield forbidden(here, f"may not {verb} mirror pod annotation")


def _images(
    now: Sequence[Object], before: Sequence[Object], path: Path
) -> tuple[list[Cause], bool]:
    """Images, which may change, and whether the lists cannot be compared any further."""
    if len(now) != len(before):
        return [forbidden(path, "pod updates may not add or remove containers")], True
    causes = []
    for index, container in enumerate(now):
        image = container.get("image", "")
        if not image:
            causes.append(required((*path, index, "image")))
        if image != image.strip():
            why = "must not have leading or trailing whitespace"
            causes.append(invalid((*path, index, "image"), image, why))
    return causes, False


def _deadline(now: Object, before: Object) -> tuple[list[Cause], bool]:
    """The deadline may come nearer, and whether it is so wrong that nothing else is told."""
    deadline, earlier = now.get("activeDeadlineSeconds"), before.get("activeDeadlineSeconds")
    path = ("spec", "activeDeadlineSeconds")
    if deadline is None:
        if earlier is None:
            return [], False
        why = "must not update from a positive integer to nil value"
        return [invalid(path, None, why)], False
    if not 0 <= deadline <= MAX_DEADLINE:
        return [invalid(path, deadline, names.between(0, MAX_DEADLINE))], True
    if earlier is not None and earlier < deadline:
        return [invalid(path, deadline, "must be less than or equal to previous value")], True
    return [], False


def _tolerations(now: Object, before: Object) -> Iterator[Cause]:
    kept = {_tolerated(toleration) for toleration in now.get("tolerations") or ()}
    if any(_tolerated(toleration) not in kept for toleration in before.get("tolerations") or ()):
        why = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden(("spec", "tolerations"), why)


def _tolerated(toleration: Object) -> str:
    return value_text({k: v for k, v in sorted(toleration.items()) if k != "tolerationSeconds"})


def _gates(now: Object, before: Object) -> Iterator[Cause]:
    known = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    for index, gate in enumerate(now.get("schedulingGates") or ()):
        if gate.get("name") not in known:
            why = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            yield forbidden(("spec", "schedulingGates", index, "name"), why)


def _placement(now: Object, before: Object) -> Iterator[Cause]:
    """A pod that waits at a gate may be told more about where to go."""
    selector, earlier = now.get("nodeSelector") or {}, before.get("nodeSelector") or {}
    if any(selector.get(key) != value for key, value in earlier.items()):
        why = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        yield invalid(("spec", "nodeSelector"), selector, why)
    affinity, earlier = _node_affinity(now), _node_affinity(before)
    if affinity == earlier or REQUIRED_TERMS not in (earlier or {}):
        return
    path = ("spec", "affinity", "nodeAffinity", REQUIRED_TERMS, "nodeSelectorTerms")
    terms = ((affinity or {}).get(REQUIRED_TERMS) or {}).get("nodeSelectorTerms") or []
    old_terms = ((earlier or {}).get(REQUIRED_TERMS) or {}).get("nodeSelectorTerms") or []
    if old_terms and len(old_terms) != len(terms):
        why = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        yield invalid(path, terms, why)
        return
    for index, (term, old_term) in enumerate(zip(terms, old_terms, strict=False)):
        if not _only_adds(term, old_term):
            yield invalid((*path, index), term, _ONLY_ADDITIONS)


def _node_affinity(spec: Object) -> Any:
    return (spec.get("affinity") or {}).get("nodeAffinity")


def _only_adds(term: Object, old: Object) -> bool:
    fields = ("matchExpressions", "matchFields")
    if not any(old.get(field) for field in fields):
        return not any(term.get(field) for field in fields)
    return all(
        (term.get(field) or [])[: len(old.get(field) or [])] == (old.get(field) or [])
        for field in fields
    )


def _with_fixed_part(spec: Object, before: Object, gated: bool) -> Object:
    """The spec that was, ``before``, but for the part of it that may not change."""
    kept = dict(spec)
    _put_back(kept, before, (*_MUTABLE, "nodeSelector") if gated else _MUTABLE)
    for group in _GROUPS:
        if group in spec:
            kept[group] = [
                _put_back(dict(container), old, ("image",))
                for container, old in zip(spec[group] or (), before[group] or (), strict=True)
            ]
    seconds, earlier = "terminationGracePeriodSeconds", before.get("terminationGracePeriodSeconds")
    if earlier is not None and earlier < 0 and spec.get(seconds) == 1:
        kept[seconds] = earlier
    if gated:
        affinity = _put_back(dict(spec.get("affinity") or {}), before.get("affinity") or {}, _NODES)
        kept["affinity"] = affinity
        if not affinity and "affinity" not in before:
            del kept["affinity"]
    return kept


def _put_back(changed: Object, before: Object, fields: Sequence[str]) -> Object:
    """Gives fields their former values, in place."""
    for field in fields:
        changed.pop(field, None)
        if field in before:
            changed[field] = before[field]
    return changed


def on_ephemeral_update(new: Object, old: Object) -> Iterator[Cause]:
    """Ephemeral containers may be added, never changed or removed."""
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        yield forbidden((), "static pods do not support ephemeral containers")
        return
    path = ("spec", "ephemeralContainers")
    now = {c.get("name"): c for c in (new.get("spec") or {}).get("ephemeralContainers") or ()}
    for container in (old.get("spec") or {}).get("ephemeralContainers") or ():
        name = container.get("name")
        if name not in now:
            yield forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n')
        elif now[name] != container:
            yield forbidden(path, f'existing ephemeral containers "{name}" may not be changed')


def on_resize(new: Object, old: Object) -> Iterator[Cause]:
    """A resize changes CPU and memory of containers, and not the class of the pod."""
    if MIRROR in ((old.get("metadata") or {}).get("annotations") or {}):
        yield forbidden((), "static pods cannot be resized")
        return
    now, before = new.get("spec") or {}, old.get("spec") or {}
    if (before.get("os") or {}).get("name") == "windows":
        yield forbidden((), "windows pods cannot be resized")
        return
    status = old.get("status") or {}
    old_class = status.get("qosClass") or qos_class(before)
    if old_class != qos_class(now):
        why = "Pod QOS Class may not change as a result of resizing"
        yield invalid(("spec",), (new.get("status") or {}).get("qosClass", ""), why)
    if not _node_can_resize(status):
        yield forbidden(("spec",), "Pod running on node without support for resize")
    order = list(_container_order(now, before))
    yield from order
    if not order:
        yield from _resized_containers(now, before)


def _node_can_resize(status: Object) -> bool:
    """Nodes that can resize report the resources of what runs."""
    for container in status.get("containerStatuses") or ():
        if "running" in (container.get("state") or {}):
            return container.get("resources") is not None
    return True


def _container_order(now: Object, before: Object) -> Iterator[Cause]:
    for group in _GROUPS:
        new_list, old_list = now.get(group) or (), before.get(group) or ()
        if len(new_list) != len(old_list):
            yield forbidden(("spec", group), f"{group} may not be added or removed on resize")
            continue
        for index, container in enumerate(old_list):
            if new_list[index].get("name") != container.get("name"):
                here = ("spec", group, index, "name")
                yield forbidden(here, f"{group} may not be renamed or reordered on resize")


def _resized_containers(now: Object, before: Object) -> Iterator[Cause]:
    for group in ("initContainers", "containers"):
        for index, container in enumerate(before.get(group) or ()):
            if group == "containers" or is_sidecar(container):
                here = ("spec", group, index, "resources")
                yield from _removed(now[group][index], container, here)
    for index, container in enumerate(before.get("containers") or ()):
        if _without_cpu_and_memory(now["containers"][index], container) != container:
            yield forbidden(("spec",), _RESIZABLE)
    for index, container in enumerate(before.get("initContainers") or ()):
        changed = now["initContainers"][index]
        if not is_sidecar(container):
            if changed != container:
                why = "resources for non-sidecar init containers are immutable"
                yield forbidden(("spec",), why)
        elif _without_cpu_and_memory(changed, container) != container:
            why = "only cpu and memory resources for sidecar containers are mutable"
            yield forbidden(("spec",), why)


def _removed(new: Object, old: Object, path: Path) -> Iterator[Cause]:
    now, before = new.get("resources") or {}, old.get("resources") or {}
    for side in ("requests", "limits"):
        if {*(before.get(side) or {})} - {*(now.get(side) or {})}:
            yield forbidden((*path, side), f"resource {side} cannot be removed")


def _without_cpu_and_memory(new: Object, old: Object) -> Object:
    """The new container with CPU and memory as the old one has them."""
    container = copy(new)
    resources: Object = {}
    for side in ("limits", "requests"):
        amounts = _with_old_amounts(
            (new.get("resources") or {}).get(side) or {},
            (old.get("resources") or {}).get(side) or {},
        )
        if amounts:
            resources[side] = amounts
    container["resources"] = resources
    if "resizePolicy" in old:
        container["resizePolicy"] = old["resizePolicy"]
    else:
        container.pop("resizePolicy", None)
    return container


def _with_old_amounts(now: Mapping[str, str], before: Mapping[str, str]) -> Object:
    amounts = {name: text for name, text in now.items() if name not in ("cpu", "memory")}
    return amounts | {name: before[name] for name in ("cpu", "memory") if name in before}


def on_status_update(new: Object, old: Object) -> Iterator[Cause]:
    """A status that a kubelet reports."""
    now, before = new.get("status") or {}, old.get("status") or {}
    path: Path = ("status",)
    for index, condition in enumerate(now.get("conditions") or ()):
        here, kind = (*path, "conditions", index), condition.get("type", "")
        if kind not in _SYSTEM_CONDITIONS:
            yield from each_invalid((*here, "Type"), kind, names.qualified(kind))
    yield from _nominated_node(new, old)
    if now.get("qosClass") != before.get("qosClass"):
        yield invalid((*path, "qosClass"), now.get("qosClass", ""), "field is immutable")
    spec = old.get("spec") or {}
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        yield from _started_again(now, before, spec, field)
    yield from _resource_claims(now, new.get("spec") or {}, (*path, "resourceClaimStatuses"))
    yield from _addresses(now, "podIP", path)
    yield from _addresses(now, "hostIP", path)


def _nominated_node(new: Object, old: Object) -> Iterator[Cause]:
    name = (new.get("status") or {}).get("nominatedNodeName", "")
    if not name or name == (old.get("status") or {}).get("nominatedNodeName", ""):
        return
    path = ("status", "nominatedNodeName")
    yield from each_invalid(path, name, names.subdomain(name))
    if (old.get("spec") or {}).get("nodeName"):
        yield forbidden(path, "may not be set on pods that are already bound to a node")


def _started_again(now: Object, before: Object, spec: Object, field: str) -> Iterator[Cause]:
    """Containers that have ended for good and are said to be running."""
    current = {status.get("name"): status for status in now.get(field) or ()}
    for index, status in enumerate(before.get(field) or ()):
        ended = (status.get("state") or {}).get("terminated")
        other = current.get(status.get("name"))
        if ended is None or other is None or "terminated" in (other.get("state") or {}):
            continue
        if not _may_restart(status.get("name"), ended.get("exitCode", 0), spec, field):
            here = ("status", field, index, "state")
            yield forbidden(here, "may not be transitioned to non-terminated state")


def _may_restart(name: str | None, code: int, spec: Object, field: str) -> bool:
    if field == "ephemeralContainerStatuses":
        return False
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    container: Object = next((c for c in containers if c.get("name") == name), {})
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        listed = code in (codes.get("values") or ())
        if listed == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or spec.get("restartPolicy", "Always")
    if field == "containerStatuses" and not container:
        return bool(spec.get("restartPolicy") == "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and code != 0))


def _resource_claims(status: Object, spec: Object, path: Path) -> Iterator[Cause]:
    """Claims that were made for the pod, by the names that the pod has for them."""
    known = {claim.get("name", "") for claim in spec.get("resourceClaims") or ()}
    taken: set[str] = set()
    for index, claim in enumerate(status.get("resourceClaimStatuses") or ()):
        name = claim.get("name", "")
        if name not in known:
            why = "must match the name of an entry in `spec.resourceClaims`"
            yield invalid((*path, index, "name"), name, why)
        if name in taken:
            yield duplicate((*path, index, "name"), name)
        taken.add(name)
        if "resourceClaimName" in claim:
            claim_name = claim["resourceClaimName"]
            here = (*path, index, "resourceClaimName")
            yield from each_invalid(here, claim_name, names.subdomain(claim_name))


def _addresses(status: Object, field: str, path: Path) -> Iterator[Cause]:
    """Addresses of the pod or its node: at most one of each family, the first one twice."""
    given = [address.get("ip", "") for address in status.get(f"{field}s") or ()]
    here = (*path, f"{field}s")
    if field == "hostIP" and given and status.get(field, "") != given[0]:
        yield invalid((*here, 0, "ip"), given[0], "must be equal to `hostIP`")
    for index, address in enumerate(given):
        yield from each_invalid((*here, index), address, names.ip_address(address))
    families = [":" in address for address in given]
    if len(families) != len(set(families)):
        why = "may specify no more than one IP for each IP family"
        yield invalid(here, status[f"{field}s"], why)
