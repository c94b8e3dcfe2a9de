"""Rules about probes and hooks. Pure."""

from __future__ import annotations

from kubelite.objects.facts import names
from kubelite.objects.pod.container import (
    Container,
    ExecAction,
    HTTPGetAction,
    LifecycleHandler,
    Probe,
    TCPSocketAction,
)
from kubelite.objects.rules.findings import Findings
from kubelite.objects.rules.problem import Path

MAX_PORT = 65535


def probes(found: Findings, container: Container, path: Path, *, init: bool) -> None:
    """The three probes of a container."""
    for name, probe in (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    ):
        if probe is None:
            continue
        if init and container.restart_policy != "Always":
            found.forbidden(
                (*path, name), "may not be set for init containers without restartPolicy Always"
            )
        else:
            _probe(found, probe, name, (*path, name))


def lifecycle(found: Findings, container: Container, path: Path, *, init: bool) -> None:
    """The hooks of a container."""
    hooks = container.lifecycle
    if hooks is None:
        return
    where = (*path, "lifecycle")
    if init and container.restart_policy != "Always":
        found.forbidden(where, "may not be set for init containers without restartPolicy Always")
        return
    for name, handler in (("postStart", hooks.post_start), ("preStop", hooks.pre_stop)):
        if handler is not None:
            _handler(found, handler, ("exec", "http_get", "tcp_socket", "sleep"), (*where, name))


def _probe(found: Findings, probe: Probe, name: str, path: Path) -> None:
    _handler(found, probe, ("exec", "http_get", "tcp_socket", "grpc"), path)
    for field, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        found.at_least((*path, field), value, 0)
    if name != "readinessProbe" and probe.success_threshold not in (None, 0, 1):
        found.invalid((*path, "successThreshold"), probe.success_threshold, "must be 1")
    if probe.termination_grace_period_seconds is not None:
        if name == "readinessProbe":
            found.forbidden(
                (*path, "terminationGracePeriodSeconds"), "may not be set for readiness probes"
            )
        grace = probe.termination_grace_period_seconds
        found.at_least((*path, "terminationGracePeriodSeconds"), grace, 1)


_JSON = {
    "exec": "exec",
    "http_get": "httpGet",
    "tcp_socket": "tcpSocket",
    "grpc": "grpc",
    "sleep": "sleep",
}


def _handler(
    found: Findings, given: Probe | LifecycleHandler, kinds: tuple[str, ...], path: Path
) -> None:
    chosen = [kind for kind in kinds if getattr(given, kind) is not None]
    words = ", ".join(_JSON[kind] for kind in kinds)
    if not chosen:
        found.required(path, f"it needs one of {words}")
    for kind in chosen[1:]:
        found.forbidden((*path, _JSON[kind]), f"may not specify more than 1 of {words}")
    for kind in chosen:
        _action(found, getattr(given, kind), (*path, _JSON[kind]))


def _action(found: Findings, action: object, path: Path) -> None:
    if isinstance(action, ExecAction):
        if not action.command:
            found.required((*path, "command"))
    elif isinstance(action, HTTPGetAction):
        _port(found, action.port, (*path, "port"))
        found.one_of((*path, "scheme"), action.scheme, ("HTTP", "HTTPS"))
        for at, header in enumerate(action.http_headers):
            if not header.name:
                found.required((*path, "httpHeaders", at, "name"))
    else:
        port = getattr(action, "port", None)
        if port is not None:
            _port(found, port, (*path, "port"), named=isinstance(action, TCPSocketAction))
        found.at_least((*path, "seconds"), getattr(action, "seconds", None), 0)


def _port(found: Findings, port: int | str, path: Path, *, named: bool = True) -> None:
    if isinstance(port, int):
        found.between(path, port, 1, MAX_PORT)
    elif not port:
        found.required(path)
    elif named:
        found.name(path, port, names.port_name(port))
