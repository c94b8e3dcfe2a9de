"""``pod wait``: waits until a pod is ready, has ended, or is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAMES, SELECTOR, Target, select

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

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
    names: Annotated[list[str] | None, NAMES] = None,
    *,
    selector: Annotated[str | None, SELECTOR] = None,
    condition: Annotated[
        str, Option("--for", "ready, exited or deleted.", "CONDITION", parser=parse_condition)
    ] = "ready",
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait: 30s, 5m.", "DURATION", parser=durations.parse),
    ] = 30.0,
) -> int:
    """Waits at most ``timeout`` seconds, for all pods together. A pod that can no longer become
    ready is a failure.
    """
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    deadline = time.monotonic() + timeout
    for target in select(settings, pods, names, selector, command="wait"):
        with screen.waiting(f"waiting until {target.name} is {condition}"):
            screen.data(_wait(pods, target, condition, timeout, deadline) + "\n")
    return 0


def _wait(pods: Pods, target: Target, condition: str, timeout: float, deadline: float) -> str:
    try:
        pod = pods.queries.wait(
            target.namespace,
            target.name,
            condition,
            max(deadline - time.monotonic(), 0),
            after_look=pods.restart_missing_agent,
        )
    except TimeoutError as error:
        state = "has not exited" if condition == "exited" else f"is not {condition}"
        raise CliError(
            Diagnostic(
                f'pod "{target.name}" {state} after {timeout:g} s',
                hint="--timeout waits longer; `kubelite pod describe` shows its current state",
                exit_code=TIMED_OUT,
            )
        ) from error
    if condition != "exited" or pod is None:
        return f"pod/{target.name} is {condition}"
    phase = as_document(pod).get("status", {}).get("phase", "")
    code = f"pod/{target.name} has exited with code {pods.queries.exit_code(pod)}"
    return code + (f" ({phase})" if phase else "")
