"""``kubelite ui``: the web page of a cluster, until Ctrl-C."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.cluster.options import ClusterName
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.connection import ContextName
from kubelite.cli.common.diagnostic import CliError, Diagnostic

if TYPE_CHECKING:
    from kubelite.client.kubeconfig import ClusterAccess


@usage(
    "kubelite ui",
    "kubelite ui --kubeconfig ~/.kube/config --context staging",
    notes="The page may do what you may do. Its address works once, in one browser.",
)
def ui(
    settings: Settings,
    *,
    kubeconfig: Annotated[
        str | None,
        Option(
            "--kubeconfig",
            "How to reach the cluster; by default KUBECONFIG, or the one that runs here.",
            "FILE",
            completes="file",
        ),
    ] = None,
    context_name: ContextName = None,
    name: ClusterName = "default",
    address: Annotated[
        str, Option("--address", "Address to listen on; others can read along.", "ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        Option("--port", "Port to listen on; 0 chooses a free one.", minimum=0, maximum=65535),
    ] = 0,
) -> int:
    """Serves the page until a signal. Raises CliError."""
    check_address(address)
    from kubelite.cli.common.foreground import run_until_signal
    from kubelite.cli.ui.finding import named_cluster, running_cluster

    path = kubeconfig or os.environ.get("KUBECONFIG", "").split(":")[0]
    access = named_cluster(path, context_name) if path else running_cluster(settings, name)
    if access is None:
        hint = "start one: kubelite up; or name one with --kubeconfig"
        raise CliError(Diagnostic("no cluster runs on this machine", hint=hint))
    run_until_signal(
        settings,
        f"showing {access.context} at {access.server}; Ctrl-C ends it",
        lambda: _serve(settings, access, address, port),
    )
    return 0


def check_address(address: str) -> None:
    """Refuses what is not one address by which a browser can call this server. Raises CliError."""
    import ipaddress

    try:
        is_wildcard = ipaddress.ip_address(address).is_unspecified
    except ValueError:
        is_wildcard = True
    if is_wildcard:
        hint = "name one IP address of this machine: browsers must call the page by it"
        raise CliError(Diagnostic(f"cannot listen on {address}", hint=hint, exit_code=2))


async def _serve(settings: Settings, access: ClusterAccess, address: str, port: int) -> None:
    """Until cancelled. Raises CliError."""
    import asyncio

    from kubelite.cli.common.screen import Screen
    from kubelite.client.http import HttpTransport
    from kubelite.ui.server import Info, UiServer

    transport = HttpTransport(access)
    server = UiServer(transport, Info("cluster", access.context, access.server, access.namespace))
    try:
        Screen(settings).data(await server.start(address, port) + "\n")
        await asyncio.Event().wait()
    except OSError as error:
        hint = "choose another with --address and --port"
        sentence = f"cannot listen on {address}:{port}: {error.strerror}"
        raise CliError(Diagnostic(sentence, hint=hint)) from error
    finally:
        await server.close()
        await transport.close()
