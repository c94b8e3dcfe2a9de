"""The built-in Ingress controller: follows Ingresses of its class, and serves them on this node.

Ports are opened with the first Ingress, so that a cluster without one takes none.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.client.client import Client, Selection
from kubelite.client.errors import ClientError
from kubelite.client.informers import Informer, Informers
from kubelite.client.resources import INGRESS_CLASSES, INGRESSES, SECRETS, SERVICES
from kubelite.node.ingress import routes
from kubelite.node.ingress.certificates import Certificates, Pair
from kubelite.node.ingress.proxy import IngressProxy, Target

RETRY_SECONDS = 5.0
Object = Mapping[str, Any]
SecretKey = tuple[str, str]

_log = logging.getLogger("kubelite.ingress")


class IngressOptions(NamedTuple):
    """Where HTTP and HTTPS are served, and the address that Ingresses get in their status."""

    address: str
    port: int = 80
    tls_port: int = 443
    listen: str = "0.0.0.0"


class ClusterIngress:
    """The Ingresses of one node."""

    def __init__(self, client: Client, options: IngressOptions) -> None:
        self._client = client
        self._options = options
        self._informers = Informers(client)
        self._ingresses = self._informers.of(INGRESSES)
        self._classes = self._informers.of(INGRESS_CLASSES)
        self._services: Informer | None = None
        self._secrets: dict[SecretKey, Informer] = {}
        self._routes = routes.Routes({})
        self._certificates = Certificates()
        self._proxy = IngressProxy(self._find, self._certificates.context)
        self._wake = asyncio.Event()
        self.ports: tuple[int, int] | None = None

    async def run(self) -> None:
        """Follows the cluster until cancelled."""
        await self._informers.wait_synced()
        for informer in (self._ingresses, self._classes):
            informer.add_handler(self._changed)
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply()
            except (ClientError, OSError) as error:
                _log.warning("Ingresses cannot be served: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def close(self) -> None:
        """Ends listening."""
        await self._proxy.close()
        await self._informers.close()

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self._wake.set()

    async def _apply(self) -> None:
        """Serves what there is now. Raises OSError where a port is taken, ClientError."""
        classes = [dict(ingress_class) for ingress_class in self._classes.list()]
        ours = [dict(obj) for obj in self._ingresses.list() if routes.is_ours(dict(obj), classes)]
        if ours and self._services is None:
            self._services = self._informers.of(SERVICES)
            await self._services.wait_synced()
        self._routes = routes.routes(ours)
        await self._load_certificates(routes.certificates(ours))
        if ours and self.ports is None:
            self.ports = await self._listen()
        for ingress in ours:
            await self._report(ingress)

    async def _listen(self) -> tuple[int, int]:
        options = self._options
        try:
            return await self._proxy.start(options.listen, options.port, options.tls_port)
        except OSError as error:
            where = f"port {options.port} or {options.tls_port} of this machine"
            raise OSError(error.errno, f"{where} cannot be listened on: {error.strerror}") from None

    async def _report(self, ingress: Object) -> None:
        """The address in an Ingress's status, where it is not there."""
        wanted = [{"ip": self._options.address}]
        balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
        if (balancer.get("ingress") or []) != wanted:
            meta = ingress["metadata"]
            body = {"status": {"loadBalancer": {"ingress": wanted}}}
            await self._client.patch_status(INGRESSES, meta["name"], body, meta["namespace"])

    # -- backends and certificates -----------------------------------------------------------------

    def _find(self, host: str, path: str) -> Target | None:
        backend = routes.find(self._routes, host, path)
        if backend is None:
            return None
        service = self._services and self._services.get(backend.namespace, backend.service)
        return _target(service, backend.port) if service else Target("", 0)

    async def _load_certificates(self, by_host: Mapping[str, SecretKey]) -> None:
        wanted = set(by_host.values())
        for key in self._secrets.keys() - wanted:
            del self._secrets[key]
            await self._informers.drop(SECRETS, _selection(key))
        for key in wanted - self._secrets.keys():
            informer = self._secrets[key] = self._informers.of(SECRETS, _selection(key))
            await informer.wait_synced()
            informer.add_handler(self._changed)
        pairs = {host: self._pair(key) for host, key in by_host.items()}
        problems = self._certificates.replace({h: pair for h, pair in pairs.items() if pair})
        for host, problem in problems.items():
            _log.warning("the certificate of %s in Secret %s: %s", host, by_host[host], problem)

    def _pair(self, key: SecretKey) -> Pair | None:
        secret = self._secrets[key].get(*key)
        data = (secret or {}).get("data") or {}
        try:
            return Pair(*(base64.b64decode(data[name]) for name in ("tls.crt", "tls.key")))
        except (KeyError, binascii.Error):
            return None


def _target(service: Object, port: int | str) -> Target:
    """Where a port of a Service is reached: its cluster address. A headless one has none, and an
    external name could lead to what only this machine may reach.
    """
    spec = service["spec"]
    address, ports = spec.get("clusterIP", ""), spec.get("ports") or ()
    if address in ("", "None") or spec.get("type") == "ExternalName":
        return Target("", 0)
    return Target(address, _number(ports, port))


def _number(ports: Sequence[Object], wanted: int | str) -> int:
    return next((port["port"] for port in ports if wanted in (port["port"], port.get("name"))), 0)


def _selection(key: SecretKey) -> Selection:
    return Selection(namespace=key[0], field_selector=f"metadata.name={key[1]}")
