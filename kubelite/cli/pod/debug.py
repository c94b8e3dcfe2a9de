"""``pod debug``: runs tools beside a container."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.exec import CONTAINER, STDIN, TTY, with_terminal
from kubelite.cli.pod_row import default_container
from kubelite.cli.session import terminal
from kubelite.cli.session.relay import relay, relay_raw


@usage(
    "kubelite pod debug -it web",
    "kubelite pod debug web -- ss -tln",
    notes="The tools share the container's network and processes; its files are below"
    " /proc/1/root.",
)
def debug(
    settings: Settings,
    name: Annotated[str, NAME],
    command: Annotated[
        list[str] | None, Argument("[-- COMMAND]", "Program and its arguments; a shell by default.")
    ] = None,
    *,
    container: Annotated[str | None, CONTAINER] = None,
    image: Annotated[
        str, Option("--image", "Image with the tools; host is this machine.", completes="image")
    ] = "host",
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
) -> int:
    """Runs a program from another image beside a container; returns its exit code."""
    from kubelite.objects.pod.container import Capabilities, Container, SecurityContext
    from kubelite.objects.rules.pods.defaults import pull_policy

    name = pod_name(name)
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    namespace = settings.active_namespace
    chosen = container or default_container(as_document(pods.queries.get(namespace, name)))[0]
    tty = with_terminal(screen, stdin, tty)
    tools = Container(
        name="debugger",
        image=image,
        image_pull_policy=pull_policy(image),
        command=tuple(command or ["sh"]),
        stdin=stdin,
        tty=tty,
        security_context=SecurityContext(capabilities=Capabilities(add=("SYS_PTRACE",))),
    )
    raw = tty and stdin
    rows, columns = terminal.size() if raw else (0, 0)
    with pods.debug(namespace, name, chosen, tools, rows=rows, columns=columns) as session:
        return relay_raw(session) if raw else relay(session, terminal.STDIN if stdin else None)
