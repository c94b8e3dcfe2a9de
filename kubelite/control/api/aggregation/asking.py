"""What an extension server says of itself: its resources and its OpenAPI documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from kubelite.control.api.aggregation.identity import headers_of
from kubelite.control.api.discovery.delegated import DelegatedVersion
from kubelite.control.api.discovery.gnostic import encode
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.request import User

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from kubelite.control.api.aggregation.services import ApiService, Backend
    from kubelite.lib.json import Object

ASKER = User("system:kube-aggregator", groups=("system:masters",))
SECONDS = 5.0
_MOST = 16 << 20


class NoAnswer(Exception):
    """The server did not answer as it should; the message says why."""


class _Row(msgspec.Struct):
    """What clients read of a row of an APIResourceList: what has other types would keep them from
    reading any group (meta/v1, ``APIResource``).
    """

    name: str
    singularName: str = ""  # noqa: N815  # as Kubernetes writes it
    namespaced: bool = False
    group: str = ""
    version: str = ""
    kind: str = ""
    verbs: list[str] | None = None
    shortNames: list[str] | None = None  # noqa: N815
    categories: list[str] | None = None


class _Document(NamedTuple):
    code: int
    body: bytes


async def ask(
    session: ClientSession, service: ApiService, known: DelegatedVersion | None
) -> DelegatedVersion:
    """What the server serves. Raises NoAnswer where it does not tell its resources; schemas it
    need not have. Those that are ``known`` and have not changed are not read again.
    """
    backend, home = service.backend, f"apis/{service.group}/{service.version}"
    listed = await _get(session, backend, f"/{home}")
    url = backend.url(f"/{home}")
    if not 200 <= listed.code < 300:
        why = f"bad status from {url}: {listed.code}"
        raise NoAnswer(f"failing or missing response from {url}: {why}")
    version = DelegatedVersion(
        service.group,
        service.version,
        service.group_priority,
        service.version_priority,
        True,
        _rows(await _json(listed.body)),
    )
    try:
        return await _with_schemas(session, backend, version, known)
    except NoAnswer:
        return version


def _rows(listed: Any) -> tuple[Object, ...]:
    """The rows of an APIResourceList, as far as they are some."""
    rows = listed.get("resources") if isinstance(listed, dict) else None
    return tuple(filter(_is_row, rows)) if isinstance(rows, list) else ()


def _is_row(row: Any) -> bool:
    try:
        msgspec.convert(row, _Row)
    except msgspec.ValidationError:
        return False
    return True


async def _with_schemas(
    session: ClientSession,
    backend: Backend,
    version: DelegatedVersion,
    known: DelegatedVersion | None,
) -> DelegatedVersion:
    """Raises NoAnswer."""
    index = await _json((await _get(session, backend, "/openapi/v3")).body)
    paths = index.get("paths") if isinstance(index, dict) else None
    entry = paths.get(version.path) if isinstance(paths, dict) else None
    link = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
    address = urlsplit(link) if isinstance(link, str) and link.startswith("/") else None
    mark = address.query.partition("hash=")[2] if address is not None else ""
    if known is not None and known.v3 is not None and mark == known.v3_hash:
        return version._replace(v3=known.v3, v3_hash=mark, v2=known.v2)
    if address is not None:
        document = await _get(session, backend, f"{address.path}?{address.query}")
        if document.code == 200 and isinstance(await _json(document.body), dict):
            version = version._replace(v3=document.body, v3_hash=mark)
    swagger = await _get(session, backend, "/openapi/v2")
    return version._replace(v2=await _swagger(swagger)) if swagger.code == 200 else version


async def _swagger(document: _Document) -> Object | None:
    """The document where it is one that can be passed on in every form."""
    read = await _json(document.body)

    def good() -> bool:
        try:
            parts = [read[key] for key in ("paths", "definitions")]
            encode({"swagger": "2.0", "info": {}, "paths": parts[0], "definitions": parts[1]})
        except Exception:  # noqa: BLE001  # whatever another server may write
            return False
        return True

    return read if await aside(len(document.body), good) else None


async def _json(body: bytes) -> Any:
    """None for what is no JSON."""

    def decoded() -> Any:
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return None

    return await aside(len(body), decoded)


async def _get(session: ClientSession, backend: Backend, path: str) -> _Document:
    """Raises NoAnswer."""
    import aiohttp
    from multidict import CIMultiDict

    url = backend.url(path)
    headers = CIMultiDict([("Accept", "application/json"), *headers_of(ASKER)])
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with session.get(url, headers=headers, timeout=timeout, allow_redirects=False) as got:
            body = await got.content.read(_MOST + 1)
            while not got.content.at_eof() and len(body) <= _MOST:
                body += await got.content.read(_MOST + 1 - len(body))
            if len(body) > _MOST:
                raise NoAnswer(f"failing or missing response from {url}: more than {_MOST} bytes")
            return _Document(got.status, body)
    except TimeoutError as error:
        why = f'Get "{url}": context deadline exceeded'
        raise NoAnswer(f"failing or missing response from {url}: {why}") from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        why = f'Get "{url}": {str(error) or type(error).__name__}'
        raise NoAnswer(f"failing or missing response from {url}: {why}") from error
