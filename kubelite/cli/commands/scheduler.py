"""The words of ``kubelite scheduler``."""

from __future__ import annotations

from typing import Annotated

import typer

from kubelite.cli.output import Document

Cluster = Annotated[
    str,
    typer.Option(
        "--cluster", metavar="FILE", help="Nodes, running pods and the like; - is standard input."
    ),
]
Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", metavar="NAME", help="Run only this plug-in (may be repeated)."),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option(
        "--plugin-args", metavar="NAME=JSON", help="Arguments of a plug-in (may be repeated)."
    ),
]
Formula = Annotated[
    str | None,
    typer.Option(
        "--balanced-formula",
        metavar="state|change",
        help="How balance is scored; change since 1.36.",
    ),
]
Configuration = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1).",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", metavar="N", help="Break ties at random from this seed; else the first node wins."
    ),
]
Output = Annotated[
    Document | None,
    typer.Option("--output", "-o", help="For tools, in place of text.", show_default=False),
]


def explain(
    context: typer.Context,
    cluster: Cluster,
    pod: Annotated[str, typer.Option("--pod", metavar="FILE", help="The pod to decide about.")],
    plugin: Plugins = None,
    plugin_args: Arguments = None,
    candidates: Annotated[
        str | None,
        typer.Option("--candidates", metavar="NODE,NODE", help="Score only these nodes."),
    ] = None,
    balanced_formula: Formula = None,
    config: Configuration = None,
    seed: Seed = None,
    output: Output = None,
) -> int:
    """Explain where a pod would run and why, or why nowhere.

    kubelite scheduler explain --cluster cluster.yaml --pod web.yaml

    kubectl get nodes,pods,services,pv,pvc -A -o json | kubelite scheduler explain --cluster - --pod
    web.yaml
    """
    from kubelite.cli.scheduling import explain as act

    return act(
        context.obj,
        cluster,
        pod,
        candidates=candidates,
        format=output,
        plugins=plugin or (),
        plugin_args=plugin_args or (),
        formula=balanced_formula,
        configuration=config,
        seed=seed,
    )


def simulate(
    context: typer.Context,
    cluster: Cluster,
    pods: Annotated[str, typer.Option("--pods", metavar="FILE", help="The pods to schedule.")],
    plugin: Plugins = None,
    plugin_args: Arguments = None,
    balanced_formula: Formula = None,
    config: Configuration = None,
    seed: Seed = None,
    output: Output = None,
) -> int:
    """Schedule many pods on paper: where each goes, what stays pending, who is evicted.

    kubelite scheduler simulate --cluster cluster.yaml --pods pods.yaml
    """
    from kubelite.cli.scheduling import simulate as act

    return act(
        context.obj,
        cluster,
        pods,
        format=output,
        plugins=plugin or (),
        plugin_args=plugin_args or (),
        formula=balanced_formula,
        configuration=config,
        seed=seed,
    )
