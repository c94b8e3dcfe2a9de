"""Puts an API server together and takes it apart again, in order."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.admission.context import Context
from kubelite.control.api.admission.namespaces import MAKERS
from kubelite.control.api.admission.order import standard
from kubelite.control.api.aggregation.aggregation import Aggregation
from kubelite.control.api.auth.audit import Audit
from kubelite.control.api.auth.authentication import Authenticator
from kubelite.control.api.auth.authorization import Authorizer
from kubelite.control.api.auth.node_authorizer import NodeAuthorizer
from kubelite.control.api.auth.pki import Pki
from kubelite.control.api.auth.tokens import Tokens
from kubelite.control.api.discovery.health import Health
from kubelite.control.api.discovery.nonresource import NonResourcePaths
from kubelite.control.api.server import seed
from kubelite.control.api.server.addresses import Address
from kubelite.control.api.server.app import App
from kubelite.control.api.server.event_expiry import EVENT_SECONDS, EVENTS, Expiry
from kubelite.control.api.server.flow_control import FlowControl
from kubelite.control.api.server.identity_lease import IdentityLease
from kubelite.control.api.server.in_process import InProcess
from kubelite.control.api.server.metrics import Metrics
from kubelite.control.api.server.server import Server, tls
from kubelite.control.api.server.signer import Signer
from kubelite.control.api.verbs.custom_definitions import Definitions
from kubelite.control.api.verbs.kubelet_client import Kubelets
from kubelite.control.api.wire.registry import Registry
from kubelite.control.api.wire.resource import builtin
from kubelite.control.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from kubelite.control.api.wire.request import User
    from kubelite.control.store.backend import Backend

VOLATILE = (EVENTS, "leases")


class Options(NamedTuple):
    """How a server is to be: where it keeps its keys, where it listens, who else may come in by
    which token.

    ``beside``: the controllers that run. The first step of some the server takes itself, so that
    nobody waits for a new namespace's ServiceAccount.
    """

    pki_directory: str
    bind: str = "127.0.0.1"
    port: int = 6443
    names: tuple[str, ...] = ()
    static_tokens: Mapping[str, User] = {}
    metrics: bool = False
    audit_log: str = ""
    audit_rules: tuple[dict[str, Any], ...] = ()
    beside: Container[str] = tuple(MAKERS.values())


class ApiServer:
    """An API server over a backend, which it closes in the end."""

    def __init__(self, backend: Backend, options: Options) -> None:
        self.pki = Pki(options.pki_directory)
        self.port = 0
        self._options = options
        self._ready = False
        with open(self.pki.authority.certificate, encoding="ascii") as file:
            self.authority = file.read()
            """The cluster's certificate in PEM."""
        store = Store(backend, VOLATILE, {EVENTS: EVENT_SECONDS})
        registry = Registry(builtin(metrics=options.metrics))
        tokens = Tokens(self.pki.signing_key())
        self.context = Context(
            store,
            registry,
            standard(self.authority, options.beside),
            Authenticator(store, tokens, options.static_tokens),
            Authorizer(store, NodeAuthorizer(store)),
            tokens,
            Kubelets(self.pki),
        )
        self._definitions = Definitions(self.context)
        self._aggregation = Aggregation(self.context, self.pki)
        metrics = Metrics()
        nonresource = NonResourcePaths(
            registry,
            f"{self.address}:{options.port}",
            Health(store, lambda: self._ready),
            tokens,
            metrics.answer,
            self._aggregation.delegated,
        )
        self._audit = (
            Audit(options.audit_log, list(options.audit_rules)) if options.audit_log else None
        )
        self._expiry = Expiry(store)
        self._signer = Signer(self.context, self.pki.authority)
        self._lease: IdentityLease | None = None
        app = App(
            self.context,
            self._definitions,
            self._aggregation,
            nonresource,
            FlowControl(store),
            metrics,
            self._audit,
        )
        self.application = InProcess(app)
        names = [self.address, *options.names]
        self._server = Server(app, tls(self.pki.server(names), self.pki.authority.certificate))

    @property
    def address(self) -> str:
        """An address at which the server can be reached."""
        bind = self._options.bind
        return _own_address() if bind in ("0.0.0.0", "::", "") else bind

    def _trusted(self) -> seed.Authorities:
        with open(self.pki.front_proxy_authority.certificate, encoding="ascii") as file:
            return seed.Authorities(self.authority, file.read())

    async def start(self) -> None:
        """Listens, seeds a new cluster, and becomes ready. Raises OSError, StoreError."""
        self.context.store.start()
        self.port = await self._server.listen(self._options.bind, self._options.port)
        own = Address(self.address, self.port)
        await seed.seed_cluster(self.context.store, self.context.registry, self._trusted(), own)
        self._definitions.start()
        self._aggregation.start()
        self._expiry.start()
        self._signer.start()
        self._lease = IdentityLease(self.context, own)
        self._lease.start()
        self._ready = True

    async def close(self) -> None:
        """Tells watchers that it is over, ends connections, closes the store."""
        self._ready = False
        await self.context.store.end_watches()
        await self._server.close()
        await self._definitions.close()
        await self._aggregation.close()
        await self._expiry.close()
        await self._signer.close()
        if self._lease is not None:
            await self._lease.close()
        await self.context.store.close()
        if self._audit is not None:
            self._audit.close()


def _own_address() -> str:
    """The address that this machine uses towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
