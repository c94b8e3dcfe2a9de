"""What controllers can be told, by whichever command runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common.command import Option
from kubelite.cli.common.diagnostic import CliError, Diagnostic

if TYPE_CHECKING:
    from kubelite.control.controllers.controller import Settings

ControllerNames = Annotated[
    str,
    Option(
        "--controllers",
        "Controllers to run: * is the default ones, NAME one more, -NAME one less.",
        "NAMES",
    ),
]
LoadBalancerPool = Annotated[
    str,
    Option(
        "--load-balancer-pool",
        "Addresses for Services of type LoadBalancer, as networks and ranges; "
        "by default those of the nodes. For service-lb-controller.",
        "ADDRESSES",
    ),
]


def split_names(names: str) -> tuple[str, ...]:
    """The words of ``--controllers``."""
    return tuple(word.strip() for word in names.split(",") if word.strip())


def controller_settings(pool: str) -> Settings:
    """The settings that the options mean. Raises CliError for a pool that cannot be read."""
    from kubelite.control.controllers.controller import Settings
    from kubelite.control.controllers.shared.address_pool import BadPool, parse

    try:
        return Settings(parse(pool))
    except BadPool as error:
        hint = "write it like 192.0.2.16/28 or 192.0.2.20-192.0.2.29"
        raise CliError(Diagnostic(f"--load-balancer-pool: {error}", hint=hint)) from error
