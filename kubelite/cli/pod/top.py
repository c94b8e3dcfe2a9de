"""``pod top``: the processes of a pod."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Output, Settings, usage
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.ls import OUTPUT
from kubelite.lib import sizes

_HEADERS = ("CONTAINER", "PID", "USER", "STATE", "CPU", "MEMORY", "COMMAND")


@usage("kubelite pod top web")
def top(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    format: Annotated[Output, OUTPUT] = Output.table,
) -> int:
    """Lists processes with pids and users as this machine numbers them. Raises NotFound."""
    name = pod_name(name)
    screen = Screen(settings)
    processes = open_pods(settings, screen).queries.top(settings.active_namespace, name)
    if format in (Output.json, Output.yaml):
        screen.data(output.document([process._asdict() for process in processes], format))
        return 0
    rows = [
        [
            process.container,
            str(process.pid),
            str(process.user),
            process.state,
            f"{process.seconds:.2f}s",
            sizes.shown(process.memory),
            process.command,
        ]
        for process in processes
    ]
    screen.data(output.table(_HEADERS, rows))
    return 0
