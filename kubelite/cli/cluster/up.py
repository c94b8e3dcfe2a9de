"""``up``: a whole Kubernetes on this machine, in the background."""

from __future__ import annotations

import shutil
from typing import Annotated

from kubelite.cli.cluster.options import ClusterName, reporter
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import CniBinDir, CniConfDir, cni_directories, open_home
from kubelite.cli.common.screen import Screen
from kubelite.cli.controllers.options import LoadBalancerPool, controller_settings
from kubelite.cli.node.options import (
    IngressPort,
    IngressTlsPort,
    NoIngress,
    Routing,
)
from kubelite.node.network.between.ways import RoutingMode
from kubelite.node.network.cni import DEFAULT_BIN


@usage(
    "kubelite up",
    "kubelite up --merge && kubectl get nodes",
    "kubelite up --name second --port 7443 --kubelet-port 11250",
    notes="A cluster that is up is left as it is. `kubelite down` ends it.",
)
def up(
    settings: Settings,
    *,
    name: ClusterName = "default",
    port: Annotated[
        int, Option("--port", "Port of the API server.", minimum=1, maximum=65535)
    ] = 6443,
    kubelet_port: Annotated[
        int, Option("--kubelet-port", "Port of the node.", minimum=1, maximum=65535)
    ] = 10250,
    bind: Annotated[
        str, Option("--bind", "Address that the API server listens on.", "ADDRESS")
    ] = "127.0.0.1",
    node_name: Annotated[
        str | None, Option("--node-name", "Name of the node; by default the host name.", "NAME")
    ] = None,
    allow_host_image: Annotated[
        bool, Option("--allow-host-image", "Let pods of the cluster use the image `host`.")
    ] = False,
    cni_conf_dir: CniConfDir = None,
    cni_bin_dir: CniBinDir = DEFAULT_BIN,
    load_balancer_pool: LoadBalancerPool = "",
    no_ingress: NoIngress = False,
    ingress_port: IngressPort = 80,
    ingress_tls_port: IngressTlsPort = 443,
    routing_mode: Routing = RoutingMode.auto,
    merge: Annotated[
        bool, Option("--merge", "Add the cluster to your own kubeconfig and make it current.")
    ] = False,
) -> int:
    """Starts server and node, and returns when the node is ready. Raises CliError."""
    controller_settings(load_balancer_pool)
    screen, home = Screen(settings), open_home(settings)
    from kubelite.up.cluster import NotUp, UpOptions
    from kubelite.up.cluster import up as bring_up

    options = UpOptions(
        name,
        port,
        kubelet_port,
        node_name or "",
        bind,
        allow_host_image,
        load_balancer_pool,
        None if no_ingress else (ingress_port, ingress_tls_port),
        routing_mode,
        cni_directories(cni_conf_dir, cni_bin_dir),
    )
    try:
        directory = bring_up(home, options, reporter(screen))
    except NotUp as error:
        raise CliError(Diagnostic(str(error))) from error
    if merge:
        from kubelite.cli.cluster.merge import merge_into_own

        screen.note(f"added to {merge_into_own(directory.kubeconfig, name)}")
    else:
        screen.note(f"export KUBECONFIG={directory.kubeconfig}")
    screen.note(f"{'kubectl' if shutil.which('kubectl') else 'kubelite'} get nodes")
    return 0
