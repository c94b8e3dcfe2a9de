"""Extension servers as a whole: which there are, whether they answer, what they serve, and the way
of a request to them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from kubelite.control.api.admission.dynamic.service_endpoint import (
    SERVICES,
    SLICES,
    NoEndpoint,
    slices_of,
)
from kubelite.control.api.aggregation import availability, passing, registration
from kubelite.control.api.aggregation.asking import NoAnswer, ask
from kubelite.control.api.aggregation.connection import Connections
from kubelite.control.api.aggregation.services import PREFIX, ApiServices, read
from kubelite.control.api.discovery.delegated import DelegatedVersion
from kubelite.control.api.patching import managed_fields
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.verbs.custom_definitions import PREFIX as DEFINITIONS
from kubelite.control.api.wire.directory_cache import Followers
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.aggregation.availability import Verdict
    from kubelite.control.api.aggregation.services import ApiService
    from kubelite.control.api.auth.pki import Pki
    from kubelite.control.api.wire.answer import Answer, Stream
    from kubelite.control.api.wire.request import User
    from kubelite.control.store.types import Entry

_log = logging.getLogger("kubelite.api")
_CHECK_SECONDS = 30.0
_RETRY_SECONDS = (5.0, 10.0, 20.0, 30.0)  # after each failure in a row
_AGAIN_SECONDS, _IDLE_SECONDS = 1.0, 600.0
_MANAGER = "kube-apiserver"


def _may_lead_to(prefix: str, name: str, entry: Entry | None, service: str) -> bool:
    """Whether an object may be the Service or a slice of its endpoints."""
    if prefix == SERVICES:
        return name == service
    return entry is None or service.encode() in entry.value


class Aggregation:
    """Follows APIServices, tries their servers every half minute, sooner when something of them has
    changed, and passes requests on.
    """

    def __init__(self, context: Context, pki: Pki) -> None:
        self._context = context
        self._res = context.registry.builtin("apiregistration.k8s.io", "apiservices")
        self._services = ApiServices(context.store)
        self._connections = Connections(context.store, pki)
        watched = (PREFIX, SERVICES, SLICES, DEFINITIONS)
        self._changes = Followers(context.store, watched, self._note, lambda _: None)
        self._touched: set[str] = set()
        self._definitions_changed = False
        self._known: dict[str, DelegatedVersion] = {}
        self._delegated: tuple[DelegatedVersion, ...] = ()
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tries servers from now on."""
        self._task = asyncio.create_task(self._run(), name="api-services")

    async def refresh(self) -> None:
        """Learns what has changed. Raises StoreError."""
        await self._services.refresh()

    def find(self, group: str, version: str) -> ApiService | None:
        """The APIService that hands over a group and version."""
        return self._services.find(group, version)

    def at_path(self, path: str) -> ApiService | None:
        """The one at ``/apis/GROUP/VERSION``."""
        parts = path.strip("/").split("/")
        return self.find(*parts[1:]) if len(parts) == 3 and parts[0] == "apis" else None

    def delegated(self) -> tuple[DelegatedVersion, ...]:
        """What all extension servers serve, as far as it is known; the same object until it
        changes.
        """
        return self._delegated

    async def pass_on(
        self,
        service: ApiService,
        user: User,
        headers: Mapping[str, str],
        read_body: Callable[[], Awaitable[bytes]],
        seconds: float | None,
    ) -> Answer | Stream:
        """The answer of an extension server, which ends after some seconds unless it upgrades.
        Raises StatusError, StoreError.
        """
        return await passing.pass_on(self._connections, service, user, headers, read_body, seconds)

    async def _run(self) -> None:
        while True:
            try:
                await self.refresh()
                await self._changes.refresh()
                if self._definitions_changed:
                    self._definitions_changed = False
                    await registration.settle(self._context.store, self._res)
                await self._check_due()
            except StoreError:
                self._definitions_changed = True
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            now = asyncio.get_running_loop().time()
            wait = min((due - now for due in self._due.values()), default=_IDLE_SECONDS)
            await self._changes.wait_for_any(max(wait, 0))

    def _note(self, prefix: str, key: tuple[str, str], entry: Entry | None) -> None:
        namespace, name = key
        if prefix == PREFIX:
            self._touched.add(name)
        self._definitions_changed |= prefix in (PREFIX, DEFINITIONS)
        if prefix in (SERVICES, SLICES):
            self._touched |= {
                service.name
                for service in self._services.all()
                if service.backend.namespace == namespace
                and _may_lead_to(prefix, name, entry, service.backend.service)
            }

    async def _check_due(self) -> None:
        """Tries every server whose time has come. Raises StoreError."""
        (touched, self._touched), now = (self._touched, set()), asyncio.get_running_loop().time()
        services = {service.name: service for service in self._services.all()}
        for name in touched - services.keys():
            await self._settle_local(name)
        for gone in self._due.keys() - services.keys():
            del self._due[gone], self._failures[gone]
        due = [
            service
            for name, service in services.items()
            if name in touched or self._due.get(name, 0.0) <= now
        ]
        await asyncio.gather(*map(self._check, due))
        await self._connections.keep({service.backend for service in services.values()})
        self._publish(services)

    async def _settle_local(self, name: str) -> None:
        """One without a Service is always available."""
        entry = await self._context.store.get(PREFIX, "", name)
        if entry is not None and read(load(entry)) is None:
            await self._set(name, availability.LOCAL)

    async def _check(self, service: ApiService) -> None:
        """Raises StoreError."""
        verdict = await self._judge(service)
        failures = 0 if verdict.status == "True" else self._failures.get(service.name, 0) + 1
        self._failures[service.name] = failures
        retry = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS)) - 1]
        waits = retry if failures else _CHECK_SECONDS
        self._due[service.name] = asyncio.get_running_loop().time() + waits
        await self._set(service.name, verdict)

    async def _judge(self, service: ApiService) -> Verdict:
        """Raises StoreError."""
        store, backend = self._context.store, service.backend
        entry = await store.get(SERVICES, backend.namespace, backend.service)
        slices = await slices_of(store, backend.namespace, backend.service)
        verdict = availability.before_asking(backend, load(entry) if entry else None, slices)
        if verdict is not None:
            return verdict
        try:
            session = self._connections.session(backend)
            known = self._known.get(service.name)
            self._known[service.name] = await ask(session, service, known)
        except (NoAnswer, NoEndpoint, OSError, ValueError) as error:
            return availability.failed_discovery(str(error))
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  # one server must not keep others from being tried
            _log.exception("APIService %s cannot be tried", service.name)
            return availability.failed_discovery(f"{type(error).__name__}: {error}")
        return availability.PASSED

    async def _set(self, name: str, verdict: Verdict) -> None:
        """Writes the condition where it says something else. Raises StoreError."""
        while (entry := await self._context.store.get(PREFIX, "", name)) is not None:
            before = load(entry)
            after = availability.with_condition(before, verdict, timestamp())
            if after is before:
                return
            tracked = managed_fields.track(
                self._res, before, after, manager=_MANAGER, now=timestamp(), subresource="status"
            )
            try:
                await write(self._context.store, self._res, tracked, entry, companions=[])
            except Conflict:
                continue
            _log.info("APIService %s: %s, %s", name, verdict.reason, verdict.message)
            return

    def _publish(self, services: Mapping[str, ApiService]) -> None:
        """Makes known what is served now."""
        for gone in self._known.keys() - services.keys():
            del self._known[gone]
        versions = []
        for name, service in services.items():
            priorities = (service.group_priority, service.version_priority)
            known = self._known.get(name) or DelegatedVersion(
                service.group, service.version, *priorities
            )
            answers = name in self._known and not self._failures.get(name)
            versions.append(
                known._replace(
                    group_priority=priorities[0], version_priority=priorities[1], current=answers
                )
            )
        if tuple(versions) != self._delegated:
            self._delegated = tuple(versions)

    async def close(self) -> None:
        """Ends tries and connections."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._connections.keep(set())
