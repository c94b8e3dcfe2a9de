"""Signs CertificateSigningRequests that somebody has approved, with the cluster's authority.

It needs the authority's key and the store, and is told of changes as any watcher is; nothing else
of the server knows it.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kubelite.control.api.auth import csr
from kubelite.control.api.auth.issuing import issue, parse, requested_subject
from kubelite.control.api.patching import managed_fields
from kubelite.control.api.strategy.commit import write
from kubelite.control.api.wire.directory_cache import Follower
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict, StoreError
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.auth.pki import Pair
    from kubelite.control.store.types import Entry

IDLE_SECONDS = 3600.0
RETRY_SECONDS = 1.0
MANAGER = "kube-controller-manager"
_log = logging.getLogger("kubelite.signer")


class Signer:
    """Signs in a task that :meth:`close` ends."""

    def __init__(self, context: Context, authority: Pair) -> None:
        self._context = context
        self._authority = authority
        self._due: dict[tuple[str, str], Entry] = {}
        self._follower = Follower(
            context.store, csr.PLURAL, self._note, lambda _: self._due.clear()
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="certificate-signer")

    def _note(self, _: str, key: tuple[str, str], entry: Entry | None) -> None:
        self._due.pop(key, None)
        if entry is not None and csr.is_due(load(entry)):
            self._due[key] = entry

    async def _run(self) -> None:
        open_still = True
        while open_still:
            try:
                await self.sign_all()
            except StoreError:
                await asyncio.sleep(RETRY_SECONDS)  # the store is away or full
            else:
                open_still = await self._follower.wait(IDLE_SECONDS)

    async def sign_all(self) -> None:
        """Signs, or fails, what is due. Raises StoreError."""
        if not self._follower.catch_up():
            await self._follower.start()
        res = self._context.registry.builtin(csr.GROUP, csr.PLURAL)
        for key, entry in list(self._due.items()):
            self._due.pop(key)
            old, now = load(entry), datetime.now(UTC)
            try:
                new = signed(self._authority, old, now)
            except OSError as error:
                _log.error("nothing can be signed: %s", error)
                continue
            new = managed_fields.track(
                res, old, new, manager=MANAGER, now=timestamp(now), subresource="status"
            )
            try:
                await write(self._context.store, res, new, entry, companions=[])
            except Conflict:
                continue  # changed since: the follower will tell
            except StoreError:
                self._due[key] = entry
                raise

    async def close(self) -> None:
        """Ends the task."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def signed(authority: Pair, obj: Object, now: datetime) -> Object:
    """The approved request with its certificate, or with the reason why it gets none. Raises
    OSError.
    """
    spec = obj["spec"]
    try:
        request = parse(spec["request"])
        why = csr.problem(spec["signerName"], requested_subject(request), spec["usages"])
        if not why:
            pem = issue(
                authority, request, spec["usages"], csr.lifetime(spec.get("expirationSeconds")), now
            )
            return {
                **obj,
                "status": {**obj["status"], "certificate": base64.b64encode(pem).decode()},
            }
    except ValueError as error:
        why = str(error)
    return csr.with_condition(obj, "Failed", "SignerValidationFailure", why, timestamp(now))
