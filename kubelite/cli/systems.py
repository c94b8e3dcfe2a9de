"""``system info`` and ``system reset``: this machine, and what kubelite keeps on it."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from kubelite.cli import output
from kubelite.cli.engine import again, home, pods
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble, cell

if TYPE_CHECKING:
    from kubelite.cli.output import Document
    from kubelite.cli.settings import Settings
    from kubelite.node.kubelet.act.bringup import Step


def info(settings: Settings, *, format: Document | None = None) -> int:
    """What this machine offers and what is missing, with the reason."""
    from kubelite import __version__

    screen = Screen(settings)
    facts = {
        "version": __version__,
        "python": sys.version.split()[0],
        **pods(settings, screen).info(),
    }
    if format is not None:
        screen.data(output.document(facts, format))
    else:
        screen.data(pretty(facts))
    return 0


def pretty(facts: dict[str, Any]) -> str:
    """Nested facts as aligned lines: what belongs together is indented below its name."""
    return "".join(line + "\n" for line in _lines(facts, 0))


def _lines(facts: dict[str, Any], depth: int) -> list[str]:
    names = {key: _words(key) for key in facts}
    width = max((len(name) for name in names.values()), default=0)
    lines: list[str] = []
    for key, value in facts.items():
        indent = "  " * depth
        if isinstance(value, dict) and value:
            lines += [f"{indent}{names[key]}", *_lines(value, depth + 1)]
        else:
            lines.append(f"{indent}{names[key]:<{width}}  {_value(value)}".rstrip())
    return lines


def _words(key: str) -> str:
    return cell(str(key)).replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], (), {}):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(each) for each in value)
    return cell(str(value))


def reset(settings: Settings, *, yes: bool = False) -> int:
    """Removes every pod, image, log and kernel object of this home, after asking on a terminal."""
    screen = Screen(settings)
    place = home(settings)
    engine = pods(settings, screen)
    before = _pods_there(settings, screen)
    screen.note(f"This removes everything of kubelite under {place.root} and {place.run}:")
    screen.note(
        f"  {before}; images, volumes and logs; the bridge, firewall table and cgroups of this root"
    )
    if not yes:
        from kubelite.cli.asking import ask

        ask("system reset removes everything", again(settings, "system reset --yes"))

    def report(step: Step) -> None:
        screen.detail(f"{step.name} {step.detail}")

    removed = engine.reset(report)
    for each in removed:
        screen.data(f"removed {cell(each)}\n")
    left = [path for path in (place.root, place.run) if os.path.lexists(path) and os.listdir(path)]
    after = "nothing left" if not left else "left: " + ", ".join(left)
    screen.data(f"before: {before}; now: {after}\n")
    return 0


def _pods_there(settings: Settings, screen: Screen) -> str:
    count = len(pods(settings, screen).list(None))
    return f"{count} pod" + ("" if count == 1 else "s")


def agent(settings: Settings, *, stay: bool = False) -> int:
    """Serves the pods of the home until none needs it, or for ever; with ``-v`` each act is told on
    stderr.
    """
    place = home(settings)
    from kubelite.node.kubelet.agent import agent_control
    from kubelite.node.kubelet.agent.agent import Agent, say

    try:
        Agent(place, trace=say if settings.verbose else None, stays=stay).run()
    except TimeoutError:
        there = agent_control.running(place)
        cause = f"its pid is {there.pid}" if there is not None else ""
        raise CliError(Trouble("an agent serves this root already", cause=cause)) from None
    return 0
