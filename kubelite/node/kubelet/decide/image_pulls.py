"""When an image whose pull has failed is pulled again, and what a pod says of its pulls. Pure.

Numbers and sentences are the kubelet's (``pkg/kubelet/images``, flowcontrol's Backoff): 10 s after
the first failure, doubled up to 5 minutes, for each image of each pod. A success forgets nothing:
only a failure that is older than twice the maximum does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubelite.node.kubelet.decide.node_config import (
    ALWAYS_VERIFY,
    NEVER_VERIFY_LISTED,
    NEVER_VERIFY_PRELOADED,
)
from kubelite.node.kubelet.decide.restart_policy import FIRST_BACKOFF, MAX_BACKOFF, SECOND

HOPELESS = {"InvalidImageName": "InspectFailed", "ErrImageNeverPull": "ErrImageNeverPull"}
"""Why nothing is pulled, and the reason of the event that says so."""
LOOK_AGAIN = SECOND
"""How long a failed pull shows as ErrImagePull before it shows as ImagePullBackOff: until the
kubelet's next look at the pod, which its relist of containers brings about each second."""


SHOW_SECONDS = 1.0
"""How often the status of a pod says how far its pull is."""
FIRST_EVENT, MAX_EVENT = 10.0, 300.0
"""Seconds until the first event about a pull that goes on, doubled from one to the next."""


class FailedPull(NamedTuple):
    """The last failure of an image: at ``at`` (CLOCK_BOOTTIME), with the wait after it, both in
    nanoseconds. ``message`` begins with the reason.
    """

    at: int
    backoff: int
    message: str


def after_failure(previous: FailedPull | None, now: int, message: str) -> FailedPull:
    """What is remembered of a failure, with the wait that follows from the one before."""
    if previous is None or now - previous.at > 2 * MAX_BACKOFF:
        return FailedPull(now, FIRST_BACKOFF, message)
    return FailedPull(now, min(2 * previous.backoff, MAX_BACKOFF), message)


class PullReports:
    """When it is time to say how far a pull is. Times are seconds of one monotonic clock."""

    def __init__(self, began: float) -> None:
        self._shown = began
        self._event = began + FIRST_EVENT
        self._wait = FIRST_EVENT

    def shows(self, now: float) -> bool:
        """Whether the status is to say so now."""
        if now - self._shown < SHOW_SECONDS:
            return False
        self._shown = now
        return True

    def announces(self, now: float) -> bool:
        """Whether an event is to say so now."""
        if now < self._event:
            return False
        self._wait = min(2 * self._wait, MAX_EVENT)
        self._event = now + self._wait
        return True


def must_verify(policy: str, allowed: Sequence[str], repository: str, *, is_pulled: bool) -> bool:
    """Whether a pod has to have credentials that worked for an image that is there. ``allowed`` are
    names without a tag, or beginnings with ``/*`` behind; ``is_pulled``: it came from a registry,
    not from an archive.
    """
    if policy == NEVER_VERIFY_LISTED:
        return not any(
            repository.startswith(name[:-1]) if name.endswith("/*") else repository == name
            for name in allowed
        )
    return policy == ALWAYS_VERIFY or (policy == NEVER_VERIFY_PRELOADED and is_pulled)


def backs_off(failed: FailedPull | None, now: int) -> bool:
    """Whether it is too early to pull again."""
    return failed is not None and now < failed.at + failed.backoff


def backing_off(image: str) -> str:
    """The message of the BackOff event."""
    return f'Back-off pulling image "{image}"'


def pulling(image: str) -> str:
    """The message of the Pulling event."""
    return f'Pulling image "{image}"'


def pulled(image: str, seconds: float, waited: float, size: int) -> str:
    """The message of the Pulled event: ``waited`` seconds passed before the pull, which took
    ``seconds``; ``size`` is that of the image in bytes.
    """
    return (
        f'Successfully pulled image "{image}" in {go_duration(seconds)} '
        f"({go_duration(seconds + waited)} including waiting). Image size: {size} bytes."
    )


def go_duration(seconds: float) -> str:
    """A duration to the millisecond as Go writes it: ``393ms``, ``1.2s``, ``2m0.5s``."""
    milliseconds = int(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
