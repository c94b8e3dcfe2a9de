"""Calls an API server over HTTP or HTTPS, as a kubeconfig says."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import aiohttp
from yarl import URL

from kubelite.client.errors import BadKubeconfig, Unreachable, error_for
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.transport import Call, Pieces, Reply
from kubelite.lib import tls_buffer
from kubelite.lib.http_body import pieces

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 65.0  # a server gives up on an ordinary request after 60
SILENCE_SECONDS = 180.0  # bookmarks come once a minute: a stream silent for longer is dead
DEAD_SECONDS, PROBE_SECONDS = 45, 5
"""When a connection is dead whose other side is gone, as with client-go (30 s and 15 s more)."""
TOKEN_SECONDS = 60.0  # a token file is read again after this long


class HttpTransport:
    """Keeps connections open between calls. Must be closed in the event loop it was used in."""

    def __init__(self, access: ClusterAccess) -> None:
        self._access = access
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | bool = True
        self._token = access.token
        self._token_read = 0.0

    def renew(self, certificate: bytes, key: bytes) -> None:
        """Presents another client certificate to the server from the next connection on. Raises
        BadKubeconfig.
        """
        self._access = self._access._replace(certificate=certificate, key=key)
        if isinstance(self._tls, ssl.SSLContext):
            _load_certificate(self._tls, certificate, key)

    async def call(self, call: Call) -> Reply:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        try:
            async with self.request(call, timeout) as response:
                body = await response.read()
                return Reply(response.status, body, response.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[Pieces]:
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS
        )
        try:
            async with self.request(call, timeout) as response:
                if response.status != 200:
                    retry_after = response.headers.get("Retry-After", "")
                    raise error_for(response.status, await response.read(), retry_after)
                async with aclosing(_whole_lines(response)) as pieces:
                    yield pieces
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def request(
        self, call: Call, timeout: aiohttp.ClientTimeout
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Begins a request; the context is the answer, of which only the head has come. Raises
        aiohttp.ClientError, TimeoutError, OSError, BadKubeconfig.
        """
        return self._opened().request(
            call.method,
            self._url(call),
            data=call.body or None,
            headers=self._headers(call),
            timeout=timeout,
            proxy=self._access.proxy or None,
            server_hostname=self._access.tls_server_name or None,
            allow_redirects=False,
        )

    def websocket(
        self, call: Call, protocols: Sequence[str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientWebSocketResponse]:
        """Opens a WebSocket on which pings and closing are the caller's. Raises as ``request``
        does.
        """
        return self._opened().ws_connect(
            self._url(call),
            method=call.method,
            headers=self._headers(call),
            protocols=protocols,
            timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_SECONDS),
            proxy=self._access.proxy or None,
            server_hostname=self._access.tls_server_name or None,
            autoping=False,
            autoclose=False,
            max_msg_size=0,
        )

    def _url(self, call: Call) -> URL:
        query = "?" + call.query if call.query else ""
        return URL(f"{self._access.server}{call.path}{query}", encoded=True)

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {**self._access.headers, **call.headers}
        token = self._bearer_token()
        return headers | {"Authorization": f"Bearer {token}"} if token else headers

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            tls_buffer.make_small()
            self._tls = tls_context(self._access)
            connector = aiohttp.TCPConnector(
                ssl=self._tls, limit=0, keepalive_timeout=90, socket_factory=_socket
            )
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        return self._session

    def _bearer_token(self) -> str:
        """The token; one in a file is read again now and then, since such files are renewed."""
        path = self._access.token_file
        if path:
            now = asyncio.get_running_loop().time()
            if not self._token or now - self._token_read > TOKEN_SECONDS:
                try:
                    with open(path, encoding="utf-8") as file:
                        self._token, self._token_read = file.read().strip(), now
                except OSError as error:
                    raise BadKubeconfig(f"cannot read the token file {path}: {error}") from error
        return self._token

    def _unreachable(self, error: BaseException) -> Unreachable:
        what = str(error) or type(error).__name__
        return Unreachable(f"no answer from {self._access.server}: {what}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose connection ends :data:`DEAD_SECONDS` after the other side was heard of last.
    The kernel asks, so that nobody is woken up where all is well.
    """
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, DEAD_SECONDS - 3 * PROBE_SECONDS),
        (socket.TCP_KEEPINTVL, PROBE_SECONDS),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, DEAD_SECONDS * 1000),
    ):
        connection.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection


async def _whole_lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes, None]:
    """What arrives, cut at the last newline that is there."""
    held: list[bytes] = []
    async for piece in pieces(response):
        end = piece.rfind(b"\n") + 1
        if not end:
            held.append(piece)
            continue
        yield b"".join((*held, piece[:end])) if held else piece[:end]
        held = [piece[end:]] if end < len(piece) else []


def tls_context(access: ClusterAccess) -> ssl.SSLContext | bool:
    """How the server is checked and what is shown to it. Raises BadKubeconfig."""
    if not access.server.startswith("https:"):
        return True
    try:
        authority = access.authority.decode("ascii") if access.authority else None
        context = ssl.create_default_context(cadata=authority)
        if access.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if access.certificate:
            _load_certificate(context, access.certificate, access.key)
    except (ssl.SSLError, ValueError) as error:
        raise BadKubeconfig(f"cannot use the certificates for {access.server}: {error}") from error
    return context


def _load_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL reads certificates from files only: these exist for a moment, for their owner."""
    with tempfile.TemporaryDirectory(prefix="kubelite-") as directory:
        path = os.path.join(directory, "pair.pem")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(certificate.rstrip() + b"\n" + key)
        context.load_cert_chain(path)
