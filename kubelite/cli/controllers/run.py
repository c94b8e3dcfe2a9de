"""``controllers``: runs controllers against a cluster, until a signal."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.connection import ContextName, Kubeconfig, cluster_access
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.controllers.options import (
    ControllerNames,
    LoadBalancerPool,
    controller_settings,
    split_names,
)


@usage(
    "kubelite controllers --kubeconfig controllers.kubeconfig",
    "kubelite controllers --kubeconfig c.kubeconfig --controllers deployment,replicaset",
    notes="Of several with the same cluster one leads; the others wait for its Lease, which is "
    "that of kube-controller-manager.",
)
def controllers(
    settings: Settings,
    *,
    kubeconfig: Kubeconfig = None,
    context_name: ContextName = None,
    names: ControllerNames = "*",
    load_balancer_pool: LoadBalancerPool = "",
    use_service_account_credentials: Annotated[
        bool,
        Option(
            "--use-service-account-credentials",
            "Let each controller act as its own service account in kube-system.",
        ),
    ] = False,
    no_leader_elect: Annotated[
        bool,
        Option("--no-leader-elect", "Run at once, even if other controllers are running."),
    ] = False,
) -> int:
    """Runs controllers until a signal. Raises CliError."""
    from kubelite.cli.common.foreground import run_until_signal
    from kubelite.client.errors import ClientError
    from kubelite.control.controllers.registry import UnknownController, select
    from kubelite.up.standalone import standalone_controllers

    chosen = controller_settings(load_balancer_pool)
    try:
        rows = select(split_names(names))
        access = cluster_access(kubeconfig, context_name)
        run_until_signal(
            settings,
            f"running {len(rows)} controllers against {access.server}",
            lambda: standalone_controllers(
                access,
                rows,
                as_accounts=use_service_account_credentials,
                elect=not no_leader_elect,
                settings=chosen,
            ),
        )
    except (ClientError, UnknownController) as error:
        raise CliError(Diagnostic(str(error))) from error
    return 0
