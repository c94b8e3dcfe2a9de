"""``pod wait``: waits until a pod is ready, has ended, or is gone."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.inspect import NAME

TIMED_OUT = 124
CONDITIONS = {
    "ready": "ready",
    "condition=ready": "ready",
    "exited": "exited",
    "deleted": "deleted",
    "delete": "deleted",
}
"""The values of ``--for``, kubectl's spellings among them."""


def parse_condition(text: str) -> str:
    """The condition that a value of ``--for`` means. Raises ValueError."""
    if text.lower() not in CONDITIONS:
        raise ValueError(f"{text!r} is not one of ready, exited, deleted")
    return CONDITIONS[text.lower()]


@usage(
    "kubelite pod wait web --for=ready --timeout=10s",
    "kubelite pod wait job --for=exited",
    notes="The exit code is 124 if the timeout is over first.",
)
def wait(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    condition: Annotated[
        str, Option("--for", "ready, exited or deleted.", "CONDITION", parser=parse_condition)
    ] = "ready",
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait: 30s, 5m.", "DURATION", parser=durations.parse),
    ] = 30.0,
) -> int:
    """Waits at most ``timeout`` seconds. A pod that can no longer become ready is a failure."""
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    try:
        pod = pods.wait(settings.active_namespace, name, condition, timeout)
    except TimeoutError as error:
        raise CliError(
            Diagnostic(
                f'pod "{name}" is not {condition} after {timeout:g} s',
                hint="--timeout waits longer; `kubelite pod inspect` shows its current state",
                exit_code=TIMED_OUT,
            )
        ) from error
    line = f"pod/{name} is {condition}" if condition != "exited" else f"pod/{name} has exited"
    if pod is not None and condition == "exited":
        phase = as_document(pod).get("status", {}).get("phase", "")
        line += f" with code {pods.exit_code(pod)}" + (f" ({phase})" if phase else "")
    screen.data(line + "\n")
    return 0
