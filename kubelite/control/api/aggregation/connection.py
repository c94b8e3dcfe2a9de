"""Connections to extension servers, over which this server presents its front-proxy certificate."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING

from kubelite.control.api.admission.dynamic.service_endpoint import (
    SERVICES,
    NoEndpoint,
    ready_endpoint,
    resolver,
)
from kubelite.control.api.wire.allowed_addresses import resolve
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import StatusError

if TYPE_CHECKING:
    import aiohttp

    from kubelite.control.api.admission.dynamic.service_endpoint import Address
    from kubelite.control.api.aggregation.services import Backend
    from kubelite.control.api.auth.pki import Pki
    from kubelite.control.store.store import Store

CONNECT_SECONDS = 10.0


class Connections:
    """A pool of connections for each extension server that an APIService names."""

    def __init__(self, store: Store, pki: Pki) -> None:
        self._store = store
        self._pki = pki
        self._sessions: dict[Backend, aiohttp.ClientSession] = {}

    def tls(self, backend: Backend) -> ssl.SSLContext:
        """What to connect with. Raises ValueError, ssl.SSLError for a caBundle that is none."""
        bundle = base64.b64decode(backend.authority).decode() if backend.authority else None
        context = ssl.create_default_context(cadata=bundle)
        if backend.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        own = self._pki.front_proxy()
        context.load_cert_chain(own.certificate, own.key)
        context.set_alpn_protocols(["http/1.1"])
        return context

    async def address(self, backend: Backend) -> Address:
        """Where the server is reached now: a ready endpoint, or the name that the Service stands
        for. Raises NoEndpoint, StoreError.
        """
        entry = await self._store.get(SERVICES, backend.namespace, backend.service)
        spec = load(entry)["spec"] if entry is not None else {}
        if spec.get("type") != "ExternalName":
            return await ready_endpoint(
                self._store, backend.namespace, backend.service, backend.port
            )
        try:  # who may edit the Service need not be who registers extension servers
            return await resolve(spec["externalName"], loopback=False), backend.port
        except StatusError as error:
            raise NoEndpoint(str(error)) from error

    def session(self, backend: Backend) -> aiohttp.ClientSession:
        """Kept open as long as it is used. Raises ValueError, ssl.SSLError."""
        import aiohttp

        session = self._sessions.get(backend)
        if session is None:
            connector = aiohttp.TCPConnector(
                ssl=self.tls(backend),
                resolver=resolver(lambda: self.address(backend)),
                use_dns_cache=False,
                limit=0,
            )
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            session = self._sessions[backend] = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False
            )
        return session

    async def keep(self, backends: set[Backend]) -> None:
        """Closes what leads to other servers than these."""
        for backend in self._sessions.keys() - backends:
            await self._sessions.pop(backend).close()
