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
from kubelite.client.resources import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    SECRETS,
    SERVICES,
)
from kubelite.node.ingress import routes
from kubelite.node.ingress.certificates import Certificates, Pair
from kubelite.node.ingress.proxy import IngressProxy, Target
from kubelite.node.proxy.services import candidates, choose
from kubelite.up.cluster_network import SERVICE_LABEL

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
        self._backends: Backends | None = None
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
        if ours and self._backends is None:
            services, slices = self._informers.of(SERVICES), self._informers.of(ENDPOINT_SLICES)
            await self._informers.wait_synced()
            self._backends = Backends(services, slices)
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
        addresses = [{"ip": self._options.address}]
        balancer = (ingress.get("status") or {}).get("loadBalancer") or {}
        if (balancer.get("ingress") or []) != addresses:
            meta = ingress["metadata"]
            body = {"status": {"loadBalancer": {"ingress": addresses}}}
            await self._client.patch_status(INGRESSES, meta["name"], body, meta["namespace"])

    # -- backends and certificates -----------------------------------------------------------------

    def _find(self, host: str, path: str) -> Sequence[Target] | None:
        backend = routes.find(self._routes, host, path)
        if backend is None or self._backends is None:
            return None
        return self._backends.targets(backend)

    async def _load_certificates(self, by_host: Mapping[str, SecretKey]) -> None:
        named = set(by_host.values())
        for key in self._secrets.keys() - named:
            del self._secrets[key]
            await self._informers.drop(SECRETS, _selection(key))
        for key in named - self._secrets.keys():
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


class Backends:
    """Where the ports of Services are reached: their endpoints, as the proxy of Services chooses
    them. An external name has none: it could lead to what only this machine may reach.
    """

    def __init__(self, services: Informer, slices: Informer) -> None:
        self._services, self._slices = services, slices
        slices.add_index("service", lambda obj: [_service_of(obj)])

    def targets(self, backend: routes.Backend) -> Sequence[Target]:
        """Empty where the Service, its port or its endpoints are not there."""
        service = self._services.get(backend.namespace, backend.service)
        ports = (service or {}).get("spec", {}).get("ports") or ()
        name = next(
            (p.get("name", "") for p in ports if backend.port in (p["port"], p.get("name"))), None
        )
        if name is None:
            return ()
        slices = self._slices.by_index("service", f"{backend.namespace}/{backend.service}")
        chosen = choose(list(candidates(map(dict, slices), name)), None)
        return [Target(*endpoint) for endpoint in chosen]


def _service_of(endpoint_slice: Object) -> str:
    meta = endpoint_slice["metadata"]
    return f"{meta['namespace']}/{(meta.get('labels') or {}).get(SERVICE_LABEL, '')}"


def _selection(key: SecretKey) -> Selection:
    return Selection(namespace=key[0], field_selector=f"metadata.name={key[1]}")
