"""Rules about probes and hooks of containers. Documents in, causes out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    each_invalid,
    forbidden,
    invalid,
    not_negative,
    not_supported,
    one_of,
    required,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROBE_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_HOOK_HANDLERS = ("exec", "httpGet", "tcpSocket", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
SCHEMES = ("HTTP", "HTTPS")
_SIGNALS = (
    "SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT "
    "SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGRTMAX "
    + " ".join(sorted(f"SIGRTMAX-{n}" for n in range(1, 15)))
    + " SIGRTMIN "
    + " ".join(sorted(f"SIGRTMIN+{n}" for n in range(1, 16)))
    + " SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 "
    "SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ"
)
SIGNALS = {"linux": tuple(_SIGNALS.split()), "windows": ("SIGKILL", "SIGTERM")}
"""Signals that may end a container, by operating system."""


def probes(container: Object, grace_seconds: int | None, path: Path) -> Iterator[Cause]:
    """The three probes of a container that goes on running."""
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(kind)
        if probe is None:
            continue
        here = (*path, kind)
        yield from _probe(probe, grace_seconds, here)
        if kind == "readinessProbe":
            seconds = probe.get("terminationGracePeriodSeconds")
            if seconds is not None:
                field = (*here, "terminationGracePeriodSeconds")
                yield invalid(field, seconds, "must not be set for readinessProbes")
        elif probe.get("successThreshold", 0) != 1:
            count = probe.get("successThreshold", 0)
            yield invalid((*here, "successThreshold"), count, "must be 1")


def _probe(probe: Object, grace_seconds: int | None, path: Path) -> Iterator[Cause]:
    yield from _handler(probe, _PROBE_HANDLERS, grace_seconds, path)
    for field in _COUNTS:
        yield from not_negative((*path, field), probe.get(field))
    seconds = probe.get("terminationGracePeriodSeconds")
    if seconds is not None and seconds <= 0:
        yield invalid((*path, "terminationGracePeriodSeconds"), seconds, "must be greater than 0")


def lifecycle(container: Object, grace_seconds: int | None, os: str, path: Path) -> Iterator[Cause]:
    """The hooks of a container and the signal that ends it; ``os`` is "" where the pod names
    none.
    """
    hooks = container.get("lifecycle")
    if hooks is None:
        return
    for event in ("postStart", "preStop"):
        if hooks.get(event) is not None:
            here = (*path, "lifecycle", event)
            yield from _handler(hooks[event], _HOOK_HANDLERS, grace_seconds, here)
    if "stopSignal" in hooks:
        yield from _stop_signal(hooks["stopSignal"], os, (*path, "lifecycle", "stopSignal"))


def _stop_signal(signal: str, os: str, path: Path) -> Iterator[Cause]:
    # Kubernetes asks for spec.os beside it; here the machines run Linux.
    known = SIGNALS.get(os or "linux")
    if known is not None and signal not in known:
        yield not_supported(path, signal, known)


def _handler(
    holder: Object, kinds: tuple[str, ...], grace_seconds: int | None, path: Path
) -> Iterator[Cause]:
    chosen = [kind for kind in kinds if kind in holder]
    if not chosen:
        yield required(path, "must specify a handler type")
    for kind in chosen[:1]:
        yield from _action(kind, holder[kind] or {}, grace_seconds, (*path, kind))
    for kind in chosen[1:]:
        yield forbidden((*path, kind), "may not specify more than 1 handler type")


def _action(kind: str, action: Object, grace_seconds: int | None, path: Path) -> Iterator[Cause]:
    if kind == "exec":
        if not action.get("command"):
            yield required((*path, "command"))
    elif kind == "httpGet":
        yield from _http_get(action, path)
    elif kind == "sleep":
        yield from _sleep(action.get("seconds", 0), grace_seconds, path)
    else:
        yield from port(action.get("port", 0), (*path, "port"))


def _http_get(action: Object, path: Path) -> Iterator[Cause]:
    if not action.get("path"):
        yield required((*path, "path"))
    yield from port(action.get("port", 0), (*path, "port"))
    yield from one_of((*path, "scheme"), action.get("scheme", ""), SCHEMES)
    for header in action.get("httpHeaders") or ():
        name = header.get("name", "")
        yield from each_invalid((*path, "httpHeaders"), name, names.http_header(name))


def _sleep(seconds: int, grace_seconds: int | None, path: Path) -> Iterator[Cause]:
    if grace_seconds is not None and not 0 <= seconds <= grace_seconds:
        why = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_seconds})"
        yield invalid(path, seconds, why)


def port(value: int | str, path: Path) -> Iterator[Cause]:
    """A port by number, or by the name it has in the container."""
    clauses = names.port_number(value) if isinstance(value, int) else names.port_name(value)
    yield from each_invalid(path, value, clauses)
