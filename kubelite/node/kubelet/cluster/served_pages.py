"""The documents of the kubelet's server: figures of node and pods, and the configuration."""

from __future__ import annotations

import asyncio
import json

from kubelite.lib.json import Object
from kubelite.node.kubelet.server.http import Request
from kubelite.node.kubelet.server.server import JSON, Pages
from kubelite.node.kubelet.stats import prometheus
from kubelite.node.kubelet.stats.figures import Figures
from kubelite.node.kubelet.stats.measuring import measure
from kubelite.node.kubelet.stats.sampler import Sampler
from kubelite.node.kubelet.stats.summary import summary
from kubelite.node.runtime.home import Home

Page = tuple[str, bytes]


def pages(home: Home, node: str, configuration: Object, *, mirrored: bool = True) -> Pages:
    """The pages of the node ``node``; ``configuration`` is its KubeletConfiguration, ``mirrored``
    says that local pods go by the names of their mirrors.
    """
    namer = node if mirrored else ""
    sampler = Sampler(home, namer)

    async def figures() -> Figures:
        return await asyncio.to_thread(measure, home, namer, disks=False)

    async def stats(request: Request) -> Page:
        brief = request.flag("only_cpu_and_memory")
        sample = await sampler.sample(disks=not brief)
        return _json(summary(sample, node, only_cpu_and_memory=brief))

    async def resource(request: Request) -> Page:
        return prometheus.page(prometheus.resource_metrics(await figures()))

    async def cadvisor(request: Request) -> Page:
        return prometheus.page(prometheus.cadvisor_metrics(await figures()))

    async def agent(request: Request) -> Page:
        return prometheus.page(prometheus.agent_metrics(await figures(), node), process=True)

    async def configz(request: Request) -> Page:
        return _json({"kubeletconfig": configuration})

    return Pages(
        {
            "/stats/summary": stats,
            "/metrics": agent,
            "/metrics/resource": resource,
            "/metrics/cadvisor": cadvisor,
            "/configz": configz,
        }
    )


def _json(document: Object) -> Page:
    return JSON, json.dumps(document).encode()
