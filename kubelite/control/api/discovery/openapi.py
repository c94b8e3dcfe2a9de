"""The schema documents that clients ask for: OpenAPI v2 as one, v3 as one per group and version.
Pure.

Clients use them to validate and explain manifests and to learn what a PATCH may be; descriptions
are not in our tables and are given from outside where there are any. Callers keep the documents;
making one takes some milliseconds.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from kubelite.control.api.discovery import openapi_schema
from kubelite.control.api.discovery.openapi_schema import Form
from kubelite.control.api.patching.patch import accepted
from kubelite.control.api.schema.ownership_shape import encoded
from kubelite.lib.json import Object
from kubelite.objects.facts import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kubelite.control.api.discovery.delegated import DelegatedVersion
    from kubelite.control.api.discovery.openapi_schema import Descriptions
    from kubelite.control.api.wire.resource import Resource

_QUERY = {
    "dryRun": "string",
    "fieldManager": "string",
    "fieldValidation": "string",
    "force": "boolean",
    "pretty": "string",
    "labelSelector": "string",
    "fieldSelector": "string",
    "limit": "integer",
    "continue": "string",
    "resourceVersion": "string",
    "resourceVersionMatch": "string",
    "timeoutSeconds": "integer",
    "watch": "boolean",
    "allowWatchBookmarks": "boolean",
    "sendInitialEvents": "boolean",
    "gracePeriodSeconds": "integer",
    "propagationPolicy": "string",
}
_WRITING = ("dryRun", "fieldManager", "fieldValidation")
_LISTING = (
    "labelSelector", "fieldSelector", "limit", "continue", "resourceVersion",
    "resourceVersionMatch", "timeoutSeconds", "watch", "allowWatchBookmarks", "sendInitialEvents",
)  # fmt: skip
_DELETING = ("dryRun", "gracePeriodSeconds", "propagationPolicy")
# Verb of the API, HTTP method, query parameters.
_ONE = (
    ("get", "get", ()),
    ("update", "put", _WRITING),
    ("patch", "patch", (*_WRITING, "force")),
    ("delete", "delete", _DELETING),
)
_ALL = (
    ("list", "get", _LISTING),
    ("create", "post", _WRITING),
    ("deletecollection", "delete", (*_DELETING, *_LISTING)),
)
_PARTS = {
    **dict.fromkeys(("status", "scale", "ephemeralcontainers", "resize", "approval"), _ONE[:3]),
    "finalize": _ONE[1:2],
    **dict.fromkeys(("eviction", "binding", "token"), _ALL[1:2]),
}
_PART_KINDS = {
    "scale": "autoscaling.v1.Scale",
    "eviction": "policy.v1.Eviction",
    "binding": "core.v1.Binding",
    "token": "authentication.v1.TokenRequest",
}


def v2(resources: Iterable[Resource], describe: Descriptions | None = None) -> Object:
    """``/openapi/v2`` as JSON."""
    served = list(resources)
    form = Form(2, describe)
    return {
        "swagger": "2.0",
        "info": _info(),
        "paths": _paths(form, served),
        "definitions": _schemas(form, served),
    }


def v3_index(resources: Iterable[Resource], delegated: Iterable[DelegatedVersion] = ()) -> Object:
    """``/openapi/v3``: where the document of each group and version is; its address changes with
    its contents.
    """
    by_path: dict[str, list[Resource]] = {}
    for res in resources:
        by_path.setdefault(_home(res), []).append(res)
    hashes = {path: _hash(served) for path, served in by_path.items()}
    hashes |= {theirs.path: theirs.v3_hash for theirs in delegated if theirs.v3 is not None}
    return {
        "paths": {
            path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={hashes[path]}"}
            for path in hashes
        }
    }


def _home(res: Resource) -> str:
    return f"apis/{res.gv}" if res.group else f"api/{res.version}"


def _hash(served: list[Resource]) -> str:
    identity = encoded([schema.LEVEL, *([res.plural, res.verbs, res.crd] for res in served)])
    return hashlib.sha256(identity.encode()).hexdigest()[:32].upper()


def v3(
    resources: Iterable[Resource], path: str, describe: Descriptions | None = None
) -> Object | None:
    """``/openapi/v3/apis/apps/v1`` for the path ``apis/apps/v1``; None where nothing is served
    there.
    """
    served = [res for res in resources if _home(res) == path]
    if not served:
        return None
    form = Form(3, describe)
    components = {"schemas": _schemas(form, served)}
    return {
        "openapi": "3.0.0",
        "info": _info(),
        "paths": _paths(form, served),
        "components": components,
    }


def _info() -> Object:
    return {"title": "Kubernetes", "version": f"v{schema.LEVEL}.0"}


def _schemas(form: Form, served: list[Resource]) -> Object:
    """The definitions of the resources and all that they refer to, and of their lists."""
    builtin = [name for res in served if (name := res.definition)]
    parts = [_PART_KINDS[sub] for res in served for sub in res.subresources if sub in _PART_KINDS]
    wanted = openapi_schema.closure(
        [*builtin, *parts, "meta.v1.ObjectMeta", "meta.v1.ListMeta", *_ALWAYS]
    )
    definitions = {
        schema.public_name(name): openapi_schema.definition(form, name) for name in wanted
    }
    for res in served:
        name = openapi_schema.name_of(res)
        if res.crd is not None:
            definitions[name] = openapi_schema.custom(form, res)
        if "list" in res.verbs:
            definitions[_list_name(res)] = openapi_schema.list_of(form, res, name)
    return dict(sorted(definitions.items()))


_ALWAYS = ("meta.v1.Status", "meta.v1.DeleteOptions", "meta.v1.Patch")


def _list_name(res: Resource) -> str:
    return openapi_schema.name_of(res).rpartition(".")[0] + "." + res.kind_of_list


def _paths(form: Form, served: list[Resource]) -> Object:
    items: Object = {}
    for res in served:
        root = "/" + _home(res)
        inside = f"{root}/namespaces/{{namespace}}" if res.namespaced else root
        if res.namespaced and "list" in res.verbs:
            items[f"{root}/{res.plural}"] = _item(form, res, _ALL[:1], (), "ForAllNamespaces")
        holders = ("namespace",) if res.namespaced else ()
        items[f"{inside}/{res.plural}"] = _item(form, res, _ALL, holders)
        one = f"{inside}/{res.plural}/{{name}}"
        if "get" in res.verbs:
            items[one] = _item(form, res, _ONE, (*holders, "name"))
        for sub in res.subresources:
            if sub in _PARTS:
                items[f"{one}/{sub}"] = _item(form, res, _PARTS[sub], (*holders, "name"), sub)
    return dict(sorted(items.items()))


def _item(
    form: Form, res: Resource, methods: Iterable[Any], holders: tuple[str, ...], part: str = ""
) -> Object:
    operations = {
        method: _operation(form, res, verb, query, part)
        for verb, method, query in methods
        if verb in res.verbs
    }
    return {
        **operations,
        "parameters": [*_path_parameters(form, holders), *_parameters(form, ("pretty",))],
    }


def _path_parameters(form: Form, names: Iterable[str]) -> Iterator[Object]:
    for name in names:
        kind: Object = {"type": "string"}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            **(kind if form.version == 2 else {"schema": kind}),
        }


def _parameters(form: Form, names: Iterable[str]) -> Iterator[Object]:
    for name in names:
        kind: Object = {"type": _QUERY[name], "uniqueItems": True}
        yield {"name": name, "in": "query", **(kind if form.version == 2 else {"schema": kind})}


def _operation(form: Form, res: Resource, verb: str, query: tuple[str, ...], part: str) -> Object:
    kind, answer, gvk = _spoken(res, verb, part)
    scope = "Namespaced" if res.namespaced and part != "ForAllNamespaces" else ""
    suffix = part.capitalize() if part.islower() else part
    words = [word.capitalize() for word in (res.group.partition(".")[0] or "core", res.version)]
    operation: Object = {
        "tags": ["_".join(words).lower()],
        "operationId": f"{verb}{''.join(words)}{scope}{res.kind}{suffix}",
        "parameters": list(_parameters(form, query)),
    }
    if verb in ("create", "update", "patch", "delete"):
        body = {"patch": "meta.v1.Patch", "delete": "meta.v1.DeleteOptions"}.get(verb)
        reference = form.ref(schema.public_name(body) if body else kind)
        _add_body(form, operation, reference, accepted(res) if verb == "patch" else ("*/*",))
    operation["responses"] = {"200": _response(form, form.ref(answer))}
    action = {"create": "post", "update": "put"}.get(verb, verb)
    return {**operation, "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk}


def _spoken(res: Resource, verb: str, part: str) -> tuple[str, str, Object]:
    """What an operation takes, what it answers, and the kind that it is about."""
    gvk = {"group": res.group, "kind": res.kind, "version": res.version}
    name = openapi_schema.name_of(res)
    if part in _PART_KINDS:
        definition = schema.definition(_PART_KINDS[part])
        name = schema.public_name(definition.name)
        if definition.kind:
            gvk = dict(zip(("group", "version", "kind"), definition.kind, strict=True))
    answer = {"list": _list_name(res), "delete": _STATUS, "deletecollection": _STATUS}.get(
        verb, name
    )
    return name, answer, gvk


_STATUS = schema.public_name("meta.v1.Status")


def _add_body(form: Form, operation: Object, reference: Object, content: Iterable[str]) -> None:
    if form.version == 2:
        operation["consumes"] = list(content)
        operation["produces"] = ["application/json"]
        operation["parameters"].append({"name": "body", "in": "body", "schema": reference})
    else:
        operation["requestBody"] = {
            "content": {media_type: {"schema": reference} for media_type in content}
        }


def _response(form: Form, reference: Object) -> Object:
    if form.version == 2:
        return {"description": "OK", "schema": reference}
    return {"description": "OK", "content": {"application/json": {"schema": reference}}}
