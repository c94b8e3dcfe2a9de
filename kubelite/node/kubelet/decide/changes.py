"""What a changed manifest means for a running pod. Pure.

A container whose program changes is restarted in place; CPU and memory are changed in its cgroup,
or by a restart where its resizePolicy says so; some fields are only recorded. Everything else needs
a new pod.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from kubelite.objects.pod import qos
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

_RESTARTING = frozenset(
    "image image_pull_policy command args working_dir env env_from volume_mounts stdin "
    "stdin_once tty liveness_probe readiness_probe startup_probe lifecycle "
    "termination_message_path termination_message_policy restart_policy_rules".split()
)
_RECORDED = frozenset({"resize_policy"})
_POD_RECORDED = frozenset({"termination_grace_period_seconds", "active_deadline_seconds"})
_RESIZED = ("cpu", "memory")


class Changes(NamedTuple):
    """``restarts`` and ``resizes`` are names of containers. ``notes`` are one line for each change
    in place; ``needs_new`` are the changes that need a new pod.
    """

    restarts: tuple[str, ...] = ()
    resizes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needs_new: tuple[str, ...] = ()

    def __add__(self, other: Changes) -> Changes:  # type: ignore[override]
        return Changes(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def changes_between(old: Pod, new: Pod) -> Changes:
    """The changes from one defaulted pod to another of the same name."""
    changes = _metadata(old, new) + _spec(old, new)
    for kind, init in (("init_containers", True), ("containers", False)):
        before, after = getattr(old.spec, kind), getattr(new.spec, kind)
        if [container.name for container in before] != [container.name for container in after]:
            changes += Changes(
                needs_new=(f"spec.{_json(kind)}: containers were added, removed or reordered",)
            )
            continue
        for one, other in zip(before, after, strict=True):
            changes += _container(one, other, init=init)
    if changes.resizes and qos.qos_class(old) != qos.qos_class(new):
        classes = f"from {qos.qos_class(old)} to {qos.qos_class(new)}"
        changes += Changes(needs_new=(f"resources: its QoS class would change {classes}",))
    return changes


def document_changes(old: Iterable[Mapping[str, Any]], new: Iterable[Mapping[str, Any]]) -> Changes:
    """What differs between the ConfigMaps and Secrets of a manifest and those on record. Files
    follow; a variable has its new value when its container is started next, as in Kubernetes.
    """
    before, after = _by_name(old), _by_name(new)
    verbs = {(True, False): "removed", (False, True): "added", (True, True): "changed"}
    return Changes(
        notes=tuple(
            f"{kind} {name}: {verbs[key in before, key in after]}"
            " (mounted files follow, variables at the next start)"
            for key in sorted({*before, *after})
            if before.get(key) != after.get(key)
            for kind, name in (key,)
        )
    )


def _by_name(documents: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def _metadata(old: Pod, new: Pod) -> Changes:
    changes = Changes()
    for field in ("labels", "annotations"):
        if getattr(old.metadata, field) != getattr(new.metadata, field):
            changes += Changes(notes=(f"metadata.{field}: recorded",))
    return changes


def _spec(old: Pod, new: Pod) -> Changes:
    changes = Changes()
    for field in _differing(old.spec, new.spec):
        if field in ("containers", "init_containers"):
            continue
        if field in _POD_RECORDED:
            values = _arrow(getattr(old.spec, field), getattr(new.spec, field))
            changes += Changes(notes=(f"spec.{_json(field)}: {values}",))
        else:
            changes += Changes(needs_new=(f"spec.{_json(field)}",))
    return changes


def _container(old: Container, new: Container, *, init: bool) -> Changes:
    changes, once = Changes(), init and not qos.is_sidecar(new)
    for field in _differing(old, new):
        where = f"{new.name}.{_json(field)}"
        if once or not _in_place(field, old, new):
            changes += Changes(needs_new=(where,))
        elif field == "resources":
            changes += _resources(old, new)
        elif field in _RECORDED:
            changes += Changes(notes=(f"{where}: recorded",))
        else:
            values = _arrow(getattr(old, field), getattr(new, field))
            changes += Changes(
                restarts=(new.name,),
                notes=(f"{where}: {values} (the container is restarted)",),
            )
    return changes._replace(restarts=tuple(dict.fromkeys(changes.restarts)))


def _in_place(field: str, old: Container, new: Container) -> bool:
    if field == "ports":
        return _host_ports(old) == _host_ports(new)
    return field in _RESTARTING or field in _RECORDED or field == "resources"


def _host_ports(container: Container) -> list[tuple[Any, ...]]:
    return [
        (port.host_port, port.container_port, port.protocol, port.host_ip)
        for port in container.ports
        if port.host_port
    ]


def _resources(old: Container, new: Container) -> Changes:
    """CPU and memory. Other resources cannot change, and a limit cannot be removed."""
    changes = Changes()
    for kind in ("limits", "requests"):
        before, after = getattr(old.resources, kind), getattr(new.resources, kind)
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            where = f"{new.name}.resources.{kind}.{name}"
            if name not in _RESIZED or name not in after:
                changes += Changes(needs_new=(where,))
                continue
            needs_restart = any(
                p.resource_name == name and p.restart_policy == "RestartContainer"
                for p in new.resize_policy
            )
            how = "the container is restarted" if needs_restart else "no restart"
            changes += Changes(
                restarts=(new.name,) if needs_restart else (),
                resizes=(new.name,),
                notes=(f"{where}: {_arrow(before.get(name), after[name])} ({how})",),
            )
    return changes._replace(resizes=tuple(dict.fromkeys(changes.resizes)))


def _differing(old: msgspec.Struct, new: msgspec.Struct) -> Iterator[str]:
    return (name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name))


def _json(field: str) -> str:
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _arrow(old: object, new: object) -> str:
    plain = (str, int, type(None))
    if isinstance(old, plain) and isinstance(new, plain):
        return f"{'none' if old is None else old} -> {'none' if new is None else new}"
    return "changed"
