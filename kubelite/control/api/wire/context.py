"""What every handler works with: the store, what is served, who decides, and the keys of the
cluster.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Admission
    from kubelite.control.api.auth.authentication import Authenticator
    from kubelite.control.api.auth.authorization import Authorizer
    from kubelite.control.api.auth.tokens import Tokens
    from kubelite.control.api.verbs.kubelet_client import Kubelets
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.store.store import Store


class Context(NamedTuple):
    """The parts of an API server."""

    store: Store
    registry: Registry
    admission: Admission
    authenticator: Authenticator
    authorizer: Authorizer
    tokens: Tokens
    kubelets: Kubelets


def timestamp(at: datetime | None = None) -> str:
    """A time as the API writes it: UTC, whole seconds."""
    return _written(int(at.timestamp() if at is not None else time.time()))


@lru_cache(64)
def _written(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
