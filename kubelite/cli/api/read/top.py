"""``top``: the CPU and memory that nodes, pods and containers use now."""

from __future__ import annotations

import enum
from typing import Annotated
from urllib.parse import urlencode

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.printing.table import Columns
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import NotFound, ServerError
from kubelite.client.resources import NODES, GroupVersionResource
from kubelite.lib.json import Object
from kubelite.objects.facts.quantity import parse

_UNKNOWN = "<unknown>"


class SortBy(enum.StrEnum):
    """The column that rows are sorted by, most first."""

    cpu = "cpu"
    memory = "memory"


@usage(
    "kubelite top nodes",
    "kubelite top pods -A --sort-by memory",
    "kubelite top pod web --containers",
)
def top(
    settings: Settings,
    kind: Annotated[str, Argument("nodes | pods", "Nodes or pods.")],
    name: Annotated[str, Argument("[NAME]", "Name of one; by default all.")] = "",
    *,
    selector: options.Selector = "",
    all_namespaces: options.AllNamespaces = False,
    containers: Annotated[bool, Option("--containers", "Each container of the pods.")] = False,
    sort_by: Annotated[SortBy | None, Option("--sort-by", "Sort by this.")] = None,
    no_headers: Annotated[bool, Option("--no-headers", "Omit the header line.")] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Shows usage from metrics.k8s.io. Raises CliError."""
    kinds = {"node": "nodes", "nodes": "nodes", "no": "nodes"}
    resource = {**kinds, "pod": "pods", "pods": "pods", "po": "pods"}.get(kind)
    if resource is None:
        raise CliError(Diagnostic(f"top shows nodes or pods, not {kind}", exit_code=2))

    async def work(api: Api) -> None:
        is_everywhere = all_namespaces or resource == "nodes"
        items = await _metrics(
            api, resource, "" if is_everywhere else api.namespace, name, selector
        )
        if not items:
            api.screen.note("No resources found")
            return
        items.sort(key=lambda item: _rank(item, sort_by))
        if resource == "nodes":
            nodes = {
                node["metadata"]["name"]: node for node in (await api.client.list(NODES)).items
            }
            rows = [node_row(item, nodes.get(item["metadata"]["name"], {})) for item in items]
            headers = ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"]
        else:
            rows = [row for item in items for row in pod_rows(item, containers, all_namespaces)]
            headers = ["NAME", "CPU(cores)", "MEMORY(bytes)"]
            headers = ["POD", *headers] if containers else headers
            headers = ["NAMESPACE", *headers] if all_namespaces else headers
        api.screen.data(Columns().text(rows if no_headers else [headers, *rows]))

    return run(settings, Reach(kubeconfig, context), work)


async def _metrics(
    api: Api, resource: str, namespace: str, name: str, selector: str
) -> list[Object]:
    gvr = GroupVersionResource("metrics.k8s.io", "v1beta1", resource)
    query = urlencode({"labelSelector": selector}) if selector else ""
    try:
        answer = await api.client.get_path(gvr.path(namespace, name), query)
    except (NotFound, ServerError) as error:
        if name and error.status.get("details"):
            raise
        hint = "the cluster needs metrics.k8s.io: metrics-server, or `kubelite server --metrics`"
        raise CliError(Diagnostic("Metrics API not available", hint=hint)) from error
    return [answer] if name else list(answer.get("items") or ())


def _rank(item: Object, sort_by: SortBy | None) -> tuple[float, str, str]:
    metadata = item["metadata"]
    usage = _total(item, sort_by.value) if sort_by else 0.0
    return -usage, str(metadata.get("namespace") or ""), metadata["name"]


def _total(item: Object, resource: str) -> float:
    """The amount that is used, in cores or bytes."""
    rows = item.get("containers", [item])
    return sum(_amount((row.get("usage") or {}).get(resource, "0")) for row in rows)


def _amount(text: object) -> float:
    return parse(str(text)).nano / 1e9


def cpu(cores: float) -> str:
    """Cores in thousandths, rounded up. Pure."""
    return f"{-int(-cores * 1000 // 1)}m"


def memory(size: float) -> str:
    """Bytes in MiB. Pure."""
    return f"{int(size) >> 20}Mi"


def node_row(item: Object, node: Object) -> list[str]:
    """The row of a node; shares are of what its pods may use. Pure."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    cells = [item["metadata"]["name"]]
    for resource, shown in (("cpu", cpu), ("memory", memory)):
        used = _total(item, resource)
        cells.append(shown(used))
        available = _amount(allocatable.get(resource, "0"))
        cells.append(f"{int(used * 100 / available)}%" if available else _UNKNOWN)
    return cells


def pod_rows(item: Object, containers: bool, all_namespaces: bool) -> list[list[str]]:
    """The row of a pod, or of each of its containers. Pure."""
    metadata = item["metadata"]
    head = [str(metadata.get("namespace") or "")] if all_namespaces else []
    if not containers:
        used = [cpu(_total(item, "cpu")), memory(_total(item, "memory"))]
        return [[*head, metadata["name"], *used]]
    return [
        [
            *head,
            metadata["name"],
            row["name"],
            cpu(_total(row, "cpu")),
            memory(_total(row, "memory")),
        ]
        for row in sorted(item["containers"], key=lambda row: str(row["name"]))
    ]
