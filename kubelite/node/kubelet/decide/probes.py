"""From the results of a probe to its verdict, and when to probe next. Pure.

The rules and defaults are the kubelet's. A verdict changes once as many results in a row as the
threshold says agree; before the first result a container is alive, not ready, and its startup is
undecided. A probe that could not be carried out counts for nothing. Times are seconds of one clock.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelite.objects.pod.container import Container, ContainerPort, Probe

STARTUP, READINESS, LIVENESS = "startup", "readiness", "liveness"
TIMEOUT, PERIOD, SUCCESSES, FAILURES = 1, 10, 1, 3
"""The values of fields that are missing or 0."""


class ProbeResult(NamedTuple):
    """One result, with the kubelet's message. Not ``known``: the probe could not be carried out.
    ``warning``: it succeeded, but the message should be seen.
    """

    ok: bool
    message: str
    known: bool = True
    warning: bool = False


class State(NamedTuple):
    """``verdict`` after thresholds, None while undecided; the last ``streak`` results were equal to
    ``last``.
    """

    verdict: bool | None
    last: bool = False
    streak: int = 0


def initial_state(kind: str, *, ready: bool = False) -> State:
    """The state before the first result; ``ready`` is the recorded verdict of an earlier prober."""
    return State({STARTUP: None, READINESS: ready}.get(kind, True))


def judge(probe: Probe, state: State, result: ProbeResult) -> State:
    """The state after one more result."""
    if not result.known:
        return state
    streak = state.streak + 1 if result.ok == state.last else 1
    threshold = (
        (probe.success_threshold or SUCCESSES)
        if result.ok
        else (probe.failure_threshold or FAILURES)
    )
    return State(result.ok if streak >= threshold else state.verdict, result.ok, streak)


def is_settled(kind: str, state: State) -> bool:
    """Whether the probe ends: startup is decided, or liveness has failed and the container will be
    restarted.
    """
    return (kind == STARTUP and state.verdict is not None) or (
        kind == LIVENESS and state.verdict is False
    )


def first_due(probe: Probe, started_at: float, now: float) -> float:
    """When to probe first: initialDelaySeconds count from the container's start."""
    return max(started_at + (probe.initial_delay_seconds or 0), now)


def next_due(probe: Probe, probed_at: float, now: float) -> float:
    """When to probe again after a probe at ``probed_at``; at once where that took longer than a
    period.
    """
    return max(probed_at + (probe.period_seconds or PERIOD), now)


def timeout(probe: Probe) -> int:
    """Seconds after which a probe has failed."""
    return probe.timeout_seconds or TIMEOUT


def of(container: Container) -> dict[str, Probe]:
    """The probes of a container by kind."""
    probes = {
        STARTUP: container.startup_probe,
        LIVENESS: container.liveness_probe,
        READINESS: container.readiness_probe,
    }
    return {kind: probe for kind, probe in probes.items() if probe is not None}


def port_number(port: int | str, ports: tuple[ContainerPort, ...]) -> int | None:
    """The number of a port given by number or by name; None for an unknown name."""
    if isinstance(port, int):
        return port
    named = next((declared.container_port for declared in ports if declared.name == port), None)
    return int(port) if named is None and port.isascii() and port.isdigit() else named


def event(kind: str, result: ProbeResult) -> tuple[str, str]:
    """Reason and message of the event for one result, "" and "" for a result without one."""
    probe = f"{kind.capitalize()} probe"
    if not result.known:
        return "Unhealthy", f"{probe} errored and resulted in unknown state: {result.message}"
    if not result.ok:
        return "Unhealthy", f"{probe} failed: {result.message}"
    if result.warning:
        return "ProbeWarning", f"{probe} warning: {result.message}"
    return "", ""
