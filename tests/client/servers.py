"""A real API server over the memory store, and clients of it over either transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.local import LocalTransport
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory

TRANSPORTS = ("local", "https")
ADMIN = Identity("kubernetes-admin", ("system:masters",))


class Served(NamedTuple):
    """A running server and a client of its administrator."""

    server: ApiServer
    client: Client


def _bytes(path: str) -> bytes:
    return Path(path).read_bytes()


def access(server: ApiServer, identity: Identity = ADMIN) -> ClusterAccess:
    pair = server.pki.client(identity.user.replace(":", "-"), identity.user, identity.groups)
    return ClusterAccess(
        f"https://127.0.0.1:{server.port}",
        authority=_bytes(server.pki.authority.certificate),
        certificate=_bytes(pair.certificate),
        key=_bytes(pair.key),
    )


def client_of(server: ApiServer, transport: str, identity: Identity = ADMIN) -> Client:
    if transport == "local":
        return Client(LocalTransport(server.application, identity))
    return Client(HttpTransport(access(server, identity)))


@asynccontextmanager
async def served(
    path: Path, transport: str = "local", store: Memory | None = None
) -> AsyncIterator[Served]:
    server = ApiServer(store or Memory(), Options(str(path / "pki"), port=0))
    await server.start()
    client = client_of(server, transport)
    try:
        yield Served(server, client)
    finally:
        await client.close()
        await server.close()


def config_map(name: str, namespace: str = "default", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    spec.setdefault("containers", [{"name": "c", "image": "example/app"}])
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
