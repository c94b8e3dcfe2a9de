"""Why a pod is Pending: the sentence of its condition and of the Event FailedScheduling, as
Kubernetes puts it. Pure.

What each filter contributes is in :mod:`kubelite.control.scheduler.plugins.reasons`.
"""

from __future__ import annotations

from collections.abc import Mapping

NO_NODES = "no nodes available to schedule pods"


def counted(total: int, reasons: Mapping[str, int]) -> str:
    """``0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.``"""
    parts = sorted(f"{count} {text}" for text, count in reasons.items())
    return f"0/{total} nodes are available:" + (f" {', '.join(parts)}." if parts else "")


def whole(total: int, problem: str) -> str:
    """The sentence for what keeps a pod from every node alike."""
    return f"0/{total} nodes are available: {problem}."


def with_preemption(sentence: str, outcome: str) -> str:
    """The sentence, and what came of preemption; "" where victims were found."""
    return f"{sentence} preemption: {outcome}" if outcome else sentence


def after_post_filters(sentence: str, problem: str, outcome: str) -> str:
    """The sentence as a whole scheduler says it since Kubernetes 1.34, where DynamicResources is
    asked for help before preemption.

    A ``problem`` of the whole pod was found before DynamicResources had seen it: it then says that
    it has "not found" its state, which ends the search for help.
    """
    if problem:
        return f"{sentence} not found"
    return f"{sentence} no new claims to deallocate, preemption: {outcome}" if outcome else sentence
