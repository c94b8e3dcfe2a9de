"""A call of a webhook over HTTPS: by its URL, or at a ready endpoint of its service."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from kubelite.control.api.admission.dynamic.service_endpoint import (
    NoEndpoint,
    fixed_resolver,
    ready_endpoint,
)
from kubelite.control.api.wire.allowed_addresses import resolve
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.status import StatusError
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.store.store import Store

MAX_ANSWER = 3 << 20


class CallFailed(Exception):
    """The webhook gave no answer that could be used; the message says why."""


async def post(store: Store, client: Object, review: Object, seconds: int) -> Any:
    """What the webhook of a clientConfig answers. Raises CallFailed, StoreError."""
    import aiohttp

    url, address = await _destination(store, client)
    timeout = aiohttp.ClientTimeout(total=seconds)
    connector = aiohttp.TCPConnector(ssl=_trust(client), resolver=fixed_resolver(address))
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    url = f"{url}?timeout={seconds}s"
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.post(url, data=encode(review), headers=headers) as got,
        ):
            body = await got.content.read(MAX_ANSWER + 1)
            if got.status != 200:
                raise CallFailed(f"it answered {got.status}")
            return msgspec.json.decode(body)
    except TimeoutError as error:
        raise CallFailed(
            f'failed to call webhook: Post "{url}": context deadline exceeded'
        ) from error
    except (aiohttp.ClientError, msgspec.DecodeError, OSError) as error:
        raise CallFailed(
            f'failed to call webhook: Post "{url}": {str(error) or type(error).__name__}'
        ) from error


def _trust(client: Object) -> ssl.SSLContext:
    """The authority that vouches for a webhook: its own bundle, or the machine's."""
    bundle = client.get("caBundle")
    try:
        data = base64.b64decode(bundle).decode() if bundle else None
        return ssl.create_default_context(cadata=data)
    except (ssl.SSLError, ValueError) as error:
        raise CallFailed(f"its caBundle cannot be used: {error}") from error


async def _destination(store: Store, client: Object) -> tuple[str, tuple[str, int]]:
    """The URL of a webhook and the address behind it; of a service a ready endpoint. Raises
    CallFailed.
    """
    if client.get("url"):
        parts = urlsplit(client["url"])
        try:  # whoever configures webhooks may call this machine, but not its surroundings
            host = await resolve(parts.hostname or "", loopback=True)
        except StatusError as error:
            raise CallFailed(str(error)) from error
        return str(client["url"]), (host, parts.port or 443)
    service = client.get("service") or {}
    namespace, name = service.get("namespace", ""), service.get("name", "")
    port = service.get("port") or 443
    path = service.get("path") or "/"
    try:
        address = await ready_endpoint(store, namespace, name, port)
    except NoEndpoint as error:
        raise CallFailed(str(error)) from error
    return f"https://{name}.{namespace}.svc:{port}{path}", address
