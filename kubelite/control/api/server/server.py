"""The socket in front of the app: TLS, limits on what strangers may send, and a clean end."""

from __future__ import annotations

import asyncio
import gzip
import logging
import ssl
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yarl._url
from aiohttp import web_server
from aiohttp.web_protocol import PayloadAccessError, RequestHandler
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse

from kubelite.control.api.wire.answer import Answer
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.raw_request import Credentials, RawRequest
from kubelite.control.api.wire.status import StatusError, bad_request, body, too_large
from kubelite.lib import tls_buffer

if TYPE_CHECKING:
    from kubelite.control.api.auth.pki import Pair
    from kubelite.control.api.server.app import App

MAX_BODY = 3 << 20
MAX_LINE = 1 << 20  # as Go's servers have it
HEADER_SECONDS = 10.0
BODY_SECONDS = 30.0
IDLE_SECONDS = 120.0
GOODBYE_SECONDS = 2.0
PIECE = 256 << 10
_NOT_CACHED = ("Cache-Control", "no-cache, private")
GZIP_BYTES, GZIP_LEVEL = 128 << 10, 1  # as kube-apiserver has them


def _remember_no_urls() -> None:
    """aiohttp's parser makes a URL of each request line, before anybody is asked who he is, and
    yarl remembers the last 128 texts of any length: up to a hundred megabytes for each way to write
    one.
    """
    for name in ("build_pre_encoded_url", "pre_encoded_url", "split_url"):
        remembered = getattr(yarl._url, name)
        setattr(yarl._url, name, getattr(remembered, "__wrapped__", remembered))


_remember_no_urls()


class _Connection(RequestHandler):
    """One connection. What is not HTTP, or never becomes a request, ends here."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._loop.call_later(HEADER_SECONDS, self._give_up)

    @cached_property
    def subject(self) -> tuple[tuple[str, str], ...]:
        """The names in the certificate that the client showed and the TLS layer checked."""
        certificate = (
            self.transport.get_extra_info("peercert") if self.transport is not None else None
        ) or {}
        return tuple((pair[0], pair[1]) for part in certificate.get("subject", ()) for pair in part)

    @cached_property
    def peer(self) -> str:
        """The address of the client."""
        name = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(name[0]) if isinstance(name, tuple) else ""

    def _give_up(self) -> None:
        if self._request_count == 0:
            self.force_close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        """Ends at once where nobody waits for an answer."""
        if not self._request_in_progress:
            self.force_close()
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> StreamResponse:
        reason = {400: "BadRequest", 408: "Timeout", 413: "RequestEntityTooLarge"}.get(
            status, "InternalError"
        )
        text = "the request is not valid HTTP" if status < 500 else "Internal error occurred"
        shown = encode(body("Failure", text, reason, None, status)) + b"\n"
        response = Response(body=shown, status=status, headers={"Content-Type": "application/json"})
        response.force_close()
        return response


class _Listener(web_server.Server):
    def __call__(self) -> _Connection:
        return _Connection(
            self,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]  # how aiohttp is told to keep none
            logger=logging.getLogger("kubelite.api.http"),
            keepalive_timeout=IDLE_SECONDS,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            # The API takes no compressed bodies, and one may grow a thousandfold.
            auto_decompress=False,
        )


def tls(server: Pair, authority: str) -> ssl.SSLContext:
    """A context that shows the server's certificate and takes, but does not demand, one of a
    client.
    """
    tls_buffer.make_small()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(server.certificate, server.key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


class Server:
    """Listens, and hands requests to an app."""

    def __init__(self, app: App, context: ssl.SSLContext | None) -> None:
        self._app = app
        self._context = context
        self._listener: _Listener | None = None
        self._sockets: asyncio.Server | None = None

    async def listen(self, bind: str, port: int) -> int:
        """Begins to accept connections and returns the port. Raises OSError."""
        self._listener = _Listener(self._handle, handler_cancellation=True)
        loop = asyncio.get_running_loop()
        self._sockets = await loop.create_server(
            self._listener, bind, port, ssl=self._context, backlog=512, reuse_address=True
        )
        return int(self._sockets.sockets[0].getsockname()[1])

    async def _handle(self, request: BaseRequest) -> StreamResponse:
        connection: Any = request.protocol  # one of ours: the listener makes no others
        path, _, query = request.raw_path.partition("?")
        if not path.startswith("/"):
            path = "/" + path.split("//", 1)[-1].partition("/")[2]
        incoming = RawRequest(
            request.method,
            path,
            query,
            request.headers,
            Credentials(
                connection.subject,
                request.headers.get("Authorization", ""),
                request.headers.get("Sec-WebSocket-Protocol", ""),
            ),
            lambda: read_body(request),
            connection.peer,
        )
        answer = await self._app.handle(incoming)
        if not isinstance(answer, Answer):
            streamed: StreamResponse = await answer.run(request)
            return streamed
        headers = [("Content-Type", answer.content_type), _NOT_CACHED, *answer.headers]
        if len(answer.body) >= GZIP_BYTES and _takes_gzip(request):
            # In a thread: zlib lets go of the interpreter, so that others are answered meanwhile.
            packed = await asyncio.to_thread(gzip.compress, answer.body, GZIP_LEVEL)
            answer = answer._replace(body=packed)
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        if len(answer.body) > PIECE and request.method != "HEAD":
            return await _in_pieces(request, answer, headers)
        return Response(body=answer.body, status=answer.code, headers=headers)

    async def close(self) -> None:
        """Accepts no more, lets answers that are under way end, then closes what is left."""
        if self._sockets is not None:
            self._sockets.close()
        if self._listener is not None:
            await self._listener.shutdown(GOODBYE_SECONDS)


def _takes_gzip(request: BaseRequest) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return any(coding.partition(";")[0].strip() == "gzip" for coding in accepted.split(","))


async def _in_pieces(
    request: BaseRequest, answer: Answer, headers: list[tuple[str, str]]
) -> StreamResponse:
    """A long list, at the pace of the client: encrypted at once it would be in memory three
    times.
    """
    response = StreamResponse(status=answer.code, headers=headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    whole = memoryview(answer.body)
    try:
        for start in range(0, len(whole), PIECE):
            await response.write(whole[start : start + PIECE])
        await response.write_eof()
    except ConnectionError:
        pass  # the client has enough
    return response


async def read_body(request: BaseRequest) -> bytes:
    """The body of a request. Raises StatusError 413 when it is larger than the server reads, 400
    when it never ends.
    """
    if not request.body_exists:
        return b""
    if (request.content_length or 0) > MAX_BODY:
        raise _over(request)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await _invite(request)
    if request.content.is_eof():  # all of it came with the head: nothing to wait for
        return _whole(request)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while part := await request.content.readany():
                size += len(part)
                if size > MAX_BODY:
                    raise _over(request)
                parts.append(part)
    except TimeoutError as error:
        raise bad_request(
            f"the body of the request did not arrive within {BODY_SECONDS:.0f} seconds"
        ) from error
    except (PayloadAccessError, ValueError) as error:
        raise _broken() from error
    return b"".join(parts)


async def _invite(request: BaseRequest) -> None:
    """Tells a client that waits for it to send the body (RFC 9110, section 10.1.1)."""
    if request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _whole(request: BaseRequest) -> bytes:
    """A body that is there already. Raises StatusError."""
    try:
        body = request.content.read_nowait()
    except (PayloadAccessError, ValueError) as error:
        raise _broken() from error
    if len(body) > MAX_BODY:
        raise _over(request)
    return body


def _broken() -> StatusError:
    return bad_request("the body of the request is broken")


def _over(request: BaseRequest) -> StatusError:
    """Nothing more is read from this connection."""
    request.protocol.keep_alive(False)
    return too_large()
