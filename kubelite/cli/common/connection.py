"""How parts of a control plane that run in the foreground reach their cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option

if TYPE_CHECKING:
    from kubelite.client.kubeconfig import ClusterAccess

Kubeconfig = Annotated[
    str | None,
    Option(
        "--kubeconfig",
        "How to reach the cluster; by default the service account of this pod.",
        "FILE",
        completes="file",
    ),
]
ContextName = Annotated[
    str | None, Option("--context", "Context of the kubeconfig to use.", "NAME")
]


def cluster_access(path: str | None, context: str | None) -> ClusterAccess:
    """The cluster that the options name. Raises BadKubeconfig."""
    from kubelite.client import kubeconfig

    return kubeconfig.load(path, context or "") if path else kubeconfig.in_pod()
