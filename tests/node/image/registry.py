"""A real registry on loopback (Debian's ``docker-registry``), and a proxy in front that
disturbs.
"""

from __future__ import annotations

import base64
import datetime
import http.client
import http.server
import json
import os
import shutil
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

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


class Certificate(NamedTuple):
    """A self-signed certificate and its key, in memory and as files."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    path: str
    key_path: str


def make_certificate(directory: Path, name: str) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - day)
        .not_valid_after(now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    made = Certificate(certificate, key, str(directory / "cert.pem"), str(directory / "key.pem"))
    Path(made.path).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    Path(made.key_path).write_bytes(private)
    return made


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class TokenService:
    """Signs tokens for one user, who may do everything except in the repository ``hidden``, which
    nobody may read; ``scopes`` are those that were asked for.
    """

    def __init__(self, directory: Path, user: str, password: str) -> None:
        service = self
        self.certificate = make_certificate(directory, "tokens")
        self.scopes: list[str] = []
        self.hidden = ""
        wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
                service.scopes += scopes
                is_known = self.headers.get("Authorization") == wanted
                body = json.dumps({"token": service.token(scopes if is_known else [])}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, scopes: list[str]) -> str:
        parts = [scope.split(":") for scope in scopes]
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in parts
            if name != self.hidden
        ]
        now = int(time.time())
        claims = {"iss": "test", "sub": "ann", "aud": "test", "nbf": now - 10, "iat": now,
                  "exp": now + 300, "jti": os.urandom(4).hex(), "access": access}  # fmt: skip
        der = self.certificate.certificate.public_bytes(serialization.Encoding.DER)
        head = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(der).decode()]}
        text = ".".join(_base64(json.dumps(part).encode()) for part in (head, claims))
        signature = self.certificate.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        r, s = utils.decode_dss_signature(signature)
        return f"{text}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Registry:
    """One registry process; ``user`` turns basic authentication on, ``tls`` is (certificate,
    key).
    """

    def __init__(
        self,
        directory: Path,
        user: str = "",
        password: str = "",
        tls: tuple[str, str] | None = None,
        tokens: TokenService | None = None,
    ) -> None:
        if shutil.which("docker-registry") is None:
            pytest.skip("no docker-registry on this machine")
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.tokens = tokens
        self.host = f"127.0.0.1:{self.port}"
        auth = ""
        if user:
            import bcrypt

            hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
            (directory / "htpasswd").write_text(f"{user}:{hashed}\n")
            auth = f'auth: {{htpasswd: {{realm: test, path: "{directory}/htpasswd"}}}}'
        if tokens:
            auth = (
                f'auth: {{token: {{realm: "{tokens.url}", service: test, issuer: test,'
                f' rootcertbundle: "{tokens.certificate.path}"}}}}'
            )
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


class Call(NamedTuple):
    """One request that came through a proxy."""

    method: str
    path: str
    content_range: str


class Proxy:
    """Passes requests on to a registry. ``intercept(handler)`` may answer a request before it is
    passed on, ``disturb(handler, path, body)`` once its answer is there; they return True if they
    did. ``requests`` are (path, Range header) of all that came, ``calls`` the same by method.
    ``rewrite`` changes the Location header of answers.
    """

    def __init__(self, registry: Registry) -> None:
        proxy = self
        self.requests: list[tuple[str, str]] = []
        self.calls: list[Call] = []
        self.disturb: Disturb = lambda handler, path, body: False
        self.intercept: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda handler: False
        self.rewrite: Callable[[str], str] = lambda location: location

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.requests.append((self.path, self.headers.get("Range", "")))
                content_range = self.headers.get("Content-Range", "")
                proxy.calls.append(Call(self.command, self.path, content_range))
                if proxy.intercept(self):
                    return
                sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream = http.client.HTTPConnection("127.0.0.1", registry.port)
                upstream.request(self.command, self.path, sent, dict(self.headers.items()))
                answer = upstream.getresponse()
                body = answer.read()
                upstream.close()
                if proxy.disturb(self, self.path, body):
                    return
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in ("transfer-encoding", "connection"):
                        is_location = key.lower() == "location"
                        self.send_header(key, proxy.rewrite(value) if is_location else value)
                self.end_headers()
                self.wfile.write(body)

            do_HEAD = do_POST = do_PATCH = do_PUT = do_GET  # noqa: N815

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


def slowly(
    goes_on: threading.Event, size: int, pause: float, patience: float | None = None
) -> Disturb:
    """A layer of ``size`` bytes or more comes piece by piece with a pause after each, up to half of
    it; the rest at once when it ``goes_on``.
    """

    def disturb(handler: http.server.BaseHTTPRequestHandler, path: str, body: bytes) -> bool:
        if "/blobs/" not in path or len(body) < size:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        start, piece = 0, len(body) // 400
        while start < len(body) // 2:
            handler.wfile.write(body[start : start + piece])
            start += piece
            if goes_on.wait(pause):
                break
        assert goes_on.wait(patience)
        handler.wfile.write(body[start:])
        return True

    return disturb


def docker_config(host: str, user: str, password: str) -> dict:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"auths": {host: {"auth": auth}}}
