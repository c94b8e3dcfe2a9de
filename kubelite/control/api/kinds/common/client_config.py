"""What the API server calls by HTTPS: URLs and Services in configurations. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kubelite.control.api.kinds.common.checks import check_port_number
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.status import Cause

_FORM = "; desired format: https://host[/path]"


def default_service_port(service: Any) -> None:
    """The port of a service that the API server calls."""
    service.port = 443 if service.port is None else service.port


def check_client_config(config: Object, path: str) -> Iterator[Cause]:
    """A URL or a Service, not both."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        yield causes.required(path, "exactly one of url or service is required")
    elif service is not None:
        yield from check_service(service, f"{path}.service")
    else:
        yield from _check_url(url or "", f"{path}.url")


def _check_url(url: str, path: str) -> Iterator[Cause]:
    try:
        parts = urlsplit(url)
        host, user = parts.netloc, parts.netloc.rpartition("@")[0] or None
    except ValueError as error:
        yield causes.required(path, f"url must be a valid URL: {error}{_FORM}")
        return
    if parts.scheme != "https":
        why = f"'https' is the only allowed URL scheme{_FORM}"
        yield causes.invalid(path, parts.scheme, why)
    if not host:
        yield causes.invalid(path, host, f"host must be specified{_FORM}")
    if user is not None:
        yield causes.invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield causes.invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield causes.invalid(path, parts.query, "query parameters are not permitted in the URL")


def check_service(service: Object, path: str) -> Iterator[Cause]:
    """A Service by name and namespace, with a port and the path of a URL."""
    for field in ("name", "namespace"):
        if not service.get(field):
            yield causes.required(f"{path}.{field}")
    yield from check_port_number(service.get("port", 443), f"{path}.port", "port is not valid: ")
    if (url_path := service.get("path")) is not None:
        yield from _check_url_path(url_path, f"{path}.path")


def _check_url_path(text: str, path: str) -> Iterator[Cause]:
    if text in ("", "/"):
        return
    if text == "//":
        yield causes.invalid(path, text, "segment[0] may not be empty")
        return
    if not text.startswith("/"):
        yield causes.invalid(path, text, "must start with a '/'")
    steps = text[1:].removesuffix("/").split("/")
    for index, step in enumerate(steps):
        if not step:
            yield causes.invalid(path, text, f"segment[{index}] may not be empty")
        for problem in names.subdomain(step) if step else ():
            yield causes.invalid(path, text, f"segment[{index}]: {problem}")
