"""What the kubelet's server shows of this node's pods, over the local engine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from kubelite.node.kubelet.decide.mirror import local_name, shown_name
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.kubelet.probe import tcp_connect
from kubelite.node.kubelet.server.remote_command import Options, Process
from kubelite.node.runtime.errors import NotFound, NotRunning
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger

DIAL_SECONDS = 10.0
_QUEUED_PIECES = 64
_NANOSECONDS = 10**9


class ServedPods:
    """The pods of ``home`` on the node ``node``: :class:`kubelite.node.kubelet.server.server.Pods`.
    Local pods go by the names of their mirrors; where ``node`` is "" they have none.
    """

    def __init__(self, home: Home, node: str) -> None:
        self._home, self._node = home, node
        self._pods = Pods(home)

    def documents(self) -> Sequence[Mapping[str, Any]]:
        """All pods with their status."""
        queries = self._pods.queries
        pods = [
            (record, msgspec.to_builtins(queries.shown(record))) for record in queries.records()
        ]
        for record, pod in pods:
            pod["metadata"]["name"] = shown_name(record, self._node)
        return [pod for _, pod in pods]

    def _local(self, namespace: str, name: str) -> str:
        """The name on record of a pod that the API calls ``name``."""
        local = local_name(name, self._node)
        if local is None or Ledger(self._home).find(namespace, name) is not None:
            return name
        return local

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], options: Options
    ) -> Process:
        """See the server's Pods."""
        return self._pods.exec(
            namespace,
            self._local(namespace, pod),
            container,
            command,
            stdin=options.stdin,
            tty=options.tty,
        )

    def attach(self, namespace: str, pod: str, container: str, options: Options) -> Process:
        """See the server's Pods."""
        local = self._local(namespace, pod)
        return self._pods.attach(namespace, local, container, stdin=options.stdin)

    def dial(self, namespace: str, pod: str, port: int) -> socket.socket:
        """See the server's Pods."""
        record = self._pods.queries.find(namespace, self._local(namespace, pod))
        sandbox = Ledger(self._home).sandbox(record.uid)
        if sandbox is None or sandbox.gone or not sandbox.pause_pid:
            raise OSError(f"pod {namespace}/{pod} does not run")
        try:
            return tcp_connect.dial(
                sandbox.pause_pid, "127.0.0.1", port, tcp_connect.Deadline(DIAL_SECONDS)
            )
        except tcp_connect.Unreachable as error:
            raise OSError(str(error)) from error

    async def logs(
        self, namespace: str, pod: str, container: str, query: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        """See the server's Pods. A thread reads, since following a log blocks."""
        lines = await asyncio.to_thread(self._lines, namespace, pod, container, query)
        pieces: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUED_PIECES)
        over, loop = threading.Event(), asyncio.get_running_loop()

        def put(piece: bytes | None) -> None:
            asyncio.run_coroutine_threadsafe(pieces.put(piece), loop).result()

        def read() -> None:
            try:
                for piece in lines:
                    if over.is_set():
                        return
                    put(piece)
            finally:
                put(None)

        threading.Thread(target=read, name=f"log of {namespace}/{pod}", daemon=True).start()
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            over.set()
            while not pieces.empty():  # the thread may wait for room
                pieces.get_nowait()

    def _lines(
        self, namespace: str, pod: str, container: str, query: Mapping[str, str]
    ) -> Iterator[bytes]:
        """The lines as they are shown. Raises NotFound, NotRunning."""
        tail, limit = query.get("tailLines"), query.get("limitBytes")
        try:
            lines = self._pods.queries.logs(
                namespace,
                self._local(namespace, pod),
                container,
                follow=query.get("follow") == "true",
                tail=int(tail) if tail else None,
                since_ns=_since(query),
                previous=query.get("previous") == "true",
            )
        except NotRunning as error:
            raise NotFound(str(error)) from error
        stamped = query.get("timestamps") == "true"
        shown = (f"{line.time} ".encode() + line.text if stamped else line.text for line in lines)
        return _limited(shown, int(limit)) if limit else iter(shown)


def _since(query: Mapping[str, str]) -> int | None:
    """Nanoseconds since 1970 of the first line that is asked for."""
    if seconds := query.get("sinceSeconds"):
        return int((datetime.now().timestamp() - int(seconds)) * _NANOSECONDS)
    if text := query.get("sinceTime"):
        return int(datetime.fromisoformat(text).timestamp() * _NANOSECONDS)
    return None


def _limited(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    for piece in pieces:
        if limit <= 0:
            return
        yield piece[:limit]
        limit -= len(piece)
