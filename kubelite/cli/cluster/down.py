"""``down``: a cluster's processes, pods and rules, gone."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.cluster.options import ClusterName, reporter
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen


@usage(
    "kubelite down",
    "kubelite down --keep",
    "kubelite down --delete",
    notes="Objects, keys and volumes stay for the next `kubelite up` unless --delete is given.",
)
def down(
    settings: Settings,
    *,
    name: ClusterName = "default",
    keep: Annotated[bool, Option("--keep", "Leave the pods running.")] = False,
    delete: Annotated[
        bool, Option("--delete", "Also delete the cluster's objects, keys and volumes.")
    ] = False,
) -> int:
    """Ends a cluster. Raises CliError."""
    screen, home = Screen(settings), open_home(settings)
    from kubelite.up.cluster import NotUp
    from kubelite.up.cluster import down as take_down

    try:
        was_there = take_down(home, name, reporter(screen), keep_pods=keep, delete=delete)
    except NotUp as error:
        raise CliError(Diagnostic(str(error))) from error
    if not was_there:
        screen.note(f'cluster "{name}" is not running')
    return 0
