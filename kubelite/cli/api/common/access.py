"""Which cluster a verb works with: that of the options, by default KUBECONFIG, ~/.kube/config, this
pod's account, this machine's cluster.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli.common.diagnostic import CliError, Diagnostic

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings
    from kubelite.client.kubeconfig import ClusterAccess


class Reach(NamedTuple):
    """The options that say how the cluster is reached."""

    kubeconfig: str | None = None
    context: str | None = None


def cluster_access(settings: Settings, reach: Reach) -> ClusterAccess:
    """The first that there is: the file of the option, those of KUBECONFIG, ``~/.kube/config``, the
    service account of this pod, the cluster that `kubelite up` or `kubelite server` has started on
    this machine. Raises CliError, BadKubeconfig.
    """
    from kubelite.client import kubeconfig

    context = reach.context or ""
    if reach.kubeconfig:
        return kubeconfig.load(reach.kubeconfig, context)
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    paths = [path for path in listed or [_own_file()] if os.path.exists(path)]
    if paths:
        return kubeconfig.load_merged(paths, context)
    if not listed and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return kubeconfig.in_pod()
    from kubelite.cli.ui.finding import running_cluster

    access = None if listed or context else running_cluster(settings, "default")
    if access is None:
        raise CliError(_nothing(listed, context))
    return access


def has_cluster(settings: Settings) -> bool:
    """Whether there is a cluster without saying which: :func:`cluster_access` would not end with
    its sentence for none at all.
    """
    if os.environ.get("KUBECONFIG") or os.environ.get("KUBERNETES_SERVICE_HOST"):
        return True
    from kubelite.cli.ui.finding import running_cluster

    return os.path.exists(_own_file()) or running_cluster(settings, "default") is not None


def _nothing(listed: list[str], context: str) -> Diagnostic:
    if listed:
        return Diagnostic(
            f"KUBECONFIG names no file that exists: {', '.join(listed)}",
            hint="correct it, or unset it: then ~/.kube/config and this machine's cluster count",
        )
    if context:
        hint = "name its file with --kubeconfig or KUBECONFIG"
        return Diagnostic("--context needs a kubeconfig", hint=hint, exit_code=2)
    return Diagnostic(
        "no cluster: there is no kubeconfig, and none runs on this machine",
        hint="`kubelite up` starts one; pods without a cluster are for `kubelite pod`",
    )


def _own_file() -> str:
    return os.path.expanduser("~/.kube/config")
