"""The cells of a pod: kubectl's columns, as ``objects/rules/printing`` reads them off a pod.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.tables.text import NONE, age_of, lookup, name_of
from kubelite.objects.rules import printing

if TYPE_CHECKING:
    from datetime import datetime


def cells(pod: dict[str, Any], now: datetime) -> list[Any]:
    """Name, Ready, Status, Restarts, Age; IP, Node, Nominated Node, Readiness Gates."""
    printed = printing.printed(pod)
    return [
        name_of(pod),
        f"{printed.ready}/{printed.total}",
        printed.reason,
        printing.restarts(printed, now),
        age_of(pod, now),
        printing.address(pod),
        lookup(pod, "spec.nodeName") or NONE,
        lookup(pod, "status.nominatedNodeName") or NONE,
        printing.readiness_gates(pod),
    ]
