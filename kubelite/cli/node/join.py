"""``node join``: this machine becomes a node of another machine's cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import CniBinDir, CniConfDir, cni_directories, open_home
from kubelite.cli.node.options import (
    AllowHostImage,
    Labels,
    NodeName,
    Resources,
    Routing,
)
from kubelite.cli.node.run import pairs, run_agent
from kubelite.node.network.between.ways import RoutingMode
from kubelite.node.network.cni import DEFAULT_BIN

if TYPE_CHECKING:
    from kubelite.node.runtime.home import Home


@usage(
    "kubelite node join --server https://192.0.2.1:6443 --token TOKEN",
    "kubelite node join",
    notes="It runs until a signal, and pods run on when it ends. The token is needed once.",
)
def join(
    settings: Settings,
    *,
    server: Annotated[
        str | None, Option("--server", "Where the API server listens.", "URL")
    ] = None,
    token: Annotated[
        str | None, Option("--token", "What `kubelite token create` has printed.", "TOKEN")
    ] = None,
    node_name: NodeName = None,
    port: Annotated[
        int, Option("--port", "Port of the kubelet's server.", minimum=1, maximum=65535)
    ] = 10250,
    labels: Labels = None,
    resources: Resources = None,
    allow_host_image: AllowHostImage = False,
    routing_mode: Routing = RoutingMode.auto,
    cni_conf_dir: CniConfDir = None,
    cni_bin_dir: CniBinDir = DEFAULT_BIN,
) -> int:
    """Joins if that is still to be done, then serves until a signal. Raises CliError."""
    home = open_home(settings)
    home.make()
    if token is not None:
        if server is None:
            raise CliError(Diagnostic("--server is missing: it says whom to join"))
        _join(home, server, token, node_name)
    from kubelite.up.join import directory_of, joined_options
    from kubelite.up.node_certificates import NotSigned

    try:
        options = joined_options(
            directory_of(home),
            port=port,
            labels=pairs(labels),
            resources=pairs(resources),
            allow_host_image=allow_host_image,
            routing_mode=routing_mode,
            cni=cni_directories(cni_conf_dir, cni_bin_dir),
        )
    except FileNotFoundError as error:
        raise CliError(
            Diagnostic(
                "this machine has not joined a cluster",
                hint="give --server and --token; `kubelite token create` on the server's machine "
                "prints both",
            )
        ) from error
    try:
        return run_agent(home, options)
    except NotSigned as error:
        hint = "a machine with an API server has `kubelite node run --data-dir DIR` instead"
        raise CliError(Diagnostic(f"the node cannot serve: {error}", hint=hint)) from error


def _join(home: Home, server: str, token: str, node_name: str | None) -> None:
    """Joins the cluster of an API server. Raises CliError."""
    from kubelite.client.errors import ClientError
    from kubelite.node.kubelet.act import facts
    from kubelite.up import join as joining
    from kubelite.up.node_certificates import NotSigned

    directory, name = joining.directory_of(home), node_name or facts.node_name()
    try:
        parsed = joining.parse(token)
        asyncio.run(joining.join(directory, server.rstrip("/"), parsed, name))
    except (joining.BadToken, NotSigned, ClientError) as error:
        raise CliError(Diagnostic(f"this machine has not joined: {error}")) from error
