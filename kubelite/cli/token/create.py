"""``token create``: lets another machine join."""

from __future__ import annotations

import asyncio
from typing import Annotated

from kubelite.cli.cluster.options import ClusterName
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen

_HOUR = 3600


@usage(
    "kubelite token create",
    "kubelite token create --hours 1",
    notes="The server has to listen where other machines reach it: `kubelite up --bind 0.0.0.0`.",
)
def create(
    settings: Settings,
    *,
    name: ClusterName = "default",
    hours: Annotated[
        int, Option("--hours", "How long the token is good.", minimum=1, maximum=8760)
    ] = 24,
    kubeconfig: Annotated[
        str | None,
        Option("--kubeconfig", "The cluster of this kubeconfig instead.", "FILE", completes="file"),
    ] = None,
) -> int:
    """Prints the token; the command that joins goes to stderr. Raises CliError."""
    from kubelite.client.errors import ClientError
    from kubelite.client.kubeconfig import load
    from kubelite.up.cluster import directory_of
    from kubelite.up.join import create_token

    path = kubeconfig or directory_of(open_home(settings), name).kubeconfig
    screen = Screen(settings)
    try:
        access = load(path)
        token = asyncio.run(create_token(access, hours * _HOUR))
    except ClientError as error:
        raise CliError(Diagnostic(f"no token was made: {error}")) from error
    screen.data(f"{token}\n")
    screen.note(f"kubelite node join --server {access.server} --token {token}")
    return 0
