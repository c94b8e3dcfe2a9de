"""How a node serves Ingresses, by whichever command starts it."""

from __future__ import annotations

from typing import Annotated

from kubelite.cli.common.command import Option

NoIngress = Annotated[bool, Option("--no-ingress", "Serve no Ingresses: another controller does.")]
IngressPort = Annotated[
    int,
    Option("--ingress-port", "Port for the HTTP of Ingresses.", minimum=1, maximum=65535),
]
IngressTlsPort = Annotated[
    int,
    Option("--ingress-tls-port", "Port for the HTTPS of Ingresses.", minimum=1, maximum=65535),
]
