"""The floor: an aiohttp handler that gives back fixed bytes, under the same TLS and with a look at
the client's certificate.

A POST answers when as many bytes are on disk: one thread commits to SQLite, in one transaction for
all that came meanwhile.

python bench/serving/floor.py PORT-FILE BODY-FILE DATABASE SERVER.CRT SERVER.KEY CA.CRT
"""

import asyncio
import sqlite3
import ssl
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from aiohttp import web

Waiting = tuple[bytes, asyncio.Future[None]]


def open_log(path: str) -> sqlite3.Connection:
    """A table of blobs in a file that survives as much as the server's does."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"):
        db.execute("PRAGMA " + pragma)
    db.execute("CREATE TABLE log(id INTEGER PRIMARY KEY, value BLOB)")
    return db


def insert(db: sqlite3.Connection, values: list[bytes]) -> None:
    """One transaction. In autocommit mode each statement is one."""
    db.execute("INSERT INTO log(value) VALUES" + ", ".join(["(?)"] * len(values)), values)


def commit_for_ever(
    db: sqlite3.Connection, queue: SimpleQueue[Waiting], loop: asyncio.AbstractEventLoop
) -> None:
    while True:
        group = [queue.get()]
        try:
            while len(group) < 100:
                group.append(queue.get_nowait())
        except Empty:
            pass
        insert(db, [value for value, _ in group])
        loop.call_soon_threadsafe(tell, group)


def tell(group: list[Waiting]) -> None:
    for _, done in group:
        if not done.done():
            done.set_result(None)


async def main() -> None:
    port_file, body_file, database, certificate, key, authority = sys.argv[1:]
    body = Path(body_file).read_bytes()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    loop = asyncio.get_running_loop()
    queue: SimpleQueue[Waiting] = SimpleQueue()
    Thread(target=commit_for_ever, args=(open_log(database), queue, loop), daemon=True).start()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        assert request.transport.get_extra_info("peercert")
        if request.body_exists:
            done: asyncio.Future[None] = loop.create_future()
            await request.read()
            queue.put((body, done))
            await done
        return web.Response(body=body, headers={"Content-Type": "application/json"})

    server = await loop.create_server(
        web.Server(handle, access_log=None), "127.0.0.1", 0, ssl=context
    )
    Path(port_file).write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
