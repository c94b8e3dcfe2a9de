"""``controllers``: runs controllers against a cluster, until a signal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic

if TYPE_CHECKING:
    from kubelite.client.kubeconfig import ClusterAccess


@usage(
    "kubelite controllers --kubeconfig controllers.kubeconfig",
    "kubelite controllers --kubeconfig c.kubeconfig --controllers deployment,replicaset",
    notes="Of several with the same cluster one leads; the others wait for its Lease, which is "
    "that of kube-controller-manager.",
)
def controllers(
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
    names: Annotated[
        str,
        Option(
            "--controllers",
            "Controllers to run: * is all, NAME one of them, -NAME all but it.",
            "NAMES",
        ),
    ] = "*",
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

    try:
        rows = select([word.strip() for word in names.split(",") if word.strip()])
        access = _access(kubeconfig, context_name)
        run_until_signal(
            settings,
            f"running {len(rows)} controllers against {access.server}",
            lambda: standalone_controllers(
                access,
                rows,
                as_accounts=use_service_account_credentials,
                elect=not no_leader_elect,
            ),
        )
    except (ClientError, UnknownController) as error:
        raise CliError(Diagnostic(str(error))) from error
    return 0


def _access(path: str | None, context: str | None) -> ClusterAccess:
    """Raises BadKubeconfig."""
    from kubelite.client import kubeconfig

    return kubeconfig.load(path, context or "") if path else kubeconfig.in_pod()
