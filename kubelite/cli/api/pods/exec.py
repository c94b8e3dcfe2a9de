"""``exec`` and ``attach``: programs in containers with the caller's terminal or pipes."""

from __future__ import annotations

import sys
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.pods.pods import container_of, one_pod
from kubelite.cli.api.pods.streams import STDERR, Program, Sink, read_stdin, run_program
from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.exec import STDIN, TTY, with_terminal


@usage(
    "kubelite exec -it web -- sh",
    "kubelite exec deploy/web -c server -- env",
    notes="The exit code is the program's.",
)
def execute(
    settings: Settings,
    name: Annotated[str, Argument("NAME | TYPE/NAME", "The pod, or whose pod.")],
    command: Annotated[list[str], Argument("-- COMMAND", "Program and its arguments.")],
    *,
    container: options.Container = None,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Runs a program in a container and returns its exit code. Raises CliError."""

    async def work(api: Api) -> int:
        pod = await one_pod(api, [name])
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            phase = pod["status"]["phase"]
            raise CliError(
                Diagnostic(
                    f"cannot exec into a container in a completed pod; current phase is {phase}"
                )
            )
        chosen = container_of(api, pod, container)
        metadata = pod["metadata"]
        program = Program(
            metadata["namespace"],
            metadata["name"],
            chosen,
            command,
            stdin,
            with_terminal(api.screen, stdin, tty),
        )
        code = await run_program(api, program, read_stdin, sink_of(api.screen))
        if code:
            api.screen.refusal(f"command terminated with exit code {code}")
        return code

    return run(settings, Reach(kubeconfig, context), work)


@usage("kubelite attach web", "kubelite attach -it web -c shell")
def attach(
    settings: Settings,
    name: Annotated[str, Argument("NAME | TYPE/NAME", "The pod, or whose pod.")],
    *,
    container: options.Container = None,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Shows what the main process of a container writes, and passes it input. Raises CliError."""

    async def work(api: Api) -> int:
        pod = await one_pod(api, [name])
        chosen = container_of(api, pod, container)
        return await attach_to(api, pod, chosen, stdin=stdin, tty=tty)

    return run(settings, Reach(kubeconfig, context), work)


async def attach_to(
    api: Api, pod: dict[str, dict[str, str]], container: str, *, stdin: bool, tty: bool
) -> int:
    """Attaches to a container until it ends, and returns its exit code. Raises CliError."""
    tty = with_terminal(api.screen, stdin, tty)
    if tty:
        api.screen.note("If you don't see a command prompt, try pressing enter.")
    metadata = pod["metadata"]
    program = Program(metadata["namespace"], metadata["name"], container, (), stdin, tty)
    return await run_program(api, program, read_stdin, sink_of(api.screen))


def sink_of(screen: Screen) -> Sink:
    """Writes what a program writes to the caller's own streams."""

    def write(channel: int, data: bytes) -> None:
        if channel == STDERR:
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
        else:
            screen.bytes(data)

    return write
