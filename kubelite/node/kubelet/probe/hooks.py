"""Runs postStart and preStop hooks.

As in the kubelet, any response to httpGet is a success. The kubelet does not run tcpSocket at all;
here it succeeds once the connection is established.
"""

from __future__ import annotations

import time

from kubelite.core.errors import CoreError
from kubelite.node.cgroup.errors import CgroupError
from kubelite.node.kubelet.probe.probing import execute, port_of
from kubelite.node.kubelet.probe.target import Target
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.objects.pod.container import (
    ExecAction,
    HTTPGetAction,
    LifecycleHandler,
    TCPSocketAction,
)

_AGENT = "kube-lifecycle/1.36"


def run_hook(handler: LifecycleHandler, target: Target, timeout: float) -> str:
    """Runs a hook for at most about ``timeout`` seconds; returns "" on success, else the error
    message. Never raises.
    """
    try:
        if handler.exec is not None:
            return _execute(handler.exec, target, timeout)
        if handler.http_get is not None:
            return _get(handler.http_get, target, timeout)
        if handler.tcp_socket is not None:
            return _connect(handler.tcp_socket, target, timeout)
        if handler.sleep is not None:
            time.sleep(min(handler.sleep.seconds, timeout))
            return ""
    except (CoreError, CgroupError, RuntimeFailure, OSError, ValueError) as error:
        return f'Lifecycle hook for Container "{target.container.name}" failed - error: {error}'
    return f'Cannot run handler of Container "{target.container.name}": it has no action'


def _execute(action: ExecAction, target: Target, timeout: float) -> str:
    outcome, words = execute(action, target, timeout)
    if outcome.code == 0:
        return ""
    command, output = " ".join(words), outcome.output.decode("utf-8", "replace")
    failure = f"exited with {outcome.code}: {output}"
    if outcome.code is None:
        failure = f"timed out after {timeout:g}s"
    return (
        f'Exec lifecycle hook ([{command}]) for Container "{target.container.name}" failed - '
        f"error: command '{command}' {failure}"
    )


def _get(action: HTTPGetAction, target: Target, timeout: float) -> str:
    from kubelite.node.kubelet.probe import http_probe
    from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable

    port = port_of(action.port, target)
    try:
        http_probe.get(target.netns_pid, action, target.pod_ip, port, Deadline(timeout), _AGENT)
    except Unreachable as error:
        path, name = action.path or "/", target.container.name
        return f'HTTP lifecycle hook ({path}) for Container "{name}" failed - error: {error}'
    return ""


def _connect(action: TCPSocketAction, target: Target, timeout: float) -> str:
    from kubelite.node.kubelet.probe.tcp_connect import Deadline, Unreachable, dial

    host, port = action.host or target.pod_ip, port_of(action.port, target)
    try:
        dial(target.netns_pid, host, port, Deadline(timeout)).close()
    except (Unreachable, TimeoutError) as error:
        failure, name = str(error) or "i/o timeout", target.container.name
        return (
            f'TCP lifecycle hook ({action.port}) for Container "{name}" failed - error: {failure}'
        )
    return ""
