"""What has to happen to a pod that runs when its manifest has changed. Pure.

A container whose program changes is swapped where it is; CPU and memory are changed in its cgroup,
or by a swap where its resizePolicy says so; some fields are only put on record. All else shapes the
pod itself and needs a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kubelite.objects.pod import qos
from kubelite.objects.pod.container import Container
from kubelite.objects.pod.pod import Pod

_SWAPPED = frozenset(
    {
        "image", "image_pull_policy", "command", "args", "working_dir", "env", "env_from", "volume_mounts", "stdin", "stdin_once",
        "tty", "liveness_probe", "readiness_probe", "startup_probe", "lifecycle", "termination_message_path",
        "termination_message_policy", "restart_policy_rules",
    }
)  # fmt: skip
_RECORDED = frozenset({"resize_policy"})
_POD_RECORDED = frozenset({"termination_grace_period_seconds", "active_deadline_seconds"})
_RESIZED = ("cpu", "memory")


class Changes(NamedTuple):
    """``swaps`` and ``resizes`` are names of containers. ``notes`` say what changes in place, each
    as one line; ``needs_new`` what cannot."""

    swaps: tuple[str, ...] = ()
    resizes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    needs_new: tuple[str, ...] = ()

    def __add__(self, other: Changes) -> Changes:  # type: ignore[override]
        return Changes(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


def between(old: Pod, new: Pod) -> Changes:
    """From one defaulted pod to another of the same name."""
    found = _metadata(old, new) + _spec(old, new)
    for kind, init in (("init_containers", True), ("containers", False)):
        before, after = getattr(old.spec, kind), getattr(new.spec, kind)
        if [each.name for each in before] != [each.name for each in after]:
            found += Changes(
                needs_new=(f"spec.{_json(kind)}: other containers, or in another order",)
            )
            continue
        for one, other in zip(before, after, strict=True):
            found += _container(one, other, init=init)
    if found.resizes and qos.qos_class(old) != qos.qos_class(new):
        said = f"its QoS class would become {qos.qos_class(new)}, it is {qos.qos_class(old)}"
        found += Changes(needs_new=(f"resources: {said}",))
    return found


def _metadata(old: Pod, new: Pod) -> Changes:
    found = Changes()
    for field in ("labels", "annotations"):
        if getattr(old.metadata, field) != getattr(new.metadata, field):
            found += Changes(notes=(f"metadata.{field}: put on record",))
    return found


def _spec(old: Pod, new: Pod) -> Changes:
    found = Changes()
    for field in _differing(old.spec, new.spec):
        if field in ("containers", "init_containers"):
            continue
        if field in _POD_RECORDED:
            values = _arrow(getattr(old.spec, field), getattr(new.spec, field))
            found += Changes(notes=(f"spec.{_json(field)}: {values}",))
        else:
            found += Changes(needs_new=(f"spec.{_json(field)}",))
    return found


def _container(old: Container, new: Container, *, init: bool) -> Changes:
    found, once = Changes(), init and not qos.is_sidecar(new)
    for field in _differing(old, new):
        where = f"{new.name}.{_json(field)}"
        if once or not _in_place(field, old, new):
            found += Changes(needs_new=(where,))
        elif field == "resources":
            found += _resources(old, new)
        elif field in _RECORDED:
            found += Changes(notes=(f"{where}: put on record",))
        else:
            values = _arrow(getattr(old, field), getattr(new, field))
            found += Changes(
                swaps=(new.name,), notes=(f"{where}: {values} (the container is restarted)",)
            )
    return found._replace(swaps=tuple(dict.fromkeys(found.swaps)))


def _in_place(field: str, old: Container, new: Container) -> bool:
    if field == "ports":
        return _host_ports(old) == _host_ports(new)
    return field in _SWAPPED or field in _RECORDED or field == "resources"


def _host_ports(container: Container) -> list[tuple[Any, ...]]:
    return [
        (port.host_port, port.container_port, port.protocol, port.host_ip)
        for port in container.ports
        if port.host_port
    ]


def _resources(old: Container, new: Container) -> Changes:
    """CPU and memory; what is promised of other things cannot change, and a limit that was there
    cannot go.
    """
    found = Changes()
    for kind in ("limits", "requests"):
        before, after = getattr(old.resources, kind), getattr(new.resources, kind)
        for name in sorted({*before, *after}):
            if before.get(name) == after.get(name):
                continue
            where = f"{new.name}.resources.{kind}.{name}"
            if name not in _RESIZED or name not in after:
                found += Changes(needs_new=(where,))
                continue
            restarts = any(
                p.resource_name == name and p.restart_policy == "RestartContainer"
                for p in new.resize_policy
            )
            how = "the container is restarted" if restarts else "no restart"
            found += Changes(
                swaps=(new.name,) if restarts else (),
                resizes=(new.name,),
                notes=(f"{where}: {_arrow(before.get(name), after[name])} ({how})",),
            )
    return found._replace(resizes=tuple(dict.fromkeys(found.resizes)))


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
