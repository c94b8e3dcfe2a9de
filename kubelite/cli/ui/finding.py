"""Which API server the page is of."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.server.kubeconfig import default_directory, own_kubeconfig

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings
    from kubelite.client.kubeconfig import ClusterAccess
    from kubelite.node.runtime.home import Home


def named_cluster(path: str, context: str | None) -> ClusterAccess:
    """The cluster that a kubeconfig names. Raises CliError where it does not answer."""
    from kubelite.client.errors import ClientError
    from kubelite.client.kubeconfig import load

    try:
        access = load(path, context or "")
        asyncio.run(_ask_version(access))
    except ClientError as error:
        raise CliError(Diagnostic(str(error))) from error
    return access


def running_cluster(settings: Settings, cluster: str) -> ClusterAccess | None:
    """The cluster of `kubelite up` or else that of `kubelite server` which answers on this machine;
    None where none does. Raises CliError.
    """
    for path in filter(os.path.exists, _kubeconfigs(settings, cluster)):
        try:
            return named_cluster(path, None)
        except CliError:
            continue  # what has ended leaves its file behind
    return None


def _kubeconfigs(settings: Settings, cluster: str) -> Iterator[str]:
    if os.geteuid() == 0:
        from kubelite.cli.common.engine import open_home
        from kubelite.up.cluster import directory_of

        yield directory_of(open_home(settings), cluster).kubeconfig
    yield own_kubeconfig(default_directory(settings))


def boot_milliseconds(home: Home, cluster: str, access: ClusterAccess) -> float | None:
    """How long `kubelite up` took to start the cluster that ``access`` reaches; None for one that
    was not started so on this machine.
    """
    from kubelite.client.errors import BadKubeconfig
    from kubelite.client.kubeconfig import load
    from kubelite.up.cluster import directory_of

    directory = directory_of(home, cluster)
    try:
        own = load(directory.kubeconfig)
        with open(directory.boot, encoding="ascii") as file:
            took = float(file.read())
    except (BadKubeconfig, OSError, ValueError):
        return None
    return took if (own.server, own.authority) == (access.server, access.authority) else None


async def _ask_version(access: ClusterAccess) -> None:
    """Raises ClientError for a server that does not answer at all."""
    from kubelite.client.http import HttpTransport
    from kubelite.client.transport import Call

    transport = HttpTransport(access)
    try:
        await transport.call(Call("GET", "/version"))
    finally:
        await transport.close()
