"""What a load balancer is told about a node, over the wire."""

from __future__ import annotations

import json
import socket

import aiohttp
import pytest

from kubelite.node.proxy.health_checks import HealthChecks
from kubelite.node.proxy.services import Health
from tests.control.debian import free_ports

WEB = ("shop", "web")


async def ask(port: int) -> tuple[int, dict, str]:
    url = f"http://127.0.0.1:{port}/healthz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        weight = answer.headers["X-Load-Balancing-Endpoint-Weight"]
        return answer.status, json.loads(await answer.text()), weight


async def test_the_answer_follows_the_endpoints():
    (port,) = free_ports(1)
    checks = HealthChecks()
    await checks.update({WEB: Health(port, 2)})
    body = {"service": {"namespace": "shop", "name": "web"}, "serviceProxyHealthy": True}
    assert await ask(port) == (200, {**body, "localEndpoints": 2}, "2")
    await checks.update({WEB: Health(port, 0)})
    assert await ask(port) == (503, {**body, "localEndpoints": 0}, "0")
    await checks.close()


async def test_a_service_that_goes_or_changes_its_port_closes_it():
    first, second = free_ports(2)
    checks = HealthChecks()
    await checks.update({WEB: Health(first, 1)})
    await checks.update({WEB: Health(second, 1)})
    assert (await ask(second))[0] == 200
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(first)
    await checks.update({WEB: None})
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask(second)
    await checks.close()


async def test_a_port_that_is_taken_stops_no_other(caplog):
    taken, free = free_ports(2)
    checks = HealthChecks()
    with socket.create_server(("0.0.0.0", taken)):
        await checks.update({("shop", "a"): Health(taken, 1), WEB: Health(free, 1)})
        assert (await ask(free))[0] == 200
    assert f"health check port {taken} of shop/a" in caplog.text
    await checks.close()
