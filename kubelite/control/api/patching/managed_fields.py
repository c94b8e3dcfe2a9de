"""Who owns which field: ``metadata.managedFields``, and server-side apply, which lives on it. Pure.

A manager owns what it applied (operation Apply) or changed by any other write (operation Update).
Taking over a field is silent for an ordinary write; for an apply it is a conflict unless it is
forced. What a manager applied before and does not apply now goes away, unless somebody else owns it
(structured-merge-diff; apimachinery ``util/managedfields``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.patching import apply_merge, field_set
from kubelite.control.api.schema import (
    decoding,
    ownership_shape,
    structs,
    structural_schema,
    unknown_fields,
)
from kubelite.control.api.strategy import conform
from kubelite.control.api.wire.status import Cause, apply_conflict, bad_request
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kubelite.control.api.patching.field_set import Fields
    from kubelite.control.api.wire.resource import Resource

MAX_UPDATERS = 10
ANCIENT = "ancient-changes"
BEFORE = "before-first-apply"
_NEVER_OWNED = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink",
    "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds",
)  # fmt: skip


class Manager(NamedTuple):
    """Who writes, how, in which version, through which subresource. An applier is one in all
    versions.
    """

    name: str
    operation: str
    api_version: str
    subresource: str


class Held(NamedTuple):
    """What a manager owns and when that changed last; for an applier the version it spoke last."""

    fields: Fields
    time: str
    api_version: str


def track(
    res: Resource,
    old: Object | None,
    new: Object,
    *,
    manager: str,
    now: str,
    subresource: str = "",
) -> Object:
    """The new object with the ownership that an ordinary write leaves behind. ``new`` is what the
    client wants: it owns that, whatever the server makes of it.

    The managers that the new object names stand, so that a client may rewrite them; where it names
    none the old ones do. A list with one empty entry forgets all of them, and an object that has
    none gets none until somebody applies.
    """
    held = _decode(_managed(new) or _managed(old or {}))
    if old is not None and not held:
        return _with_managers(new, [])
    before = _skeleton(res) if old is None else old
    difference = field_set.compare(
        ownership_shape.of(res), _view(res, before, subresource), _view(res, new, subresource)
    )
    if difference.changed or difference.removed:
        me = Manager(manager, "Update", res.gv, subresource)
        held = _updated(held, me, difference, now)
    return _with_managers(new, _encode(_capped(held, now)))


def _managed(obj: Object) -> list[Object]:
    entries: list[Object] = (obj.get("metadata") or {}).get("managedFields") or []
    return entries


def _skeleton(res: Resource) -> Object:
    """What every object of a kind has before anything is said of it."""
    return {"metadata": {}} if res.crd is not None else structs.empty(decoding.definition(res))


def _view(res: Resource, obj: Object, subresource: str) -> Object:
    """The part of an object that a write through a path can own."""
    hidden = ["apiVersion", "kind", "metadata"]
    if subresource == "status":
        hidden.append("spec")
    elif not subresource:
        hidden += ["status"] if "status" in res.subresources else []
        hidden += () if res.crd is not None else rules_of(res).never_owned
    fields = {key: value for key, value in obj.items() if key not in hidden}
    if subresource == "scale":
        path = res.scale_paths["specReplicasPath"]
        fields = _without_zero(fields, path.strip(".").split("."))
    metadata = (obj.get("metadata") or {}).items()
    if subresource == "status":
        named = () if res.crd is not None else rules_of(res).status_metadata
        return {"metadata": {key: value for key, value in metadata if key in named}, **fields}
    return {
        "metadata": {key: value for key, value in metadata if key not in _NEVER_OWNED},
        **fields,
    }


def _without_zero(obj: Object, path: Sequence[str]) -> Object:
    """A Scale of no replicas leaves their number out."""
    step, *rest = path
    if not rest:
        return {key: value for key, value in obj.items() if key != step or value}
    below = obj.get(step)
    return {**obj, step: _without_zero(below, rest)} if isinstance(below, dict) else obj


def _updated(
    held: dict[Manager, Held], me: Manager, difference: field_set.Difference, now: str
) -> dict[Manager, Held]:
    """Everybody else loses what was changed or taken away; the writer owns what it changed."""
    updated: dict[Manager, Held] = {}
    for who, entry in held.items():
        rest = (
            field_set.difference(entry.fields, difference.removed)
            if difference.removed
            else entry.fields
        )
        rest = rest if who == me else field_set.difference(rest, difference.changed)
        if rest:
            updated[who] = entry if rest is entry.fields else entry._replace(fields=rest)
    own = updated.get(me)
    fields = field_set.union(own.fields, difference.changed) if own else difference.changed
    if fields and (own is None or fields != own.fields or own != held.get(me)):
        updated[me] = Held(fields, now, me.api_version)
    return updated


def apply(
    res: Resource,
    live: Object | None,
    applied: Object,
    *,
    manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> Object:
    """The live object with the applied one laid over it, and its ownership; ``live`` itself when
    nothing changes.

    Raises StatusError: 400 for an applied object that cannot be, 409 with a cause for each field in
    conflict.
    """
    if (applied.get("metadata") or {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    base = live if live is not None else {}
    held = _decode(_managed(base)) or _before_first(res, live, now)
    me = Manager(manager, "Apply", "", subresource)
    others, last = {who: entry for who, entry in held.items() if who != me}, held.get(me)
    configuration = _configuration(res, applied, subresource)
    try:
        mine = _spoken_of(res, _with_nulls(configuration, applied), subresource)
        merged = _merged(
            res,
            base,
            configuration,
            last.fields if last else {},
            [mine, *(other.fields for other in others.values())],
        )
    except ValueError as error:
        raise bad_request(f"failed to create typed patch object: {error}") from None
    difference = field_set.compare(
        ownership_shape.of(res), _view(res, base, subresource), _view(res, merged, subresource)
    )
    result = _contested(others, difference, force)
    if mine:
        same = last is not None and last.fields == mine and last.api_version == res.gv
        result[me] = (
            last
            if last is not None and same and not difference.changed
            else Held(mine, now, res.gv)
        )
    if live is not None and merged == live and result == held:
        return live
    return _with_managers(merged, _encode(_capped(result, now)))


def _with_nulls(configuration: Any, applied: Any) -> Any:
    """A configuration with the fields that were given as null: they are spoken of, though they ask
    for nothing.
    """
    if isinstance(configuration, dict) and isinstance(applied, dict):
        nulls = {key: None for key, value in applied.items() if value is None}
        below = {key: _with_nulls(value, applied.get(key)) for key, value in configuration.items()}
        return {**nulls, **below}
    if (
        isinstance(configuration, list)
        and isinstance(applied, list)
        and len(configuration) == len(applied)
    ):
        return [_with_nulls(*pair) for pair in zip(configuration, applied, strict=True)]
    return configuration


def _spoken_of(res: Resource, configuration: Object, subresource: str) -> Fields:
    """The fields that an applied object speaks of. Raises ValueError."""
    fields = field_set.applied(ownership_shape.of(res), _view(res, configuration, subresource))
    return {element: below for element, below in fields.items() if below or element != "f:metadata"}


def _merged(
    res: Resource, base: Object, configuration: Object, last: Fields, owned: list[Fields]
) -> Object:
    """What would be stored: the applied object laid over the live one, less what was applied last
    and is wanted by nobody.
    """
    form = ownership_shape.of(res)
    merged = apply_merge.merge(form, base, configuration)
    if last:
        kept = _all_fields([{"f:metadata": {}}, *owned])
        # What is given as an empty list is no field of its own, and still is what was asked for.
        merged = apply_merge.merge(
            form,
            apply_merge.prune(form, merged, field_set.difference(last, owned[0]), kept),
            configuration,
        )
    # In the form in which it would be stored: a default inside a list that is one leaf is no
    # change.
    conformed, _ = (
        structural_schema.conform(res, merged)
        if res.crd is not None
        else conform.conform(res, merged, old=base)
    )
    return conformed


def _configuration(res: Resource, applied: Object, subresource: str) -> Object:
    """The applied object in canonical form, less what its path cannot write. Raises StatusError
    400.
    """
    if res.crd is None:
        name = decoding.definition(res)
        given = decoding.typed(res, decoding.without_nulls(applied, name))
        if unknown := [unknown_fields.shown(steps) for steps in unknown_fields.fields(name, given)]:
            about = f"{res.gv}, Kind={res.kind}"
            raise bad_request(
                f"failed to create typed patch object ({about}): .{unknown[0]}: field not declared "
                "in schema"
            )
        given = _canonical(given, conform.order(res, given))
    else:
        given = decoding.typed(res, decoding.without_nulls(applied))
    hidden = (
        "spec"
        if subresource == "status"
        else "status"
        if not subresource and "status" in res.subresources
        else ""
    )
    return {key: value for key, value in given.items() if key != hidden}


def _canonical(given: Any, ordered: Any) -> Any:
    """What was given, with its values as the server writes them; what a server leaves out stays as
    it was given.
    """
    if isinstance(given, dict) and isinstance(ordered, dict):
        return {
            key: _canonical(value, ordered[key]) if key in ordered else value
            for key, value in given.items()
        }
    if isinstance(given, list) and isinstance(ordered, list) and len(given) == len(ordered):
        return [_canonical(value, other) for value, other in zip(given, ordered, strict=True)]
    return given if isinstance(given, dict | list) else ordered


def _before_first(res: Resource, live: Object | None, now: str) -> dict[Manager, Held]:
    """An object whose managers nobody knows: what is there belongs to one that stands for all of
    them.
    """
    if live is None:
        return {}
    fields = field_set.whole(ownership_shape.of(res), _view(res, live, ""))
    return {Manager(BEFORE, "Update", res.gv, ""): Held(fields, now, res.gv)}


def _contested(
    others: dict[Manager, Held], difference: field_set.Difference, force: bool
) -> dict[Manager, Held]:
    """The other managers less what is taken from them. Raises StatusError 409 for what may not be
    taken.
    """
    causes: list[Cause] = []
    remaining: dict[Manager, Held] = {}
    for who, entry in others.items():
        taken = field_set.intersection(entry.fields, difference.changed)
        if taken and not force:
            causes += [
                Cause("FieldManagerConflict", f"conflict with {_printed(who)}", path)
                for path in field_set.paths(taken)
            ]
        rest = field_set.difference(field_set.difference(entry.fields, taken), difference.removed)
        if rest:
            remaining[who] = entry if rest is entry.fields else entry._replace(fields=rest)
    if causes:
        raise apply_conflict(causes)
    return remaining


def _printed(who: Manager) -> str:
    through = f' with subresource "{who.subresource}"' if who.subresource else ""
    return f'"{who.name}"{through}' + (
        f" using {who.api_version}" if who.operation == "Update" else ""
    )


def _all_fields(sets: Iterable[Fields]) -> Fields:
    fields: Fields = {}
    for part in sets:
        fields = field_set.union(fields, part)
    return fields


def _decode(entries: list[Object]) -> dict[Manager, Held]:
    """Managers by who they are; entries that say nothing are forgotten."""
    held: dict[Manager, Held] = {}
    for entry in entries:
        version, operation = entry.get("apiVersion", ""), entry.get("operation", "")
        if not operation or not entry.get("fieldsV1"):
            continue
        who = Manager(
            entry.get("manager", ""),
            operation,
            "" if operation == "Apply" else version,
            entry.get("subresource", ""),
        )
        held[who] = Held(entry["fieldsV1"], entry.get("time", ""), version)
    return held


def _encode(held: dict[Manager, Held]) -> list[Object]:
    rows = sorted(
        held.items(),
        key=lambda row: (
            row[0].operation,
            row[1].time,
            row[0].name,
            row[1].api_version,
            row[0].subresource,
        ),
    )
    entries = []
    for who, own in rows:
        entry = {
            "manager": who.name,
            "operation": who.operation,
            "apiVersion": own.api_version,
            "time": own.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": own.fields,
        }
        entries.append({**entry, "subresource": who.subresource} if who.subresource else entry)
    return entries


def _capped(held: dict[Manager, Held], now: str) -> dict[Manager, Held]:
    """At most ten that update: the oldest become one."""
    if len(held) <= MAX_UPDATERS:
        return held
    updaters = sorted(
        (who for who in held if who.operation == "Update"), key=lambda who: held[who].time
    )
    if len(updaters) <= MAX_UPDATERS:
        return held
    old = updaters[: len(updaters) - MAX_UPDATERS + 1]
    kept = {who: entry for who, entry in held.items() if who not in old}
    for who in old:
        heap = Manager(ANCIENT, "Update", who.api_version, "")
        fields = (
            field_set.union(kept[heap].fields, held[who].fields)
            if heap in kept
            else held[who].fields
        )
        kept[heap] = Held(fields, held[who].time or now, who.api_version)
    return kept


def carried(given: Object, target: Object) -> Object:
    """What the server made of an object, with the managers of what was said."""
    managers = _managed(given)
    return target if managers == _managed(target) else _with_managers(target, managers)


def _with_managers(obj: Object, entries: list[Object]) -> Object:
    metadata = {
        key: value for key, value in (obj.get("metadata") or {}).items() if key != "managedFields"
    }
    if entries:
        metadata["managedFields"] = entries
    return {**obj, "metadata": metadata}


def check(listed: Any) -> None:
    """Whether what a client says of owners can be worked with: sets of fields are maps of maps.
    Raises StatusError 400.
    """
    for number, entry in enumerate(listed or ()):
        level = [entry.get("fieldsV1") or {}]
        while level:
            if not all(isinstance(node, dict) for node in level):
                raise bad_request(f"metadata.managedFields[{number}].fieldsV1 is no set of fields")
            level = [below for node in level for below in node.values()]
