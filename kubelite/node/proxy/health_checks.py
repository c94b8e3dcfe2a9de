"""Answers load balancers that ask whether a node has ready endpoints of a Service.

As kube-proxy does (``pkg/proxy/healthcheck``): one port for each Service whose external traffic
policy is Local, 200 where there are endpoints and 503 where there are none.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubelite.node.proxy.services import Health

if TYPE_CHECKING:
    from aiohttp import web

Key = tuple[str, str]
"""Namespace and name of a Service."""

_log = logging.getLogger("kubelite.network")


class HealthChecks:
    """The listening ports of one node, on all of its addresses."""

    def __init__(self) -> None:
        self._health: dict[Key, Health] = {}
        self._runners: dict[Key, web.AppRunner] = {}

    async def update(self, change: Mapping[Key, Health | None]) -> None:
        """Opens, changes and closes ports. One that is taken by somebody else is logged."""
        for key, health in change.items():
            before = self._health.pop(key, None)
            if health is not None:
                self._health[key] = health
            if (before and before.port) == (health and health.port):
                continue
            if key in self._runners:
                await self._runners.pop(key).cleanup()
            if health is not None:
                await self._open(key, health.port)

    async def close(self) -> None:
        """Closes all ports."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners.values()))
        self._runners.clear()
        self._health.clear()

    async def _open(self, key: Key, port: int) -> None:
        from aiohttp import web  # few clusters have such Services

        async def answer(request: web.Request) -> web.Response:
            return self._answer(key)

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        runner = self._runners[key] = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "0.0.0.0", port).start()
        except OSError as error:
            _log.warning("health check port %d of %s/%s: %s", port, *key, error.strerror)

    def _answer(self, key: Key) -> web.Response:
        from aiohttp import web

        count = self._health[key].endpoints if key in self._health else 0
        body = {
            "service": {"namespace": key[0], "name": key[1]},
            "localEndpoints": count,
            "serviceProxyHealthy": True,
        }
        headers = {
            "X-Content-Type-Options": "nosniff",
            "X-Load-Balancing-Endpoint-Weight": str(count),
        }
        return web.json_response(body, status=200 if count else 503, headers=headers)
