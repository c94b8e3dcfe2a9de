"""``node run``: this machine as a node of the cluster that a data directory's server serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import CniBinDir, CniConfDir, cni_directories, open_home
from kubelite.cli.node.options import (
    AllowHostImage,
    IngressPort,
    IngressTlsPort,
    Labels,
    NodeName,
    NoIngress,
    Resources,
    Routing,
)
from kubelite.node.network.between.ways import RoutingMode
from kubelite.node.network.cni import DEFAULT_BIN

if TYPE_CHECKING:
    from kubelite.node.runtime.home import Home
    from kubelite.up.node import NodeOptions


@usage(
    "kubelite node run --data-dir /var/lib/kubelite/server --server https://127.0.0.1:6443",
    notes="`kubelite up` starts it together with the server; pods run on when it ends.",
)
def run(
    settings: Settings,
    *,
    data_dir: Annotated[
        str | None,
        Option("--data-dir", "The server's data directory, which holds the keys.", "DIR"),
    ] = None,
    server: Annotated[
        str, Option("--server", "Where the API server listens.", "URL")
    ] = "https://127.0.0.1:6443",
    node_name: NodeName = None,
    port: Annotated[
        int, Option("--port", "Port of the kubelet's server.", minimum=0, maximum=65535)
    ] = 10250,
    labels: Labels = None,
    resources: Resources = None,
    allow_host_image: AllowHostImage = False,
    cni_conf_dir: CniConfDir = None,
    cni_bin_dir: CniBinDir = DEFAULT_BIN,
    no_ingress: NoIngress = False,
    ingress_port: IngressPort = 80,
    ingress_tls_port: IngressTlsPort = 443,
    routing_mode: Routing = RoutingMode.auto,
) -> int:
    """Serves until a signal. Raises CliError."""
    home = open_home(settings)
    from kubelite.up.node_credentials import node_options

    directory = data_dir or os.path.join(home.root, "server")
    try:
        options = node_options(
            directory,
            server,
            node_name or "",
            port=port,
            labels=pairs(labels),
            resources=pairs(resources),
            allow_host_image=allow_host_image,
            cni=cni_directories(cni_conf_dir, cni_bin_dir),
            ingress_ports=None if no_ingress else (ingress_port, ingress_tls_port),
            routing_mode=routing_mode,
        )
    except FileNotFoundError as error:
        raise CliError(
            Diagnostic(f"{error.filename} is missing", hint="start `kubelite server` first")
        ) from error
    return run_agent(home, options)


def run_agent(home: Home, options: NodeOptions) -> int:
    """Runs the node until a signal. Raises CliError."""
    from kubelite.node.kubelet.agent import agent_control
    from kubelite.up.node import NodeAgent

    try:
        NodeAgent(home, options).run()
    except TimeoutError:
        running = agent_control.running(home)
        cause = f"its pid is {running.pid}" if running is not None else ""
        message = "an agent is already running for this state root"
        raise CliError(Diagnostic(message, cause=cause)) from None
    return 0


def pairs(words: list[str] | None) -> dict[str, str]:
    """Words of the form NAME=VALUE. Raises CliError."""
    for word in words or ():
        if "=" not in word:
            raise CliError(Diagnostic(f"{word} must be of the form NAME=VALUE"))
    return dict(word.split("=", 1) for word in words or ())
