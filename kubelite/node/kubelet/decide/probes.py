"""What the answers to a probe mean: from one result to the next verdict, and when to ask again.
Pure.

The rules and defaults are the kubelet's. A verdict changes once as many results in a row as the
threshold says agree; before the first one a container is alive, not ready, and its startup is open.
What could not be asked at all counts for nothing. Times are seconds of one clock.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.objects.pod.container import Container, ContainerPort, Probe

STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"
TIMEOUT, PERIOD, SUCCESSES, FAILURES = 1, 10, 1, 3
"""Knobs that a probe leaves out, or at 0."""


class ProbeResult(NamedTuple):
    """How a container answered, with the kubelet's text. Not ``known``: it could not be asked."""

    ok: bool
    message: str
    known: bool = True


class State(NamedTuple):
    """``verdict`` after thresholds, None for an open one; the last ``alike`` results were ``last``."""

    verdict: bool | None
    last: bool = False
    alike: int = 0


def begin(kind: str, *, ready: bool = False) -> State:
    """Before the first result; ``ready`` is what an earlier prober of this attempt has found."""
    return State({STARTUP: None, READINESS: ready}.get(kind, True))


def judge(probe: Probe, state: State, result: ProbeResult) -> State:
    """The state after one more result."""
    if not result.known:
        return state
    alike = state.alike + 1 if result.ok == state.last else 1
    enough = (
        (probe.success_threshold or SUCCESSES)
        if result.ok
        else (probe.failure_threshold or FAILURES)
    )
    return State(result.ok if alike >= enough else state.verdict, result.ok, alike)


def is_settled(kind: str, state: State) -> bool:
    """Whether nothing more is asked: startup is behind the container, or it is about to be
    restarted.
    """
    return (kind == STARTUP and state.verdict is not None) or (
        kind == LIVENESS and state.verdict is False
    )


def first_due(probe: Probe, started_at: float, now: float) -> float:
    """When to ask first: initialDelaySeconds count from the container's start."""
    return max(started_at + (probe.initial_delay_seconds or 0), now)


def next_due(probe: Probe, asked_at: float, now: float) -> float:
    """When to ask again, from when it was asked last; at once where the answer took longer than a
    period.
    """
    return max(asked_at + (probe.period_seconds or PERIOD), now)


def timeout(probe: Probe) -> int:
    """Seconds that an answer may take."""
    return probe.timeout_seconds or TIMEOUT


def of(container: Container) -> dict[str, Probe]:
    """The probes of a container by kind."""
    found = {
        STARTUP: container.startup_probe,
        LIVENESS: container.liveness_probe,
        READINESS: container.readiness_probe,
    }
    return {kind: probe for kind, probe in found.items() if probe is not None}


def port_number(port: int | str, ports: tuple[ContainerPort, ...]) -> int | None:
    """A port by number, or by its name among the container's; None for a name that it has not."""
    if isinstance(port, int):
        return port
    named = next((each.container_port for each in ports if each.name == port), None)
    return int(port) if named is None and port.isascii() and port.isdigit() else named


def told(kind: str, result: ProbeResult) -> str:
    """A failure in the words of the event Unhealthy."""
    how = "failed" if result.known else "errored and resulted in unknown state"
    return f"{kind.capitalize()} probe {how}: {result.message}"
