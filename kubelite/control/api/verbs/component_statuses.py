"""``componentstatuses``: whether the parts of the control plane are alive, computed when asked for.

The store answers for itself; the scheduler and the controllers by the Lease that their leader
renews.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from kubelite.control.api.verbs.read import list_options, shown, shown_list
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import not_found
from kubelite.control.store.types import StoreError
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.request import Request

_LEADERS = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
_NAMES = ("scheduler", "controller-manager", "etcd-0")
_STALE = timedelta(seconds=15)  # leaseDurationSeconds of the leader election


async def get_status(context: Context, request: Request) -> Answer:
    """GET of one. Raises StatusError 404."""
    if request.name not in _NAMES:
        raise not_found(request.resource, request.name)
    return shown(request, await _status(context, request.name))


async def list_statuses(context: Context, request: Request) -> Answer:
    """GET of all of them. Raises StatusError."""
    selector = (await list_options(request)).selector
    statuses = [await _status(context, name) for name in _NAMES]

    def selected() -> Answer:
        return shown_list(request, [status for status in statuses if selector.matches(status)], {})

    return await aside(len(statuses) * selector.work, selected)


async def _status(context: Context, name: str) -> Object:
    healthy, message = await (
        _leader(context, _LEADERS[name]) if name in _LEADERS else _store(context)
    )
    condition = {"type": "Healthy", "status": "True" if healthy else "False", "message": message}
    metadata = {"name": name, "creationTimestamp": None}
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": metadata,
        "conditions": [condition],
    }


async def _store(context: Context) -> tuple[bool, str]:
    try:
        await context.store.get("namespaces", "", "kube-system")
    except StoreError as error:
        return False, str(error)
    return True, "ok"


async def _leader(context: Context, lease: str) -> tuple[bool, str]:
    entry = await context.store.get("leases", "kube-system", lease)
    spec = (load(entry).get("spec") or {}) if entry is not None else {}
    renewed = spec.get("renewTime")
    if not renewed:
        return False, f"no leader has taken the Lease kube-system/{lease}"
    age = datetime.now(UTC) - datetime.fromisoformat(renewed)
    if age > max(_STALE, timedelta(seconds=spec.get("leaseDurationSeconds") or 0)):
        return False, f"the Lease kube-system/{lease} was renewed {age.seconds} s ago"
    return True, "ok"
