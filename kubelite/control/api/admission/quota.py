"""ResourceQuota, exactly: what an object uses is added to the quota's status in the commit that
stores the object.

Two creations that together exceed a quota cannot both succeed, because both change the quota from
the same revision. What a deleted object used is given back in the commit that removes it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kubelite.control.api.admission.usage import PLAIN, covers, unstated, usage_of
from kubelite.control.api.wire.documents import copy, load, stored
from kubelite.control.api.wire.status import refused
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object
from kubelite.objects.facts import quantity
from kubelite.objects.facts.quantity import Quantity

if TYPE_CHECKING:
    from kubelite.control.api.admission.chain import Attempt, Rule
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.types import Entry

_TRIES = 64


def account(counted: bool) -> Rule:
    """The rule that adds to the quotas of the namespace what a write adds to what is used; it
    raises StatusError 403. ``counted``: this server counts what a new quota covers.
    """

    return partial(_account, counted=counted)


async def _account(attempt: Attempt, counted: bool) -> None:
    res = attempt.request.resource
    if not res.namespaced or attempt.of("", "resourcequotas") or res.plural == "events":
        return
    page = await attempt.context.store.page("resourcequotas", attempt.namespace)
    if not page.entries:
        return
    if attempt.operation == "DELETE" and not attempt.goes:
        return
    for entry in page.entries:
        quota = load(entry)
        hard = (quota.get("status") or {}).get("hard")
        if not hard and counted:
            hard = quota.get("spec", {}).get("hard")
        _charge(attempt, entry, quota, hard or {})


def _charge(attempt: Attempt, entry: Entry, quota: Object, hard: Object) -> None:
    """One quota's change, as a companion of the object's."""
    res = attempt.request.resource
    after = attempt.obj if not attempt.goes and covers(quota, res, attempt.obj) else None
    before = attempt.old if attempt.old is not None and covers(quota, res, attempt.old) else None
    delta = difference(
        usage_of(res, after) if after else {}, usage_of(res, before) if before else {}, hard
    )
    if attempt.creates("", "pods") and after is not None:
        _demand(attempt, quota)
    if not any(delta.values()):
        return
    used = amounts((quota.get("status") or {}).get("used") or {})
    total = {name: max(used.get(name, 0) + delta.get(name, 0), 0) for name in hard}
    over = [
        name
        for name in sorted(hard)
        if delta.get(name, 0) > 0 and total[name] > quantity.parse(hard[name]).nano
    ]
    if over:
        raise refused(
            res, attempt.name, exceeded(quota["metadata"]["name"], over, delta, used, hard)
        )
    value = stored(
        {
            **quota,
            "status": {**(quota.get("status") or {}), "hard": hard, "used": texts(total, hard)},
        }
    )
    change = attempt.context.store.change(
        "resourcequotas",
        attempt.namespace,
        quota["metadata"]["name"],
        value,
        expected=entry.revision,
    )
    attempt.companions.append(change)


def _demand(attempt: Attempt, quota: Object) -> None:
    missing = unstated(quota, attempt.obj)
    if missing:
        text = "; ".join(f"{name} for: {','.join(where)}" for name, where in missing.items())
        why = f"failed quota: {quota['metadata']['name']}: must specify {text}"
        raise refused(attempt.request.resource, attempt.name, why)


def difference(after: dict[str, int], before: dict[str, int], hard: Object) -> dict[str, int]:
    """How much more is used of what a quota limits."""
    return {name: after.get(name, 0) - before.get(name, 0) for name in hard}


def amounts(listed: dict[str, str]) -> dict[str, int]:
    """A resource list in nanos."""
    return {name: quantity.parse(str(amount)).nano for name, amount in listed.items()}


def texts(used: dict[str, int], hard: dict[str, str]) -> dict[str, str]:
    """Amounts as a resource list, each written in the manner of its limit."""
    return {
        name: str(Quantity(used[name], quantity.parse(str(hard[name])).form))
        for name in sorted(used)
    }


def exceeded(
    name: str, over: list[str], delta: dict[str, int], used: dict[str, int], hard: dict[str, str]
) -> str:
    """The sentence about a quota that would be exceeded."""

    def listed(values: dict[str, int]) -> str:
        return ",".join(
            f"{name}={Quantity(values.get(name, 0), quantity.parse(str(hard[name])).form)}"
            for name in over
        )

    limits = ",".join(f"{resource}={hard[resource]}" for resource in over)
    return (
        f"exceeded quota: {name}, requested: {listed(delta)}, used: {listed(used)}, limited: "
        f"{limits}"
    )


async def take_stock(attempt: Attempt) -> None:
    """Counts what is there when a quota is new or has other limits."""
    if attempt.operation == "DELETE" or not attempt.of("", "resourcequotas"):
        return
    if attempt.old is not None and attempt.old.get("spec") == attempt.obj.get("spec"):
        return
    store = attempt.context.store
    for _ in range(_TRIES):
        entry = await store.get("resourcequotas", attempt.namespace, attempt.name)
        if entry is None:
            return
        quota = load(entry)
        hard = quota.get("spec", {}).get("hard") or {}
        used = await _counted(attempt.context, attempt.namespace, quota, hard)
        value = stored({**quota, "status": {"hard": copy(hard), "used": texts(used, hard)}})
        try:
            await store.put(
                "resourcequotas", attempt.namespace, attempt.name, value, expected=entry.revision
            )
        except Conflict:
            continue
        return


async def _counted(context: Context, namespace: str, quota: Object, hard: Object) -> dict[str, int]:
    used = dict.fromkeys(hard, 0)
    for res in _counted_kinds(context, hard):
        for entry in (await context.store.page(res.prefix, namespace)).entries:
            obj = load(entry)
            if covers(quota, res, obj):
                for name, amount in usage_of(res, obj).items():
                    if name in used:
                        used[name] += amount
    return used


def _counted_kinds(context: Context, hard: Object) -> list[Resource]:
    """The kinds whose objects a quota can count."""
    counted = {name[len("count/") :] for name in hard if name.startswith("count/")}
    return [
        res
        for res in context.registry.namespaced()
        if res.group_resource in counted or (res.group == "" and res.plural in ("pods", *PLAIN))
    ]
