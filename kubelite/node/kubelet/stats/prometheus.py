"""``/metrics`` and its sisters: figures in the text form of Prometheus.

Names and labels are the kubelet's and cAdvisor's (``/metrics/resource`` is KEP 1206). prometheus-
client is imported when somebody scrapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.node.cgroup.limits import PERIOD, cpu_quota, cpu_shares
from kubelite.node.kubelet.stats.figures import ContainerFigures, Figures, NodeFigures, PodFigures
from kubelite.node.runtime.clock import SECOND

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

COUNTER, GAUGE = "counter", "gauge"
_CONTAINER, _POD = ("container", "namespace", "pod"), ("namespace", "pod")
_CADVISOR = ("container", "id", "image", "name", "namespace", "pod")


class Row(NamedTuple):
    """One value of a series; ``at`` is its time, seconds since 1970, or None for now."""

    labels: tuple[str, ...]
    value: float
    at: float | None = None


class Series(NamedTuple):
    """A metric family. The name of a counter is without its ``_total``."""

    kind: str
    name: str
    help: str
    labels: tuple[str, ...]
    rows: Iterable[Row]


def page(series: Iterable[Series], *, process: bool = False) -> tuple[str, bytes]:
    """Content type and content of a page; with ``process`` this process is told of as well."""
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry()
    if process:
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
    registry.register(_Collector(series))
    return CONTENT_TYPE_LATEST, generate_latest(registry)


class _Collector:
    def __init__(self, series: Iterable[Series]) -> None:
        self._series = list(series)

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for series in self._series:
            kind = CounterMetricFamily if series.kind == COUNTER else GaugeMetricFamily
            family: Any = kind(series.name, series.help, labels=series.labels)
            for row in series.rows:
                family.add_metric(row.labels, row.value, timestamp=row.at)
            yield family


def resource_metrics(figures: Figures) -> list[Series]:
    """``/metrics/resource``."""
    node, pods = figures
    measured_at = node.at
    in_containers = [(_of_container(pod, c), c) for pod in pods for c in pod.containers]
    in_pods = [((pod.namespace, pod.name), pod) for pod in pods]
    return [
        *_usage_series("container", _CONTAINER, in_containers, measured_at),
        Series(
            GAUGE,
            "container_start_time_seconds",
            "When the container was started, in seconds since 1970.",
            _CONTAINER,
            [Row(labels, container.started_at, measured_at) for labels, container in in_containers],
        ),
        Series(
            COUNTER,
            "node_cpu_usage_seconds",
            "CPU time of the node, in seconds.",
            (),
            [Row((), node.cpu_ns / SECOND, measured_at)],
        ),
        Series(
            GAUGE,
            "node_memory_working_set_bytes",
            "Working set of the node.",
            (),
            [Row((), node.working_set, measured_at)],
        ),
        Series(
            GAUGE,
            "node_swap_usage_bytes",
            "Swap in use.",
            (),
            [Row((), node.swap_used, measured_at)],
        ),
        *_usage_series("pod", _POD, in_pods, measured_at),
        Series(
            GAUGE,
            "resource_scrape_error",
            "1 if these figures could not be measured.",
            (),
            [Row((), 0)],
        ),
    ]


def agent_metrics(figures: Figures, name: str) -> list[Series]:
    """``/metrics`` of the agent of the node ``name``, besides its process."""
    running = sum(len(pod.containers) for pod in figures.pods)
    return [
        Series(GAUGE, "kubelet_node_name", "The node's name.", ("node",), [Row((name,), 1)]),
        Series(GAUGE, "kubelet_running_pods", "Pods that run.", (), [Row((), len(figures.pods))]),
        Series(
            GAUGE,
            "kubelet_running_containers",
            "Containers by state.",
            ("container_state",),
            [Row(("running",), running)],
        ),
    ]


def _usage_series(
    what: str,
    labels: tuple[str, ...],
    measured: Iterable[tuple[tuple[str, ...], PodFigures | ContainerFigures]],
    measured_at: float,
) -> list[Series]:
    known = list(measured)

    def rows(field: str, divisor: int = 1) -> list[Row]:
        values = ((own, getattr(figure.usage, field)) for own, figure in known)
        return [
            Row(own, value / divisor, measured_at) for own, value in values if value is not None
        ]

    name = f"{what}_cpu_usage_seconds"
    cpu = Series(
        COUNTER, name, f"CPU time of the {what}, in seconds.", labels, rows("cpu_ns", SECOND)
    )
    name = f"{what}_memory_working_set_bytes"
    memory = Series(GAUGE, name, f"Working set of the {what}.", labels, rows("working_set"))
    swap = Series(GAUGE, f"{what}_swap_usage_bytes", "Swap in use.", labels, rows("swap"))
    return [cpu, memory, swap]


def _of_container(pod: PodFigures, container: ContainerFigures) -> tuple[str, ...]:
    return container.name, pod.namespace, pod.name


def cadvisor_metrics(figures: Figures) -> list[Series]:
    """The main series of ``/metrics/cadvisor``: a row for each container and each pod."""
    node, pods = figures
    groups = [
        (_cadvisor_labels(pod, container), (container or pod).usage)
        for pod in pods
        for container in (*pod.containers, None)
    ]
    series = []
    for kind, name, field, divisor, help_text in _CADVISOR_FIGURES:
        values = ((labels, getattr(usage, field)) for labels, usage in groups)
        rows = [Row(labels, v / divisor, node.at) for labels, v in values if v is not None]
        series.append(Series(kind, name, help_text, _CADVISOR, rows))
    return [*series, *_container_series(node, pods), *_network_series(node, pods), *_machine(node)]


_CADVISOR_FIGURES = (
    (COUNTER, "container_cpu_usage_seconds", "cpu_ns", SECOND, "CPU time, in seconds."),
    (COUNTER, "container_cpu_cfs_periods", "periods", 1, "Periods with a CPU quota."),
    (COUNTER, "container_cpu_cfs_throttled_periods", "throttled", 1, "Periods throttled."),
    (
        COUNTER,
        "container_cpu_cfs_throttled_seconds",
        "throttled_ns",
        SECOND,
        "Time throttled, in seconds.",
    ),
    (GAUGE, "container_memory_usage_bytes", "memory", 1, "Memory in use."),
    (GAUGE, "container_memory_working_set_bytes", "working_set", 1, "Working set."),
    (GAUGE, "container_memory_rss", "anonymous", 1, "Anonymous memory."),
    (GAUGE, "container_memory_cache", "cache", 1, "Memory of cached file pages."),
    (GAUGE, "container_memory_swap", "swap", 1, "Swap in use."),
    (GAUGE, "container_memory_max_usage_bytes", "memory_peak", 1, "Most memory ever in use."),
    (COUNTER, "container_oom_events", "oom_kills", 1, "Processes killed for want of memory."),
    (GAUGE, "container_threads", "tasks", 1, "Threads."),
)
"""Kind, name, figure of a cgroup, divisor of its unit, description."""


def _cadvisor_labels(pod: PodFigures, container: ContainerFigures | None) -> tuple[str, ...]:
    if container is None:
        return "", pod.group, "", "", pod.namespace, pod.name
    return (
        container.name,
        container.group,
        container.image,
        container.id,
        pod.namespace,
        pod.name,
    )


def _container_series(node: NodeFigures, pods: Iterable[PodFigures]) -> Iterator[Series]:
    """What is known of containers besides their cgroups' figures."""
    known = [(_cadvisor_labels(pod, c), c) for pod in pods for c in pod.containers]
    values: Mapping[str, tuple[str, list[float]]] = {
        "container_start_time_seconds": (
            "When it was started, in seconds since 1970.",
            [c.started_at for _, c in known],
        ),
        "container_last_seen": ("When it was measured last.", [node.at for _ in known]),
        "container_spec_cpu_period": ("Period of the CPU quota.", [PERIOD for _ in known]),
        "container_spec_cpu_quota": (
            "CPU quota, 0 for none.",
            [cpu_quota(c.resources.cpu_limit) for _, c in known],
        ),
        "container_spec_cpu_shares": (
            "CPU shares.",
            [cpu_shares(c.resources.cpu_request or c.resources.cpu_limit) for _, c in known],
        ),
        "container_spec_memory_limit_bytes": (
            "Memory limit, 0 for none.",
            [c.resources.memory_limit for _, c in known],
        ),
    }
    for name, (help_text, column) in values.items():
        rows = [Row(labels, value) for (labels, _), value in zip(known, column, strict=True)]
        yield Series(GAUGE, name, help_text, _CADVISOR, rows)


def _network_series(node: NodeFigures, pods: Iterable[PodFigures]) -> Iterator[Series]:
    labels = ("id", "interface", "namespace", "pod")
    known = [
        ((pod.group, interface.name, pod.namespace, pod.name), interface)
        for pod in pods
        for interface in pod.network
    ]
    for name, field, help_text in (
        ("container_network_receive_bytes", "received", "Bytes received."),
        ("container_network_receive_errors", "receive_errors", "Errors while receiving."),
        ("container_network_transmit_bytes", "sent", "Bytes sent."),
        ("container_network_transmit_errors", "send_errors", "Errors while sending."),
    ):
        rows = [Row(own, getattr(interface, field), node.at) for own, interface in known]
        yield Series(COUNTER, name, help_text, labels, rows)


def _machine(node: NodeFigures) -> Iterator[Series]:
    for name, help_text, value in (
        ("machine_cpu_cores", "Processors of this machine.", node.cpus),
        ("machine_memory_bytes", "Memory of this machine.", node.memory_capacity),
    ):
        yield Series(GAUGE, name, help_text, (), [Row((), value)])
