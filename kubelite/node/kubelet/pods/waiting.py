"""Waits until a pod is ready, has finished, or is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubelite.core.errors import CoreError
from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.runtime import sandbox
from kubelite.node.runtime.errors import NotFound, RuntimeFailure
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.records import PodRecord
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.status import ContainerStatus

_POLL_SECONDS = 0.05
_MAX_SECONDS = 3600.0


def wait(
    home: Home,
    find: Callable[[], PodRecord | None],
    show: Callable[[PodRecord], Pod],
    name: str,
    missing: NotFound,
    condition: str,
    timeout: float | None,
) -> Pod | None:
    """See :meth:`kubelite.node.kubelet.pods.queries.PodQueries.wait`."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        record = find()
        if record is None:
            if condition == "deleted":
                return None
            raise missing
        pod = show(record)
        if _holds(pod, condition):
            return pod
        left = _MAX_SECONDS if deadline is None else deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f'pod "{name}" is not {condition}')
        if condition == "ready":
            _refuse_hopeless(pod, name)
        _pause(home, record.uid, pod, condition, left)


def _holds(pod: Pod, condition: str) -> bool:
    if condition == "exited":
        return has_ended(pod)
    if condition == "ready":
        return (
            any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
            if pod.status
            else False
        )
    return False


def has_ended(pod: Pod) -> bool:
    """Whether no container runs and none will be started any more."""
    return pod.status is not None and pod.status.phase in ("Succeeded", "Failed")


def exit_code(pod: Pod) -> int:
    """The first exit code other than 0 among its containers, init containers first; else 0."""
    if pod.status is None:
        return 0
    for container in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        terminated = container.state.terminated if container.state else None
        if terminated is not None and terminated.exit_code:
            return terminated.exit_code
    return 0


def _refuse_hopeless(pod: Pod, name: str) -> None:
    """Raises RuntimeFailure for a pod that cannot become ready any more."""
    exited = []
    if pod.status is not None:
        exited = [
            container.name
            for container in pod.status.container_statuses
            if _stays_down(pod, container)
        ]
    if exited or has_ended(pod):
        reason = f"{', '.join(exited)} exited" if exited else "it has failed"
        raise RuntimeFailure(
            f'pod "{name}" will not become ready: {reason}',
            hint=f"`kubelite pod ls {name}` shows its state, `kubelite pod logs {name}` its output",
        )


def _stays_down(pod: Pod, container: ContainerStatus) -> bool:
    """Whether it has exited and will not be restarted."""
    terminated = container.state.terminated if container.state is not None else None
    spec = next(
        (candidate for candidate in pod.spec.containers if candidate.name == container.name), None
    )
    return (
        terminated is not None
        and spec is not None
        and not restart_policy.restarts(pod, spec, init=False, code=terminated.exit_code)
    )


def _pause(home: Home, uid: str, pod: Pod, condition: str, left: float) -> None:
    """Until something may have changed. The shim reports the exit of a container at once; other
    changes are polled for.
    """
    running = (
        next((s for s in pod.status.container_statuses if s.state and s.state.running), None)
        if pod.status
        else None
    )
    if condition != "exited" or running is None or running.container_id is None:
        time.sleep(min(_POLL_SECONDS, left))
        return
    try:
        with sandbox.connect(home, uid) as shim:
            shim.exited(shim.ask_wait(running.container_id.removeprefix("kubelite://")), left)
    except TimeoutError:
        return
    except CoreError:
        time.sleep(min(_POLL_SECONDS, left))
