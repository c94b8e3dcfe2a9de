"""``scheduler run``: schedules the pods of a cluster, until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.scheduler.inputs import Configuration, Seed, options

if TYPE_CHECKING:
    from kubelite.client.kubeconfig import ClusterAccess


@usage(
    "kubelite scheduler run --kubeconfig scheduler.kubeconfig",
    notes="Of several with the same cluster one leads; the others wait for its Lease.",
)
def run(
    settings: Settings,
    *,
    kubeconfig: Annotated[
        str | None,
        Option(
            "--kubeconfig",
            "How to reach the cluster; by default the service account of this pod.",
            "FILE",
            completes="file",
        ),
    ] = None,
    context_name: Annotated[
        str | None, Option("--context", "Context of the kubeconfig to use.", "NAME")
    ] = None,
    config: Configuration = None,
    seed: Seed = None,
    no_leader_elect: Annotated[
        bool,
        Option("--no-leader-elect", "Schedule at once, even if another scheduler is running."),
    ] = False,
) -> int:
    """Schedules until a signal. Raises CliError."""
    from kubelite.client.errors import ClientError
    from kubelite.control.scheduler import SchedulerError

    try:
        access = _access(kubeconfig, context_name)
        configuration = options((), (), None, config, None)["configuration"]
        _run(settings, access, configuration, seed, elect=not no_leader_elect)
    except (ClientError, SchedulerError) as error:
        raise CliError(Diagnostic(str(error))) from error
    return 0


def _access(path: str | None, context: str | None) -> ClusterAccess:
    """Raises BadKubeconfig."""
    from kubelite.client import kubeconfig

    return kubeconfig.load(path, context or "") if path else kubeconfig.in_pod()


def _run(
    settings: Settings, access: ClusterAccess, configuration: Any, seed: int | None, *, elect: bool
) -> None:
    from kubelite.cli.common.foreground import run_until_signal
    from kubelite.up.standalone import standalone_scheduler

    run_until_signal(
        settings,
        f"scheduling pods of {access.server}",
        lambda: standalone_scheduler(access, configuration, seed, elect=elect),
    )
