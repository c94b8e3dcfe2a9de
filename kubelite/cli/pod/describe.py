"""``pod describe``: one pod for people, as kubectl describes it, with its events."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations, output
from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import clean
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAMES, SELECTOR, select
from kubelite.cli.pod.events import HEADERS, cells
from kubelite.objects.rules.printing import printed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.cli.pod_row import Doc


@usage("kubelite pod describe web")
def describe(
    settings: Settings,
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    selector: Annotated[str | None, SELECTOR] = None,
) -> int:
    """Prints pods, their containers and events. Raises NotFound."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    targets = select(settings, pods, names, selector, command="describe")
    for number, target in enumerate(targets):
        pod = as_document(pods.queries.get(*target))
        events = [as_document(event) for event in pods.queries.events(*target)]
        screen.data("\n" * bool(number) + text(pod, events, time.time()))
    return 0


def text(pod: Doc, events: Sequence[Doc], now: float) -> str:
    """The description of a pod; ``now`` is in seconds since the epoch. Pure."""
    if not events:
        return body(pod) + "Events:  <none>\n"
    rows = [list(cells(event, pod["metadata"]["name"], now)) for event in events]
    return body(pod) + "Events:\n" + _indented(output.table(HEADERS, rows))


def body(pod: Doc) -> str:
    """The description of a pod without its events. Pure."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status", {})
    parts = [
        _fields(
            {
                "Name": metadata["name"],
                "Namespace": metadata.get("namespace", "default"),
                "Labels": _map(metadata.get("labels")),
                "Annotations": _map(metadata.get("annotations")),
                "Status": printed(pod).reason or "Unknown",
                "Message": status.get("message"),
                "IP": status.get("podIP"),
                "Node": spec.get("nodeName"),
                "Started": status.get("startTime"),
                "QoS Class": status.get("qosClass"),
                "Restart Policy": spec.get("restartPolicy"),
            },
            0,
        )
    ]
    for title, containers, statuses in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
    ):
        if spec.get(containers):
            states = {state["name"]: state for state in status.get(statuses) or []}
            parts.append(f"{title}:\n")
            parts += [
                _container(container, states.get(container["name"], {}))
                for container in spec[containers]
            ]
    conditions = status.get("conditions") or []
    if conditions:
        rows = [
            [condition["type"], condition["status"], condition.get("reason", "")]
            for condition in conditions
        ]
        parts.append("Conditions:\n" + _indented(output.table(("TYPE", "STATUS", "REASON"), rows)))
    if spec.get("volumes"):
        rows = [row for volume in spec["volumes"] for row in _volume_rows(volume)]
        parts.append("Volumes:\n" + _indented(output.table(("NAME", "SOURCE"), rows)))
    return "".join(parts)


def _container(spec: Doc, state: Doc) -> str:
    resources = spec.get("resources") or {}
    ports = [
        f"{port['containerPort']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or ()
    ]
    mounts = [
        f"{mount['mountPath']} from {mount['name']} ({'ro' if mount.get('readOnly') else 'rw'})"
        for mount in spec.get("volumeMounts") or ()
    ]
    fields = {
        "Image": spec.get("image"),
        "Ports": ", ".join(ports),
        "Command": " ".join([*(spec.get("command") or ()), *(spec.get("args") or ())]),
        "State": _state(state.get("state")),
        "Last State": _state(state.get("lastState")),
        "Ready": state.get("ready"),
        "Restart Count": state.get("restartCount"),
        "Limits": _map(resources.get("limits")),
        "Requests": _map(resources.get("requests")),
        "Mounts": "; ".join(mounts),
        **{
            key.capitalize(): "yes"
            for key in ("livenessProbe", "readinessProbe", "startupProbe")
            if spec.get(key)
        },
    }
    return f"  {clean(spec['name'])}:\n" + _fields(fields, 4)


def _state(state: Doc | None) -> str:
    """``Running since ...``, ``Waiting (CrashLoopBackOff)``, ``Terminated (Error, ...)``."""
    for kind, details in (state or {}).items():
        if details is None:
            continue
        if kind == "running":
            return f"Running since {details.get('startedAt', '?')}"
        if kind == "waiting":
            message = details.get("message")
            return f"Waiting ({details.get('reason', '')})" + (f": {message}" if message else "")
        return f"Terminated ({_ending(details)})"
    return ""


def _ending(details: Doc) -> str:
    parts = [str(details.get("reason") or "Ended"), f"exit code {details.get('exitCode', 0)}"]
    started, finished = details.get("startedAt"), details.get("finishedAt")
    if started and finished:
        parts.append(f"ran {durations.human(_seconds(finished) - _seconds(started))}")
    message = details.get("message")
    return ", ".join(parts) + (f": {message.strip()}" if message else "")


def _seconds(time_text: str) -> float:
    return durations.parse_time(time_text)


def _volume_rows(volume: Doc) -> Iterator[list[str]]:
    """Name and source; the sources of a projected volume follow on lines of their own."""
    name = volume["name"]
    for kind, source in volume.items():
        if kind == "name":
            continue
        fields = dict(source or {})
        parts = fields.pop("sources", ()) if kind == "projected" else ()
        yield [name, f"{kind} {_plain(fields)}".rstrip()]
        for part in parts:
            for part_kind, part_source in part.items():
                yield ["", f"{part_kind} {_plain(part_source)}".rstrip()]
        name = ""


def _plain(value: object, key: str = "") -> str:
    """A field of a volume for people: modes octal, items as ``path <- what is there``."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and key in ("mode", "defaultMode"):
        return f"{value:04o}"
    if isinstance(value, dict):
        fields = ((name, _plain(field, name)) for name, field in sorted(value.items()))
        return ", ".join(f"{name}={text}" for name, text in fields)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_item(item) if key == 'items' else _plain(item) for item in value)}]"
    return str(value)


def _item(item: Doc) -> str:
    field, resource = item.get("fieldRef") or {}, item.get("resourceFieldRef") or {}
    container = f"{resource['containerName']}: " if resource.get("containerName") else ""
    source = item.get("key") or field.get("fieldPath") or container + resource.get("resource", "")
    mode = f" ({_plain(item['mode'], 'mode')})" if item.get("mode") is not None else ""
    return f"{item['path']} <- {source}{mode}"


def _map(values: Doc | None) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted((values or {}).items()))


def _fields(fields: dict[str, object], indent: int) -> str:
    """``Name:  value`` lines; empty values are left out."""
    shown = {key: value for key, value in fields.items() if value not in (None, "", {}, [])}
    width = max((len(key) for key in shown), default=0) + 1
    lines = (f"{' ' * indent}{key + ':':<{width}}  {_value(value)}" for key, value in shown.items())
    return "".join(line.rstrip() + "\n" for line in lines)


def _value(value: object) -> str:
    return str(value) if isinstance(value, bool) else clean(str(value)).replace("\n", " ")


def _indented(table: str) -> str:
    return "".join(f"  {line}\n" for line in _lines(table))


def _lines(table: str) -> Iterator[str]:
    yield from table.splitlines()
