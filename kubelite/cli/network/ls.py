"""``network ls``: the network of the state root's pods in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Output, Settings, usage
from kubelite.cli.common.engine import open_home
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.ls import OUTPUT

if TYPE_CHECKING:
    from kubelite.lib.json import Object

_HEADERS = ("NAME", "DRIVER", "INTERFACE", "SUBNETS", "MTU", "PODS", "NODES")


@usage(
    "kubelite network ls",
    "kubelite network ls -o json",
    notes="All pods of a state root are in one network. Its bridge is there while there are pods.",
)
def ls(settings: Settings, *, format: Annotated[Output, OUTPUT] = Output.table) -> int:
    """Lists the network of pods."""
    screen, network = Screen(settings), network_document(settings)
    if format in (Output.json, Output.yaml):
        screen.data(output.document([network], format))
    elif format is Output.name:
        screen.data(f"{network['name']}\n")
    else:
        subnets = ",".join(subnet["subnet"] for subnet in network["subnets"])
        cells = [network["name"], network["driver"], network["interface"], subnets]
        cells += [str(network["mtu"] or "<none>")]
        cells += [str(len(network[members])) for members in ("pods", "nodes")]
        screen.data(output.table(_HEADERS, [cells]))
    return 0


def network_document(settings: Settings) -> Object:
    """The network as a document. Raises CliError."""
    home = open_home(settings)
    from kubelite.node.network.overview import overview
    from kubelite.node.network.pod import PodNetwork

    return overview(PodNetwork(home.run, home.key, home.lock))
