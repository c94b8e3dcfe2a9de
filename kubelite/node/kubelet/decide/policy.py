"""Which container is started again, and after how long; what counts as started, ready and over.
Pure.

The rules and numbers are the kubelet's: the first restart comes at once, the next after 10 s, then
twice as long each time, 5 minutes at most; a container that ran for longer than twice that begins
anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from kubelite.node.runtime.records import HOOK_OVER, Observed, PastRecord, Seen
from kubelite.objects.pod.container import Container, ContainerRestartRule, Probe
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.qos import is_sidecar

SECOND = 1_000_000_000
FIRST_BACKOFF = 10 * SECOND
MOST_BACKOFF = 300 * SECOND
RESTART_ALL = "RestartAllContainers"
"""The action of a restart rule that is about the whole pod (Kubernetes 1.36)."""
LOST = 137
"""The exit code that the kubelet gives a container whose end nobody has seen."""
DEFAULT_GRACE = 30
"""terminationGracePeriodSeconds where a pod does not say."""
CAP_ANNOTATION = "kubelite.io/max-container-restart-period"
"""A pod's own limit of the back-off, in seconds from 1 to 300; it goes before the node's."""


class Member(NamedTuple):
    """A container of a pod and what is there of it."""

    container: Container
    init: bool
    seen: Seen | None

    @property
    def sidecar(self) -> bool:
        return self.init and is_sidecar(self.container)

    @property
    def running(self) -> bool:
        return self.seen is not None and self.seen.running

    @property
    def past(self) -> PastRecord | None:
        """The note on how its last attempt ended; None while it runs or nothing is noted yet."""
        return self.seen.past if self.seen is not None else None


def members(pod: Pod, seen: Observed) -> tuple[list[Member], list[Member]]:
    """Init containers and main containers, in the order of the specification."""
    by_name = {each.record.name: each for each in seen.containers}
    inits = [Member(c, True, by_name.get(c.name)) for c in pod.spec.init_containers]
    return inits, [Member(c, False, by_name.get(c.name)) for c in pod.spec.containers]


def grace(pod: Pod) -> int:
    """Seconds between the wish that the pod ends and SIGKILL."""
    own = pod.spec.termination_grace_period_seconds
    return DEFAULT_GRACE if own is None else own


# -- restarts -----------------------------------------------------------------------------------------------------------


def restarts(pod: Pod, container: Container, *, init: bool, code: int) -> bool:
    """Whether a container that ended with ``code`` is started again. An init container that ended
    well never is.
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
    """The first of its restartPolicyRules that is about an exit with ``code``."""
    return next((rule for rule in container.restart_policy_rules if _matches(rule, code)), None)


def _matches(rule: ContainerRestartRule, code: int) -> bool:
    about = rule.exit_codes
    return about is not None and (code in about.values) == (about.operator == "In")


def restarts_all(member: Member) -> bool:
    """Whether the end of this container is to restart the whole pod, and has not done so yet."""
    past = member.past
    rule = rule_for(member.container, past.code) if past is not None and not past.again else None
    return rule is not None and rule.action == RESTART_ALL


def comes_again(pod: Pod, member: Member) -> bool:
    """Whether a container that has ended will be started again, by its policy or because somebody
    asked for it.
    """
    if member.past is not None and member.past.again:
        return True
    last = code(member)
    return last is not None and restarts(pod, member.container, init=member.init, code=last)


def cap(pod: Pod, node: int) -> int:
    """The longest back-off in nanoseconds: the pod's annotation, else ``node``'s."""
    text = pod.metadata.annotations.get(CAP_ANNOTATION, "")
    seconds = int(text) if text.isascii() and text.isdigit() else 0
    return seconds * SECOND if 1 <= seconds <= 300 else node


def waits(backoff: int, ran: int, most: int) -> int:
    """Nanoseconds between an end and the next start, for a container that ``ran`` so long under a
    ``backoff``.
    """
    return 0 if ran > 2 * most else min(backoff, most)


def next_backoff(waited: int, most: int) -> int:
    """The back-off of the attempt that follows one after whose end ``waited`` nanoseconds had to
    pass.
    """
    return min(2 * waited or FIRST_BACKOFF, most)


# -- started, ready, over -----------------------------------------------------------------------------------------------


def is_started(member: Member) -> bool:
    """Whether it runs, with postStart and startup probe behind it."""
    seen, container = member.seen, member.container
    if seen is None or not seen.running:
        return False
    hooked = not has_hook(container, "post_start") or seen.record.hooked == HOOK_OVER
    return hooked and (container.startup_probe is None or seen.record.startup_ok)


def is_ready(member: Member) -> bool:
    """Whether it takes requests: started, and its readiness probe says so."""
    seen = member.seen
    return (
        is_started(member)
        and seen is not None
        and (member.container.readiness_probe is None or seen.record.ready_ok)
    )


def has_hook(container: Container, name: str) -> bool:
    """Whether it has ``post_start`` or ``pre_stop``."""
    return container.lifecycle is not None and getattr(container.lifecycle, name) is not None


def probes(container: Container) -> Iterator[Probe]:
    """Those that it has."""
    for each in (container.startup_probe, container.liveness_probe, container.readiness_probe):
        if each is not None:
            yield each


def is_open(seen: Seen) -> bool:
    """Whether its start was put on record and nobody has heard how it went."""
    return seen.exit is None and seen.record.ticks == 0 and seen.record.pid >= 0


def ended(member: Member) -> bool:
    """Whether its last attempt is over."""
    return member.seen is not None and not member.seen.running and not is_open(member.seen)


def code(member: Member) -> int | None:
    """The exit code of its last attempt; None while that runs or there was none. An end that nobody
    saw counts as 137.
    """
    if member.seen is None or not ended(member):
        return None
    return member.seen.exit.code if member.seen.exit is not None else LOST


def runs_again_when_asked(member: Member) -> bool:
    """Whether a start or restart of the whole pod is about it: not if it is an init container that
    has done its work.
    """
    return not member.init or is_sidecar(member.container) or code(member) != 0


def done_here(member: Member, sandbox: str) -> bool:
    """Whether an init container has done its work in this sandbox."""
    return code(member) == 0 and member.seen is not None and member.seen.record.sandbox == sandbox


def is_over(pod: Pod, seen: Observed) -> bool:
    """Whether the pod has come to its end: failed as a whole, or its containers have ended and none
    comes again.
    """
    if seen.pod.reason:
        return True
    inits, mains = members(pod, seen)
    if any(not m.sidecar and ended(m) and code(m) != 0 and not comes_again(pod, m) for m in inits):
        return True
    if mains and all(ended(m) and not comes_again(pod, m) for m in mains):
        return True
    return _lost_its_sandbox(pod, seen, inits, mains)


def _lost_its_sandbox(pod: Pod, seen: Observed, inits: list[Member], mains: list[Member]) -> bool:
    """With restartPolicy Never a sandbox that died after anything ran in it is not made again."""
    if (
        seen.up
        or (pod.spec.restart_policy or "Always") != "Never"
        or any(comes_again(pod, m) for m in mains)
    ):
        return False
    return any(m.seen is not None for m in (*inits, *mains))
