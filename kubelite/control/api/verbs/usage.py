"""``metrics.k8s.io``: what nodes and pods use now, asked of their kubelets.

Nothing is stored. As with metrics-server, a node whose kubelet does not answer in time is left out,
and so is a pod of which a container has not been measured yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.api.verbs.kubelet_client import place_of
from kubelite.control.api.verbs.read import list_options, shown, shown_list, work_of
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import StatusError, not_found
from kubelite.lib.json import Object
from kubelite.objects.facts.quantity import NANO, Quantity

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.request import Request

TIMEOUT_SECONDS = 10.0
WINDOW = "15s"
"""About the time over which a kubelet takes its rates while an autoscaler asks."""
_SUMMARY = "/stats/summary?only_cpu_and_memory=true"


async def get_node(context: Context, request: Request) -> Answer:
    """GET of one node's metrics. Raises StatusError 404."""
    entry = await context.store.get(_prefix(context, "nodes"), "", request.name)
    nodes = [load(entry)] if entry is not None else []
    return _only(request, await _node_metrics(context, nodes))


async def list_nodes(context: Context, request: Request) -> Answer:
    """GET of the metrics of all nodes. Raises StatusError."""
    nodes = await _selected(context, request, "nodes")
    return shown_list(request, await _node_metrics(context, nodes), {})


async def get_pod(context: Context, request: Request) -> Answer:
    """GET of one pod's metrics. Raises StatusError 404."""
    entry = await context.store.get(_prefix(context, "pods"), request.namespace, request.name)
    pods = [load(entry)] if entry is not None else []
    return _only(request, await _pod_metrics(context, pods))


async def list_pods(context: Context, request: Request) -> Answer:
    """GET of the metrics of a namespace's pods, or of all. Raises StatusError."""
    pods = await _selected(context, request, "pods")
    return shown_list(request, await _pod_metrics(context, pods), {})


def _only(request: Request, metrics: list[Object]) -> Answer:
    if not metrics:
        raise not_found(request.resource, request.name)
    return shown(request, metrics[0])


def _prefix(context: Context, plural: str) -> str:
    return context.registry.builtin("", plural).prefix


async def _selected(context: Context, request: Request, plural: str) -> list[Object]:
    """The objects whose metrics a list asks for: metrics have their names and labels."""
    selector = (await list_options(request)).selector
    page = await context.store.page(_prefix(context, plural), request.namespace)

    def selected() -> list[Object]:
        return [obj for entry in page.entries if selector.matches(obj := load(entry))]

    return await aside(work_of(page.entries, selector), selected)


async def _node_metrics(context: Context, nodes: Iterable[Object]) -> list[Object]:
    by_name = {node["metadata"]["name"]: node for node in nodes}
    summaries = await _summaries(context, by_name)
    metrics = []
    for name, summary in summaries.items():
        usage = _usage(summary["node"])
        if usage is not None:
            metrics.append(
                _metrics("NodeMetrics", by_name[name], summary["node"]) | {"usage": usage}
            )
    return metrics


async def _pod_metrics(context: Context, pods: Iterable[Object]) -> list[Object]:
    by_name = {
        (pod["metadata"]["namespace"], pod["metadata"]["name"]): pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
    }
    names = {pod["spec"].get("nodeName", "") for pod in by_name.values()}
    metrics = []
    for summary in (await _summaries(context, names)).values():
        for figures in summary.get("pods") or ():
            pod = by_name.get((figures["podRef"]["namespace"], figures["podRef"]["name"]))
            containers = [
                {"name": container["name"], "usage": _usage(container)}
                for container in figures.get("containers") or ()
            ]
            if (
                pod is not None
                and containers
                and all(container["usage"] for container in containers)
            ):
                metrics.append(_metrics("PodMetrics", pod, figures) | {"containers": containers})
    return metrics


async def _summaries(context: Context, nodes: Iterable[str]) -> dict[str, Object]:
    """What the kubelets tell that answer, by node in the order of their names."""
    names = sorted(nodes)
    summaries = await asyncio.gather(*(_summary(context, name) for name in names))
    return {name: summary for name, summary in zip(names, summaries, strict=True) if summary}


async def _summary(context: Context, node: str) -> Object | None:
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    try:
        place = await place_of(context, node)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"https://{place.authority}{_SUMMARY}", ssl=context.kubelets.tls) as answer,
        ):
            return dict(await answer.json()) if answer.status == 200 else None
    except (StatusError, aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _metrics(kind: str, obj: Object, figures: Mapping[str, Any]) -> Object:
    """The head of the metrics of a node or pod."""
    meta = obj["metadata"]
    named = {key: meta[key] for key in ("name", "namespace", "labels") if meta.get(key)}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "kind": kind,
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {**named, "creationTimestamp": now},
        "timestamp": (figures.get("cpu") or {}).get("time", now),
        "window": WINDOW,
    }


def _usage(figures: Mapping[str, Any]) -> dict[str, str] | None:
    """CPU and memory of a part of a summary; None until both have been measured."""
    cpu = (figures.get("cpu") or {}).get("usageNanoCores")
    memory = (figures.get("memory") or {}).get("workingSetBytes")
    if cpu is None or memory is None:
        return None
    return {"cpu": str(Quantity(cpu)), "memory": str(Quantity(memory * NANO, "binary"))}
