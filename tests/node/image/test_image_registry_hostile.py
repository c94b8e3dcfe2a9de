"""Registries that lead elsewhere or never end: what they name is not asked for, and of no answer
more is read than a document may have.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kubelite.node.image.registry import connection
from kubelite.node.image.registry.client import RegistryClient
from kubelite.node.image.registry.config import Endpoint
from kubelite.node.image.registry.connection import Connection, RegistryRefusal

NAME = "registry.test"
SECRET = b'{"secret": "of this machine"}'


class Hostile:
    """A registry whose answers a test chooses, by ``NAME``, and what else listens on the machine.
    ``asked`` are the paths under /inside that arrived.
    """

    def __init__(self) -> None:
        hostile = self
        self.asked: list[str] = []
        self.code, self.headers, self.body = 307, {}, b""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/inside"):
                    hostile.asked.append(self.path)
                    self._answer(200, {}, SECRET)
                elif self.path.endswith("/manifests/own"):
                    self._answer(307, {"Location": "/v2/a/manifests/whole"}, b"")
                elif self.path.endswith("/manifests/whole"):
                    self._answer(200, {}, b"{}")
                else:
                    self._answer(hostile.code, hostile.headers, hostile.body)

            def _answer(self, code: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "endless" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                while "endless" in headers:
                    self.wfile.write(b" " * (1 << 20))

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def manifest(self, tag: str = "latest", host: str = NAME) -> bytes:
        """What a pull gets for a manifest."""

        async def ask() -> bytes:
            endpoint = Endpoint(f"{host}:{self.port}", "a", insecure=True)
            async with Connection(endpoint) as opened:
                return (await RegistryClient(opened).manifest(tag)).data

        return asyncio.run(ask())

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hostile]:
    """Its name, and any other below it, means this machine."""
    look_up = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        return look_up("127.0.0.1" if str(host).endswith(NAME) else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(connection, "ATTEMPTS", 1)
    server = Hostile()
    yield server
    server.close()


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1:{port}/inside",
        "http://[::ffff:127.0.0.1]:{port}/inside",
        "http://localhost:{port}/inside",
        "http://other.registry.test:{port}/inside",
        "http://169.254.169.254/inside",
        "file:///etc/passwd",
        "ftp://127.0.0.1/inside",
    ],
)
def test_a_redirect_to_this_machine_is_not_followed(hostile: Hostile, where: str) -> None:
    hostile.headers = {"Location": where.format(port=hostile.port)}
    with pytest.raises((RegistryRefusal, connection.RegistryUnreachable)) as error:
        hostile.manifest()
    assert hostile.asked == []
    assert "leads to" in str(error.value) or "cannot be reached" in str(error.value)


def test_a_registry_leads_to_itself_and_one_of_this_machine_anywhere_on_it(
    hostile: Hostile,
) -> None:
    assert hostile.manifest("own") == b"{}"
    hostile.headers = {"Location": f"http://127.0.0.1:{hostile.port}/inside"}
    assert hostile.manifest(host="127.0.0.1") == SECRET
    assert hostile.asked == ["/inside"]


def test_redirects_without_end(hostile: Hostile) -> None:
    hostile.headers = {"Location": "/v2/a/manifests/again"}
    with pytest.raises(RegistryRefusal, match="without end"):
        hostile.manifest()


def test_a_token_service_on_this_machine_is_not_asked(hostile: Hostile) -> None:
    realm = f"http://127.0.0.1:{hostile.port}/inside"
    hostile.code, hostile.headers = 401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}
    with pytest.raises(RegistryRefusal, match=r"leads to 127\.0\.0\.1"):
        hostile.manifest()
    assert hostile.asked == []


@pytest.mark.parametrize("code", [200, 403, 500])
def test_an_answer_without_end(hostile: Hostile, code: int) -> None:
    """A manifest, and what says why there is none."""
    hostile.code, hostile.headers = code, {"endless": "yes"}
    before = resident()
    with pytest.raises((RegistryRefusal, connection.RegistryUnreachable)):
        hostile.manifest()
    assert resident() - before < 64 << 20


def test_an_error_nested_without_end(hostile: Hostile) -> None:
    hostile.code, hostile.body = 403, b"[" * 1_000_000
    with pytest.raises(RegistryRefusal, match="access denied"):
        hostile.manifest()
    hostile.body = json.dumps({"errors": [{"message": "no"}]}).encode()
    with pytest.raises(RegistryRefusal, match="no"):
        hostile.manifest()


def resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
