"""Running what a container wants to happen after its start or before its end.

As with the kubelet any answer to httpGet will do. The kubelet cannot run tcpSocket at all; here it
has done its work once a connection stands.
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
    """ "" when it went well, else what went wrong; takes hardly longer than ``timeout`` seconds.
    Never raises.
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
    return f'Cannot run handler of Container "{target.container.name}": it says nothing to do'


def _execute(action: ExecAction, target: Target, timeout: float) -> str:
    ran, words = execute(action, target, timeout)
    if ran.code == 0:
        return ""
    command, output = " ".join(words), ran.output.decode("utf-8", "replace")
    why = (
        f"timed out after {timeout:g}s" if ran.code is None else f"exited with {ran.code}: {output}"
    )
    return (
        f'Exec lifecycle hook ([{command}]) for Container "{target.container.name}" failed - '
        f"error: command '{command}' {why}"
    )


def _get(action: HTTPGetAction, target: Target, timeout: float) -> str:
    from kubelite.node.kubelet.probe import http_probe
    from kubelite.node.kubelet.probe.reach import Deadline, Unreached

    port = port_of(action.port, target)
    try:
        http_probe.get(target.netns_pid, action, target.pod_ip, port, Deadline(timeout), _AGENT)
    except Unreached as error:
        where = action.path or "/"
        return f'HTTP lifecycle hook ({where}) for Container "{target.container.name}" failed - error: {error}'
    return ""


def _connect(action: TCPSocketAction, target: Target, timeout: float) -> str:
    from kubelite.node.kubelet.probe.reach import Deadline, Unreached, dial

    host, port = action.host or target.pod_ip, port_of(action.port, target)
    try:
        dial(target.netns_pid, host, port, Deadline(timeout)).close()
    except (Unreached, TimeoutError) as error:
        why = str(error) or "i/o timeout"
        return f'TCP lifecycle hook ({action.port}) for Container "{target.container.name}" failed - error: {why}'
    return ""
