"""The parts of an API server that every handler and admission rule works with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import ssl

    from kubelite.control.api.auth.authentication import Authenticator
    from kubelite.control.api.auth.authorization import Authorizer
    from kubelite.control.api.auth.tokens import Tokens
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.store.store import Store


class AdmissionRules(Protocol):
    """The admission rules of a server; an ``attempt`` is an :class:`~.chain.Attempt`."""

    async def mutate(self, attempt: Any) -> None: ...

    async def validate(self, attempt: Any) -> None: ...

    async def connect(self, attempt: Any) -> None: ...

    async def after(self, attempt: Any) -> None: ...


class KubeletConnector(Protocol):
    """What the server connects to kubelets with."""

    @property
    def tls(self) -> ssl.SSLContext: ...


class Context(NamedTuple):
    """The parts of an API server."""

    store: Store
    registry: Registry
    admission: AdmissionRules
    authenticator: Authenticator
    authorizer: Authorizer
    tokens: Tokens
    kubelets: KubeletConnector
