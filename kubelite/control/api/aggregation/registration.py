"""The APIServices of what this server serves itself: of built-in versions from the start, of custom
ones as long as a definition serves them (kube-aggregator, ``autoregister``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.control.api.admission.namespaces import creation
from kubelite.control.api.aggregation import availability
from kubelite.control.api.aggregation.services import PREFIX
from kubelite.control.api.discovery import priorities
from kubelite.control.api.strategy.commit import remove
from kubelite.control.api.verbs.custom_definitions import PREFIX as DEFINITIONS
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.control.store.types import Conflict
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.store.store import Store

_MANAGED = "kube-aggregator.kubernetes.io/automanaged"


def builtin(group: str, version: str) -> Object:
    """The APIService of a built-in version."""
    most = priorities.group_priority(group), priorities.version_priority(group, version)
    return _local(group, version, most, "onstart")


def _local(group: str, version: str, priority: tuple[int, int], managed: str) -> Object:
    spec: Object = {
        "version": version,
        "groupPriorityMinimum": priority[0],
        "versionPriority": priority[1],
    }
    obj: Object = {
        "kind": "APIService",
        "apiVersion": "apiregistration.k8s.io/v1",
        "metadata": {"name": f"{version}.{group}", "labels": {_MANAGED: managed}},
        "spec": {**spec, "group": group} if group else spec,
        "status": {},
    }
    return availability.with_condition(obj, availability.LOCAL, timestamp())


async def settle(store: Store, res: Resource) -> None:
    """Registers the versions of custom definitions, and takes away those that none serves any more.
    What somebody else wrote under such a name stays. Raises StoreError.
    """
    definitions = [load(entry) for entry in (await store.page(DEFINITIONS)).entries]
    wanted = {
        f"{version['name']}.{crd['spec']['group']}": (crd["spec"]["group"], version["name"])
        for crd in definitions
        for version in crd["spec"]["versions"]
        if version.get("served")
    }
    present = {entry.key.rpartition("/")[2]: entry for entry in (await store.page(PREFIX)).entries}
    try:
        for name in wanted.keys() - present.keys():
            priority = (priorities.CUSTOM, priorities.CUSTOM_VERSION)
            await store.commit([creation(store, res, _local(*wanted[name], priority, "true"))])
        for name in present.keys() - wanted.keys():
            labels = load(present[name])["metadata"].get("labels") or {}
            if labels.get(_MANAGED) == "true":
                await remove(store, res, present[name], companions=[])
    except Conflict:
        return  # another server was quicker: its write wakes us again
