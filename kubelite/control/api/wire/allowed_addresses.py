"""May the server connect there? The one answer for proxies, kubelets and everything else whose
address somebody else chose.

The server stands where its callers do not: what listens on its loopback interface or answers on
link-local addresses (cloud metadata) is not meant for them (``lib/addresses``).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from kubelite.control.api.wire.status import bad_request, unavailable
from kubelite.lib.addresses import is_allowed


def check_address(host: str) -> None:
    """Whether a pod's or an endpoint's address may be connected to. Raises StatusError 400."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError as error:
        raise bad_request(f"address not allowed: {host!r} is not an IP address") from error
    if not is_allowed(address):
        raise bad_request("address not allowed")


async def resolve(host: str, *, loopback: bool) -> str:
    """The address of a host, checked: connect to this, not to the name, which may mean something
    else a moment later. Raises StatusError 400, 503.
    """
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise unavailable(f"cannot resolve {host}: {error}") from error
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    allowed = [address for address in addresses if is_allowed(address, loopback=loopback)]
    if not allowed:
        raise bad_request(f"address not allowed: {host}")
    return str(allowed[0])
