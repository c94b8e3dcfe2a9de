"""A real registry on loopback (Debian's ``docker-registry``), and a proxy in front that disturbs."""

from __future__ import annotations

import base64
import http.client
import http.server
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {directory}/data}}}}
http: {{addr: "127.0.0.1:{port}"{tls}}}
{auth}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


class Registry:
    """One registry process; ``user`` turns basic authentication on, ``tls`` is (certificate, key)."""

    def __init__(
        self,
        directory: Path,
        user: str = "",
        password: str = "",
        tls: tuple[str, str] | None = None,
    ) -> None:
        if shutil.which("docker-registry") is None:
            pytest.skip("no docker-registry on this machine")
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        auth = ""
        if user:
            import bcrypt

            hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
            (directory / "htpasswd").write_text(f"{user}:{hashed}\n")
            auth = f'auth: {{htpasswd: {{realm: test, path: "{directory}/htpasswd"}}}}'
        keys = f", tls: {{certificate: {tls[0]}, key: {tls[1]}}}" if tls else ""
        text = CONFIG.format(directory=directory, port=self.port, auth=auth, tls=keys)
        (directory / "config.yml").write_text(text)
        self._process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.yml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("the registry did not come up")

    def push(self, layout: Path, name: str, *options: str) -> None:
        """Copies the one image of an OCI layout into the registry, by skopeo."""
        subprocess.run(
            [
                "skopeo",
                "copy",
                "--all",
                "--insecure-policy",
                "--dest-tls-verify=false",
                *options,
                f"oci:{layout}",
                f"docker://{self.host}/{name}",
            ],
            check=True,
            capture_output=True,
        )

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


Disturb = Callable[[http.server.BaseHTTPRequestHandler, str, bytes], bool]


class Proxy:
    """Passes requests on to a registry. ``disturb(handler, path, body)`` may answer by itself and
    then returns True. ``requests`` are (path, Range header) of all that came.
    """

    def __init__(self, registry: Registry) -> None:
        proxy = self
        self.requests: list[tuple[str, str]] = []
        self.disturb: Disturb = lambda handler, path, body: False

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.requests.append((self.path, self.headers.get("Range", "")))
                upstream = http.client.HTTPConnection("127.0.0.1", registry.port)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                upstream.request("GET", self.path, headers=headers)
                answer = upstream.getresponse()
                body = answer.read()
                upstream.close()
                if proxy.disturb(self, self.path, body):
                    return
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                return

        self._server = Server(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def docker_config(host: str, user: str, password: str) -> dict:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"auths": {host: {"auth": auth}}}
