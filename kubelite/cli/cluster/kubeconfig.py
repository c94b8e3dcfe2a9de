"""``kubeconfig``: how to reach a cluster, as a file or added to one's own."""

from __future__ import annotations

import os
from typing import Annotated

from kubelite.cli.cluster.merge import merge_into_own
from kubelite.cli.cluster.options import ClusterName
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen


@usage("kubelite kubeconfig > kubelite.kubeconfig", "kubelite kubeconfig --merge")
def kubeconfig(
    settings: Settings,
    *,
    name: ClusterName = "default",
    merge: Annotated[
        bool, Option("--merge", "Add it to your own kubeconfig and make it current.")
    ] = False,
) -> int:
    """Prints the administrator's kubeconfig. Raises CliError."""
    screen, home = Screen(settings), open_home(settings)
    from kubelite.up.cluster import directory_of

    path = directory_of(home, name).kubeconfig
    if not os.path.exists(path):
        raise CliError(
            Diagnostic(f'cluster "{name}" has no kubeconfig yet', hint="start it: kubelite up")
        )
    if merge:
        screen.note(f"added to {merge_into_own(path, name)}")
        return 0
    with open(path, encoding="utf-8") as file:
        screen.data(file.read())
    return 0
