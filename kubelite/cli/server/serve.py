"""``kubelite server``: the API server in the foreground, until a signal."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.controllers.options import ControllerNames, LoadBalancerPool, split_names
from kubelite.cli.node.options import NoIngress

_FILE = {"metavar": "FILE", "completes": "file"}


@usage(
    "kubelite server --kubeconfig ~/.kube/kubelite",
    "kubelite server --data-dir /tmp/try --port 0 --kubeconfig /tmp/try.config",
    notes="It serves the API, schedules pods and runs controllers, but no pods on this machine.",
)
def server(
    settings: Settings,
    *,
    data_dir: Annotated[
        str | None,
        Option("--data-dir", "Directory of the store and keys; nothing else is written.", "DIR"),
    ] = None,
    bind: Annotated[str, Option("--bind", "Address to listen on.", "ADDRESS")] = "127.0.0.1",
    port: Annotated[
        int,
        Option("--port", "Port to listen on; 0 chooses a free one.", minimum=0, maximum=65535),
    ] = 6443,
    names: Annotated[
        list[str] | None,
        Option("--name", "Further host name or address for the certificate.", "NAME"),
    ] = None,
    etcd: Annotated[
        str | None, Option("--etcd", "Store objects in this etcd instead of a file.", "URL")
    ] = None,
    kubeconfig: Annotated[
        str | None,
        Option(
            "--kubeconfig", "Write a kubeconfig to this file once the server is ready.", **_FILE
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        Option(
            "--token-file",
            "Authenticate bearer tokens from this CSV file (token,user,uid,groups per line).",
            **_FILE,
        ),
    ] = None,
    audit_log: Annotated[
        str | None,
        Option("--audit-log", "Write one JSON line per request to this file.", **_FILE),
    ] = None,
    audit_policy: Annotated[
        str | None,
        Option("--audit-policy", "Audit policy: what is logged of which requests.", **_FILE),
    ] = None,
    metrics: Annotated[
        bool, Option("--metrics", "Also serve metrics.k8s.io (kubectl top).")
    ] = False,
    controllers: ControllerNames = "*",
    load_balancer_pool: LoadBalancerPool = "",
    no_ingress: NoIngress = False,
    no_scheduler: Annotated[
        bool, Option("--no-scheduler", "Do not assign pods to nodes: another scheduler does.")
    ] = False,
    no_node: Annotated[
        bool,
        Option("--no-node", "Only the control plane: prepare nothing for nodes."),
    ] = False,
) -> int:
    """Serves until a signal. Raises CliError."""
    from kubelite.cli.server.run import ServerOptions, run

    return run(
        settings,
        ServerOptions(
            data_dir,
            bind,
            port,
            tuple(names or ()),
            etcd,
            kubeconfig,
            token_file,
            audit_log,
            audit_policy,
            metrics,
            split_names(controllers),
            not no_scheduler,
            not no_node,
            load_balancer_pool,
            not no_ingress,
        ),
    )
