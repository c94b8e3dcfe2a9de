"""Plain objects, and a world of them that carries plans out: what a server and a kubelet would do,
without either.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from kubelite.client.resources import GroupVersionResource, of_kind
from kubelite.control.api.patching.patch import merge
from kubelite.control.controllers.actions import (
    Action,
    Clear,
    Confirm,
    Create,
    Delete,
    Emit,
    Outcome,
    Patch,
    Plan,
    Refusal,
    Step,
    Update,
)
from kubelite.control.controllers.shared.meta import format_time
from kubelite.control.controllers.view import INDEXES, FixedView

Object = dict[str, Any]
NOW = 1_800_000_000.0


def template(**labels: str) -> Object:
    return {
        "metadata": {"labels": labels or {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "img:1"}]},
    }


def owner(kind: str, name: str = "web", api_version: str = "apps/v1", **spec: Any) -> Object:
    """A workload with a selector for app=web."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": format_time(NOW - 1000),
        },
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def pod(
    name: str,
    *,
    of: Object | None = None,
    labels: Object | None = None,
    node: str = "",
    phase: str = "Pending",
    ready_at: float | None = None,
    created: float = NOW - 100,
    **metadata: Any,
) -> Object:
    """A pod; ``ready_at`` makes it Ready since then."""
    found: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "creationTimestamp": format_time(created),
            "labels": {"app": "web"} if labels is None else labels,
            **metadata,
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase, "conditions": []},
    }
    if of is not None:
        found["metadata"]["ownerReferences"] = [reference(of)]
    if ready_at is not None:
        found["status"]["conditions"] = [
            {"type": "Ready", "status": "True", "lastTransitionTime": format_time(ready_at)}
        ]
    return found


def reference(of: Object) -> Object:
    return {
        "apiVersion": of["apiVersion"],
        "kind": of["kind"],
        "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


Refuse = Callable[[Action], Refusal | None]
Planner = Callable[[Any, tuple[str, str], float], Plan]


class World:
    """Objects that plans change. ``refuse`` says which actions fail."""

    def __init__(self, *objects: Object, refuse: Refuse = lambda action: None) -> None:
        self.now = NOW
        self.events: list[Emit] = []
        self.actions: list[Action] = []
        self.refuse = refuse
        self._numbers = itertools.count(100)
        self._objects: dict[tuple[GroupVersionResource, str, str], Object] = {}
        for obj in objects:
            self.put(obj)

    def put(self, obj: Object) -> None:
        resource = of_kind(obj["apiVersion"], obj["kind"])
        assert resource is not None
        metadata = obj["metadata"]
        self._objects[resource, metadata.get("namespace") or "", metadata["name"]] = obj

    @property
    def view(self) -> FixedView:
        return FixedView(self._objects.values())

    def all(self, kind: str) -> list[Object]:
        return [obj for obj in self._objects.values() if obj["kind"] == kind]

    def get(self, kind: str, name: str) -> Object:
        return next(obj for obj in self.all(kind) if obj["metadata"]["name"] == name)

    # Carrying out

    def run(self, plan: Plan) -> None:
        self._run(plan.steps)

    def converge(self, planner: Planner, *keys: tuple[str, str], limit: int = 50) -> int:
        """Plans until nothing is asked for any more. Returns how many plans that took."""
        for count in range(limit):
            plans = [planner(self.view, key, self.now) for key in keys]
            if not any(plan.steps for plan in plans):
                return count
            self.run(next(plan for plan in plans if plan.steps))
        raise AssertionError(f"no rest after {limit} plans: {self.actions[-5:]}")

    def _run(self, steps: Any) -> bool:
        for step in steps:
            some = step if isinstance(step, Step) else Step((step,))
            outcomes = []
            for action in some.actions:
                outcomes.append(self._act(action))
                if outcomes[-1].refusal is not None and some.order != "parallel":
                    break
            goes_on = some.tolerant or all(each.refusal is None for each in outcomes)
            if some.then is not None:
                goes_on = self._run(some.then(tuple(outcomes))) and goes_on
            if not goes_on:
                return False
        return True

    def _act(self, action: Action) -> Outcome:
        self.actions.append(action)
        if isinstance(action, Emit):
            self.events.append(action)
            return Outcome(action)
        refusal = self.refuse(action)
        if refusal is not None:
            return Outcome(action, None, refusal)
        match action:
            case Create(resource, body):
                return self._create(action, resource, deepcopy(dict(body)))
            case Update(resource, body, sub):
                return self._update(action, resource, deepcopy(dict(body)), sub)
            case Patch(resource, namespace, name, body):
                obj = self._objects.get((resource, namespace, name))
                if obj is not None:
                    patched = merge if action.type == "merge" else _patched
                    self._store(resource, patched(deepcopy(obj), body))
                return Outcome(action, obj)
            case Delete(resource, namespace, name):
                obj = self._objects.get((resource, namespace, name))
                if obj is not None:
                    self._delete(resource, obj)
                return Outcome(action, obj)
            case Confirm(resource, namespace, name):
                obj = self._objects.get((resource, namespace, name))
                if obj is None or obj["metadata"]["uid"] != action.uid:
                    return Outcome(action, None, Refusal(404, "NotFound", "not there"))
                return Outcome(action, obj)
            case Clear(namespace, only):
                return Outcome(action, self._clear(namespace, only))
        raise AssertionError(action)

    def _clear(self, namespace: str, only: tuple[GroupVersionResource, ...]) -> Object:
        left: Object = {"remaining": {}, "finalizers": {}, "failures": []}
        for (resource, where, name), obj in list(self._objects.items()):
            if where != namespace or (only and resource not in only):
                continue
            self._delete(resource, obj)
            if (kept := self._objects.get((resource, where, name))) is None:
                continue
            text = f"{resource.resource}.{resource.group}"
            left["remaining"][text] = left["remaining"].get(text, 0) + 1
            for finalizer in kept["metadata"]["finalizers"]:
                left["finalizers"][finalizer] = left["finalizers"].get(finalizer, 0) + 1
        return left

    def _create(self, action: Action, resource: GroupVersionResource, body: Object) -> Outcome:
        key = (resource, body["metadata"].get("namespace") or "", body["metadata"]["name"])
        if key in self._objects:
            return Outcome(action, None, Refusal(409, "AlreadyExists", "there already"))
        body["metadata"] |= {
            "uid": f"uid-{next(self._numbers)}",
            "generation": 1,
            "creationTimestamp": format_time(self.now),
        }
        if body["kind"] == "Pod":
            body["status"] = {"phase": "Pending"}
        return Outcome(action, self._store(resource, body))

    def _update(
        self, action: Action, resource: GroupVersionResource, body: Object, sub: str
    ) -> Outcome:
        key = (resource, body["metadata"].get("namespace") or "", body["metadata"]["name"])
        old = self._objects[key]
        assert body["metadata"]["resourceVersion"] == old["metadata"]["resourceVersion"]
        if sub == "status":
            body = {**old, "status": body["status"], "metadata": body["metadata"]}
        elif sub == "finalize":
            if not body["spec"]["finalizers"] and not body["metadata"].get("finalizers"):
                del self._objects[key]
                return Outcome(action, body)
        elif body.get("spec") != old.get("spec"):
            body["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        assert body != old, f"a write without effect: {action}"
        return Outcome(action, self._store(resource, body))

    def _store(self, resource: GroupVersionResource, obj: Object) -> Object:
        obj["metadata"]["resourceVersion"] = str(next(self._numbers))
        key = (resource, obj["metadata"].get("namespace") or "", obj["metadata"]["name"])
        is_gone = obj["metadata"].get("deletionTimestamp") and not obj["metadata"].get("finalizers")
        if is_gone and resource.resource not in ("pods", "namespaces"):
            self._objects.pop(key, None)
        else:
            self._objects[key] = obj
        return obj

    def _delete(self, resource: GroupVersionResource, obj: Object) -> None:
        if obj["metadata"].get("finalizers"):
            obj = deepcopy(obj)
            obj["metadata"]["deletionTimestamp"] = format_time(self.now)
            self._store(resource, obj)
            return
        metadata = obj["metadata"]
        del self._objects[resource, metadata.get("namespace") or "", metadata["name"]]


def _patched(obj: Object, patch: Any) -> Object:
    """A strategic merge of metadata, as ownership and finalizers need it."""
    given = patch["metadata"]
    metadata = obj["metadata"]
    assert given.get("uid", metadata["uid"]) == metadata["uid"]
    for owner_ in given.get("ownerReferences") or ():
        rest = [
            each for each in metadata.get("ownerReferences") or () if each["uid"] != owner_["uid"]
        ]
        metadata["ownerReferences"] = rest if "$patch" in owner_ else [*rest, owner_]
    gone = given.get("$deleteFromPrimitiveList/finalizers") or ()
    kept = [each for each in metadata.get("finalizers") or () if each not in gone]
    metadata["finalizers"] = [*kept, *(given.get("finalizers") or ())]
    for field in ("labels", "annotations"):
        if field in given:
            metadata[field] = {**(metadata.get(field) or {}), **given[field]}
    return obj


def ready_pods(world: World) -> None:
    """What a kubelet does at once: every pod runs and is ready."""
    for each in world.all("Pod"):
        each["spec"].setdefault("nodeName", "n1")
        each["status"] = {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": format_time(world.now)}
            ],
        }


__all__ = ["INDEXES", "NOW", "World", "owner", "pod", "ready_pods", "reference", "template"]
