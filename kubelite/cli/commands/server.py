"""The word ``kubelite server``."""

from __future__ import annotations

from typing import Annotated

import typer


def server(
    context: typer.Context,
    data_dir: Annotated[
        str | None,
        typer.Option(
            "--data-dir",
            help="Where objects and keys are kept; nothing outside it is touched.",
            show_default=False,
        ),
    ] = None,
    bind: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 6443,
    name: Annotated[
        list[str] | None,
        typer.Option(
            help="A further name or address that the certificate is for.", show_default=False
        ),
    ] = None,
    etcd: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Keep objects in this etcd, not in a file.", show_default=False
        ),
    ] = None,
    kubeconfig: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Write how to reach the server here once it is ready.",
            show_default=False,
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Let in who brings a token of this file: token,user,uid,groups a line.",
            show_default=False,
        ),
    ] = None,
    audit_log: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write a line of JSON for every request here.", show_default=False
        ),
    ] = None,
    audit_policy: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Which requests the audit log holds, and how much of them.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option(
            "--metrics", help="Serve metrics.k8s.io too, where kubectl top looks; nodes fill it."
        ),
    ] = False,
    no_node: Annotated[
        bool, typer.Option("--no-node", help="Only the API: do not run pods on this machine.")
    ] = False,
) -> int:
    """Run a Kubernetes API server in the foreground, until Ctrl-C.

    kubelite server --no-node --kubeconfig ~/.kube/kubelite

    kubelite server --no-node --data-dir /tmp/try --port 0 --kubeconfig /tmp/try.config
    """
    from kubelite.cli.serving import Wanted, serve

    files = (kubeconfig, token_file, audit_log, audit_policy)
    wanted = Wanted(data_dir, bind, port, tuple(name or ()), etcd, *files, metrics, not no_node)
    return serve(context.obj, wanted)
