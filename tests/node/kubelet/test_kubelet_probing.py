"""Probes and hooks against real servers in a network namespace that the asker is not in."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubelite.node.kubelet.decide.probes import ProbeResult
from kubelite.node.kubelet.probe import hooks, probing
from kubelite.node.kubelet.probe.probing import Prober, ProbeReport, run_probe
from kubelite.node.kubelet.probe.target import Target
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import ContainerRecord
from kubelite.objects.pod.container import (
    Container,
    ContainerPort,
    GRPCAction,
    HTTPGetAction,
    HTTPHeader,
    LifecycleHandler,
    Probe,
    SleepAction,
    TCPSocketAction,
)
from kubelite.testing.netns import NetworkNamespace

HERE = "127.0.0.1"


class Place:
    """A network namespace with a process in it, and servers."""

    def __init__(self) -> None:
        self.netns = NetworkNamespace()
        with self.netns.inside():
            self.keeper = subprocess.Popen(["sleep", "1000"])

    def close(self) -> None:
        self.keeper.kill()
        self.keeper.wait()
        self.netns.close()

    @contextmanager
    def serve(self, answer: Callable[[socket.socket, bytes], None]) -> Iterator[int]:
        """A server that gives each connection and what came first on it to ``answer``; the port."""
        with self.netns.inside():
            listener = socket.create_server((HERE, 0))

        def loop() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection, connection.recv(65536))
                    except OSError:
                        continue

        threading.Thread(target=loop, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    made = Place()
    try:
        yield made
    finally:
        made.close()


def target(place: Place, tmp_path: Path, **fields: object) -> Target:
    record = ContainerRecord(
        id="0" * 64, name="c", init=False, attempt=0, image="i", image_id="", created_at=0, env=(),
        cwd="/", uid=0, gid=0,
        groups=(), caps=(), no_new_privs=False, tty=False, stdin=False, oom_score_adj=0,
    )  # fmt: skip
    container = Container(name="c", **fields)  # type: ignore[arg-type]
    return Target(Home(str(tmp_path)), "u", place.keeper.pid, HERE, container, record)


def asked(place: Place, tmp_path: Path, **probe: object) -> ProbeResult:
    return run_probe(Probe(**probe), target(place, tmp_path))  # type: ignore[arg-type]


def says(data: bytes) -> Callable[[socket.socket, bytes], None]:
    return lambda connection, _: connection.sendall(data)


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("answer", "ok", "message"),
    [
        (OK, True, ""),
        (b"HTTP/1.1 399 X\r\nContent-Length: 0\r\n\r\n", True, ""),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", True, ""),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", False,
         "HTTP probe failed with statuscode: 503"),
        (b"HTTP/1.1 400 Bad\r\n\r\n", False, "HTTP probe failed with statuscode: 400"),
        (b"HTTP/1.1 302 Go\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", True,
         "Probe terminated redirects"),
        (b"", False, "EOF"),
        (b"220 mail server\r\n", False, "malformed HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", False, "unexpected EOF"),
    ],
)  # fmt: skip
def test_http_answers(place: Place, tmp_path: Path, answer: bytes, ok: bool, message: str) -> None:
    with place.serve(says(answer)) as port:
        found = asked(place, tmp_path, http_get=HTTPGetAction(port=port))
    assert (found.ok, found.known) == (ok, True) and message in found.message


def test_http_follows_redirects_on_the_same_host_and_no_circles(
    place: Place, tmp_path: Path
) -> None:
    def answer(connection: socket.socket, data: bytes) -> None:
        path = data.split()[1].decode()
        to = {"/a": "/b", "/b": "/good", "/round": "/round"}.get(path)
        connection.sendall(
            OK
            if to is None
            else f"HTTP/1.1 302 Go\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()
        )

    with place.serve(answer) as port:
        assert asked(place, tmp_path, http_get=HTTPGetAction(port=port, path="/a")).ok
        found = asked(place, tmp_path, http_get=HTTPGetAction(port=port, path="/round"))
    assert not found.ok and "stopped after 10 redirects" in found.message


def test_http_sends_path_and_headers(place: Place, tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket, data: bytes) -> None:
        seen.append(data)
        connection.sendall(OK)

    with place.serve(answer) as port:
        headers = (HTTPHeader(name="X-Kind", value="probe"),)
        assert asked(
            place, tmp_path, http_get=HTTPGetAction(port=port, path="/p?q=1", http_headers=headers)
        ).ok
    assert seen[0].startswith(b"GET /p?q=1 HTTP/1.1\r\n") and b"X-Kind: probe\r\n" in seen[0]
    assert b"User-Agent: kube-probe/" in seen[0]


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx"], ids=["headers", "body"]
)
def test_http_takes_no_longer_than_its_timeout_though_bytes_trickle(
    place: Place, tmp_path: Path, start: bytes
) -> None:
    done = threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while not done.wait(0.2):
            connection.sendall(b"" if start else b"H")
            if not start:
                done.wait(5)

    with place.serve(answer) as port:
        began = time.monotonic()
        found = asked(place, tmp_path, http_get=HTTPGetAction(port=port), timeout_seconds=1)
        took = time.monotonic() - began
        done.set()
    assert (
        not found.ok
        and found.known
        and "Client.Timeout" in found.message
        and "deadline exceeded" in found.message
    )
    assert 0.9 < took < 3


def certificate(tmp_path: Path) -> tuple[Path, Path]:
    key, made = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "1",
         "-subj", "/CN=nobody", "-keyout", key, "-out", made],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, made


def test_https_takes_any_certificate(place: Place, tmp_path: Path) -> None:
    key, made = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made, key)
    with place.netns.inside():
        listener = socket.create_server((HERE, 0))

    def loop() -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(OK)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    with listener:
        found = asked(
            place, tmp_path, http_get=HTTPGetAction(port=listener.getsockname()[1], scheme="HTTPS")
        )
        thread.join(5)
    assert found == ProbeResult(True, "")


def test_https_of_a_server_that_has_none(place: Place, tmp_path: Path) -> None:
    with place.serve(says(b"HTTP/1.1 400 Bad\r\n\r\n")) as port:
        found = asked(place, tmp_path, http_get=HTTPGetAction(port=port, scheme="HTTPS"))
    assert not found.ok and "http: server gave HTTP response to HTTPS client" in found.message


def closed_port(place: Place) -> int:
    with place.netns.inside(), socket.create_server((HERE, 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_closed_port_is_refused_inside_though_one_is_open_outside(
    place: Place, tmp_path: Path
) -> None:
    with socket.create_server((HERE, 0)) as outside:
        port = outside.getsockname()[1]
        found = asked(place, tmp_path, tcp_socket=TCPSocketAction(port=port))
        assert found == ProbeResult(False, f"dial tcp {HERE}:{port}: connect: connection refused")
        found = asked(place, tmp_path, http_get=HTTPGetAction(port=port))
        assert (
            found.message
            == f'Get "http://{HERE}:{port}/": dial tcp {HERE}:{port}: connect: connection refused'
        )


def test_tcp(place: Place, tmp_path: Path) -> None:
    with place.serve(lambda *_: None) as port:
        assert asked(place, tmp_path, tcp_socket=TCPSocketAction(port=port)) == ProbeResult(
            True, ""
        )
        named = target(place, tmp_path, ports=(ContainerPort(container_port=port, name="main"),))
        assert run_probe(Probe(tcp_socket=TCPSocketAction(port="main")), named).ok
        assert asked(place, tmp_path, tcp_socket=TCPSocketAction(port=port, host="localhost")).ok


def test_what_cannot_be_asked_is_not_known(place: Place, tmp_path: Path) -> None:
    for probe in (
        Probe(tcp_socket=TCPSocketAction(port="nameless")),
        Probe(),
    ):
        found = run_probe(probe, target(place, tmp_path))
        assert not found.ok and not found.known and found.message


def test_a_namespace_that_is_gone_is_not_known(place: Place, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    found = run_probe(
        Probe(tcp_socket=TCPSocketAction(port=1)),
        target(place, tmp_path)._replace(netns_pid=gone.pid),
    )
    assert not found.ok and not found.known


def test_a_host_that_no_name_server_knows(place: Place, tmp_path: Path) -> None:
    found = asked(place, tmp_path, tcp_socket=TCPSocketAction(port=80, host="no such host"))
    assert not found.ok and "no such host" in found.message


# -- gRPC, against the real library ----------------------------------------------------------------

SERVER = """
import sys, time
from concurrent import futures
import grpc
ANSWERS = {b"": b"\\x08\\x01", b"\\x0a\\x04sick": b"\\x08\\x02"}
def check(request, context):
    if request == b"\\x0a\\x04slow":
        time.sleep(3)
    if request not in ANSWERS:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service: 50% möglich")
    return ANSWERS[request]
server = grpc.server(futures.ThreadPoolExecutor(4))
if sys.argv[1] == "health":
    handler = grpc.unary_unary_rpc_method_handler(check)
    health = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
    server.add_generic_rpc_handlers((health,))
print(server.add_insecure_port("127.0.0.1:0"), flush=True)
server.start()
sys.stdin.read()
"""


@contextmanager
def grpc_server(place: Place, kind: str) -> Iterator[int]:
    with place.netns.inside():
        server = subprocess.Popen(
            [sys.executable, "-c", SERVER, kind], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
    assert server.stdin is not None and server.stdout is not None
    try:
        yield int(server.stdout.readline())
    finally:
        server.stdin.close()
        server.kill()
        server.wait()
        server.stdout.close()


def test_grpc_health(place: Place, tmp_path: Path) -> None:
    with grpc_server(place, "health") as port:

        def ask(service: str) -> ProbeResult:
            return asked(
                place, tmp_path, grpc=GRPCAction(port=port, service=service), timeout_seconds=2
            )

        assert ask("") == ProbeResult(True, "service healthy")
        assert ask("sick") == ProbeResult(False, 'service unhealthy (responded with "NOT_SERVING")')
        unknown = (
            "error: health rpc probe failed: rpc error: code = "
            "NotFound desc = unknown service: 50% möglich"
        )
        assert ask("other") == ProbeResult(False, unknown)
        assert ask("slow") == ProbeResult(False, "timeout: health rpc did not complete within 2s")


def test_grpc_without_the_health_service(place: Place, tmp_path: Path) -> None:
    with grpc_server(place, "none") as port:
        found = asked(place, tmp_path, grpc=GRPCAction(port=port))
    assert not found.ok and found.message.startswith(
        "error: this server does not implement the grpc health protocol"
    )


def test_grpc_of_what_is_no_grpc(place: Place, tmp_path: Path) -> None:
    port = closed_port(place)
    found = asked(place, tmp_path, grpc=GRPCAction(port=port))
    assert not found.ok and found.message.startswith(
        f'error: failed to connect service at "{HERE}:{port}"'
    )
    with place.serve(says(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert (
            "health rpc probe failed" in asked(place, tmp_path, grpc=GRPCAction(port=port)).message
        )


# -- hooks -----------------------------------------------------------------------------------------


def hook(place: Place, tmp_path: Path, timeout: float = 5, **handler: object) -> str:
    return hooks.run_hook(LifecycleHandler(**handler), target(place, tmp_path), timeout)  # type: ignore[arg-type]


def test_hooks_reach_servers(place: Place, tmp_path: Path) -> None:
    with place.serve(says(b"HTTP/1.1 500 Oh\r\n\r\n")) as port:
        assert hook(place, tmp_path, http_get=HTTPGetAction(port=port)) == ""
        assert hook(place, tmp_path, tcp_socket=TCPSocketAction(port=port)) == ""
        assert hook(place, tmp_path, timeout=float("inf"), http_get=HTTPGetAction(port=port)) == ""
    port = closed_port(place)
    for handler in (
        {"http_get": HTTPGetAction(port=port)},
        {"tcp_socket": TCPSocketAction(port=port)},
    ):
        assert "connection refused" in hook(place, tmp_path, **handler)
    assert "no port named" in hook(place, tmp_path, tcp_socket=TCPSocketAction(port="x"))


def test_a_sleep_ends_with_the_time_there_is(place: Place, tmp_path: Path) -> None:
    began = time.monotonic()
    assert hook(place, tmp_path, timeout=0.3, sleep=SleepAction(seconds=60)) == ""
    assert hook(place, tmp_path, sleep=SleepAction(seconds=0)) == ""
    assert 0.3 <= time.monotonic() - began < 3


# -- all probes of an attempt ----------------------------------------------------------------------


class Heard:
    """What a prober tells, waited for."""

    def __init__(self) -> None:
        self.said: list[ProbeReport] = []
        self._news = threading.Condition()

    def tell(self, said: ProbeReport) -> None:
        with self._news:
            self.said.append(said)
            self._news.notify_all()

    def until(
        self, enough: Callable[[list[ProbeReport]], bool], seconds: float = 10
    ) -> list[ProbeReport]:
        with self._news:
            assert self._news.wait_for(lambda: enough(self.said), seconds), self.said
            return list(self.said)


def prober(made: Target, heard: Heard, started: bool = False) -> Prober:
    return Prober(made, started, time.clock_gettime(time.CLOCK_BOOTTIME), heard.tell)


def test_readiness_and_liveness_wait_for_startup(place: Place, tmp_path: Path) -> None:
    order: list[str] = []
    up = threading.Event()

    def answer(connection: socket.socket, data: bytes) -> None:
        path = data.split()[1].decode()
        order.append(path)
        good = path != "/startup" or up.is_set()
        connection.sendall(OK if good else b"HTTP/1.1 500 No\r\n\r\n")

    with place.serve(answer) as port:

        def probe(name: str, **knobs: int) -> Probe:
            return Probe(
                http_get=HTTPGetAction(port=port, path=f"/{name}"), period_seconds=1, **knobs
            )

        heard = Heard()
        made = prober(
            target(place, tmp_path, startup_probe=probe("startup", failure_threshold=30),
                   readiness_probe=probe("ready"),
                   liveness_probe=probe("live")),
            heard,
        )  # fmt: skip
        made.start()
        first = heard.until(lambda said: len(said) >= 1)[0]
        assert first == ProbeReport(
            "0" * 64,
            "startup",
            False,
            False,
            "Unhealthy",
            "Startup probe failed: HTTP probe failed with statuscode: 500",
        )
        assert set(order) == {"/startup"}
        up.set()
        said = heard.until(lambda said: any(each.kind == "readiness" for each in said))
        assert [(each.kind, each.ok, each.changed) for each in said if each.changed] == [
            ("startup", True, True), ("readiness", True, True),
        ]  # fmt: skip
        made.stop()


def test_a_prober_that_takes_over_goes_on_from_the_verdict_on_record(
    place: Place, tmp_path: Path
) -> None:
    port, heard = closed_port(place), Heard()
    made = target(
        place,
        tmp_path,
        readiness_probe=Probe(tcp_socket=TCPSocketAction(port=port), failure_threshold=1),
    )
    made.record.ready_ok = True
    one = prober(made, heard, started=True)
    one.start()
    said = heard.until(lambda said: len(said) >= 1)
    one.stop()
    assert (said[0].kind, said[0].ok, said[0].changed) == ("readiness", False, True)


def test_liveness_ends_with_its_verdict(place: Place, tmp_path: Path) -> None:
    port, heard = closed_port(place), Heard()
    probe = Probe(tcp_socket=TCPSocketAction(port=port), failure_threshold=2, period_seconds=1)
    one = prober(target(place, tmp_path, liveness_probe=probe), heard)
    one.start()
    said = heard.until(lambda said: any(each.changed for each in said))
    assert [(each.ok, each.changed) for each in said] == [(True, False), (False, True)]
    for each in threading.enumerate():
        if each.name == "liveness of c":
            each.join(5)
            assert not each.is_alive()


def test_nothing_is_told_after_the_stop_and_the_threads_end(place: Place, tmp_path: Path) -> None:
    asking, go = threading.Event(), threading.Event()

    def answer(connection: socket.socket, _: bytes) -> None:
        asking.set()
        go.wait(5)
        connection.sendall(b"HTTP/1.1 500 No\r\n\r\n")

    heard = Heard()
    with place.serve(answer) as port:
        probe = Probe(http_get=HTTPGetAction(port=port), timeout_seconds=5)
        one = prober(target(place, tmp_path, readiness_probe=probe), heard)
        one.start()
        assert asking.wait(5)
        one.stop()
        go.set()
        threads = [each for each in threading.enumerate() if each.name == "readiness of c"]
        for each in threads:
            each.join(5)
            assert not each.is_alive()
    assert heard.said == []


def test_the_asker_is_where_it_was(place: Place, tmp_path: Path) -> None:
    before = Path("/proc/thread-self/ns/net").readlink()
    asked(place, tmp_path, tcp_socket=TCPSocketAction(port=closed_port(place)))
    assert Path("/proc/thread-self/ns/net").readlink() == before
    assert probing.port_of(80, target(place, tmp_path)) == 80
