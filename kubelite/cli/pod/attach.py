"""``pod attach``: connects to the main process of a container."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.exec import CONTAINER, FAILED, STDIN
from kubelite.cli.pod_row import default_container
from kubelite.cli.session import terminal
from kubelite.cli.session.relay import DETACH_KEYS, relay, relay_raw

if TYPE_CHECKING:
    from kubelite.cli.pod_row import Doc


@usage(
    "kubelite pod attach web",
    "kubelite pod attach -it shell",
    notes="The exit code is the process's. Ctrl-P Ctrl-Q detaches from a terminal.",
)
def attach(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    container: Annotated[str | None, CONTAINER] = None,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[
        bool, Option("--tty -t", "Accepted for kubectl users: the container decides.")
    ] = False,
) -> int:
    """Prints the output of a container's main process from now on, until it ends.

    Returns its exit code, or 0 after Ctrl-P Ctrl-Q. Raises CliError for input that the container
    does not read.
    """
    name = pod_name(name)
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    pod = as_document(pods.queries.get(settings.active_namespace, name))
    chosen = container or default_container(pod)[0]
    spec = _container_spec(pod, chosen)
    if stdin and not spec.get("stdin"):
        raise CliError(
            Diagnostic(
                f'container "{chosen}" does not read stdin',
                hint="set `stdin: true` for it in the manifest",
                exit_code=FAILED,
            )
        )
    with pods.attach(settings.active_namespace, name, chosen, stdin=stdin) as session:
        if stdin and spec.get("tty") and os.isatty(terminal.STDIN):
            session.resize(*terminal.size())
            screen.note("Press Ctrl-P Ctrl-Q to detach.")
            return relay_raw(session, detach_keys=DETACH_KEYS)
        source = terminal.STDIN if stdin else None
        return relay(session, source, ends_input=bool(spec.get("stdinOnce")))


def _container_spec(pod: Doc, name: str) -> Doc:
    spec = pod["spec"]
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    return next((container for container in containers if container["name"] == name), {})
