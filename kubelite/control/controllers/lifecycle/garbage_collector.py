"""The garbage collector: objects go when their owners are gone. Pure.

After kubernetes, ``pkg/controller/garbagecollector``. An owner holds an object as long as it
exists; one that is deleted in the foreground waits for the dependents that block it; one that is
deleted with ``Orphan`` lets its dependents go free. Only the API server is believed about an
owner's absence, since a view may be behind. Custom resources own and are owned like others, as long
as they are served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from kubelite.client.resources import (
    CUSTOM_RESOURCE_DEFINITIONS,
    GroupVersionResource,
    is_namespaced,
    of_kind,
)
from kubelite.control.controllers.actions import (
    NOTHING,
    Action,
    Confirm,
    Delete,
    Outcome,
    Patch,
    Plan,
    Step,
)
from kubelite.control.controllers.controller import Concerned, Controller
from kubelite.control.controllers.shared.conditions import is_true
from kubelite.control.controllers.shared.meta import (
    Key,
    Obj,
    is_deleting,
    name_of,
    namespace_of,
    spec_of,
    uid_of,
)
from kubelite.control.controllers.view import View
from kubelite.objects.facts.kinds import KINDS

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_IGNORED = {("", "events"), ("events.k8s.io", "events")}


class Dependent(NamedTuple):
    """An object that names an owner."""

    resource: GroupVersionResource
    obj: Obj


def resources() -> list[GroupVersionResource]:
    """Every built-in resource whose objects can be owned and deleted, in its preferred version."""
    by_plural: dict[tuple[str, str], GroupVersionResource] = {}
    for row in KINDS:
        deletable = {"delete", "list", "watch"} <= set(row.verbs)
        if deletable and (row.group, row.plural) not in _IGNORED:
            resource = GroupVersionResource(row.group, row.version, row.plural)
            by_plural.setdefault((row.group, row.plural), resource)
    return list(by_plural.values())


RESOURCES = resources()
_BY_TEXT = {str(resource): resource for resource in RESOURCES}
_BY_PLURAL = {(resource.group, resource.resource): resource for resource in RESOURCES}


def custom_resource(definition: Obj) -> GroupVersionResource | None:
    """The resource that a CustomResourceDefinition defines, in its stored version where that is
    served; None while it is not served.
    """
    spec = spec_of(definition)
    versions = [version for version in spec["versions"] if version.get("served")]
    if not versions or not is_true(definition, "Established"):
        return None
    best = next((version for version in versions if version.get("storage")), versions[0])
    return GroupVersionResource(spec["group"], best["name"], spec["names"]["plural"])


def custom_resources(view: View) -> list[GroupVersionResource]:
    """The custom resources that are served."""
    definitions = view.list(CUSTOM_RESOURCE_DEFINITIONS)
    resources = map(custom_resource, definitions)
    return [resource for resource in resources if resource is not None]


def key_in(resource: GroupVersionResource, obj: Obj) -> Key:
    """A key that tells objects of all kinds apart."""
    return f"{resource}|{namespace_of(obj)}", name_of(obj)


def plan(view: View, key: Key, now: float) -> Plan:
    """What is to become of one object."""
    del now
    text, _, namespace = key[0].partition("|")
    resource = _BY_TEXT.get(text) or _custom_named(view, text)
    obj = view.get(resource, namespace, key[1]) if resource is not None else None
    if resource is None or obj is None:
        return NOTHING
    finalizers = obj["metadata"].get("finalizers") or ()
    if is_deleting(obj):
        if ORPHAN in finalizers:
            return _orphan_dependents(view, resource, obj)
        if FOREGROUND in finalizers:
            return _await_dependents(view, resource, obj)
        return NOTHING
    return _judge_owners(view, resource, obj)


def _custom_named(view: View, name: str) -> GroupVersionResource | None:
    """The custom resource ``PLURAL.GROUP``: that is how its definition is called."""
    definition = view.get(CUSTOM_RESOURCE_DEFINITIONS, "", name)
    return custom_resource(definition) if definition is not None else None


def dependents_of(view: View, uid: str) -> list[Dependent]:
    """Everything that names an object as its owner."""
    return [
        Dependent(resource, obj)
        for resource in (*RESOURCES, *custom_resources(view))
        for obj in view.by_index(resource, "owner", uid)
    ]


# -- an owner that is being deleted ----------------------------------------------------------------


def _await_dependents(view: View, resource: GroupVersionResource, owner: Obj) -> Plan:
    """The owner's finalizer goes with the last dependent that blocks it. Each dependent is judged
    by itself: another owner may hold it.
    """
    if any(
        _blocks(dependent.obj, uid_of(owner)) for dependent in dependents_of(view, uid_of(owner))
    ):
        return NOTHING
    return Plan((_without_finalizer(resource, owner, FOREGROUND),))


def _blocks(dependent: Obj, uid: str) -> bool:
    return any(
        owner["uid"] == uid and owner.get("blockOwnerDeletion")
        for owner in dependent["metadata"].get("ownerReferences") or ()
    )


def _orphan_dependents(view: View, resource: GroupVersionResource, owner: Obj) -> Plan:
    """Dependents forget the owner, which then may go."""
    freed = tuple(
        _without_owners(dependent, {uid_of(owner)})
        for dependent in dependents_of(view, uid_of(owner))
    )
    return Plan(
        (
            *((Step(freed, order="parallel"),) if freed else ()),
            _without_finalizer(resource, owner, ORPHAN),
        )
    )


# -- an object with owners -------------------------------------------------------------------------

State = Literal["solid", "dangling", "waiting"]


def _judge_owners(view: View, resource: GroupVersionResource, obj: Obj) -> Plan:
    references = obj["metadata"].get("ownerReferences") or ()
    if not references:
        return NOTHING
    states = {ref["uid"]: _state(view, obj, ref) for ref in references}
    doubtful = [ref for ref in references if states[ref["uid"]] == "dangling"]
    if not doubtful:
        return Plan(_verdict(view, resource, obj, states))
    questions = tuple(_question(view, obj, ref) for ref in doubtful)

    def answered(outcomes: tuple[Outcome, ...]) -> tuple[Action | Step, ...]:
        known = dict(states)
        for ref, outcome in zip(doubtful, outcomes, strict=False):
            if outcome.refusal is None:
                known[ref["uid"]] = "solid"
            elif outcome.refusal.code != 404:
                return ()  # nobody knows: it is asked again when something changes
        return _verdict(view, resource, obj, known)

    return Plan((Step(questions, answered, order="parallel", tolerant=True),))


def _question(view: View, obj: Obj, ref: Obj) -> Confirm:
    kind = _kind_of(view, ref)
    assert kind is not None, "a reference of unknown kind is not dangling"
    namespace = namespace_of(obj) if kind.namespaced else ""
    return Confirm(kind.resource, namespace, ref["name"], ref["uid"], may_be_deleting=True)


def _state(view: View, obj: Obj, ref: Obj) -> State:
    """Whether an owner holds the object, is not to be seen, or waits for it to go."""
    kind = _kind_of(view, ref)
    if kind is None or (kind.namespaced and not namespace_of(obj)):
        return "solid"  # a kind that is not known here, or a reference that cannot be right
    namespace = namespace_of(obj) if kind.namespaced else ""
    owner = view.get(kind.resource, namespace, ref["name"])
    if owner is None or uid_of(owner) != ref["uid"]:
        return "dangling"
    if _waits_for_dependents(owner):
        return "waiting"
    return "solid"


class _OwnerKind(NamedTuple):
    """The kind that a reference names, as far as it is known here."""

    resource: GroupVersionResource
    namespaced: bool


def _kind_of(view: View, ref: Obj) -> _OwnerKind | None:
    known = of_kind(ref["apiVersion"], ref["kind"])
    if known is not None:
        resource = _BY_PLURAL.get((known.group, known.resource))
        return None if resource is None else _OwnerKind(resource, bool(is_namespaced(resource)))
    group = ref["apiVersion"].rpartition("/")[0]
    for definition in view.list(CUSTOM_RESOURCE_DEFINITIONS):
        spec = spec_of(definition)
        if spec["group"] == group and spec["names"]["kind"] == ref["kind"]:
            resource = custom_resource(definition)
            return resource and _OwnerKind(resource, spec["scope"] == "Namespaced")
    return None


def _verdict(
    view: View, resource: GroupVersionResource, obj: Obj, states: Mapping[str, State]
) -> tuple[Action, ...]:
    kinds = set(states.values())
    if kinds == {"solid"}:
        return ()
    if "solid" in kinds:
        lost = {uid for uid, state in states.items() if state != "solid"}
        return (_without_owners(Dependent(resource, obj), lost),)
    own = Dependent(resource, obj)
    dependents = dependents_of(view, uid_of(obj)) if "waiting" in kinds else []
    if not dependents:
        return (_delete(own, _own_policy(obj)),)
    # One that waits for this object, for which it waits: a circle, which ends here.
    circular = any(_waits_for_dependents(dependent.obj) for dependent in dependents)
    return (*((_without_blocking(own),) if circular else ()), _delete(own, "Foreground"))


def _own_policy(obj: Obj) -> Literal["Background", "Foreground", "Orphan"]:
    finalizers = obj["metadata"].get("finalizers") or ()
    if ORPHAN in finalizers:
        return "Orphan"
    return "Foreground" if FOREGROUND in finalizers else "Background"


# -- actions ---------------------------------------------------------------------------------------


def _delete(dependent: Dependent, policy: Literal["Background", "Foreground", "Orphan"]) -> Delete:
    obj = dependent.obj
    return Delete(
        dependent.resource, namespace_of(obj), name_of(obj), uid_of(obj), propagation=policy
    )


def _without_owners(dependent: Dependent, uids: set[str]) -> Patch:
    references = dependent.obj["metadata"].get("ownerReferences") or ()
    kept = [ref for ref in references if ref["uid"] not in uids]
    return _metadata_patch(dependent, "ownerReferences", kept)


def _without_blocking(dependent: Dependent) -> Patch:
    references = dependent.obj["metadata"].get("ownerReferences") or ()
    return _metadata_patch(
        dependent, "ownerReferences", [{**ref, "blockOwnerDeletion": False} for ref in references]
    )


def _without_finalizer(resource: GroupVersionResource, obj: Obj, finalizer: str) -> Patch:
    kept = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
    return _metadata_patch(Dependent(resource, obj), "finalizers", kept)


def _metadata_patch(dependent: Dependent, field: str, value: list[Any]) -> Patch:
    """Replaces one list of the metadata as it was seen."""
    obj = dependent.obj
    body = {
        "metadata": {
            "uid": uid_of(obj),
            "resourceVersion": obj["metadata"]["resourceVersion"],
            field: value or None,
        }
    }
    return Patch(dependent.resource, namespace_of(obj), name_of(obj), body, "merge")


# -- what a change concerns ------------------------------------------------------------------------


def _concerned(resource: GroupVersionResource) -> Concerned:
    def concerned(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
        obj = new if new is not None else old
        if obj is None:
            return []
        keys = [key_in(resource, obj)] if new is not None and _may_act(new) else []
        if new is None or _waits_for_dependents(new):
            keys += [
                key_in(dependent.resource, dependent.obj)
                for dependent in dependents_of(view, uid_of(obj))
            ]
        if new is None or (old is not None and _owners(old) != _owners(new)):
            keys += _owner_keys(view, old or obj)
        return keys

    return concerned


def _may_act(obj: Obj) -> bool:
    return bool(_owners(obj)) or is_deleting(obj)


def _owners(obj: Obj) -> Any:
    return obj["metadata"].get("ownerReferences") or ()


def _waits_for_dependents(obj: Obj) -> bool:
    return is_deleting(obj) and FOREGROUND in (obj["metadata"].get("finalizers") or ())


def _owner_keys(view: View, obj: Obj) -> list[Key]:
    """Owners that may have waited for an object."""
    keys = []
    for ref in _owners(obj):
        kind = _kind_of(view, ref)
        if kind is None:
            continue
        namespace = namespace_of(obj) if kind.namespaced else ""
        owner = view.get(kind.resource, namespace, ref["name"])
        if owner is not None and uid_of(owner) == ref["uid"] and is_deleting(owner):
            keys.append(key_in(kind.resource, owner))
    return keys


def _custom_watches(view: View) -> dict[GroupVersionResource, Concerned]:
    return {resource: _concerned(resource) for resource in custom_resources(view)}


GARBAGE_COLLECTOR_CONTROLLER = Controller(
    "garbage-collector-controller",
    "generic-garbage-collector",
    "garbage-collector-controller",
    {resource: _concerned(resource) for resource in RESOURCES},
    plan,
    workers=20,
    needs_all=False,
    custom=_custom_watches,
)
