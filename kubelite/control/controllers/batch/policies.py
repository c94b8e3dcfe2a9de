"""What a Job's ``podFailurePolicy`` and ``successPolicy`` say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kubelite.control.controllers.batch import indexes
from kubelite.control.controllers.shared.meta import Obj, name_of, namespace_of, spec_of, status_of


class Verdict(NamedTuple):
    """What the policy makes of a failed pod: ``action`` is Ignore, Count, FailIndex, FailJob, or ""
    where no rule matches; ``message`` says why the Job fails.
    """

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts towards the back-off limit."""
        return self.action != "Ignore"


def judge(job: Obj, pod: Obj) -> Verdict:
    """What the first matching rule makes of a failed pod."""
    policy = spec_of(job).get("podFailurePolicy") or {}
    for number, rule in enumerate(policy.get("rules") or ()):
        reason = _reason(rule, pod)
        if reason:
            action = str(rule.get("action"))
            message = f"{reason} matching {action} rule at index {number}"
            return Verdict(action, message if action == "FailJob" else "")
    return Verdict()


def _reason(rule: Obj, pod: Obj) -> str:
    """Why a rule matches; "" where it does not."""
    place = f"{namespace_of(pod)}/{name_of(pod)}"
    if rule.get("onExitCodes"):
        for container, code in _exit_codes(pod):
            if _matches_code(rule["onExitCodes"], container, code):
                return f"Container {container} for pod {place} failed with exit code {code}"
        return ""
    for pattern in rule.get("onPodConditions") or ():
        for condition in status_of(pod).get("conditions") or ():
            is_same = condition.get("type") == pattern.get("type")
            if is_same and condition.get("status") == (pattern.get("status") or "True"):
                return f"Pod {place} has condition {condition.get('type')}"
    return ""


def _exit_codes(pod: Obj) -> Iterator[tuple[str, int]]:
    """Containers that ended with a code other than zero, with their codes."""
    status = status_of(pod)
    for field in ("containerStatuses", "initContainerStatuses"):
        for container in status.get(field) or ():
            ended = (container.get("state") or {}).get("terminated")
            if ended and ended.get("exitCode"):
                yield str(container.get("name")), int(ended["exitCode"])


def _matches_code(requirement: Obj, container: str, code: int) -> bool:
    if requirement.get("containerName") not in (None, container):
        return False
    is_listed = code in (requirement.get("values") or ())
    return is_listed if requirement.get("operator") == "In" else not is_listed


def success_message(job: Obj, succeeded: Iterable[int]) -> str:
    """Which rule of the success policy is fulfilled; "" for none."""
    spec = spec_of(job)
    completions = int(spec.get("completions") or 0)
    done = set(succeeded)
    for number, rule in enumerate((spec.get("successPolicy") or {}).get("rules") or ()):
        if _is_fulfilled(rule, done, completions):
            return f"Matched rules at index {number}"
    return ""


def _is_fulfilled(rule: Obj, done: set[int], completions: int) -> bool:
    """All the indexes that a rule names, or ``succeededCount`` of them (of all, where it names
    none).
    """
    count = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return count is not None and len(done) >= int(count)
    required = indexes.parse(rule["succeededIndexes"], completions)
    if count is None:
        return required <= done
    return len(required & done) >= int(count)
