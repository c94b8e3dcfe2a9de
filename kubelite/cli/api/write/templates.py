"""Changes to the pod templates of objects. Pure.

Raises ValueError with a sentence for an object that has none, and for a container that it does not
have.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping

from kubelite.cli.common.diagnostic import clean
from kubelite.lib.json import Object

Path = tuple[str, ...]
_OF_KIND: dict[str, Path] = {
    "Pod": ("spec",),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
}
_LISTS = ("initContainers", "containers")


def pod_spec(kind: str, obj: Object) -> tuple[Path, Object]:
    """Where the specification of an object's pods stands, and itself."""
    path = _OF_KIND.get(kind, ("spec", "template", "spec"))
    value: Object = obj
    for step in path:
        value = value.get(step) or {}
    if not value.get("containers"):
        raise ValueError(f"a {kind} has no pod template")
    return path, value


def patch(path: Path, before: Object, after: Object) -> Object:
    """The strategic patch from one specification to the other, containers by name."""
    changed: Object = {key: after[key] for key in after if before.get(key) != after[key]}
    for key in _LISTS:
        if key in changed:
            changed[key] = [
                _container_patch(old, new)
                for old, new in zip(before[key], after[key], strict=True)
                if old != new
            ]
    for step in reversed(path):
        changed = {step: changed}
    return changed


def _container_patch(before: Object, after: Object) -> Object:
    changed = {key: after[key] for key in after if before.get(key) != after[key]}
    removed = {key: None for key in before if key not in after}
    if "env" in changed or "env" in removed:
        changed |= {"env": [{"$patch": "replace"}, *(after.get("env") or ())]}
        removed.pop("env", None)
    if "resources" in changed:
        changed["resources"] = {"$patch": "replace", **after["resources"]}
    return {"name": after["name"], **changed, **removed}


def chosen(spec: Object, pattern: str) -> list[Object]:
    """The containers whose names match a pattern."""
    matching = [
        container
        for key in _LISTS
        for container in spec.get(key) or ()
        if fnmatch.fnmatchcase(container["name"], pattern)
    ]
    if not matching:
        raise ValueError(f'unable to find container named "{pattern}"')
    return matching


def _with_containers(spec: Object, changed: Mapping[str, Object]) -> Object:
    lists = {
        key: [changed.get(container["name"], container) for container in spec[key]]
        for key in _LISTS
        if spec.get(key)
    }
    return {**spec, **lists}


def images(spec: Object, wanted: Mapping[str, str]) -> Object:
    """The specification with other images, by the names of containers; ``*`` means all."""
    changed: dict[str, Object] = {}
    for pattern, image in wanted.items():
        for container in chosen(spec, pattern):
            changed[container["name"]] = {**container, "image": image}
    return _with_containers(spec, changed)


def variables(spec: Object, pattern: str, wanted: Mapping[str, str | None]) -> Object:
    """The specification with other variables; None removes one."""
    changed = {}
    for container in chosen(spec, pattern):
        rows = list(_rows(container.get("env") or [], wanted))
        changed[container["name"]] = {
            **{key: value for key, value in container.items() if key != "env"},
            **({"env": rows} if rows else {}),
        }
    return _with_containers(spec, changed)


def _rows(rows: list[Object], wanted: Mapping[str, str | None]) -> Iterator[Object]:
    """The variables in their order, new ones last."""
    pending = dict(wanted)
    for row in rows:
        if row["name"] not in pending:
            yield row
        elif (value := pending.pop(row["name"])) is not None:
            yield {"name": row["name"], "value": value}
    yield from ({"name": name, "value": text} for name, text in pending.items() if text is not None)


def variable_line(variable: Object) -> str:
    """A variable as ``--list`` shows it."""
    if source := variable.get("valueFrom"):
        (kind, fields), *_ = source.items()
        where = fields.get("name") or fields.get("fieldPath") or fields.get("resource", "")
        key = f", key {fields['key']}" if fields.get("key") else ""
        return f"# {variable['name']} from {kind.removesuffix('Ref').lower()} {where}{key}"
    return clean(f"{variable['name']}={variable.get('value', '')}")


def resources(spec: Object, pattern: str, wanted: Mapping[str, Mapping[str, str]]) -> Object:
    """The specification with other requests and limits; an amount of 0 removes one."""
    changed = {}
    for container in chosen(spec, pattern):
        amounts = dict(container.get("resources") or {})
        for section, rows in wanted.items():
            if rows:
                merged = {**(amounts.get(section) or {}), **rows}
                amounts[section] = {key: text for key, text in merged.items() if text != "0"}
        changed[container["name"]] = {**container, "resources": amounts}
    return _with_containers(spec, changed)
