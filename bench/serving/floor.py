"""The floor: an aiohttp handler that gives back fixed bytes, under the same TLS and with a look at the client's certificate.

python bench/serving/floor.py PORT-FILE BODY-FILE SERVER.CRT SERVER.KEY CA.CRT
"""

import asyncio
import ssl
import sys
from pathlib import Path

from aiohttp import web


async def main() -> None:
    port_file, body_file, certificate, key, authority = sys.argv[1:]
    body = Path(body_file).read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        assert request.transport.get_extra_info("peercert")
        if request.body_exists:
            await request.read()
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    server = await asyncio.get_running_loop().create_server(web.Server(handle, access_log=None), "127.0.0.1", 0, ssl=context)
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


asyncio.run(main())
