"""``scheduler explain``: where a pod would run and why, or why nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from kubelite.cli.common import output
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.scheduler.inputs import (
    Cluster,
    Configuration,
    Format,
    Formula,
    PluginArguments,
    Plugins,
    Seed,
    only_pod,
    options,
    read_inputs,
    run_scheduler,
    show,
)


@usage(
    "kubelite scheduler explain --cluster cluster.yaml --pod web.yaml",
    "kubectl get nodes,pods,services,pv,pvc -A -o json |\n"
    "    kubelite scheduler explain --cluster - --pod web.yaml",
)
def explain(
    settings: Settings,
    cluster: Cluster,
    pod: Annotated[str, Option("--pod", "The pod to decide about.", "FILE", completes="file")],
    *,
    plugins: Plugins = None,
    plugin_args: PluginArguments = None,
    candidates: Annotated[
        str | None, Option("--candidates", "Score only these nodes.", "NODE,NODE")
    ] = None,
    formula: Formula = None,
    config: Configuration = None,
    seed: Seed = None,
    format: Format = None,
) -> int:
    """Explains one scheduling decision. Raises CliError."""
    from kubelite.control.scheduler import explain as decide

    names = candidates.split(",") if candidates is not None else None
    chosen = options(plugins, plugin_args, formula, config, seed)

    def act() -> dict[str, Any]:
        inputs = read_inputs(cluster, pod)
        wanted = only_pod(inputs.pods, pod)
        return decide(inputs.cluster, wanted, candidates=names, **chosen)

    decision = run_scheduler(act)
    show(settings, decision, format, _as_text)
    return 0


def _as_text(decision: dict[str, Any]) -> str:
    """The chosen node and the others, or what rejected each."""
    lines = [_headline(decision), ""]
    nodes = decision["nodes"]
    scored = {name: node for name, node in nodes.items() if node["feasible"] and node["scores"]}
    if scored:
        lines.append(_score_table(scored, decision["acceptable"]))
    rejected = {name: node for name, node in nodes.items() if not node["feasible"]}
    if rejected:
        rows = [
            [name, ", ".join(node["reasons"]), "" if node["unresolvable"] else "yes"]
            for name, node in rejected.items()
        ]
        lines.append(output.table(["NODE", "REJECTED BY", "PREEMPTION MAY HELP"], rows))
    if decision["preemption"] and decision["preemption"]["candidates"]:
        lines.append(_victim_table(decision["preemption"]))
    return "\n".join(lines)


def _headline(decision: dict[str, Any]) -> str:
    if decision["selected"] is None:
        return str(decision["message"] or "no candidate is feasible")
    equals = len(decision["acceptable"]) - 1
    return f"runs on {decision['selected']}" + (
        f" ({equals} others have the same score)" if equals > 0 else ""
    )


def _score_table(scored: dict[str, Any], best: Sequence[str]) -> str:
    plugins = list(next(iter(scored.values()))["scores"])
    order = sorted(scored, key=lambda name: (name not in best, -scored[name]["total"]))
    rows = [
        [
            name,
            str(scored[name]["total"]),
            *(str(scored[name]["scores"][plugin]) for plugin in plugins),
        ]
        for name in order
    ]
    return output.table(["NODE", "TOTAL", *plugins], rows)


def _victim_table(preemption: dict[str, Any]) -> str:
    rows = [
        [f"{node}{' (chosen)' if node == preemption['chosen'] else ''}", ", ".join(victims)]
        for node, victims in preemption["candidates"].items()
    ]
    return output.table(["NODE", "WOULD EVICT"], rows)
