"""Which groups and versions APIServices hand to extension servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Collection

    from kubelite.control.store.store import Store
    from kubelite.control.store.types import Entry

PREFIX = "apiregistration.k8s.io/apiservices"
_PORT = 443


class Backend(NamedTuple):
    """The extension server of an APIService: the Service that leads to it, and whom it is believed.

    ``authority`` is its caBundle in base64; "" with ``insecure`` for anybody, else for whoever the
    machine believes.
    """

    namespace: str
    service: str
    port: int
    authority: str
    insecure: bool

    @property
    def host(self) -> str:
        """The name that its certificate is for."""
        return f"{self.service}.{self.namespace}.svc"

    def url(self, path: str) -> str:
        """The URL of a path, which may have a query."""
        return f"https://{self.host}:{self.port}{path}"


class ApiService(NamedTuple):
    """What an APIService with a Service says."""

    name: str
    group: str
    version: str
    group_priority: int
    version_priority: int
    backend: Backend
    available: bool


def read(obj: Object) -> ApiService | None:
    """None for one without a Service, which this server serves itself. The core group is never
    handed over.
    """
    spec, service = obj["spec"], obj["spec"].get("service")
    if service is None or not spec.get("group"):
        return None
    backend = Backend(
        service["namespace"],
        service["name"],
        service.get("port", _PORT),
        spec.get("caBundle", ""),
        spec.get("insecureSkipTLSVerify", False),
    )
    return ApiService(
        obj["metadata"]["name"],
        spec["group"],
        spec["version"],
        spec["groupPriorityMinimum"],
        spec["versionPriority"],
        backend,
        is_available(obj),
    )


def is_available(obj: Object) -> bool:
    """Whether the extension server answered when it was last tried."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(
        condition["type"] == "Available" and condition["status"] == "True"
        for condition in conditions
    )


class ApiServices:
    """Follows APIServices."""

    def __init__(self, store: Store) -> None:
        self._followers = Followers(store, (PREFIX,), self._note, self._reset)
        self._by_version: dict[tuple[str, str], ApiService] = {}
        self._versions: dict[str, tuple[str, str]] = {}

    async def refresh(self) -> None:
        """Learns what has changed. Raises StoreError."""
        await self._followers.refresh()

    def find(self, group: str, version: str) -> ApiService | None:
        """The APIService that hands over a group and version."""
        return self._by_version.get((group, version)) if self._by_version else None

    def all(self) -> Collection[ApiService]:
        """Those with an extension server."""
        return self._by_version.values()

    def _reset(self, _: str) -> None:
        self._by_version.clear()
        self._versions.clear()

    def _note(self, _: str, key: tuple[str, str], entry: Entry | None) -> None:
        name = key[1]
        before = self._versions.pop(name, None)
        if before is not None:
            del self._by_version[before]
        if entry is not None and (service := read(load(entry))) is not None:
            self._versions[name] = (service.group, service.version)
            self._by_version[service.group, service.version] = service
