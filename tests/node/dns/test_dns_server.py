"""The DNS server on real sockets, beside an upstream server of the test's own."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from dnslib import EDNS0, QTYPE, RCODE, RR, A, DNSRecord

from kubelite.node.dns import server as dns
from kubelite.node.dns.server import DnsServer, Options
from tests.node.dns.test_dns_names import Objects

MANY = [
    {"addresses": [f"10.1.{number // 250}.{number % 250}"], "conditions": {}}
    for number in range(100)
]


class Crowded(Objects):
    def slices(self, namespace, name):
        if name != "db":
            return []
        return [{"metadata": {}, "ports": [], "endpoints": MANY}]


def exchange(port: int, query: DNSRecord, tcp: bool = False) -> DNSRecord:
    return DNSRecord.parse(query.send("127.0.0.1", port, tcp=tcp, timeout=3))


@pytest.fixture
def serve(monkeypatch):
    """Starts a server over a directory; returns its port. It runs in a thread until the test
    ends.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    servers = []

    def start(directory, upstreams=()):
        server = DnsServer(directory, Options(upstreams=upstreams))
        servers.append(server)
        return asyncio.run_coroutine_threadsafe(server.start("127.0.0.1", 0), loop).result(5)

    yield start
    for server in servers:
        asyncio.run_coroutine_threadsafe(server.close(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


class Renumbered(Objects):
    """Every Service has the address that a test gives it."""

    address = "10.96.0.1"

    def service(self, namespace, name):
        found = super().service(namespace, name)
        spec = {"clusterIP": self.address, "clusterIPs": [self.address]}
        return found and {**found, "spec": {**found["spec"], **spec}}


def test_an_answer_that_is_kept_has_the_askers_id_and_goes_with_the_next_change(serve):
    directory = Renumbered()
    port = serve(directory)
    question = "web.shop.svc.cluster.local"
    for identifier in (7, 8):
        query = DNSRecord.question(question)
        query.header.id = identifier
        reply = exchange(port, query)
        assert (reply.header.id, str(reply.rr[0].rdata)) == (identifier, "10.96.0.1")
    directory.address = "10.96.0.2"
    directory.changes += 1
    for _ in range(2):
        reply = exchange(port, DNSRecord.question(question))
        assert [str(record.rdata) for record in reply.rr] == ["10.96.0.2"]


def test_an_answer_has_the_records_and_what_does_not_exist_has_an_soa(serve):
    port = serve(Objects())
    reply = exchange(port, DNSRecord.question("WEB.shop.svc.cluster.local"))
    assert [str(record.rdata) for record in reply.rr] == ["10.96.0.10"]
    assert reply.header.aa
    gone = exchange(port, DNSRecord.question("gone.shop.svc.cluster.local"))
    assert gone.header.rcode == RCODE.NXDOMAIN
    assert [QTYPE[record.rtype] for record in gone.auth] == ["SOA"]
    other_type = exchange(port, DNSRecord.question("web.shop.svc.cluster.local", "AAAA"))
    assert (other_type.header.rcode, other_type.rr) == (RCODE.NOERROR, [])


def test_answers_that_do_not_fit_are_truncated_and_complete_over_tcp(serve):
    port = serve(Crowded())
    query = DNSRecord.question("db.shop.svc.cluster.local")
    assert exchange(port, query).header.tc
    assert len(exchange(port, query, tcp=True).rr) == 100
    query.add_ar(EDNS0(udp_len=4096))
    extended = exchange(port, query)
    assert extended.header.tc, "1232 bytes are the most that passes everywhere"
    assert [record.rtype for record in extended.ar] == [QTYPE.OPT]


def test_what_is_no_question_gets_no_answer_and_does_no_harm(serve):
    port = serve(Objects())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.3)
        for data in (b"", b"x", b"\0" * 12, bytes(range(200)), DNSRecord().pack()):
            client.sendto(data, ("127.0.0.1", port))
            with pytest.raises(TimeoutError):
                client.recv(512)
    assert exchange(port, DNSRecord.question("web.shop.svc.cluster.local")).rr


class Upstream(threading.Thread):
    """A name server that knows one name and counts what it is asked."""

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True)
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._socket.settimeout(0.1)
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                data, peer = self._socket.recvfrom(512)
            except TimeoutError:
                continue
            self.asked += 1
            query = DNSRecord.parse(data)
            reply = query.reply()
            if str(query.q.qname) == "docs.example.com.":
                reply.add_answer(RR(query.q.qname, QTYPE.A, ttl=60, rdata=A("192.0.2.80")))
            else:
                reply.header.rcode = RCODE.NXDOMAIN
            self._socket.sendto(reply.pack(), peer)

    def close(self) -> None:
        self._over.set()
        self.join()
        self._socket.close()


@pytest.fixture
def upstream():
    server = Upstream("127.0.53.7")
    server.start()
    yield server
    server.close()


def test_other_names_are_forwarded_and_kept_for_a_while(serve, upstream):
    port = serve(Objects(), ("127.0.53.7",))
    for _ in range(3):
        reply = exchange(port, DNSRecord.question("docs.example.com"))
        assert [str(record.rdata) for record in reply.rr] == ["192.0.2.80"]
    assert upstream.asked == 1
    assert exchange(port, DNSRecord.question("gone.example")).header.rcode == RCODE.NXDOMAIN


def test_an_external_name_brings_the_target_s_addresses(serve, upstream):
    port = serve(Objects(), ("127.0.53.7",))
    reply = exchange(port, DNSRecord.question("docs.shop.svc.cluster.local"))
    assert [str(record.rdata) for record in reply.rr] == ["docs.example.com.", "192.0.2.80"]


def test_without_an_upstream_that_answers_the_server_says_so(serve, monkeypatch):
    monkeypatch.setattr(dns, "FORWARD_SECONDS", 0.2)
    port = serve(Objects(), ("127.0.53.9",))
    assert exchange(port, DNSRecord.question("example.com")).header.rcode == RCODE.SERVFAIL
