"""Finds and reads the log files of a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from kubelite.node.runtime import log_reader as files
from kubelite.node.runtime.errors import NotFound, NotRunning
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.log_reader import LogLine
from kubelite.node.runtime.observe import observe
from kubelite.node.runtime.records import PodRecord


def logs(
    home: Home,
    ledger: Ledger,
    pod: PodRecord,
    container: str,
    follow: bool,
    tail: int | None,
    since_ns: int | None,
    previous: bool,
) -> Iterator[LogLine]:
    """See :meth:`kubelite.node.kubelet.pods.queries.PodQueries.logs`."""
    directory, attempt = _place(home, ledger, pod, container, previous)
    more = _is_running_check(home, ledger, pod, container) if follow and not previous else None
    return files.read(directory, attempt, tail=tail, since=_stamp(since_ns), more=more)


def _is_running_check(
    home: Home, ledger: Ledger, pod: PodRecord, container: str
) -> Callable[[], bool]:
    def more() -> bool:
        if ledger.pod(pod.uid) is None:
            return False
        return any(
            s.running
            for s in observe(home, ledger, pod, only_looks=True).containers
            if s.record.name == container
        )

    return more


def log_text(
    home: Home,
    ledger: Ledger,
    pod: PodRecord,
    container: str,
    tail: int | None,
    previous: bool,
) -> Iterator[bytes]:
    """See :meth:`kubelite.node.kubelet.pods.queries.PodQueries.log_text`."""
    directory, attempt = _place(home, ledger, pod, container, previous)
    return files.read_text(directory, attempt, tail=tail)


def _place(
    home: Home, ledger: Ledger, pod: PodRecord, container: str, previous: bool
) -> tuple[str, int]:
    """The directory and the attempt of a container's log. Raises NotFound, NotRunning."""
    observed = next(
        (
            observed
            for observed in observe(home, ledger, pod, only_looks=True).containers
            if observed.record.name == container
        ),
        None,
    )
    if observed is None:
        raise NotRunning(f'container "{container}" in pod "{pod.name}" is waiting to start')
    attempt = observed.record.attempt - previous
    if attempt < 0:
        raise NotFound(f'container "{container}" in pod "{pod.name}" has not run before')
    return f"{home.pod_logs(pod.namespace, pod.name, pod.uid)}/{container}", attempt


def _stamp(nanoseconds: int | None) -> str | None:
    """A time in the format of the log files, comparable as text."""
    if nanoseconds is None:
        return None
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
