"""The ``scheduler`` commands: why a pod goes where it goes, and what becomes of many."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kubelite.cli import output
from kubelite.cli.output import Document
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kubelite.cli.settings import Settings


def explain(
    settings: Settings,
    cluster: str,
    pod: str,
    *,
    candidates: str | None = None,
    format: Document | None = None,
    **choices: Any,
) -> int:
    """Explains one decision."""
    from kubelite.control.scheduler import explain as decide

    names = candidates.split(",") if candidates is not None else None
    found = _heard(
        lambda: decide(_read(cluster), _one_pod(pod), candidates=names, **_choices(**choices))
    )
    _show(settings, found, format, _told_decision)
    return 0


def simulate(
    settings: Settings, cluster: str, pods: str, *, format: Document | None = None, **choices: Any
) -> int:
    """Schedules many pods and tells what became of each."""
    from kubelite.control.scheduler import simulate as run

    found = _heard(lambda: run(_read(cluster), _pods(pods), **_choices(**choices)))
    _show(settings, found, format, _told_fates)
    return 0


def _heard(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the scheduler answers; what it refuses becomes an error of the command."""
    from kubelite.control.scheduler import SchedulerError

    try:
        return act()
    except SchedulerError as error:
        raise CliError(Trouble(str(error))) from error


def _choices(
    plugins: Sequence[str],
    plugin_args: Sequence[str],
    formula: str | None,
    configuration: str | None,
    seed: int | None,
) -> dict[str, Any]:
    return {
        "plugins": plugins,
        "plugin_args": dict(_argument(each) for each in plugin_args),
        "balanced_formula": formula,
        "configuration": _configuration(configuration) if configuration else None,
        "seed": seed,
    }


def _argument(text: str) -> tuple[str, object]:
    import json

    name, sign, value = text.partition("=")
    if not sign:
        _misused(
            f"--plugin-args {text}: NAME=JSON is expected",
            "for example --plugin-args 'InterPodAffinity={}'",
        )
    try:
        return name, json.loads(value)
    except ValueError as wrong:
        _misused(
            f"--plugin-args {name}: not JSON: {wrong}",
            "quote it: --plugin-args 'NAME={\"key\": 1}'",
        )


def _misused(message: str, hint: str) -> NoReturn:
    raise CliError(Trouble(message, hint=hint, exit=2))


def _read(source: str, absent: str = "") -> list[dict[str, Any]]:
    from kubelite.control.scheduler.facts.documents import objects

    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    return objects(data, "standard input" if source == "-" else source, absent)


def _pods(source: str) -> list[dict[str, Any]]:
    return [each for each in _read(source, "Pod") if each["kind"] == "Pod"]


def _one_pod(source: str) -> dict[str, Any]:
    found = _pods(source)
    if len(found) != 1:
        hint = (
            "`kubelite scheduler simulate` takes many"
            if found
            else "a file with one Pod is expected"
        )
        raise CliError(
            Trouble(
                f"{source} holds {len(found) or 'no'} pods: one is explained at a time", hint=hint
            )
        )
    return found[0]


def _configuration(source: str) -> Mapping[str, Any]:
    found = _read(source)
    if len(found) != 1:
        raise CliError(
            Trouble(
                f"{source} is no scheduler configuration: one KubeSchedulerConfiguration is expected"
            )
        )
    return found[0]


def _show(
    settings: Settings,
    found: dict[str, Any],
    format: Document | None,
    told: Callable[[dict[str, Any]], str],
) -> None:
    Screen(settings).data(output.document(found, format) if format else told(found))


def _told_decision(found: dict[str, Any]) -> str:
    """The decision for people: the node and its rivals, or what stood against each."""
    lines = [_headline(found), ""]
    fit = {
        name: node for name, node in found["nodes"].items() if node["feasible"] and node["scores"]
    }
    if fit:
        lines.append(_score_table(fit, found["acceptable"]))
    kept_out = {name: node for name, node in found["nodes"].items() if not node["feasible"]}
    if kept_out:
        rows = [
            [name, ", ".join(node["reasons"]), "" if node["unresolvable"] else "yes"]
            for name, node in kept_out.items()
        ]
        lines.append(output.table(["NODE", "KEPT OUT BY", "EVICTION MAY HELP"], rows))
    if found["preemption"] and found["preemption"]["candidates"]:
        lines.append(_victim_table(found["preemption"]))
    return "\n".join(lines)


def _headline(found: dict[str, Any]) -> str:
    if found["selected"] is None:
        return str(found["message"] or "no candidate is feasible")
    rivals = len(found["acceptable"]) - 1
    return f"runs on {found['selected']}" + (
        f" ({rivals} others are as good)" if rivals > 0 else ""
    )


def _score_table(fit: dict[str, Any], best: Sequence[str]) -> str:
    names = list(next(iter(fit.values()))["scores"])
    order = sorted(fit, key=lambda name: (name not in best, -fit[name]["total"]))
    rows = [
        [name, str(fit[name]["total"]), *(str(fit[name]["scores"][each]) for each in names)]
        for name in order
    ]
    return output.table(["NODE", "TOTAL", *names], rows)


def _victim_table(preemption: dict[str, Any]) -> str:
    rows = [
        [f"{node}{' (chosen)' if node == preemption['chosen'] else ''}", ", ".join(victims)]
        for node, victims in preemption["candidates"].items()
    ]
    return output.table(["NODE", "WOULD EVICT"], rows)


def _told_fates(found: dict[str, Any]) -> str:
    """Where each pod went, and a sentence for each that went nowhere."""
    head = (
        f"{found['scheduled']} scheduled, {found['pending']} pending, {found['evicted']} evicted\n"
    )
    rows = [[each["pod"], each["node"] or "<none>", _note(each)] for each in found["pods"]]
    return head + ("\n" + output.table(["POD", "NODE", "NOTE"], rows) if rows else "")


def _note(fate: dict[str, Any]) -> str:
    if fate["evictedBy"]:
        return f"evicted by {fate['evictedBy']}"
    if fate["evicted"]:
        return f"evicted {', '.join(fate['evicted'])}"
    return fate["message"] or ""
