"""What a write to a status may say where several kinds say the same. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubelite.control.api.kinds.common import addresses
from kubelite.control.api.wire import causes
from kubelite.lib.json import Object
from kubelite.objects.facts import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubelite.control.api.wire.status import Cause

_STATUSES = ("False", "True", "Unknown")
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_NO_REASON = (
    "a condition reason must start with alphabetic character, optionally followed by a string of "
    "alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. "
    "'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex "
    f"used for validation is '{_REASON}')"
)
_LONGEST_REASON, _LONGEST_MESSAGE = 1024, 32 * 1024
_ADDRESS_MODES = ("Proxy", "VIP")


def check_conditions(conditions: Iterable[Object], path: str) -> Iterator[Cause]:
    """Conditions of the common form, ``meta/v1.Condition``: each type is there once, and says when
    and why.
    """
    types: set[str] = set()
    for index, condition in enumerate(conditions):
        where, kind = f"{path}[{index}]", condition.get("type", "")
        if kind in types:
            yield causes.duplicate(f"{where}.type", kind)
        types.add(kind)
        yield from _check_condition(condition, where)


def _check_condition(condition: Object, path: str) -> Iterator[Cause]:
    kind, status = condition.get("type", ""), condition.get("status", "")
    reason, message = condition.get("reason", ""), condition.get("message", "")
    for problem in names.qualified(kind):
        yield causes.invalid(f"{path}.type", kind, problem)
    if status not in _STATUSES:
        yield causes.unsupported(f"{path}.status", status, _STATUSES)
    generation = condition.get("observedGeneration", 0)
    if generation < 0:
        why = "must be greater than or equal to zero"
        yield causes.invalid(f"{path}.observedGeneration", generation, why)
    if not condition.get("lastTransitionTime"):
        yield causes.required(f"{path}.lastTransitionTime", "must be set")
    if not reason:
        yield causes.required(f"{path}.reason", "must be set")
    elif not re.fullmatch(_REASON, reason):
        yield causes.invalid(f"{path}.reason", reason, _NO_REASON)
    for field, text, limit in (
        ("reason", reason, _LONGEST_REASON),
        ("message", message, _LONGEST_MESSAGE),
    ):
        if len(text.encode()) > limit:
            yield causes.too_long(f"{path}.{field}", limit)


def check_balancer_points(points: Iterable[Object], path: str) -> Iterator[Cause]:
    """The addresses and names at which a load balancer answers for a Service or an Ingress."""
    for index, point in enumerate(points):
        where = f"{path}[{index}]"
        if address := point.get("ip", ""):
            yield from addresses.check_address(address, f"{where}.ip")
        host = point.get("hostname", "")
        for problem in names.subdomain(host) if host else ():
            yield causes.invalid(f"{where}.hostname", host, problem)
        if host and addresses.family(host):
            why = "must be a DNS name, not an IP address"
            yield causes.invalid(f"{where}.hostname", host, why)


def check_address_modes(points: Iterable[Object], path: str) -> Iterator[Cause]:
    """How traffic to the addresses of a Service's load balancer arrives at a node."""
    for index, point in enumerate(points):
        where, mode = f"{path}[{index}].ipMode", point.get("ipMode")
        if mode is None:
            if point.get("ip"):
                yield causes.required(where, "must be specified when `ip` is set")
        elif not point.get("ip"):
            yield causes.forbidden(where, "may not be specified when `ip` is not set")
        elif mode not in _ADDRESS_MODES:
            yield causes.unsupported(where, mode, _ADDRESS_MODES)
