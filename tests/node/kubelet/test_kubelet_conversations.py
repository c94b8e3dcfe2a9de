"""HTTP and gRPC conversations of probes as bytes, without sockets: requests, responses that arrive
in pieces, and servers that speak something else.
"""

from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.kubelet.probe import grpc_probe, http_probe
from kubelite.node.kubelet.probe.grpc_probe import HealthCall, InvalidResponse
from kubelite.node.kubelet.probe.http_probe import Conversation, Url
from kubelite.node.kubelet.probe.tcp_connect import Unreachable
from kubelite.objects.pod.container import HTTPHeader

BASE = Url("http", "10.0.0.1", 8080, "/a/b?c=d")


def conversation(*headers: HTTPHeader) -> Conversation:
    return Conversation(BASE, http_probe.make_headers(BASE, headers, "kube-probe/1"))


def lines(*headers: HTTPHeader) -> list[str]:
    request = conversation(*headers).request
    assert request.endswith(b"\r\n\r\n")
    return request.decode()[:-4].split("\r\n")


def test_a_request_names_its_host_and_agent() -> None:
    assert sorted(lines()) == sorted(
        [
            "GET /a/b?c=d HTTP/1.1",
            "Host: 10.0.0.1:8080",
            "User-Agent: kube-probe/1",
            "Accept: */*",
            "Connection: close",
        ]
    )


def test_headers_of_a_manifest_replace_ours_and_an_empty_value_removes_one() -> None:
    sent = lines(
        HTTPHeader(name="host", value="web"),
        HTTPHeader(name="X", value="1"),
        HTTPHeader(name="X", value="2"),
        HTTPHeader(name="Accept", value=""),
        HTTPHeader(name="Evil", value="a\r\nb: c"),
        HTTPHeader(name="Content-Length", value="7"),
    )
    assert {"host: web", "X: 1", "X: 2", "Evil: a  b: c"} <= set(sent)
    assert not any(line.lower().startswith(("accept", "content-length")) for line in sent)


def test_a_header_that_http_does_not_allow_is_an_error_of_the_probe() -> None:
    with pytest.raises(Unreachable, match="invalid request"):
        conversation(HTTPHeader(name="a b", value="1"))


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/", "/"),
        ("healthz", "/healthz"),
        ("/a b?q=ä", "/a%20b?q=%C3%A4"),
        ("/x#y", "/x"),
        ("/%41", "/%41"),
        ("/\r\nX: 1", "/%0D%0AX:%201"),
    ],
)
def test_paths(path: str, target: str) -> None:
    assert http_probe.make_url("HTTPS", "h", 1, path).target == target


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/x", "http://10.0.0.1:8080/x"),
        ("x", "http://10.0.0.1:8080/a/x"),
        ("https://10.0.0.1/y", "https://10.0.0.1:443/y"),
        ("//other/z", "http://other:80/z"),
        ("http://u@other:81?q", "http://other:81/?q"),
        ("http://[::1]:8/x", "http://[::1]:8/x"),
        ("ftp://x/", None),
        ("http://h:99999/", None),
        ("http:///x", None),
        ("http://[x/", None),
    ],
)
def test_redirects(location: str, expected: str | None) -> None:
    url = http_probe.redirected(BASE, location)
    assert (None if url is None else str(url)) == expected


WHOLE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1;x=y\r\na\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * http_probe.MAX_BODY,
]


@pytest.mark.parametrize("data", WHOLE)
def test_a_response_is_finished_with_its_last_byte_and_not_before(data: bytes) -> None:
    talk = conversation()
    for number, byte in enumerate(data):
        assert not talk.finished, data[:number]
        talk.receive(bytes((byte,)))
    assert talk.finished and talk.response is not None
    assert talk.response.status_code in (200, 204, 503)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SSH-2.0-x", 'malformed HTTP response "SSH-2.0-x"'),
        (b"\0\0\0", "malformed HTTP response"),
        (b"HTTP/1.1 abc\r\n\r\n", 'malformed HTTP status code "abc"'),
        (b"HTTP/1.1\r\n\r\n", "malformed HTTP response"),
        (b"HTTP/1.1 200 " + b"x" * 70000, "header fields too large"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "chunk length"),
    ],
)
def test_servers_that_do_not_speak_http(data: bytes, message: str) -> None:
    with pytest.raises(Unreachable, match=message):
        conversation().receive(data)


@pytest.mark.parametrize(
    ("head", "may_end"),
    [
        (b"", True),
        (b"Content-Length: 0\r\n", True),
        (b"Content-Length: 5\r\n", False),
        (b"Transfer-Encoding: chunked\r\n", False),
    ],
)
def test_a_body_ends_with_the_connection_only_without_a_length(head: bytes, may_end: bool) -> None:
    talk = conversation()
    talk.receive(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    if may_end:
        if not talk.finished:
            talk.receive(b"")
        assert talk.finished
    else:
        with pytest.raises(Unreachable, match="unexpected EOF"):
            talk.receive(b"")


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_a_response_unfinished_or_malformed(pieces: list[bytes]) -> None:
    talk = conversation()
    try:
        talk.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            if not talk.finished:
                talk.receive(piece)
    except Unreachable:
        pass


# -- gRPC ------------------------------------------------------------------------------------------


def message(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4, "big") + data


class Server:
    """The server's side of a health call."""

    def __init__(self, call: HealthCall) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        self.http = h2.connection.H2Connection(config)
        self.http.initiate_connection()
        self.call = call
        self.events = self.http.receive_data(call.to_send())

    def answer(
        self, headers: dict[str, str], body: bytes = b"", trailers: dict[str, str] | None = None
    ) -> None:
        self.http.send_headers(1, list(headers.items()), end_stream=trailers is None and not body)
        if body:
            self.http.send_data(1, body, end_stream=trailers is None)
        if trailers is not None:
            self.http.send_headers(1, list(trailers.items()), end_stream=True)
        self.call.receive(self.http.data_to_send())
        self.http.receive_data(self.call.to_send())


def call(service: str = "") -> HealthCall:
    return HealthCall("10.0.0.1:90", service, "kube-probe/1")


@given(st.text(max_size=300))
def test_the_call_names_the_service(service: str) -> None:
    server = Server(call(service))
    headers = next(e.headers for e in server.events if isinstance(e, h2.events.RequestReceived))
    assert dict(headers)[":path"] == "/grpc.health.v1.Health/Check"
    assert dict(headers)["content-type"] == "application/grpc"
    body = b"".join(e.data for e in server.events if isinstance(e, h2.events.DataReceived))
    assert int.from_bytes(body[1:5], "big") == len(body) - 5
    assert body.endswith(service.encode())
    assert any(isinstance(e, h2.events.StreamEnded) for e in server.events)


OK = {":status": "200", "content-type": "application/grpc"}


@pytest.mark.parametrize(
    ("headers", "body", "trailers", "expected"),
    [
        (OK, message(b"\x08\x01"), {"grpc-status": "0"}, "service healthy"),
        (OK, message(b"\x08\x02"), {"grpc-status": "0"}, '"NOT_SERVING"'),
        (OK, message(b""), {"grpc-status": "0"}, '"UNKNOWN"'),
        (OK, b"", {"grpc-status": "5", "grpc-message": "50%25 m%C3%B6glich"}, "desc = 50% möglich"),
        ({**OK, "grpc-status": "12"}, b"", None, "does not implement the grpc health protocol"),
        ({":status": "404"}, b"", None, "does not implement"),
        ({":status": "503"}, b"", None, "unexpected HTTP status code received from server: 503"),
    ],
)
def test_answers(
    headers: dict[str, str], body: bytes, trailers: dict[str, str] | None, expected: str
) -> None:
    server = Server(call())
    server.answer(headers, body, trailers)
    assert server.call.finished
    assert expected in grpc_probe.result(server.call).message


def test_a_stream_that_is_reset_and_a_connection_that_is_closed() -> None:
    for act in (
        lambda http: http.reset_stream(1, 8),
        lambda http: http.close_connection(error_code=2),
    ):
        server = Server(call())
        act(server.http)
        with pytest.raises(InvalidResponse):
            server.call.receive(server.http.data_to_send())


@given(st.binary(min_size=9, max_size=80))
def test_any_bytes_are_http2_or_refused(data: bytes) -> None:
    try:
        call().receive(data)
    except InvalidResponse:
        pass


def test_the_status_in_a_message() -> None:
    bodies = (b"\x08\x01", b"", b"\x08\x02", b"\x12\x01x\x08\x01")
    assert [grpc_probe.serving_status(message(body)) for body in bodies] == [1, 0, 2, 1]
    for body in (b"", b"\x01\0\0\0\0", b"\0\0\0\0\x09", message(b"\x08\xff")):
        with pytest.raises(InvalidResponse):
            grpc_probe.serving_status(body)
