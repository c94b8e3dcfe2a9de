"""``node join``: this machine becomes a node of another machine's cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.node.run import pairs, run_agent


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
    node_name: Annotated[
        str | None, Option("--node-name", "Name of the node; by default the host name.", "NAME")
    ] = None,
    port: Annotated[
        int, Option("--port", "Port of the kubelet's server.", minimum=1, maximum=65535)
    ] = 10250,
    labels: Annotated[
        list[str] | None, Option("--node-label", "A label of the node.", "KEY=VALUE")
    ] = None,
    resources: Annotated[
        list[str] | None,
        Option("--node-resource", "An extended resource of the node.", "NAME=COUNT"),
    ] = None,
    allow_host_image: Annotated[
        bool,
        Option("--allow-host-image", "Let pods of the cluster use the image `host`."),
    ] = False,
) -> int:
    """Joins if that is still to be done, then serves until a signal. Raises CliError."""
    home = open_home(settings)
    from kubelite.client.errors import ClientError
    from kubelite.node.kubelet.act import facts
    from kubelite.up import join as joining
    from kubelite.up.node_certificates import NotSigned

    home.make()
    directory = joining.directory_of(home)
    try:
        if token is not None:
            if server is None:
                raise CliError(Diagnostic("--server is missing: it says whom to join"))
            name = node_name or facts.node_name()
            parsed = joining.parse(token)
            asyncio.run(joining.join(directory, server.rstrip("/"), parsed, name))
        options = joining.joined_options(
            directory,
            port=port,
            labels=pairs(labels),
            resources=pairs(resources),
            allow_host_image=allow_host_image,
        )
    except (joining.BadToken, NotSigned, ClientError) as error:
        raise CliError(Diagnostic(f"this machine has not joined: {error}")) from error
    except FileNotFoundError as error:
        raise CliError(
            Diagnostic(
                "this machine has not joined a cluster",
                hint="give --server and --token; `kubelite token create` on the server's machine "
                "prints both",
            )
        ) from error
    return run_agent(home, options)
