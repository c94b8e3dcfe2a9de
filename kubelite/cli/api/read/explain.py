"""``explain TYPE[.FIELD...]``: what a field is for, from the server's OpenAPI documents."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.discovery import ApiResource
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.common.command import Settings
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.lib.json import Object

_WIDTH = 80
_REFERENCE = "#/components/schemas/"


class Field(NamedTuple):
    """A field on the way from a kind: its schema, type as Go has it, and description."""

    schema: Object
    type: str
    description: str
    is_required: bool = False


def explain_field(
    settings: Settings, words: str, reach: Reach, *, recursive: bool, api_version: str
) -> int:
    """Prints what a kind or field is. Raises CliError."""
    type_name, *path = words.split(".")

    async def work(api: Api) -> None:
        resource = await _resource(api, type_name, api_version)
        schemas = await _schemas(api, resource)
        api.screen.data(page(resource, schemas, path, recursive=recursive))

    return run(settings, reach, work)


async def _resource(api: Api, type_name: str, api_version: str) -> ApiResource:
    resource = (await api.operands([type_name]))[0].resource
    if not api_version:
        return resource
    for row in (await api.resources()).rows:
        if row.plural == resource.plural and row.api_version == api_version:
            return row
    raise CliError(Diagnostic(f"couldn't find resource for {api_version}, {resource.plural}"))


async def _schemas(api: Api, resource: ApiResource) -> dict[str, Object]:
    group = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
    index = await api.client.get_path("/openapi/v3")
    entry = (index.get("paths") or {}).get(group)
    if entry is None:
        raise CliError(Diagnostic(f"the server describes no {resource.api_version}"))
    path, _, query = str(entry["serverRelativeURL"]).partition("?")
    document = await api.client.get_path(path, query)
    return dict((document.get("components") or {}).get("schemas") or {})


def page(
    resource: ApiResource, schemas: dict[str, Object], path: list[str], *, recursive: bool = False
) -> str:
    """The page of a field; ``path`` leads to it from the kind. Raises CliError. Pure."""
    field = Field(_of_kind(resource, schemas), "", "")
    field = field._replace(description=str(field.schema.get("description") or ""))
    for number, name in enumerate(path):
        properties = _properties(field.schema, schemas)
        if name not in properties:
            whole = ".".join(path[: number + 1])
            raise CliError(Diagnostic(f'field "{whole}" does not exist'))
        field = _field(name, properties[name], field.schema, schemas)
    lines = [f"GROUP:      {resource.group}"] if resource.group else []
    lines += [f"KIND:       {resource.kind}", f"VERSION:    {resource.version}", ""]
    if path:
        lines += [f"FIELD: {path[-1]} <{field.type}>", "", ""]
    lines += ["DESCRIPTION:", *_wrapped(field.description or "<empty>", 4), "    "]
    fields = list(_lines(field.schema, schemas, 2, recursive, frozenset()))
    lines += ["FIELDS:", *fields] if fields else []
    return "\n".join(lines) + "\n\n"


def _of_kind(resource: ApiResource, schemas: dict[str, Object]) -> Object:
    for schema in schemas.values():
        for gvk in schema.get("x-kubernetes-group-version-kind") or ():
            if (gvk["group"], gvk["version"], gvk["kind"]) == (
                resource.group,
                resource.version,
                resource.kind,
            ):
                return schema
    raise CliError(Diagnostic(f"the server does not describe {resource.kind}"))


def _resolved(schema: Object, schemas: dict[str, Object]) -> tuple[Object, str]:
    """The schema behind references, and the name of its type."""
    parts: list[Object] = schema.get("allOf") or []
    reference = schema.get("$ref") or (parts[0].get("$ref") if len(parts) == 1 else None)
    if reference:
        name = str(reference).removeprefix(_REFERENCE)
        return schemas.get(name, {}), name.rpartition(".")[2]
    return schema, ""


def _type(schema: Object, schemas: dict[str, Object]) -> str:
    target, name = _resolved(schema, schemas)
    kind = str(target.get("type") or "")
    if kind == "array":
        return f"[]{_type(target.get('items') or {}, schemas)}"
    extra = target.get("additionalProperties")
    if kind == "object" and not name and isinstance(extra, dict):
        return f"map[string]{_type(extra, schemas)}"
    if kind in ("", "object"):
        return name or "Object"
    return kind


def _inner(schema: Object, schemas: dict[str, Object]) -> Object:
    """The schema whose properties are the fields: of the items of a list, the values of a map."""
    target, _ = _resolved(schema, schemas)
    while True:
        extra = target.get("additionalProperties")
        if isinstance(target.get("items"), dict):
            target, _ = _resolved(target["items"], schemas)
        elif isinstance(extra, dict):
            target, _ = _resolved(extra, schemas)
        else:
            return target


def _properties(schema: Object, schemas: dict[str, Object]) -> dict[str, Any]:
    return dict(_inner(schema, schemas).get("properties") or {})


def _field(name: str, schema: Object, owner: Object, schemas: dict[str, Object]) -> Field:
    target = _inner(schema, schemas)
    texts = [str(schema.get("description") or ""), str(target.get("description") or "")]
    description = "\n".join(dict.fromkeys(text for text in texts if text))
    is_required = name in (_inner(owner, schemas).get("required") or ())
    return Field(schema, _type(schema, schemas), description, is_required)


def _lines(
    schema: Object, schemas: dict[str, Object], indent: int, recursive: bool, above: frozenset[int]
) -> Iterator[str]:
    for name, inner in sorted(_properties(schema, schemas).items()):
        field = _field(name, inner, schema, schemas)
        required = " -required-" if field.is_required else ""
        yield f"{' ' * indent}{name}\t<{field.type}>{required}"
        if recursive:
            target = id(_inner(inner, schemas))
            if target not in above:
                yield from _lines(inner, schemas, indent + 2, recursive, above | {target})
            continue
        yield from _wrapped(str(inner.get("description") or "<no description>"), indent + 2)
        yield ""


def _wrapped(text: str, indent: int) -> list[str]:
    space = " " * indent
    return [
        line
        for paragraph in text.split("\n")
        for line in textwrap.wrap(
            paragraph,
            _WIDTH,
            initial_indent=space,
            subsequent_indent=space,
            break_long_words=False,
            break_on_hyphens=False,
        )
        or [space]
    ]
