"""An extension API server in a process of its own: one kind in memory, over HTTPS, for whoever
shows the front-proxy certificate.

usage: extension_server.py ADDRESS CERTIFICATE KEY CLIENT_AUTHORITY      prints its port
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys

from aiohttp import WSMsgType, web

GROUP, VERSION, KIND, PLURAL = "wardle.example.com", "v1alpha1", "Flunder", "flunders"
GV = f"{GROUP}/{VERSION}"
NAME = f"com.example.wardle.{VERSION}.{KIND}"
VERBS = ["create", "delete", "get", "list", "watch"]
ROWS = [
    {
        "name": PLURAL,
        "singularName": "flunder",
        "namespaced": True,
        "kind": KIND,
        "verbs": VERBS,
        "shortNames": ["fl"],
    },
    {"name": f"{PLURAL}/echo", "singularName": "", "namespaced": True, "kind": KIND,
     "verbs": ["get"]},
]  # fmt: skip
SCHEMA = {
    "description": "A thing of the extension server.",
    "type": "object",
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "description": "What is wanted.",
            "properties": {"color": {"type": "string", "description": "How it looks."}},
        },
    },
    "x-kubernetes-group-version-kind": [{"group": GROUP, "kind": KIND, "version": VERSION}],
}
PATH = f"/apis/{GV}/namespaces/{{namespace}}/{PLURAL}/{{name}}"


def _operation(reference: str, version: int) -> dict[str, object]:
    schema = {"$ref": reference}
    answer = (
        {"schema": schema}
        if version == 2
        else {"content": {"application/json": {"schema": schema}}}
    )
    return {
        "get": {
            "operationId": "readFlunder",
            "responses": {"200": {"description": "OK", **answer}},
            "x-kubernetes-action": "get",
            "x-kubernetes-group-version-kind": {"group": GROUP, "kind": KIND, "version": VERSION},
        }
    }


SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "wardle", "version": "0"},
    "paths": {PATH: _operation(f"#/definitions/{NAME}", 2)},
    "definitions": {NAME: SCHEMA},
}
OPENAPI = {
    "openapi": "3.0.0",
    "info": {"title": "wardle", "version": "0"},
    "paths": {PATH: _operation(f"#/components/schemas/{NAME}", 3)},
    "components": {"schemas": {NAME: SCHEMA}},
}
FIXED = {
    f"/apis/{GV}": {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GV,
                    "resources": ROWS},
    "/openapi/v2": SWAGGER,
    "/openapi/v3": {
        "paths": {f"apis/{GV}": {"serverRelativeURL": f"/openapi/v3/apis/{GV}?hash=1"}}
    },
    f"/openapi/v3/apis/{GV}": OPENAPI,
}  # fmt: skip


class Extension:
    """Objects, and those who watch them."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, object]] = {}
        self._watchers: list[asyncio.Queue[dict[str, object]]] = []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path in FIXED:
            return web.json_response(FIXED[request.path])
        parts = request.path.strip("/").split("/")[3:]
        if parts[-1] == "redirect":
            return web.Response(status=302, headers={"Location": "https://example.com/"})
        if parts[-1] == "whoami":
            return web.json_response([[key, value] for key, value in request.headers.items()])
        if parts[-1] == "echo":
            return await self._echo(request)
        if "watch" in request.query_string:
            return await self._watch(request)
        return await self._object(request, parts)

    async def _object(self, request: web.BaseRequest, parts: list[str]) -> web.StreamResponse:
        if request.method == "POST":
            obj = json.loads(await request.read())
            obj["metadata"]["namespace"] = parts[1]
            self._objects[obj["metadata"]["name"]] = obj
            for queue in self._watchers:
                queue.put_nowait({"type": "ADDED", "object": obj})
            return web.json_response(obj, status=201)
        if parts[-1] == PLURAL:
            about = {"kind": f"{KIND}List", "apiVersion": GV, "metadata": {"resourceVersion": "1"}}
            return web.json_response({**about, "items": list(self._objects.values())})
        if parts[-1] not in self._objects:
            return web.json_response(
                {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                 "reason": "NotFound", "message": f'flunders "{parts[-1]}" not found'},
                status=404,
            )  # fmt: skip
        return web.json_response(self._objects[parts[-1]])

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self._watchers.append(queue)
        for obj in self._objects.values():
            queue.put_nowait({"type": "ADDED", "object": obj})
        while True:
            await response.write(json.dumps(await queue.get()).encode() + b"\n")

    async def _echo(self, request: web.BaseRequest) -> web.StreamResponse:
        """A WebSocket that says everything back, after who opened it."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.headers["X-Remote-User"])
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket


async def main(address: str, certificate: str, key: str, authority: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate, key)
    runner = web.ServerRunner(web.Server(Extension().answer))
    await runner.setup()
    site = web.TCPSite(runner, address, 0, ssl_context=context)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
