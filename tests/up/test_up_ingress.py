"""The built-in Ingress controller beside a real API server and a real node network."""

from __future__ import annotations

import asyncio
import base64
import http.client
import http.server
import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.client.client import Client
from kubelite.client.resources import (
    ENDPOINT_SLICES,
    INGRESS_CLASSES,
    INGRESSES,
    SECRETS,
    SERVICES,
)
from kubelite.testing.netns import NetworkNamespace
from kubelite.up.cluster_ingress import ClusterIngress, IngressOptions
from kubelite.up.node_objects import ensure_node_objects
from tests.node.ingress.keys import pair_for
from tests.up.test_up_reachability import UPLINK, Machine, host, machine, outside

if os.geteuid() != 0:
    pytest.skip("network namespaces need root", allow_module_level=True)

__all__ = ["host", "outside"]
PORT, TLS_PORT, BACKEND_PORT = 80, 443, 8081
SITE = "shop.example"


class Backend(http.server.BaseHTTPRequestHandler):
    """Answers with its path and the host that was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        text = f"{self.headers['Host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


def serve(space: NetworkNamespace) -> http.server.ThreadingHTTPServer:
    with space.inside():
        server = http.server.ThreadingHTTPServer(("", BACKEND_PORT), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


async def create_service(client: Client, name: str, address: str) -> None:
    metadata = {"name": name, "namespace": "default"}
    spec = {"ports": [{"name": "http", "port": 80}]}
    await client.create(SERVICES, {"metadata": metadata, "spec": spec})
    body = {
        "metadata": {**metadata, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": BACKEND_PORT}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
    }
    await client.create(ENDPOINT_SLICES, body)


def ingress(name: str, service: str, **spec: Any) -> dict[str, Any]:
    backend = {"service": {"name": service, "port": {"name": "http"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": backend}]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"rules": [{"host": SITE, "http": {"paths": paths}}], **spec},
    }


@asynccontextmanager
async def serving(
    path: Path, host_space: NetworkNamespace, outside_space: NetworkNamespace
) -> AsyncIterator[tuple[Machine, ClusterIngress]]:
    async with machine(path, host_space, outside_space) as node:
        await ensure_node_objects(node.server.application, "https://192.0.2.1:6443", "")
        server = serve(node.speakers["other"].space)
        await create_service(node.client, "site", node.addresses["other"]["IPv4"])
        controller = ClusterIngress(node.client, IngressOptions(UPLINK, PORT, TLS_PORT))
        work = asyncio.create_task(controller.run())
        yield node, controller
        work.cancel()
        await controller.close()
        server.shutdown()
        server.server_close()


def fetch(
    client: NetworkNamespace, path: str, site: str = SITE, certificate: bytes = b""
) -> tuple[int, str]:
    """Status and text of an answer; over TLS where a certificate is given."""
    connection = http.client.HTTPConnection(site)
    with client.inside():
        raw = socket.create_connection((UPLINK, TLS_PORT if certificate else PORT), 5)
    if certificate:
        context = ssl.create_default_context(cadata=certificate.decode())
        raw = context.wrap_socket(raw, server_hostname=site)
    with raw as connection.sock:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


async def until(check: Any, *args: Any, is_result: Any) -> None:
    """Waits, boundedly, until ``check`` in a thread returns that."""
    found = None
    async with asyncio.timeout(20):
        while found != is_result:
            try:
                found = await asyncio.to_thread(check, *args)
            except OSError as error:
                found = error
            await asyncio.sleep(0.02)


async def test_ingresses_are_served_from_their_creation_to_their_end(
    tmp_path: Path, host: NetworkNamespace, outside: NetworkNamespace
) -> None:
    async with serving(tmp_path, host, outside) as (node, controller):
        assert controller.ports is None, "no port is taken while there is no Ingress"
        client = node.client
        made = await client.create(INGRESSES, ingress("site", "site"))
        assert made["spec"]["ingressClassName"] == "kubelite"
        await until(fetch, outside, "/a?b", is_result=(200, f"{SITE} /a?b"))
        assert (await asyncio.to_thread(fetch, outside, "/", "other.example"))[0] == 404
        await until_reported(client)

        pair = pair_for(SITE)
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        secret = {
            "metadata": {"name": "site-tls", "namespace": "default"},
            "type": "kubernetes.io/tls",
            "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
        }
        tls = {"spec": {"tls": [{"hosts": [SITE], "secretName": "site-tls"}]}}
        await client.patch(INGRESSES, "site", tls, "default", kind="merge")
        await client.create(SECRETS, secret)
        secure = (outside, "/s", SITE, pair.certificate)
        await until(fetch, *secure, is_result=(200, f"{SITE} /s"))

        missing = {"service": {"name": "missing", "port": {"number": 80}}}
        default = {"spec": {"defaultBackend": missing}}
        await client.patch(INGRESSES, "site", default, "default", kind="merge")
        await until(lambda: fetch(outside, "/", "other.example")[0], is_result=503)
        await client.delete(INGRESSES, "site", "default")
        await until(lambda: fetch(outside, "/")[0], is_result=404)


async def until_reported(client: Client) -> None:
    async with asyncio.timeout(20):
        while True:
            found = await client.get(INGRESSES, "site", "default")
            if found["status"]["loadBalancer"].get("ingress") == [{"ip": UPLINK}]:
                return
            await asyncio.sleep(0.02)


async def test_an_ingress_of_another_class_is_left_alone(
    tmp_path: Path, host: NetworkNamespace, outside: NetworkNamespace
) -> None:
    async with serving(tmp_path, host, outside) as (node, _):
        spec = {"controller": "k8s.io/ingress-nginx"}
        await node.client.create(INGRESS_CLASSES, {"metadata": {"name": "nginx"}, "spec": spec})
        foreign = ingress("foreign", "site", ingressClassName="nginx")
        foreign["spec"]["rules"][0]["host"] = "foreign.example"
        await node.client.create(INGRESSES, foreign)
        await node.client.create(INGRESSES, ingress("site", "site"))
        await until(fetch, outside, "/", is_result=(200, f"{SITE} /"))
        assert (await asyncio.to_thread(fetch, outside, "/", "foreign.example"))[0] == 404
        found = await node.client.get(INGRESSES, "foreign", "default")
        assert not found["status"]["loadBalancer"]


async def test_a_port_that_is_taken_is_tried_again(
    tmp_path: Path,
    host: NetworkNamespace,
    outside: NetworkNamespace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("kubelite.up.cluster_ingress.RETRY_SECONDS", 0.05)
    async with serving(tmp_path, host, outside) as (node, _):
        taken = await asyncio.start_server(lambda reader, writer: None, "0.0.0.0", TLS_PORT)
        await node.client.create(INGRESSES, ingress("site", "site"))
        async with asyncio.timeout(20):
            while "port 80 or 443 of this machine cannot be listened on" not in caplog.text:
                await asyncio.sleep(0.02)
        taken.close()
        await until(fetch, outside, "/", is_result=(200, f"{SITE} /"))
