"""``scheduler simulate``: schedules many pods on paper."""

from __future__ import annotations

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
    options,
    read_inputs,
    run_scheduler,
    show,
)


@usage("kubelite scheduler simulate --cluster cluster.yaml --pods pods.yaml")
def simulate(
    settings: Settings,
    cluster: Cluster,
    pods: Annotated[str, Option("--pods", "The pods to schedule.", "FILE", completes="file")],
    *,
    plugins: Plugins = None,
    plugin_args: PluginArguments = None,
    formula: Formula = None,
    config: Configuration = None,
    seed: Seed = None,
    format: Format = None,
) -> int:
    """Schedules pods and prints the outcome for each. Raises CliError."""
    from kubelite.control.scheduler import simulate as run

    chosen = options(plugins, plugin_args, formula, config, seed)

    def act() -> dict[str, Any]:
        inputs = read_inputs(cluster, pods)
        return run(inputs.cluster, inputs.pods, **chosen)

    outcome = run_scheduler(act)
    show(settings, outcome, format, _as_text)
    return 0


def _as_text(outcome: dict[str, Any]) -> str:
    """Where each pod went, and a sentence for each that went nowhere."""
    head = (
        f"{outcome['scheduled']} scheduled, {outcome['pending']} pending,"
        f" {outcome['evicted']} evicted\n"
    )
    rows = [[pod["pod"], pod["node"] or "<none>", _note(pod)] for pod in outcome["pods"]]
    return head + ("\n" + output.table(["POD", "NODE", "NOTE"], rows) if rows else "")


def _note(pod: dict[str, Any]) -> str:
    if pod["evictedBy"]:
        return f"evicted by {pod['evictedBy']}"
    if pod["evicted"]:
        return f"evicted {', '.join(pod['evicted'])}"
    return pod["message"] or ""
