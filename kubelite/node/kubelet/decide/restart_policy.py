"""Which containers are restarted, and after which back-off; when one counts as started, ready or
finished. Pure.

The rules and numbers are the kubelet's: the first restart is immediate, the next comes after 10 s,
then the delay doubles up to 5 minutes; it is reset for a container that ran for longer than twice
the maximum.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.runtime.records import (
    HOOK_OVER,
    FinishedAttempt,
    ObservedContainer,
    ObservedPod,
)
from kubelite.objects.pod.container import Container, ContainerRestartRule, Probe
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import is_sidecar
from kubelite.objects.rules.pods.defaults import GRACE_SECONDS

SECOND = 1_000_000_000
FIRST_BACKOFF = 10 * SECOND
MAX_BACKOFF = 300 * SECOND
RESTART_ALL = "RestartAllContainers"
"""The action of a restart rule that is about the whole pod (Kubernetes 1.36)."""
UNKNOWN_EXIT_CODE = 137
"""The kubelet's exit code for a container whose exit was not recorded."""
UNKNOWN_EXIT_MESSAGE = "the container ended while nobody was left to record how"
RETRY = 10 * SECOND
"""The wait before what failed on the node's side is tried again."""
_MOUNT_RETRY, _MAX_MOUNT_RETRY = SECOND // 2, 122 * SECOND
"""The kubelet's waits before a volume is mounted or unmounted again: doubled each time."""
CAP_ANNOTATION = "kubelite.io/max-container-restart-period"
"""The pod's own maximum back-off, in seconds from 1 to 300; it overrides the node's."""


class Member(NamedTuple):
    """A container of the specification, and its last attempt if there was one."""

    container: Container
    init: bool
    observed: ObservedContainer | None

    @property
    def sidecar(self) -> bool:
        return self.init and is_sidecar(self.container)

    @property
    def running(self) -> bool:
        return self.observed is not None and self.observed.running

    @property
    def last_exit(self) -> FinishedAttempt | None:
        """How its last attempt ended; None while it runs or its end is not recorded yet."""
        return self.observed.last_exit if self.observed is not None else None


def mount_retry(failures: int) -> int:
    """Nanoseconds until what has failed so many times is mounted or unmounted again."""
    return min(_MOUNT_RETRY << min(failures, 10), _MAX_MOUNT_RETRY)


def members(pod: Pod, observed: ObservedPod) -> tuple[list[Member], list[Member]]:
    """Init containers and main containers, each in the order of the specification."""
    by_name = {container.record.name: container for container in observed.containers}
    inits = [Member(c, True, by_name.get(c.name)) for c in pod.spec.init_containers]
    return inits, [Member(c, False, by_name.get(c.name)) for c in pod.spec.containers]


def ephemeral_members(pod: Pod, observed: ObservedPod) -> list[Member]:
    """The ephemeral containers, in the order in which they were added."""
    by_name = {container.record.name: container for container in observed.containers}
    return [Member(c, False, by_name.get(c.name)) for c in pod.spec.ephemeral_containers]


def grace(pod: Pod) -> int:
    """The pod's terminationGracePeriodSeconds, in seconds."""
    own = pod.spec.termination_grace_period_seconds
    return GRACE_SECONDS if own is None else own


# -- restarts --------------------------------------------------------------------------------------


def restarts(pod: Pod, container: Container, *, init: bool, code: int) -> bool:
    """Whether a container that exited with ``code`` is restarted. An init container that exited
    with 0 never is.
    """
    if init and is_sidecar(container):
        return True
    if rule_for(container, code) is not None:
        return True
    policy = container.restart_policy or pod.spec.restart_policy or "Always"
    if policy == "Never":
        return False
    return code != 0 or (policy == "Always" and not init)


def rule_for(container: Container, code: int) -> ContainerRestartRule | None:
    """The first of its restartPolicyRules that matches exit code ``code``."""
    return next((rule for rule in container.restart_policy_rules if _matches(rule, code)), None)


def _matches(rule: ContainerRestartRule, code: int) -> bool:
    condition = rule.exit_codes
    return condition is not None and (code in condition.values) == (condition.operator == "In")


def restarts_all(member: Member) -> bool:
    """Whether a rule restarts the whole pod for this container's exit, and has not done so yet."""
    last_exit = member.last_exit
    if last_exit is None or last_exit.force_restart or last_exit.never_created:
        return False
    rule = rule_for(member.container, last_exit.code)
    return rule is not None and rule.action == RESTART_ALL


def will_restart(pod: Pod, member: Member) -> bool:
    """Whether a finished container will be restarted, by its policy or on request. One that could
    not be created has not run, so no policy forbids to try again.
    """
    if member.last_exit is not None and (
        member.last_exit.force_restart or member.last_exit.never_created
    ):
        return True
    code = exit_code(member)
    return code is not None and restarts(pod, member.container, init=member.init, code=code)


def max_backoff(pod: Pod, node_max: int) -> int:
    """The pod's maximum back-off in nanoseconds: its annotation, else the node's."""
    text = pod.metadata.annotations.get(CAP_ANNOTATION, "")
    seconds = int(text) if text.isascii() and text.isdigit() else 0
    return seconds * SECOND if 1 <= seconds <= 300 else node_max


def backoff_after(backoff: int, ran: int, max_backoff: int) -> int:
    """Nanoseconds between an exit and the next start, for an attempt that ``ran`` so many
    nanoseconds and carried ``backoff``.
    """
    return 0 if ran > 2 * max_backoff else min(backoff, max_backoff)


def next_backoff(waited: int, max_backoff: int) -> int:
    """The back-off that the next attempt carries, after one that was delayed by ``waited``
    nanoseconds.
    """
    return min(2 * waited or FIRST_BACKOFF, max_backoff)


# -- started, ready, finished ----------------------------------------------------------------------


def is_started(member: Member) -> bool:
    """Whether it runs, its postStart hook is over and its startup probe has succeeded."""
    observed, container = member.observed, member.container
    if observed is None or not observed.running:
        return False
    hook_over = (
        not has_hook(container, "post_start") or observed.record.post_start_hook == HOOK_OVER
    )
    return hook_over and (container.startup_probe is None or observed.record.startup_ok)


def is_ready(member: Member) -> bool:
    """Whether it is started and its readiness probe, if any, succeeds."""
    observed = member.observed
    return (
        is_started(member)
        and observed is not None
        and (member.container.readiness_probe is None or observed.record.ready_ok)
    )


def has_hook(container: Container, name: str) -> bool:
    """Whether it has ``post_start`` or ``pre_stop``."""
    return container.lifecycle is not None and getattr(container.lifecycle, name) is not None


def probes(container: Container) -> Iterator[Probe]:
    """Its probes."""
    for probe in (container.startup_probe, container.liveness_probe, container.readiness_probe):
        if probe is not None:
            yield probe


def is_start_pending(observed: ObservedContainer) -> bool:
    """Whether its start was recorded but not answered: whoever requested it may be dead."""
    return observed.exit is None and observed.record.ticks == 0 and observed.record.pid >= 0


def has_exited(member: Member) -> bool:
    """Whether its last attempt has ended."""
    observed = member.observed
    return observed is not None and not observed.running and not is_start_pending(observed)


def exit_code(member: Member) -> int | None:
    """The exit code of its last attempt, 137 where it was not recorded; None for one that runs or
    was never started.
    """
    if member.observed is None or not has_exited(member):
        return None
    return member.observed.exit.code if member.observed.exit is not None else UNKNOWN_EXIT_CODE


def restarts_on_request(member: Member) -> bool:
    """Whether `pod start` and `pod restart` start it: not an init container that has completed."""
    return not member.init or is_sidecar(member.container) or exit_code(member) != 0


def completed_in(member: Member, sandbox: str) -> bool:
    """Whether an init container has exited with 0 in this sandbox."""
    observed = member.observed
    return observed is not None and exit_code(member) == 0 and observed.record.sandbox == sandbox


def is_finished(pod: Pod, observed: ObservedPod) -> bool:
    """Whether the pod will start nothing any more: it has failed as a whole, or its containers have
    exited and none will be restarted.
    """
    if observed.pod.reason:
        return True
    inits, mains = members(pod, observed)
    if any(_has_failed_for_good(pod, member) for member in inits):
        return True
    if mains and all(has_exited(m) and not will_restart(pod, m) for m in mains):
        return True
    return _has_lost_sandbox(pod, observed, inits, mains)


def _has_failed_for_good(pod: Pod, init: Member) -> bool:
    return (
        not init.sidecar
        and has_exited(init)
        and exit_code(init) != 0
        and not will_restart(pod, init)
    )


def _has_lost_sandbox(
    pod: Pod, observed: ObservedPod, inits: list[Member], mains: list[Member]
) -> bool:
    """With restartPolicy Never the kubelet does not recreate a sandbox in which anything ran."""
    if (
        observed.up
        or (pod.spec.restart_policy or "Always") != "Never"
        or any(will_restart(pod, m) for m in mains)
    ):
        return False
    return any(m.observed is not None for m in (*inits, *mains))
