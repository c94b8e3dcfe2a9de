"""The gRPC health protocol, asked of a pod: one call over one connection, HTTP/2 without an
upgrade.
"""

from __future__ import annotations

import socket

from kubelite.node.kubelet.decide.probes import ProbeResult
from kubelite.node.kubelet.probe import grpcwire as wire
from kubelite.node.kubelet.probe.grpcwire import Frame, Malformed
from kubelite.node.kubelet.probe.reach import Deadline, Unreached, dial, place, reason

_PIECE = 16 << 10
_MOST = 1 << 20


class _Call:
    """What has come of the answer."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.over = False
        self._block = b""
        self._last = False

    def hear(self, frame: Frame) -> bytes:
        """Takes one frame in; returns what has to be said to it. Raises Malformed."""
        if frame.type == wire.SETTINGS and not frame.flags & wire.ACK:
            return wire.frame(wire.SETTINGS, wire.ACK, 0)
        if frame.type == wire.PING and not frame.flags & wire.ACK:
            return wire.frame(wire.PING, wire.ACK, 0, frame.body)
        if frame.type == wire.GOAWAY and frame.body[4:8] != bytes(4):
            raise Malformed("the server ends the connection")
        if frame.type == wire.RST_STREAM:
            raise Malformed(
                f"stream terminated by RST_STREAM with error code {int.from_bytes(frame.body, 'big')}"
            )
        if frame.type in (wire.HEADERS, wire.CONTINUATION):
            self._hear_headers(frame)
        elif frame.type == wire.DATA:
            self.body += wire.content(frame)
            self.over = bool(frame.flags & wire.END_STREAM)
        return b""

    def _hear_headers(self, frame: Frame) -> None:
        if frame.type == wire.HEADERS:
            self._block, self._last = wire.content(frame), bool(frame.flags & wire.END_STREAM)
        else:
            self._block += frame.body
        if frame.flags & wire.END_HEADERS:
            self.headers |= wire.headers(self._block)
            self.over = self._last


def probe(pid: int, host: str, port: int, service: str, seconds: float, agent: str) -> ProbeResult:
    """Asks ``service`` how it is, from inside the network namespace of ``pid``. Raises OSError for
    one that is gone.
    """
    deadline, where = Deadline(seconds), place(host, port)
    try:
        sock = dial(pid, host, port, deadline)
    except Unreached as error:
        return ProbeResult(
            False,
            f'error: failed to connect service at "{where}": connection error: desc = "transport: {error}"',
        )
    except TimeoutError:
        return ProbeResult(
            False,
            f'timeout: failed to connect service "{where}" within {seconds:g}s: context deadline exceeded',
        )
    with sock:
        try:
            call = _exchange(sock, wire.call(where, service, agent), deadline)
            return _result(call)
        except TimeoutError:
            return ProbeResult(False, f"timeout: health rpc did not complete within {seconds:g}s")
        except (Malformed, OSError) as error:
            said = reason(error) if isinstance(error, OSError) else str(error)
            return _failed(14, f"connection error: {said}")


def _exchange(sock: socket.socket, question: bytes, deadline: Deadline) -> _Call:
    sock.settimeout(deadline.left())
    sock.sendall(question)
    call, data, heard = _Call(), bytearray(), 0
    while not call.over:
        sock.settimeout(deadline.left())
        piece = sock.recv(_PIECE)
        heard += len(piece)
        if not piece or heard > _MOST:
            raise Malformed(
                "error reading server preface: EOF" if not heard else "the answer does not end"
            )
        data += piece
        while (found := wire.take(data)) is not None:
            if reply := call.hear(found):
                sock.sendall(reply)
    return call


def _result(call: _Call) -> ProbeResult:
    """What the answer means, in the kubelet's words."""
    text, said = call.headers.get("grpc-status", ""), _plain(call.headers.get("grpc-message", ""))
    if not text.isdigit():
        http = call.headers.get(":status", "")
        missing = http == "404"
        code = wire.UNIMPLEMENTED if missing else wire.UNKNOWN
        return _failed(code, f"unexpected HTTP status code received from server: {http}")
    if int(text) != 0:
        return _failed(int(text), said)
    status = wire.serving(call.body)
    if status == wire.SERVING:
        return ProbeResult(True, "service healthy")
    name = wire.SERVINGS[status] if status < len(wire.SERVINGS) else str(status)
    return ProbeResult(False, f'service unhealthy (responded with "{name}")')


def _failed(code: int, said: str) -> ProbeResult:
    if code == wire.UNIMPLEMENTED:
        return ProbeResult(
            False,
            f"error: this server does not implement the grpc health protocol (grpc.health.v1.Health): {said}",
        )
    name = wire.CODES[code] if code < len(wire.CODES) else f"Code({code})"
    return ProbeResult(
        False, f"error: health rpc probe failed: rpc error: code = {name} desc = {said}"
    )


def _plain(text: str) -> str:
    """A grpc-message, whose odd characters are written in hexadecimal."""
    data, out, at = text.encode(), bytearray(), 0
    while at < len(data):
        pair = data[at + 1 : at + 3]
        if (
            data[at] == 0x25
            and len(pair) == 2
            and all(chr(digit) in "0123456789abcdefABCDEF" for digit in pair)
        ):
            out.append(int(pair, 16))
            at += 3
        else:
            out.append(data[at])
            at += 1
    return out.decode("utf-8", "replace")
