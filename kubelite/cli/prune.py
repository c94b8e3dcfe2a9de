"""``pod prune`` and ``pod diff``: pods that are over are removed; what a container has changed in
its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.cli.engine import again, doc, pods
from kubelite.cli.podrow import default_container
from kubelite.cli.screen import Screen
from kubelite.cli.text import cell

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings

_OVER = ("Succeeded", "Failed")


def prune(settings: Settings, *, everywhere: bool = False, yes: bool = False) -> int:
    """Removes the pods that have ended, after asking on a terminal. Raises CliError where nobody
    can be asked.
    """
    from kubelite.cli.asking import ask

    screen = Screen(settings)
    engine = pods(settings, screen)
    listed = [doc(each) for each in engine.list(None if everywhere else settings.space)]
    over = [each["metadata"] for each in listed if each["status"]["phase"] in _OVER]
    if not over:
        screen.note("no pod has ended, nothing to do")
        return 0
    screen.note("This removes pods that have ended, with their logs and volumes:")
    for each in over:
        screen.note(f"  {each['namespace']}/{each['name']}")
    if not yes:
        ask("pod prune removes pods", again(settings, "pod prune --yes"))
    for each in over:
        engine.down(each["namespace"], each["name"], report=lambda _: None)
        screen.data(f"{each['name']} removed\n")
    return 0


def diff(settings: Settings, name: str, container: str | None = None) -> int:
    """Prints a line for each file added (A), changed (C) and deleted (D) since the container's
    start; 1 when there is any.
    """
    screen = Screen(settings)
    engine = pods(settings, screen)
    chosen = container or default_container(doc(engine.get(settings.space, name)))[0]
    found = False
    for change in engine.diff(settings.space, name, chosen):
        found = True
        screen.data(f"{change.kind} {cell(change.path)}\n")
    return int(found)
