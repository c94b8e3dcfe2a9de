"""``system check``: what is damaged in the state root, and what stands in the way of pods."""

from __future__ import annotations

import os
from pathlib import Path

from kubelite.cli.common.command import Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic, cell
from kubelite.cli.common.engine import open_home, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.network.ls import network_document


@usage(
    "kubelite system check",
    notes="Looks at records, at every byte of the images that came as archives, at the ways to pods"
    " of other nodes, at the firewall rules of others and at the CNI plug-ins of node.json; changes"
    " nothing. Exit code 1 says that something was found.",
)
def check(settings: Settings) -> int:
    """Names what is damaged or lost, and the rules of others that block pods. Raises CliError."""
    screen = Screen(settings)
    damages = _damages(settings, screen)
    for damage in damages:
        screen.data(f"{cell(damage)}\n")
    if not damages:
        screen.data("pods and images are whole\n")
    is_cut_off = _show_ways(settings, screen)
    is_blocked = _show_obstacles(settings, screen)
    is_unready = _show_unready_network(settings, screen)
    return int(bool(damages) or is_cut_off or is_blocked or is_unready)


def _damages(settings: Settings, screen: Screen) -> list[str]:
    from kubelite.node.image.content.checking import problems

    with screen.waiting("reading records and images"):
        records = open_pods(settings, screen).queries.damaged_records()
        return [*records, *problems(Path(open_home(settings).images))]


def _show_ways(settings: Settings, screen: Screen) -> bool:
    """Prints how packets travel to the pods of other nodes; whether some cannot."""
    nodes = network_document(settings)["nodes"]
    for node in nodes:
        pods = f"pods {node['podRange']} of node {node['name']} ({node['address']})"
        way = f"{node['way']} by {node['interface']}"
        screen.data(f"{pods}: {way}{'' if node['isReachable'] else ', which is missing'}\n")
    return not all(node["isReachable"] for node in nodes)


def _vxlan_ends(settings: Settings) -> list[tuple[str, str]]:
    """This node's address and another's, for each that packets travel to in a VXLAN."""
    network = network_document(settings)
    own = network["vxlan"]["address"] if network["vxlan"] else ""
    return [(own, node["address"]) for node in network["nodes"] if own and node["way"] == "vxlan"]


def _show_obstacles(settings: Settings, screen: Screen) -> bool:
    """Prints what blocks pods; whether anything does."""
    home = open_home(settings)
    from kubelite.node.network import names
    from kubelite.node.network.errors import NetworkError
    from kubelite.node.network.firewall_check import blocked

    if os.geteuid() != 0:
        raise CliError(Diagnostic("only root can read the firewall rules"))
    try:
        obstacles = blocked(home.key, _vxlan_ends(settings))
    except NetworkError as error:
        raise CliError(Diagnostic(error.message, hint=error.hint)) from error
    for way, obstacle in obstacles:
        certainty = "" if obstacle.is_certain else ", if no other rule of it lets them pass"
        screen.data(f"packets {way} do not pass: {obstacle}{certainty}\n")
    if not obstacles:
        screen.data("nothing stands in the way of pods\n")
        return False
    bridge = names.bridge(home.key)
    screen.note(f'let that firewall accept packets whose iifname or oifname is "{bridge}"')
    return True


def _show_unready_network(settings: Settings, screen: Screen) -> bool:
    """Prints why CNI plug-ins cannot connect pods; whether that is so."""
    from kubelite.node.kubelet.act import config_file
    from kubelite.node.network.errors import PluginFailed

    directories = config_file.read(open_home(settings)).cni
    if directories is None:
        return False
    from kubelite.node.network.cni.attachments import check_status

    try:
        check_status(directories)
    except PluginFailed as error:
        screen.data(f"{cell(error.message)}\n")
        if error.hint:
            screen.note(error.hint)
        return True
    screen.data("the CNI plug-ins are ready\n")
    return False
