"""What a node can be told, by whichever command starts it."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option
from kubelite.node.network.between.ways import RoutingMode

NodeName = Annotated[
    str | None, Option("--node-name", "Name of the node; by default the host name.", "NAME")
]
Labels = Annotated[list[str] | None, Option("--node-label", "A label of the node.", "KEY=VALUE")]
Resources = Annotated[
    list[str] | None,
    Option("--node-resource", "An extended resource of the node.", "NAME=COUNT"),
]
AllowHostImage = Annotated[
    bool,
    Option("--allow-host-image", "Let pods of the cluster use the image `host`."),
]
Routing = Annotated[
    RoutingMode,
    Option(
        "--routing-mode",
        "How packets travel to pods of other nodes: by routes on a link that the nodes share "
        "(direct), in a VXLAN, or as suits each node.",
    ),
]
NoIngress = Annotated[bool, Option("--no-ingress", "Serve no Ingresses: another controller does.")]
IngressPort = Annotated[
    int,
    Option("--ingress-port", "Port for the HTTP of Ingresses.", minimum=1, maximum=65535),
]
IngressTlsPort = Annotated[
    int,
    Option("--ingress-tls-port", "Port for the HTTPS of Ingresses.", minimum=1, maximum=65535),
]
