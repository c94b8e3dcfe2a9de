"""A backend in etcd 3.5, over its JSON etcd_gateway: several API servers may share one.

Everything lives in etcd, what is volatile elsewhere too. Reads are linearizable. Each server has
etcd forget what is older than five minutes, as Kubernetes' servers do.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.store import etcd_gateway
from kubelite.control.store.types import Batch, Compacted, Conflict, Future, NoSpace, Unavailable
from kubelite.lib.http_body import pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import aiohttp

    from kubelite.control.store.etcd_gateway import Message
    from kubelite.control.store.types import Change, Entry, Page

PREFIX = "/registry/"
COMPACT_SECONDS = 300.0
LEASE_SECONDS = 60.0
# Revisions from before the start that watchers may still ask for, unless etcd has forgotten them.
HISTORY = 2000
ANSWER_SECONDS = 10.0
# A watch that says nothing for so long is begun anew: its connection may have died without a word,
# in a network that was divided.
QUIET_SECONDS = 30.0


class Etcd:
    """A :class:`~kubelite.control.store.backend.Backend` at the URL of an etcd server."""

    def __init__(self, session: aiohttp.ClientSession, url: str, revision: int) -> None:
        self.revision = revision
        self.oldest = max(revision - HISTORY, 0)
        self._session = session
        self._url = url.rstrip("/")
        self._leases: dict[int, tuple[float, str]] = {}
        self._closing = asyncio.Event()
        self._compactor = asyncio.create_task(self._compact_often(), name="etcd-compactor")

    @classmethod
    async def connect(cls, url: str) -> Etcd:
        """Raises Unavailable where no etcd answers."""
        import aiohttp

        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        try:
            answer = await _ask(session, url.rstrip("/") + "/v3/kv/range", etcd_gateway.one(PREFIX))
        except BaseException:
            await session.close()
            raise
        return cls(session, url, etcd_gateway.revision(answer))

    async def _call(self, path: str, message: Message) -> Message:
        answer = await _ask(self._session, f"{self._url}/v3/{path}", message)
        self.revision = max(self.revision, etcd_gateway.revision(answer))
        return answer

    async def get(self, key: str) -> Entry | None:
        pairs = (await self._call("kv/range", etcd_gateway.one(key))).get("kvs", [])
        return etcd_gateway.entry(pairs[0]) if pairs else None

    async def page(
        self, prefix: str, *, after: str = "", limit: int = 0, revision: int = 0
    ) -> Page:
        answer = await self._call("kv/range", etcd_gateway.some(prefix, after, limit, revision))
        return etcd_gateway.page(answer, revision)

    async def commit(self, changes: Sequence[Change]) -> int:
        leases = {
            ttl: await self._lease(ttl)
            for ttl in {change.ttl for change in changes if change.value and change.ttl}
        }
        answer = await self._call("kv/txn", etcd_gateway.transaction(changes, leases))
        if answer.get("succeeded"):
            return etcd_gateway.revision(answer)
        for number, change in enumerate(changes):
            current = etcd_gateway.found(answer, number)
            if (current.revision if current else 0) != change.expected:
                raise Conflict(change, current)
        raise Unavailable("etcd refused a transaction whose conditions all hold")

    async def _lease(self, ttl: int) -> str:
        """A lease that lasts at least ``ttl`` seconds: one for all changes of a minute, as
        Kubernetes' servers share them.
        """
        granted_at, lease = self._leases.get(ttl, (-LEASE_SECONDS, ""))
        now = asyncio.get_running_loop().time()
        if now - granted_at >= LEASE_SECONDS:
            lease = str(
                (await self._call("lease/grant", {"TTL": str(ttl + int(LEASE_SECONDS))}))["ID"]
            )
            self._leases[ttl] = now, lease
        return lease

    async def watch(self, after: int) -> AsyncIterator[Batch]:
        import aiohttp

        while not self._closing.is_set():
            try:
                async for batch in self._watch_once(after):
                    after = batch.revision
                    yield batch
            except aiohttp.SocketTimeoutError:
                continue
            except aiohttp.ClientError as error:
                if not self._closing.is_set():
                    raise Unavailable(f"the watch at etcd {self._url} broke: {error}") from error
            if not self._closing.is_set():
                raise Unavailable(f"the watch at etcd {self._url} ended")

    async def _watch_once(self, after: int) -> AsyncIterator[Batch]:
        """What etcd tells on one connection. Raises Compacted, Unavailable, aiohttp.ClientError."""
        import aiohttp

        request = msgspec.json.encode(etcd_gateway.watching(PREFIX, after + 1))
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=ANSWER_SECONDS, sock_read=QUIET_SECONDS
        )
        async with self._session.post(
            f"{self._url}/v3/watch", data=request, timeout=timeout
        ) as response:
            async for line in _lines(response):
                if (batch := self._batch(line, after)) is not None:
                    yield batch

    def _batch(self, line: bytes, after: int) -> Batch | None:
        """What a line of a watch says; None for the word that it has begun. Raises Compacted,
        Unavailable.
        """
        message = msgspec.json.decode(line)
        result = message.get("result")
        if result is None:
            raise Unavailable(
                f"etcd ended a watch: {message.get('error', {}).get('message', 'no reason given')}"
            )
        if int(result.get("compact_revision", 0)):
            raise Compacted(after, int(result["compact_revision"]))
        if result.get("canceled"):
            raise Unavailable(
                f"etcd ended a watch: {result.get('cancel_reason', 'no reason given')}"
            )
        events = etcd_gateway.events(result)
        if not events and result.get("created"):
            return None
        revision = events[-1].revision if events else etcd_gateway.revision(result)
        self.revision = max(self.revision, revision)
        return Batch(revision, events)

    async def compact(self, revision: int) -> None:
        await self._call("kv/compaction", {"revision": str(revision)})
        self.oldest = max(self.oldest, revision)

    async def _compact_often(self) -> None:
        """Until the end, forgets what was already past five minutes ago."""
        while True:
            past = self.revision
            await asyncio.sleep(COMPACT_SECONDS)
            try:
                if past > self.oldest:
                    await self.compact(past)
            except (Unavailable, Compacted):
                continue  # another server was faster, or etcd is away; the next round will do

    async def close(self) -> None:
        self._closing.set()
        self._compactor.cancel()
        await asyncio.wait([self._compactor])
        await self._session.close()


async def _ask(session: aiohttp.ClientSession, url: str, message: Message) -> Message:
    """One request and its answer. Raises Compacted, Future, NoSpace, Unavailable."""
    import aiohttp

    try:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with session.post(
            url, data=msgspec.json.encode(message), timeout=timeout
        ) as response:
            answer: Any = msgspec.json.decode(await response.read())
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise Unavailable(
            f"etcd at {url} does not answer: {error or type(error).__name__}"
        ) from error
    if response.status != 200:
        raise _refusal(
            str(answer.get("message") or answer.get("error")), int(message.get("revision", 0))
        )
    document: Message = answer
    return document


def _refusal(text: str, wanted: int) -> Exception:
    if etcd_gateway.COMPACTED in text:
        return Compacted(wanted, wanted + 1)
    if etcd_gateway.FUTURE in text:
        return Future(wanted, wanted - 1)
    return (
        NoSpace(f"etcd: {text}") if etcd_gateway.NO_SPACE in text else Unavailable(f"etcd: {text}")
    )


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a stream, however long they are: the past of a watch comes as one."""
    held: list[bytes] = []
    async for piece in pieces(response):
        *complete, rest = piece.split(b"\n")
        for line in complete:
            yield b"".join([*held, line])
            held.clear()
        if rest:
            held.append(rest)
