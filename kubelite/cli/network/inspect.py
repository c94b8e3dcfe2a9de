"""``network inspect``: addresses, ports, and the ways to other nodes."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common import output
from kubelite.cli.common.command import Argument, Document, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen
from kubelite.cli.network.ls import network_document
from kubelite.cli.pod.ls import OUTPUT


@usage("kubelite network inspect", "kubelite network inspect -o yaml")
def inspect(
    settings: Settings,
    name: Annotated[str, Argument("NAME", "The network, as `network ls` names it.")] = "kubelite",
    *,
    format: Annotated[Document, OUTPUT] = Document.json,
) -> int:
    """Prints bridge, MTU, subnets, the pods with their addresses and host ports, and for each other
    node the way to its pods. Raises CliError.
    """
    network = network_document(settings)
    if name != network["name"]:
        raise CliError(Diagnostic(f'there is no network "{name}"', hint="`network ls` lists it"))
    Screen(settings).data(output.document(network, format))
    return 0
