"""Bytes of HTTP/1.1 and of gRPC over HTTP/2, as the documents that define them write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.kubelet.probe import grpcwire, httpwire
from kubelite.node.kubelet.probe.httpwire import Malformed, Url
from kubelite.objects.pod.container import HTTPHeader

BASE = Url("http", "10.0.0.1", 8080, "/a/b?c=d")


def lines(request: bytes) -> list[str]:
    assert request.endswith(b"\r\n\r\n")
    return request.decode()[:-4].split("\r\n")


def test_a_request_names_its_host_and_who_asks() -> None:
    assert lines(httpwire.request(BASE, (), "kube-probe/1")) == [
        "GET /a/b?c=d HTTP/1.1", "Host: 10.0.0.1:8080", "User-Agent: kube-probe/1", "Accept: */*", "Connection: close",
    ]  # fmt: skip


def test_headers_of_a_manifest_go_first_twice_if_they_are_and_leave_out_when_empty() -> None:
    given = [HTTPHeader(name="host", value="web"), HTTPHeader(name="X", value="1"), HTTPHeader(name="X", value="2"),
             HTTPHeader(name="Accept", value=""), HTTPHeader(name="Evil", value="a\r\nb: c")]  # fmt: skip
    found = lines(httpwire.request(BASE, given, "k"))
    assert {"host: web", "X: 1", "X: 2", "Evil: a  b: c"} <= set(found)
    assert not any(line.lower().startswith("accept") for line in found)


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
    assert httpwire.url("HTTPS", "h", 1, path).target == target


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/x", "http://10.0.0.1:8080/x"), ("x", "http://10.0.0.1:8080/a/x"), ("https://10.0.0.1/y", "https://10.0.0.1:443/y"),
        ("//other/z", "http://other:80/z"), ("http://u@other:81?q", "http://other:81/?q"), ("http://[::1]:8/x", "http://[::1]:8/x"),
        ("ftp://x/", None), ("http://h:99999/", None), ("http:///x", None),
    ],
)  # fmt: skip
def test_redirects(location: str, expected: str | None) -> None:
    found = httpwire.redirected(BASE, location)
    assert (None if found is None else str(found)) == expected


WHOLE = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1;x=y\r\na\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * httpwire.BODY_MOST,
]


@pytest.mark.parametrize("data", WHOLE)
def test_an_answer_is_whole_with_its_last_byte_and_not_before(data: bytes) -> None:
    for end in range(len(data)):
        found = httpwire.answer(data[:end])
        assert found is None or not httpwire.is_whole(found, data[:end])
    found = httpwire.answer(data)
    assert found is not None and httpwire.is_whole(found, data)
    assert found.status in (200, 204, 503)


NO_HTTP = [
    b"SSH-2.0-x",
    b"\0\0\0",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/1.1\r\n\r\n",
    b"HTTP/1.1 200 " + b"x" * 70000,
]


@pytest.mark.parametrize("data", NO_HTTP)
def test_what_is_no_http(data: bytes) -> None:
    with pytest.raises(Malformed):
        httpwire.answer(data)


def test_a_body_may_end_with_the_connection_only_without_a_length() -> None:
    heads = [
        b"",
        b"Content-Length: 0\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ]
    found = [httpwire.answer(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n") for head in heads]
    assert [each is not None and httpwire.may_end_early(each) for each in found] == [
        True,
        True,
        False,
        False,
    ]


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_none_yet_or_malformed(data: bytes) -> None:
    try:
        found = httpwire.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
        assert found is not None
        httpwire.is_whole(found, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    except Malformed:
        pass


# -- gRPC ---------------------------------------------------------------------------------------------------------------


def frames(data: bytes) -> list[grpcwire.Frame]:
    rest, found = bytearray(data), []
    while (one := grpcwire.take(rest)) is not None:
        found.append(one)
    assert not rest
    return found


@pytest.mark.parametrize(
    ("packed", "text"),
    [  # the examples of RFC 7541, appendix C.4 and C.6
        ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"), ("a8eb10649cbf", "no-cache"), ("25a849e95ba97d7f", "custom-key"),
        ("25a849e95bb8e8b4bf", "custom-value"), ("6402", "302"), ("aec3771a4b", "private"),
        ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
    ],
)  # fmt: skip
def test_packed_texts(packed: str, text: str) -> None:
    data = bytes.fromhex(packed)
    block = b"\0\x01n" + bytes((0x80 | len(data),)) + data
    assert grpcwire.headers(block) == {"n": text}


def test_a_block_of_headers_in_all_four_forms() -> None:
    block = (
        bytes((0x88, 0x20))
        + b"\x40\x0bgrpc-status\x0212"
        + b"\x10\x0cgrpc-message\x02no"
        + b"\x5f\x02ab"
    )
    assert grpcwire.headers(block) == {":status": "200", "grpc-status": "12", "grpc-message": "no"}
    assert grpcwire.headers(b"\x48\x03503") == {":status": "503"}


@given(st.binary(max_size=60))
def test_any_block_is_read_or_malformed(block: bytes) -> None:
    try:
        grpcwire.headers(block)
    except grpcwire.Malformed:
        pass


@given(st.text(max_size=300))
def test_the_call_names_the_service(service: str) -> None:
    data = grpcwire.call("10.0.0.1:90", service, "kube-probe/1")
    assert data.startswith(grpcwire.PREFACE)
    settings, headers, body = frames(data[len(grpcwire.PREFACE) :])
    assert (settings.type, headers.type, body.type) == (
        grpcwire.SETTINGS,
        grpcwire.HEADERS,
        grpcwire.DATA,
    )
    assert grpcwire.headers(headers.body)[":path"] == "/grpc.health.v1.Health/Check"
    assert (
        body.flags & grpcwire.END_STREAM
        and int.from_bytes(body.body[1:5], "big") == len(body.body) - 5
    )
    assert body.body.endswith(service.encode())


def test_the_status_in_an_answer() -> None:
    def message(data: bytes) -> bytes:
        return b"\0" + len(data).to_bytes(4, "big") + data

    assert [
        grpcwire.serving(message(data))
        for data in (b"\x08\x01", b"", b"\x08\x02", b"\x12\x01x\x08\x01")
    ] == [1, 0, 2, 1]
    for data in (b"", b"\x01\0\0\0\0", b"\0\0\0\0\x09", message(b"\x08\xff")):
        with pytest.raises(grpcwire.Malformed):
            grpcwire.serving(data)


def test_padding_and_priority_are_no_content() -> None:
    padded = grpcwire.Frame(grpcwire.DATA, grpcwire.PADDED, 1, b"\x02ab\0\0")
    both = grpcwire.Frame(
        grpcwire.HEADERS, grpcwire.PADDED | grpcwire.PRIORITY, 1, b"\x01\0\0\0\0\0ab\0"
    )
    assert [grpcwire.content(each) for each in (padded, both)] == [b"ab", b"ab"]
    with pytest.raises(grpcwire.Malformed):
        grpcwire.content(padded._replace(body=b"\x05ab"))
