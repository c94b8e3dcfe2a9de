"""``scheduler run``: schedules the pods of a cluster, until a signal."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.connection import ContextName, Kubeconfig, cluster_access
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.scheduler.inputs import Configuration, Seed, options


@usage(
    "kubelite scheduler run --kubeconfig scheduler.kubeconfig",
    notes="Of several with the same cluster one leads; the others wait for its Lease.",
)
def run(
    settings: Settings,
    *,
    kubeconfig: Kubeconfig = None,
    context_name: ContextName = None,
    config: Configuration = None,
    seed: Seed = None,
    no_leader_elect: Annotated[
        bool,
        Option("--no-leader-elect", "Schedule at once, even if another scheduler is running."),
    ] = False,
) -> int:
    """Schedules until a signal. Raises CliError."""
    from kubelite.cli.common.foreground import run_until_signal
    from kubelite.client.errors import ClientError
    from kubelite.control.scheduler import SchedulerError
    from kubelite.up.standalone import standalone_scheduler

    try:
        access = cluster_access(kubeconfig, context_name)
        configuration = options((), (), None, config, None)["configuration"]
        run_until_signal(
            settings,
            f"scheduling pods of {access.server}",
            lambda: standalone_scheduler(access, configuration, seed, elect=not no_leader_elect),
        )
    except (ClientError, SchedulerError) as error:
        raise CliError(Diagnostic(str(error))) from error
    return 0
