"""``system agent``: runs the node agent in the foreground."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home


@usage(
    "kubelite system agent -v",
    "kubelite system agent --stay",
    notes="`pod up` starts an agent in the background if a pod needs one; this is for service"
    " managers, and for watching it work.",
)
def agent(
    settings: Settings,
    *,
    stay: Annotated[
        bool, Option("--stay", "Keep running when no pod needs it: for a service manager.")
    ] = False,
) -> int:
    """Serves the pods of the state root until none needs it; with ``-v`` prints each action."""
    home = open_home(settings)
    from kubelite.node.kubelet.agent import agent_control
    from kubelite.node.kubelet.agent.agent import Agent, log

    try:
        Agent(home, trace=log if settings.verbose else None, stays=stay).run()
    except TimeoutError:
        running = agent_control.running(home)
        cause = f"its pid is {running.pid}" if running is not None else ""
        message = "an agent is already running for this state root"
        raise CliError(Diagnostic(message, cause=cause)) from None
    return 0
