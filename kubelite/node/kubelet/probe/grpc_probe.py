"""The gRPC health check (grpc.health.v1), sent into a pod: one call over one HTTP/2 connection
without TLS. h2 speaks the protocol; error messages are those of the kubelet's client.
"""

from __future__ import annotations

import socket
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from kubelite.node.kubelet.decide.probes import ProbeResult
from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable, dial, host_port, reason

_CHUNK = 16 << 10
_MAX_RESPONSE = 1 << 20
_STREAM = 1
SERVING = 1
SERVING_STATUS = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
CODES = (
    "OK Canceled Unknown InvalidArgument DeadlineExceeded NotFound AlreadyExists PermissionDenied "
    "ResourceExhausted FailedPrecondition Aborted OutOfRange Unimplemented Internal Unavailable "
    "DataLoss Unauthenticated"
).split()
UNKNOWN, UNIMPLEMENTED, UNAVAILABLE = 2, 12, 14


class InvalidResponse(Exception):
    """Not HTTP/2, or not gRPC."""


def probe(pid: int, host: str, port: int, service: str, seconds: float, agent: str) -> ProbeResult:
    """Checks ``service`` from inside the network namespace of process ``pid``. Raises OSError where
    that is gone.
    """
    deadline, address = Deadline(seconds), host_port(host, port)
    try:
        sock = dial(pid, host, port, deadline)
    except Unreachable as error:
        description = f'connection error: desc = "transport: {error}"'
        return ProbeResult(False, f'error: failed to connect service at "{address}": {description}')
    except TimeoutError:
        limit = f"within {seconds:g}s: context deadline exceeded"
        return ProbeResult(False, f'timeout: failed to connect service "{address}" {limit}')
    with sock:
        try:
            return result(_exchange(sock, HealthCall(address, service, agent), deadline))
        except TimeoutError:
            return ProbeResult(False, f"timeout: health rpc did not complete within {seconds:g}s")
        except (InvalidResponse, OSError) as error:
            message = reason(error) if isinstance(error, OSError) else str(error)
            return _failed(UNAVAILABLE, f"connection error: {message}")


def _exchange(sock: socket.socket, call: HealthCall, deadline: Deadline) -> HealthCall:
    sock.settimeout(deadline.left())
    sock.sendall(call.to_send())
    received = 0
    while not call.finished:
        sock.settimeout(deadline.left())
        data = sock.recv(_CHUNK)
        received += len(data)
        if not data:
            eof = "error reading server preface: EOF" if not received else "unexpected EOF"
            raise InvalidResponse(eof)
        if received > _MAX_RESPONSE:
            raise InvalidResponse("the response is too large")
        call.receive(data)
        sock.sendall(call.to_send())
    return call


class HealthCall:
    """One call of Health/Check as bytes, without a socket. ``headers`` hold headers and trailers,
    ``body`` the message with its five bytes of prefix.
    """

    def __init__(self, authority: str, service: str, agent: str) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding=None)
        self._connection = h2.connection.H2Connection(config)
        no_push = {h2.settings.SettingCodes.ENABLE_PUSH: 0}
        self._connection.local_settings = h2.settings.Settings(initial_values=no_push)
        self._connection.initiate_connection()
        self._connection.send_headers(
            _STREAM,
            [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/grpc.health.v1.Health/Check"),
                (":authority", authority),
                ("content-type", "application/grpc"),
                ("user-agent", agent),
                ("te", "trailers"),
            ],
        )
        self._connection.send_data(_STREAM, request_message(service), end_stream=True)
        self.headers: dict[str, str] = {}
        self.body = b""
        self.finished = False

    def to_send(self) -> bytes:
        """What has to be sent now."""
        return self._connection.data_to_send() or b""

    def receive(self, data: bytes) -> None:
        """Takes bytes from the server. Raises InvalidResponse."""
        try:
            events = self._connection.receive_data(data)
        except h2.exceptions.FrameTooLargeError as error:
            raise InvalidResponse("error reading server preface: http2: frame too large") from error
        except h2.exceptions.ProtocolError as error:
            raise InvalidResponse(f"error reading from server: {error}") from error
        for event in events:
            self._take(event)

    def _take(self, event: object) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            for name, value in event.headers:
                self.headers[_text(name)] = _text(value)
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data
            self._connection.acknowledge_received_data(
                event.flow_controlled_length, event.stream_id
            )
        elif isinstance(event, h2.events.StreamEnded):
            self.finished = True
        elif isinstance(event, h2.events.StreamReset):
            code = int(event.error_code)
            raise InvalidResponse(f"stream terminated by RST_STREAM with error code {code}")
        elif isinstance(event, h2.events.ConnectionTerminated) and event.error_code:
            raise InvalidResponse("the server closed the connection (GOAWAY)")


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def request_message(service: str) -> bytes:
    """HealthCheckRequest with its gRPC prefix: field 1 is the service."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def serving_status(body: bytes) -> int:
    """The status in a HealthCheckResponse with its gRPC prefix: field 1, an enumeration. Raises
    InvalidResponse.
    """
    if len(body) < 5 or body[0] != 0 or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise InvalidResponse("the response is not a single message")
    status, position, data = 0, 0, body[5:]
    while position < len(data):
        key, position = _read_varint(data, position)
        field, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, position = _read_varint(data, position)
            status = value if field == 1 else status
        elif wire_type == 2:
            size, position = _read_varint(data, position)
            position += size
        else:
            position += {1: 8, 5: 4}.get(wire_type, len(data))
    return status


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if not byte & 0x80:
            return value, position
        shift += 7
    raise InvalidResponse("the response is cut off")


def result(call: HealthCall) -> ProbeResult:
    """What a finished call means, in the kubelet's words. Raises InvalidResponse."""
    code = call.headers.get("grpc-status", "")
    if not (code.isascii() and code.isdigit()):
        status = call.headers.get(":status", "")
        message = f"unexpected HTTP status code received from server: {status}"
        return _failed(UNIMPLEMENTED if status == "404" else UNKNOWN, message)
    if int(code) != 0:
        return _failed(int(code), unquote(call.headers.get("grpc-message", "")))
    serving = serving_status(call.body)
    if serving == SERVING:
        return ProbeResult(True, "service healthy")
    known = serving < len(SERVING_STATUS)
    name = SERVING_STATUS[serving] if known else str(serving)
    return ProbeResult(False, f'service unhealthy (responded with "{name}")')


def _failed(code: int, message: str) -> ProbeResult:
    if code == UNIMPLEMENTED:
        protocol = "the grpc health protocol (grpc.health.v1.Health)"
        return ProbeResult(False, f"error: this server does not implement {protocol}: {message}")
    name = CODES[code] if code < len(CODES) else f"Code({code})"
    rpc_error = f"rpc error: code = {name} desc = {message}"
    return ProbeResult(False, f"error: health rpc probe failed: {rpc_error}")
