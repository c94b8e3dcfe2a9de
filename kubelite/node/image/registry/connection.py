"""Requests to one registry: HTTPS or plain HTTP, credentials, refusals, when to come again.

The protocol is OCI distribution 1.1. Credentials go only to the registry itself and to the token
service that it names over HTTPS; an upload or a redirect that leads to another host takes none
along. What a registry names leads to no address of this machine or its link, unless it is there
itself: it could ask for what listens there. Of no answer more is read than a document may have.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from kubelite.lib.addresses import is_allowed, is_allowed_host
from kubelite.node.image.errors import PullError, quoted
from kubelite.node.image.registry import config
from kubelite.node.image.registry.auth import Challenge, Credentials, challenges
from kubelite.node.image.registry.config import Endpoint
from kubelite.node.image.unpack_limits import DOCUMENT_BYTES

ATTEMPTS = 5
FIRST_DELAY, MAX_DELAY = 0.5, 30.0
CONNECT_SECONDS, IDLE_SECONDS = 15.0, 60.0
TOO_MANY_REQUESTS = 429
LATER = (408, TOO_MANY_REQUESTS, 500, 502, 503, 504)
_USER_AGENT = "kubelite"
REDIRECTS = 10
_REDIRECTED = (301, 302, 303, 307, 308)
_CREDENTIALS = "Authorization"
_NOT_THERE = "an address of this machine or its link"
_HINTS = {
    "pull": "log in with docker or podman, or give the pod imagePullSecrets",
    "pull,push": "log in with docker or podman, as a user who may write there",
}

T = TypeVar("T")
Body = Callable[[], AsyncIterable[bytes]]


class RegistryRefusal(PullError):
    """The registry answered, and the answer is final. ``code`` is its HTTP status."""

    def __init__(self, code: int, message: str, *, hint: str = "") -> None:
        super().__init__("ErrImagePull", message, hint=hint)
        self.code = code


class RegistryUnreachable(PullError):
    """No answer came, or only ones that ask to come back later."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("ErrImagePull", message, hint=hint)


class Later(Exception):
    """The registry asks to come back; ``after`` is its Retry-After header: seconds or a date, and
    ``code`` its HTTP status, 0 where it has none of these.
    """

    def __init__(self, message: str, after: str, code: int = 0) -> None:
        super().__init__(message)
        self.after = after
        self.code = code


PASSING = (aiohttp.ClientError, TimeoutError, Later)
"""What another attempt may mend."""


class Connection:
    """Speaks to one endpoint. ``credentials`` are tried in order, then none; ``actions`` is what a
    token is asked for where the registry does not say: ``pull`` or ``pull,push``.
    """

    def __init__(
        self, endpoint: Endpoint, credentials: Sequence[Credentials] = (), actions: str = "pull"
    ) -> None:
        self._endpoint = endpoint
        self._actions = actions
        self._credentials = [*credentials, None]
        self._headers: dict[str, str] = {}
        self._accepted: set[str] = set()
        self._latest = ""
        self._choosing = asyncio.Lock()
        self._scheme = "https"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Connection:
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS)
        self._resolver = _Resolver()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(resolver=self._resolver),
            timeout=timeout,
            trust_env=True,
            auto_decompress=False,
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *reason: object) -> None:
        assert self._session is not None
        await self._session.close()

    @property
    def name(self) -> str:
        """The registry as messages call it."""
        return f"registry {self._endpoint.host}"

    @property
    def credentials(self) -> Credentials | None:
        """Those that the registry has accepted; None where it took none."""
        return self._credentials[0] if self._latest and self._credentials else None

    async def retried(self, step: Callable[[], Awaitable[T]]) -> T:
        """What ``step`` gives, tried again while the failure may pass. Raises RegistryUnreachable
        after the last attempt, and what ``step`` raises otherwise.
        """
        for attempt in range(ATTEMPTS):
            try:
                return await step()
            except PASSING as error:
                if attempt == ATTEMPTS - 1 or isinstance(error, aiohttp.ClientConnectorDNSError):
                    raise self._unreachable(error) from error
                await asyncio.sleep(_delay(attempt, error))
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        expected: Sequence[int] = (200, 206),
        body: Body | None = None,
        only_current: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with one of the expected statuses; authenticates first where that is needed.

        ``path`` is below the repository, or a whole URL that the registry gave. With
        ``only_current``, no credentials are tried but those in use. Raises RegistryRefusal, or one
        of PASSING.
        """
        header: str | None = self._latest
        while True:
            async with await self._open(method, path, headers or {}, header or "", body) as answer:
                if answer.status != 401 and header:
                    self._accepted.add(header)
                if answer.status in expected:
                    yield answer
                    return
                refusal = await self._refusal(answer, path)
                offered = challenges(answer.headers.getall("WWW-Authenticate", []))
                if answer.status != 401:
                    raise refusal
            header = await self._next_header(offered, header or "", only_current)
            if header is None:
                raise refusal

    async def _open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        authorization: str,
        body: Body | None,
    ) -> aiohttp.ClientResponse:
        """Over HTTPS; where plain HTTP may do, whatever the certificate says, and over plain HTTP
        when no TLS server answers.
        """
        assert self._session is not None
        sent = dict(headers)
        host, repository = self._endpoint.host, self._endpoint.path
        is_given = path.startswith(("http://", "https://"))
        if authorization and (not is_given or urlsplit(path).netloc == host):
            sent[_CREDENTIALS] = authorization

        async def opened(url: str) -> aiohttp.ClientResponse:
            return await self._followed(method, URL(url), sent, body)

        if is_given:
            given = URL(path, encoded=True)
            self._check_target(given)
            return await self._followed(method, given, sent, body)
        try:
            return await opened(f"{self._scheme}://{host}/v2/{repository}/{path}")
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
            is_last = self._scheme == "http" or not self._endpoint.insecure
            if is_last or isinstance(error, aiohttp.ClientConnectorDNSError):
                raise
            self._scheme = "http"
            return await opened(f"http://{host}/v2/{repository}/{path}")

    async def _followed(
        self, method: str, url: URL, headers: dict[str, str], body: Body | None
    ) -> aiohttp.ClientResponse:
        """The answer at the end of redirects. Raises RegistryRefusal for one that leads astray."""
        assert self._session is not None
        for _ in range(REDIRECTS):
            answer = await self._session.request(
                method,
                url,
                headers=headers,
                data=body() if body else None,
                ssl=not self._endpoint.insecure,
                allow_redirects=False,
            )
            where = answer.headers.get("Location")
            if answer.status not in _REDIRECTED or where is None:
                return answer
            answer.close()
            target = self._target(url, where)
            self._check_target(target)
            if target.origin() != url.origin():
                headers = {name: value for name, value in headers.items() if name != _CREDENTIALS}
            if answer.status == 303:
                method, body = "GET", None
            url = target
        raise RegistryRefusal(200, f"{self.name} redirects without end")

    def _target(self, url: URL, where: str) -> URL:
        try:
            return url.join(URL(where, encoded=True))
        except ValueError:
            raise RegistryRefusal(200, f"{self.name} leads to {quoted(where[:200])}") from None

    def _check_target(self, target: URL) -> None:
        """Raises RegistryRefusal for a place that the registry may not name."""
        if target.scheme not in ("http", "https") or not target.host:
            raise RegistryRefusal(200, f"{self.name} leads to {quoted(str(target)[:200])}")
        host = self._endpoint.host
        own = URL(f"{target.scheme}://{host}").origin()
        if target.origin() == own or config.is_loopback(host):
            return
        self._resolver.named.add(target.host)
        with contextlib.suppress(ValueError):
            if not is_allowed(ipaddress.ip_address(target.host)):
                raise RegistryRefusal(200, f"{self.name} leads to {target.host}, {_NOT_THERE}")

    async def _next_header(
        self, offered: list[Challenge], refused: str, only_current: bool
    ) -> str | None:
        """The ``Authorization`` header to try after one that was refused; None where there is no
        other.

        Requests that run side by side share headers, one for each scope. A header that was good
        before has expired and is renewed; one that never was is the end of its credentials.
        """
        scope = next((c.parameters["scope"] for c in offered if "scope" in c.parameters), "")
        async with self._choosing:
            known = self._headers.pop(scope, "")
            was_good = known in self._accepted
            self._accepted.discard(refused)
            if known and known != refused:
                header = known
            else:
                if known and not was_good:
                    if only_current:
                        return None
                    self._credentials.pop(0)
                    self._headers.clear()
                header = await self._fresh_header(offered)
            if header:
                self._headers[scope] = self._latest = header
            return header or None

    async def _fresh_header(self, offered: list[Challenge]) -> str:
        """From the first credentials that give one; "" where none does."""
        while self._credentials:
            if header := await self._header(offered, self._credentials[0]):
                return header
            self._credentials.pop(0)
        return ""

    async def _header(self, offered: list[Challenge], credentials: Credentials | None) -> str:
        for challenge in offered:
            if challenge.scheme == "bearer" and "realm" in challenge.parameters:
                token = await self._token(challenge.parameters, credentials)
                if token:
                    return f"Bearer {token}"
            elif challenge.scheme == "basic" and credentials is not None:
                return credentials.basic
        return ""

    async def _token(self, parameters: dict[str, str], credentials: Credentials | None) -> str:
        assert self._session is not None
        realm = parameters["realm"]
        if urlsplit(realm).scheme != "https" and not self._endpoint.insecure:
            raise RegistryRefusal(401, f"{self.name} names a token service without TLS: {realm}")
        self._check_target(URL(realm))
        scope = parameters.get("scope") or f"repository:{self._endpoint.path}:{self._actions}"
        service = parameters.get("service", "")
        if credentials is not None and credentials.identity_token:
            form = {
                "service": service,
                "scope": scope,
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": _USER_AGENT,
            }
            request = self._session.post(realm, data=form, allow_redirects=False)
        else:
            headers = {"Authorization": credentials.basic} if credentials else {}
            query = [("service", service), *(("scope", part) for part in scope.split())]
            request = self._session.get(realm, params=query, headers=headers, allow_redirects=False)
        async with request as answer:
            if answer.status != 200:
                return ""
            document = await _parsed(answer)
        if not isinstance(document, dict):
            return ""
        token = document.get("token") or document.get("access_token")
        return str(token or "")

    async def _refusal(self, answer: aiohttp.ClientResponse, path: str) -> Exception:
        """What an answer other than success means."""
        message = await _message(answer)
        if answer.status in LATER:
            after = answer.headers.get("Retry-After", "")
            return Later(f"{answer.status}{message}", after, answer.status)
        name, _, what = path.partition("/")
        if answer.status in (401, 403):
            hint = _HINTS[self._actions]
            return RegistryRefusal(answer.status, f"{self.name}: access denied{message}", hint=hint)
        if answer.status == 404:
            missing = f"{name[:-1]} {what} of {self._endpoint.path}"
            return RegistryRefusal(404, f"{self.name}: no {missing}{message}")
        return RegistryRefusal(answer.status, f"{self.name} answered {answer.status}{message}")

    def _unreachable(self, error: BaseException) -> RegistryUnreachable:
        reason = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            hint = "trust its authority on this machine, or mark it insecure in registries.conf"
            return RegistryUnreachable(f"{self.name}: {_certificate_problem(error)}", hint=hint)
        if isinstance(error, TimeoutError):
            return RegistryUnreachable(f"{self.name} does not answer in time")
        if isinstance(error, Later) and error.code == TOO_MANY_REQUESTS:
            return RegistryUnreachable(
                f"{self.name} limits how often it is asked: {error}",
                hint="try again later, or log in: more is allowed then",
            )
        if isinstance(error, Later):
            return RegistryUnreachable(f"{self.name} is busy: {error}")
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return RegistryUnreachable(f"{self.name} cannot be reached: {text}")


async def in_parallel(steps: Iterable[Coroutine[Any, Any, None]], at_once: int) -> None:
    """Awaits all steps, so many at a time; the first that fails cancels the others."""
    slots = asyncio.Semaphore(at_once)

    async def run(step: Coroutine[Any, Any, None]) -> None:
        async with slots:
            await step

    tasks = [asyncio.ensure_future(run(step)) for step in steps]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _delay(attempt: int, error: BaseException) -> float:
    after = getattr(error, "after", "")
    if after.isdigit():
        return min(float(after), MAX_DELAY)
    with suppress(ValueError):
        seconds = parsedate_to_datetime(after).timestamp() - time.time()
        return min(max(seconds, 0.0), MAX_DELAY)
    return min(FIRST_DELAY * 2.0**attempt, MAX_DELAY)


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    problem: Any = error.certificate_error
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {problem.verify_message}"
    return str(problem)


async def read_document(answer: aiohttp.ClientResponse) -> bytes | None:
    """The body of an answer; None where it is longer than a document may be."""
    data = await answer.content.read(DOCUMENT_BYTES + 1)
    while len(data) <= DOCUMENT_BYTES and not answer.content.at_eof():
        data += await answer.content.read(DOCUMENT_BYTES + 1)
    return data if len(data) <= DOCUMENT_BYTES else None


async def _parsed(answer: aiohttp.ClientResponse) -> Any:
    """The JSON of an answer; None where it is none."""
    try:
        return json.loads(await read_document(answer) or b"null")
    except (ValueError, RecursionError):
        return None


class _Resolver(ThreadedResolver):
    """Names that a registry has named mean no address of this machine or its link either."""

    def __init__(self) -> None:
        super().__init__()
        self.named: set[str] = set()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        infos = await super().resolve(host, port, family)
        if host in self.named:
            infos = [info for info in infos if is_allowed_host(info["host"].partition("%")[0])]
            if not infos:
                raise OSError(f"{host} is {_NOT_THERE}")
        return infos


async def _message(answer: aiohttp.ClientResponse) -> str:
    """What the registry says went wrong, as it stands in its errors document."""
    try:
        document = await _parsed(answer)
        texts = [str(error.get("message", "")) for error in document["errors"]]
    except (ValueError, LookupError, TypeError, AttributeError, aiohttp.ClientError):
        return ""
    return f" ({quoted('; '.join(filter(None, texts)))})" if any(texts) else ""
