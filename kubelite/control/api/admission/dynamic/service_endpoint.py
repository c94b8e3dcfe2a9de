"""Where the API server itself reaches a Service of the cluster: at one of its ready endpoints."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from kubelite.control.api.wire.documents import load
from kubelite.lib.addresses import is_allowed_host

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from aiohttp.abc import AbstractResolver, ResolveResult

    from kubelite.control.store.store import Store
    from kubelite.lib.json import Object

Address = tuple[str, int]
SERVICES, SLICES = "services/specs", "endpointslices"
SERVICE_NAME = "kubernetes.io/service-name"


class NoEndpoint(Exception):
    """A Service that cannot be called; the message says why."""


async def ready_endpoint(store: Store, namespace: str, name: str, port: int) -> Address:
    """A ready endpoint behind a port of a Service. Raises NoEndpoint, StoreError."""
    entry = await store.get(SERVICES, namespace, name)
    if entry is None:
        raise NoEndpoint(f'service "{namespace}/{name}" not found')
    ports = load(entry).get("spec", {}).get("ports") or ()
    names = [service_port.get("name", "") for service_port in ports if service_port["port"] == port]
    if not names:
        raise NoEndpoint(f'no service port {port} found for service "{name}"')
    return await endpoint_behind(store, namespace, name, names)


async def endpoint_behind(
    store: Store, namespace: str, name: str, ports: Collection[str]
) -> Address:
    """A ready endpoint behind one of a Service's ``ports``, which are names. Raises NoEndpoint,
    StoreError.
    """
    for piece in await slices_of(store, namespace, name):
        numbers = [
            item["port"]
            for item in piece.get("ports") or ()
            if item.get("name", "") in ports and item.get("port")
        ]
        for endpoint in piece.get("endpoints") or ():
            host = endpoint["addresses"][0]
            ready = (endpoint.get("conditions") or {}).get("ready", True)
            if numbers and ready and is_allowed_host(host):
                return str(host), int(numbers[0])
    raise NoEndpoint(f'no endpoints available for service "{name}"')


async def slices_of(store: Store, namespace: str, name: str) -> list[Object]:
    """The EndpointSlices of a Service. Raises StoreError."""
    pieces = [load(entry) for entry in (await store.page(SLICES, namespace)).entries]
    return [
        piece
        for piece in pieces
        if (piece["metadata"].get("labels") or {}).get(SERVICE_NAME) == name
    ]


def fixed_resolver(address: Address) -> AbstractResolver:
    """Resolves every name to one address: a service is reached at an endpoint, under its name."""

    async def always() -> Address:
        return address

    return resolver(always)


def resolver(find: Callable[[], Awaitable[Address]]) -> AbstractResolver:
    """Resolves every name to what ``find`` returns when a connection is made."""
    from aiohttp.abc import AbstractResolver

    class Resolver(AbstractResolver):
        async def resolve(
            self,
            host: str,
            port: int = 0,  # named as the caller names it
            family: socket.AddressFamily = socket.AF_INET,
        ) -> list[ResolveResult]:
            address, number = await find()
            return [
                {
                    "hostname": host,
                    "host": address,
                    "port": number,
                    "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                    "proto": 0,
                    "flags": socket.AI_NUMERICHOST,
                }
            ]

        async def close(self) -> None:
            """Nothing is held."""

    return Resolver()
