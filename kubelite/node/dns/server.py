"""The DNS server: UDP and TCP on one address, answers from memory, the rest forwarded and cached.

The wire format is dnslib's. Answers that do not fit the client's UDP size are truncated, and the
client asks again over TCP (RFC 1035 4.2.1, RFC 6891).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from dnslib import (
    AAAA,
    CLASS,
    CNAME,
    EDNS0,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    SRV,
    TXT,
    A,
    DNSError,
    DNSRecord,
)

from kubelite.node.dns import names
from kubelite.node.dns.names import Answer, Directory, Record
from kubelite.node.dns.sockets import MAX_TCP_CONNECTIONS, Sockets, open_sockets

TTL = 5
"""Seconds that an answer about the cluster may be kept: CoreDNS' default for Kubernetes."""
MAX_CACHE_TTL, MAX_NEGATIVE_TTL, MAX_CACHED = 30, 10, 10_000
FORWARD_SECONDS = 2.0
PLAIN_UDP_SIZE, MAX_UDP_SIZE = 512, 1232
TCP_IDLE_SECONDS = 10.0
_ID_SIZE = 2
_SOA_TIMES = (1, 7200, 1800, 86400, TTL)
_DATA = {"A": A, "AAAA": AAAA, "CNAME": CNAME, "PTR": PTR, "TXT": TXT}


class Options(NamedTuple):
    """``domain`` is the cluster's, ``upstreams`` are addresses of name servers for other names."""

    domain: str = "cluster.local"
    upstreams: tuple[str, ...] = ()


class DnsServer:
    """Answers questions about ``directory``."""

    def __init__(self, directory: Directory, options: Options) -> None:
        self._directory = directory
        self._options = options
        self._forwarder = Forwarder(options.upstreams)
        self._replies: dict[bytes, bytes] = {}
        self._replies_at = -1
        self._transport: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._connections = asyncio.Semaphore(MAX_TCP_CONNECTIONS)
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: str, port: int = 53) -> int:
        """Listens; returns the port, chosen by the kernel where 0 was given. Raises OSError."""
        return await self.serve(open_sockets(address, port))

    async def serve(self, sockets: Sockets) -> int:
        """Answers what arrives, and what waits there already; returns the port."""
        loop = asyncio.get_running_loop()
        for part in sockets:
            part.setblocking(False)
        port = sockets.port
        self._tcp = await asyncio.start_server(self._serve_tcp, sock=sockets.tcp)
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), sock=sockets.udp
        )
        return port

    async def close(self) -> None:
        """Stops listening; questions on their way are given up."""
        if self._transport is not None:
            self._transport.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def answer_datagram(self, data: bytes, peer: Any) -> None:
        """Answers one datagram: at once from memory, or by a task that asks upstream."""
        reply = self.answer_from_memory(data)
        if isinstance(reply, bytes):
            self._send(_fitting(data, reply), peer)
            return
        if reply is not None:
            task = asyncio.get_running_loop().create_task(self._forward_datagram(reply, peer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def answer_from_memory(self, data: bytes) -> bytes | DNSRecord | None:
        """The answer to a message; the parsed question where upstream has to be asked; None for
        what is no question and gets no answer.
        """
        if self._replies_at != self._directory.changes or len(self._replies) > MAX_CACHED:
            self._replies.clear()
            self._replies_at = self._directory.changes
        kept = self._replies.get(data[_ID_SIZE:])
        return data[:_ID_SIZE] + kept if kept is not None else self._compose(data)

    def _compose(self, data: bytes) -> bytes | DNSRecord | None:
        """The same, with nothing kept from before."""
        try:
            query = DNSRecord.parse(data)
        except (DNSError, ValueError, IndexError, struct.error):
            return None
        if query.header.qr or len(query.questions) != 1:
            return None
        name, record_type = _question(query)
        answer = names.resolve(name, record_type, self._options.domain, self._directory)
        if answer is None or _needs_upstream(answer):
            return query
        reply = self._reply(query, answer)
        # Of several records, each client shall see another one first.
        if len(answer.records) <= 1 and len(data) <= PLAIN_UDP_SIZE:
            self._replies[data[_ID_SIZE:]] = reply[_ID_SIZE:]
        return reply

    async def answer(self, data: bytes) -> bytes | None:
        """The complete answer to a message, upstream asked where needed; None for no answer."""
        reply = self.answer_from_memory(data)
        return await self._forward(reply) if isinstance(reply, DNSRecord) else reply

    def _send(self, data: bytes, peer: Any) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, peer)

    async def _forward_datagram(self, query: DNSRecord, peer: Any) -> None:
        reply = await self._forward(query)
        self._send(_fitting(query.pack(), reply), peer)

    async def _forward(self, query: DNSRecord) -> bytes:
        name, record_type = _question(query)
        answer = names.resolve(name, record_type, self._options.domain, self._directory)
        if answer is None:
            return await self._forwarder.ask(query)
        return await self._follow(query, answer)

    async def _follow(self, query: DNSRecord, answer: Answer) -> bytes:
        """An ExternalName: its CNAME, with the target's addresses behind it where they are
        found.
        """
        reply = _authoritative(query)
        reply.add_answer(*map(_resource, answer.records))
        target = DNSRecord.question(str(answer.records[0].data), QTYPE[query.q.qtype])
        response = await self.answer(bytes(target.pack()))
        if response is not None:
            reply.add_answer(*DNSRecord.parse(response).rr)
        return bytes(reply.pack())

    def _reply(self, query: DNSRecord, answer: Answer) -> bytes:
        reply = _authoritative(query)
        records = list(answer.records)
        random.shuffle(records)
        reply.add_answer(*map(_resource, records))
        reply.add_ar(*map(_resource, answer.additional))
        if not answer.exists:
            reply.header.rcode = RCODE.NXDOMAIN
        if not records:
            reply.add_auth(_start_of_authority(self._options.domain))
        return bytes(reply.pack())

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._connections:
            try:
                await self._answer_stream(reader, writer)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                pass  # the client has gone or says nothing any more
            finally:
                writer.close()

    async def _answer_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            async with asyncio.timeout(TCP_IDLE_SECONDS):
                length = int.from_bytes(await reader.readexactly(2), "big")
                data = await reader.readexactly(length)
            reply = await self.answer(data)
            if reply is None:
                return
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._server.answer_datagram(data, addr)


class Forwarder:
    """Asks other name servers, one after the other, and remembers what they said for a while."""

    def __init__(self, upstreams: Sequence[str]) -> None:
        self._upstreams = tuple(upstreams)
        self._cache: dict[tuple[str, int], tuple[float, bytes]] = {}

    async def ask(self, query: DNSRecord) -> bytes:
        """The answer of the first server that gives one, else SERVFAIL."""
        key = (str(query.q.qname).lower(), int(query.q.qtype))
        kept = self._cache.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return int(query.header.id).to_bytes(2, "big") + kept[1][2:]
        for upstream in self._upstreams:
            reply = await _exchange(query.pack(), upstream)
            if reply is not None:
                self._keep(key, reply)
                return reply
        failed = query.reply(ra=1, aa=0)
        failed.header.rcode = RCODE.SERVFAIL
        return bytes(failed.pack())

    def _keep(self, key: tuple[str, int], reply: bytes) -> None:
        seconds = _cache_seconds(DNSRecord.parse(reply))
        if seconds <= 0:
            return
        if len(self._cache) >= MAX_CACHED:
            self._cache.pop(next(iter(self._cache)))
        self._cache[key] = (time.monotonic() + seconds, reply)


async def _exchange(query: bytes, upstream: str) -> bytes | None:
    """One question by UDP, again by TCP where the answer was truncated; None without an answer."""
    try:
        async with asyncio.timeout(FORWARD_SECONDS):
            reply = await _exchange_udp(query, upstream)
            if reply[2] & 0x02:
                reply = await _exchange_tcp(query, upstream)
        DNSRecord.parse(reply)
    except (OSError, TimeoutError, DNSError, asyncio.IncompleteReadError):
        return None
    return reply


async def _exchange_udp(query: bytes, upstream: str) -> bytes:
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in upstream else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as udp:
        udp.connect((upstream, 53))
        await loop.sock_sendall(udp, query)
        while True:
            reply = await loop.sock_recv(udp, 65535)
            if reply[:2] == query[:2]:
                return reply


async def _exchange_tcp(query: bytes, upstream: str) -> bytes:
    reader, writer = await asyncio.open_connection(upstream, 53)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.close()


def _question(query: DNSRecord) -> tuple[str, str]:
    name = str(query.q.qname).rstrip(".").lower()
    return name, str(QTYPE.get(query.q.qtype, "OTHER"))


def _needs_upstream(answer: Answer) -> bool:
    return bool(answer.records) and answer.records[0].type == "CNAME"


def _authoritative(query: DNSRecord) -> DNSRecord:
    reply = query.reply(ra=1, aa=1)
    if any(record.rtype == QTYPE.OPT for record in query.ar):
        reply.add_ar(EDNS0(udp_len=MAX_UDP_SIZE))
    return reply


def _resource(record: Record) -> RR:
    if isinstance(record.data, tuple):
        port, target = record.data
        data = SRV(priority=0, weight=100, port=port, target=target)
    else:
        data = _DATA[record.type](record.data)
    return RR(record.name, getattr(QTYPE, record.type), CLASS.IN, TTL, data)


def _start_of_authority(domain: str) -> RR:
    data = SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", _SOA_TIMES)
    return RR(domain, QTYPE.SOA, CLASS.IN, TTL, data)


def _cache_seconds(reply: DNSRecord) -> int:
    if reply.header.rcode == RCODE.NOERROR and reply.rr:
        return min([MAX_CACHE_TTL, *(int(record.ttl) for record in reply.rr)])
    if reply.header.rcode in (RCODE.NOERROR, RCODE.NXDOMAIN):
        return min([MAX_NEGATIVE_TTL, *(int(record.ttl) for record in reply.auth)])
    return 0


def _fitting(query: bytes, reply: bytes) -> bytes:
    """The reply, or where it is too long for the client's UDP size a truncated one."""
    if len(reply) <= PLAIN_UDP_SIZE:
        return reply
    question = DNSRecord.parse(query)
    sizes = [int(record.rclass) for record in question.ar if record.rtype == QTYPE.OPT]
    limit = min(MAX_UDP_SIZE, max([PLAIN_UDP_SIZE, *sizes]))
    if len(reply) <= limit:
        return reply
    truncated = DNSRecord.parse(reply).truncate()
    if sizes:
        truncated.add_ar(EDNS0(udp_len=MAX_UDP_SIZE))
    return bytes(truncated.pack())
