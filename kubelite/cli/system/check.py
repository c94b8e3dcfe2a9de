"""``system check``: what on this machine stands in the way of pods."""

from __future__ import annotations

import os

from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen


@usage(
    "kubelite system check",
    notes="Looks at the firewall rules of others; changes nothing. Exit code 1 says that something "
    "was found.",
)
def check(settings: Settings) -> int:
    """Names the rules of others that block pods. Raises CliError."""
    screen, home = Screen(settings), open_home(settings)
    from kubelite.node.network import names
    from kubelite.node.network.errors import NetworkError
    from kubelite.node.network.ways import blocked

    if os.geteuid() != 0:
        raise CliError(Diagnostic("only root can read the firewall rules"))
    try:
        obstacles = blocked(home.key)
    except NetworkError as error:
        raise CliError(Diagnostic(error.message, hint=error.hint)) from error
    for way, obstacle in obstacles:
        certainty = "" if obstacle.is_certain else ", if no other rule of it lets them pass"
        screen.data(f"packets {way} do not pass: {obstacle}{certainty}\n")
    if not obstacles:
        screen.data("nothing stands in the way of pods\n")
        return 0
    bridge = names.bridge(home.key)
    screen.note(f'let that firewall accept packets whose iifname or oifname is "{bridge}"')
    return 1
