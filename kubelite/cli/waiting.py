"""``pod wait``: until a pod is ready, has ended, or is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.cli.engine import doc, pods
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings

TIMED_OUT = 124
# kubectl's words for the same conditions are taken too.
CONDITIONS = {
    "ready": "ready",
    "condition=ready": "ready",
    "exited": "exited",
    "deleted": "deleted",
    "delete": "deleted",
}


def wait(settings: Settings, name: str, condition: str, timeout: float | None) -> int:
    """Waits at most ``timeout`` seconds; 124 when they pass first. A pod that can no longer become
    ready is a failure.
    """
    screen = Screen(settings)
    engine = pods(settings, screen)
    try:
        pod = engine.wait(settings.space, name, condition, timeout)
    except TimeoutError as error:
        raise CliError(
            Trouble(
                f'pod "{name}" is not {condition} after {timeout:g} s',
                hint="--timeout waits longer; `kubelite pod inspect` shows what it is at",
                exit=TIMED_OUT,
            )
        ) from error
    line = f"pod/{name} is {condition}" if condition != "exited" else f"pod/{name} has exited"
    if pod is not None and condition == "exited":
        phase = doc(pod).get("status", {}).get("phase", "")
        line += f" with code {engine.exit_code(pod)}" + (f" ({phase})" if phase else "")
    screen.data(line + "\n")
    return 0
