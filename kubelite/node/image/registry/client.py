"""One conversation with a registry: authentication, manifests, blobs.

The protocol is OCI distribution 1.1. Credentials go only to the registry itself and to the token
service that it names over HTTPS; a redirect to a blob store takes none along. What arrives is
hashed before it counts, and a blob that was cut off goes on where it ended.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from kubelite.node.image.errors import PullError, quoted
from kubelite.node.image.oci import INDEX_TYPES
from kubelite.node.image.registry.auth import Challenge, Credentials, challenges
from kubelite.node.image.registry.config import Endpoint
from kubelite.node.image.unpack_limits import CHUNK, DOCUMENT_BYTES

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ATTEMPTS = 5
FIRST_DELAY, MAX_DELAY = 0.5, 30.0
CONNECT_SECONDS, IDLE_SECONDS = 15.0, 60.0
_USER_AGENT = "kubelite"


class Document(NamedTuple):
    """A manifest or index: its bytes, digest and media type."""

    data: bytes
    digest: str
    media_type: str


class RegistryRefusal(PullError):
    """The registry answered, and the answer is final. ``code`` is its HTTP status."""

    def __init__(self, code: int, message: str, *, hint: str = "") -> None:
        super().__init__("ErrImagePull", message, hint=hint)
        self.code = code


class RegistryUnreachable(PullError):
    """No answer came, or only ones that ask to come back later."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__("ErrImagePull", message, hint=hint)


class RegistryClient:
    """Fetches from one endpoint. ``credentials`` are tried in order, then none."""

    def __init__(self, endpoint: Endpoint, credentials: Sequence[Credentials] = ()) -> None:
        self._endpoint = endpoint
        self._credentials = [*credentials, None]
        self._authorization = ""
        self._scheme = "https"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> RegistryClient:
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=IDLE_SECONDS)
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            trust_env=True,
            auto_decompress=False,
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *reason: object) -> None:
        assert self._session is not None
        await self._session.close()

    async def manifest(self, reference: str) -> Document:
        """The manifest or index of a tag or digest. Raises RegistryRefusal, RegistryUnreachable."""
        accept = {"Accept": ", ".join((*MANIFEST_TYPES, *INDEX_TYPES))}
        data, media_type = await self._document(f"manifests/{reference}", accept)
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if reference.startswith("sha256:") and reference != digest:
            raise RegistryRefusal(
                200, f"{self._name} sent another manifest than {reference}: it is {digest}"
            )
        return Document(data, digest, media_type)

    async def blob_bytes(self, digest: str) -> bytes:
        """A small blob, such as an image's configuration."""
        data, _ = await self._document(f"blobs/{digest}", {})
        actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if actual != digest:
            raise RegistryRefusal(
                200, f"{self._name} sent another blob than {digest}: it is {actual}"
            )
        return data

    async def download(
        self, digest: str, size: int, path: str, progress: Callable[[int], None]
    ) -> None:
        """Fetches a blob into the file ``path``, which appears when it is whole and verified.

        ``path`` with ``.part`` behind it holds what has come so far; a later call goes on there.
        ``progress`` is told the bytes there are. Raises RegistryRefusal, RegistryUnreachable,
        OSError.
        """
        partial = f"{path}.part"
        for attempt in range(ATTEMPTS):
            try:
                await self._fetch_rest(digest, size, partial, progress)
                break
            except (aiohttp.ClientError, TimeoutError, _Again) as error:
                if attempt == ATTEMPTS - 1:
                    raise self._unreachable(error) from error
                await asyncio.sleep(_delay(attempt, error))
        actual = await asyncio.to_thread(_digest_of, partial)
        if actual != digest:
            os.unlink(partial)
            raise RegistryRefusal(200, f"blob {digest} does not match its digest: it is {actual}")
        os.rename(partial, path)

    async def _fetch_rest(
        self, digest: str, size: int, partial: str, progress: Callable[[int], None]
    ) -> None:
        with open(partial, "ab") as file:
            start = file.tell()
            if start > size:
                file.truncate(0)
                start = 0
            if start == size:
                progress(size)
                return
            headers = {"Range": f"bytes={start}-"} if start else {}
            async with self._request(f"blobs/{digest}", headers) as answer:
                if answer.status == 200 and start:
                    file.truncate(0)
                    start = 0
                async for chunk in answer.content.iter_chunked(CHUNK):
                    start += len(chunk)
                    if start > size:
                        raise RegistryRefusal(200, f"blob {digest} has more than {size} bytes")
                    file.write(chunk)
                    progress(start)
            if start < size:
                raise aiohttp.ClientPayloadError(f"{start} of {size} bytes came")

    async def _document(self, path: str, headers: dict[str, str]) -> tuple[bytes, str]:
        for attempt in range(ATTEMPTS):
            try:
                async with self._request(path, headers) as answer:
                    data = await answer.content.read(DOCUMENT_BYTES + 1)
                    while len(data) <= DOCUMENT_BYTES and not answer.content.at_eof():
                        data += await answer.content.read(DOCUMENT_BYTES + 1)
                    if len(data) > DOCUMENT_BYTES:
                        raise RegistryRefusal(200, f"{self._name}: {path} is too large")
                    return data, answer.content_type
            except (aiohttp.ClientError, TimeoutError, _Again) as error:
                if attempt == ATTEMPTS - 1 or isinstance(error, aiohttp.ClientConnectorDNSError):
                    raise self._unreachable(error) from error
                await asyncio.sleep(_delay(attempt, error))
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def _request(
        self, path: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that brings what was asked for; authenticates first where that is needed."""
        while True:
            authorization = {"Authorization": self._authorization} if self._authorization else {}
            async with await self._open(path, headers | authorization) as answer:
                if answer.status in (200, 206):
                    yield answer
                    return
                if answer.status != 401 or not self._credentials:
                    raise await self._refusal(answer, path)
                asked = challenges(answer.headers.getall("WWW-Authenticate", []))
            self._authorization = await self._authorize(asked)

    async def _open(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """Over HTTPS; where plain HTTP may do, over that when no TLS server answers."""
        assert self._session is not None
        host, repository = self._endpoint.host, self._endpoint.path
        try:
            url = f"{self._scheme}://{host}/v2/{repository}/{path}"
            return await self._session.get(url, headers=headers)
        except (aiohttp.ClientConnectorError, aiohttp.ServerDisconnectedError) as error:
            is_last = self._scheme == "http" or not self._endpoint.insecure
            if is_last or isinstance(error, aiohttp.ClientConnectorDNSError):
                raise
            self._scheme = "http"
            return await self._session.get(f"http://{host}/v2/{repository}/{path}", headers=headers)

    async def _authorize(self, asked: list[Challenge]) -> str:
        """An ``Authorization`` header for the next credentials. Raises RegistryRefusal."""
        credentials = self._credentials.pop(0)
        for challenge in asked:
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
            raise RegistryRefusal(401, f"{self._name} names a token service without TLS: {realm}")
        scope = parameters.get("scope") or f"repository:{self._endpoint.path}:pull"
        query = {"service": parameters.get("service", ""), "scope": scope}
        if credentials is not None and credentials.identity_token:
            form = query | {
                "grant_type": "refresh_token",
                "refresh_token": credentials.identity_token,
                "client_id": _USER_AGENT,
            }
            request = self._session.post(realm, data=form)
        else:
            headers = {"Authorization": credentials.basic} if credentials else {}
            request = self._session.get(realm, params=query, headers=headers)
        async with request as answer:
            if answer.status != 200:
                return ""
            document = await answer.json(content_type=None)
        token = document.get("token") or document.get("access_token")
        return str(token or "")

    async def _refusal(self, answer: aiohttp.ClientResponse, path: str) -> Exception:
        """What an answer other than success means."""
        said = await _message(answer)
        if answer.status in (429, 500, 502, 503, 504):
            return _Again(f"{answer.status} {said}", answer.headers.get("Retry-After", ""))
        name, _, what = path.partition("/")
        if answer.status in (401, 403):
            return RegistryRefusal(
                answer.status,
                f"{self._name}: access denied{said}",
                hint="log in with docker or podman, or give the pod imagePullSecrets",
            )
        if answer.status == 404:
            return RegistryRefusal(404, f"{self._name}: no {name[:-1]} {what}{said}")
        return RegistryRefusal(answer.status, f"{self._name} answered {answer.status}{said}")

    def _unreachable(self, error: BaseException) -> RegistryUnreachable:
        reason = error
        while reason.__cause__ is not None:
            reason = reason.__cause__
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            hint = "trust its authority on this machine, or mark it insecure in registries.conf"
            return RegistryUnreachable(f"{self._name}: {_certificate_problem(error)}", hint=hint)
        if isinstance(error, TimeoutError):
            return RegistryUnreachable(f"{self._name} does not answer in time")
        text = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return RegistryUnreachable(f"{self._name} cannot be reached: {text}")

    @property
    def _name(self) -> str:
        return f"registry {self._endpoint.host}"


class _Again(Exception):
    """The registry asks to come back; ``after`` is its Retry-After header."""

    def __init__(self, message: str, after: str) -> None:
        super().__init__(message)
        self.after = after


def _delay(attempt: int, error: BaseException) -> float:
    after = getattr(error, "after", "")
    if after.isdigit():
        return min(float(after), MAX_DELAY)
    return min(FIRST_DELAY * 2.0**attempt, MAX_DELAY)


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    problem: Any = error.certificate_error
    if isinstance(problem, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {problem.verify_message}"
    return str(problem)


async def _message(answer: aiohttp.ClientResponse) -> str:
    """What the registry says went wrong, as it stands in its errors document."""
    try:
        document = await answer.json(content_type=None)
        texts = [str(each.get("message", "")) for each in document["errors"]]
    except (ValueError, LookupError, TypeError, AttributeError, aiohttp.ClientError):
        return ""
    return f" ({quoted('; '.join(filter(None, texts)))})" if any(texts) else ""


def _digest_of(path: str) -> str:
    with open(path, "rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
