"""Questions about authority that are asked by creating an object: the reviews of authentication and
authorization.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.auth.node_authorizer import GROUP
from kubelite.control.api.verbs import binding
from kubelite.control.api.verbs.identity import settle_namespace
from kubelite.control.api.verbs.write import read_object
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.answer import Answer, json_answer
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.attributes import AuthorizationAttributes
from kubelite.control.api.wire.request import User, user_info
from kubelite.control.api.wire.selectors import pinned
from kubelite.control.api.wire.status import bad_request, invalid, method_not_allowed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.auth.rbac import Rule
    from kubelite.control.api.verbs.write import Body
    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.resource import Resource
    from kubelite.control.api.wire.status import Cause, StatusError

    Handler = Callable[[Context, Request], Awaitable[Answer]]


_SPECIAL, _ESCAPED = re.compile(r"([\\,=])"), r"\\\1"


def handler(res: Resource) -> Handler:
    """The handler of a kind that can only be created. Raises StatusError 405."""
    own = _HANDLERS.get(res.kind)
    if own is None:
        raise method_not_allowed()
    return own


def _answered(obj: dict[str, Any], status: dict[str, Any]) -> Answer:
    return json_answer(
        {**obj, "metadata": obj.get("metadata") or {"creationTimestamp": None}, "status": status},
        201,
    )


async def _self_subject(context: Context, request: Request) -> Answer:
    obj = (await read_object(request)).obj
    return _answered(obj, {"userInfo": user_info(request.user)})


async def _token(context: Context, request: Request) -> Answer:
    obj = (await read_object(request)).obj
    spec = obj.get("spec") or {}
    audiences = list(spec.get("audiences") or ())
    if not spec.get("token"):
        raise bad_request("token is required for TokenReview in authentication")
    user, good = await context.authenticator.token(str(spec["token"]), audiences)
    if user is None:
        return _answered(
            obj, {"user": {}, "error": "[invalid bearer token, unknown or no longer valid]"}
        )
    status: dict[str, Any] = {"authenticated": True, "user": user_info(user)}
    if good:
        status["audiences"] = good
    return _answered(obj, status)


async def _self_access(context: Context, request: Request) -> Answer:
    body = await read_object(request)
    if problems := list(_attribute_problems(body.obj.get("spec") or {})):
        raise _invalid(request.resource, problems)
    return await _access(context, body, request.user)


async def _subject_access(context: Context, request: Request) -> Answer:
    body = await read_object(request)
    spec = body.obj.get("spec") or {}
    if request.resource.namespaced:
        settle_namespace(request, body.obj.setdefault("metadata", {}))
    problems = [*_access_problems(spec), *_local_problems(spec, request)]
    if problems:
        raise _invalid(request.resource, problems)
    return await _access(context, body, await aside(body.size, _user, spec))


def _user(spec: dict[str, Any]) -> User:
    extra = tuple((key, tuple(values)) for key, values in (spec.get("extra") or {}).items())
    return User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), extra)


def _invalid(res: Resource, problems: list[Cause]) -> StatusError:
    """The reviews of authorization name no kind when they refuse."""
    return invalid(msgspec.structs.replace(res, kind=""), "", problems)


def _access_problems(spec: dict[str, Any]) -> Iterator[Cause]:
    yield from _attribute_problems(spec)
    if not spec.get("user") and not spec.get("groups"):
        yield causes.invalid(
            "spec.user", spec.get("user", ""), "at least one of user or group must be specified"
        )


def _attribute_problems(spec: dict[str, Any]) -> Iterator[Cause]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        kind = "authorization.v1.NonResourceAttributes"
        yield causes.invalid("spec.nonResourceAttributes", path, why, kind)
    if resource is None and path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        yield causes.invalid("spec.resourceAttributes", None, why)


def _local_problems(spec: dict[str, Any], request: Request) -> Iterator[Cause]:
    if not request.resource.namespaced:
        return
    resource = spec.get("resourceAttributes")
    if resource is not None and resource.get("namespace", "") != request.namespace:
        yield causes.invalid(
            "spec.resourceAttributes.namespace",
            resource.get("namespace", ""),
            "must match metadata.namespace",
        )
    if spec.get("nonResourceAttributes") is not None:
        yield causes.invalid(
            "spec.nonResourceAttributes",
            spec["nonResourceAttributes"],
            "disallowed on this kind of request",
        )


async def _access(context: Context, body: Body, user: User) -> Answer:
    spec = body.obj.get("spec") or {}
    await context.authorizer.refresh(user)
    attributes = await aside(body.size, _attributes, user, spec)
    allowed, reason = await context.authorizer.review(attributes, body.size)
    status = {"allowed": allowed, "reason": reason} if reason else {"allowed": allowed}
    return await aside(body.size, _answered, body.obj, status)


def _attributes(user: User, spec: dict[str, Any]) -> AuthorizationAttributes:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is None:
        return _path_attributes(user, path)
    return _resource_attributes(user, resource)


def _path_attributes(user: User, attributes: Any) -> AuthorizationAttributes:
    return AuthorizationAttributes(
        user, attributes.get("verb", ""), path=attributes.get("path", "")
    )


def _resource_attributes(user: User, attributes: dict[str, Any]) -> AuthorizationAttributes:
    pins = pinned(_selector_text(attributes.get("fieldSelector") or {}))
    return AuthorizationAttributes(
        user,
        attributes.get("verb", ""),
        attributes.get("group", ""),
        attributes.get("resource", ""),
        attributes.get("subresource", ""),
        attributes.get("namespace", ""),
        attributes.get("name", ""),
        pinned_name=pins.get("metadata.name", ""),
        pinned_node=pins.get("spec.nodeName", ""),
    )


def _selector_text(selector: dict[str, Any]) -> str:
    """A field selector as a request would carry it."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    terms = [
        (requirement.get("key", ""), requirement.get("values") or [""])
        for requirement in selector.get("requirements") or ()
        if requirement.get("operator") == "In"
    ]
    return ",".join(
        f"{key}={_SPECIAL.sub(_ESCAPED, values[0])}" for key, values in terms if len(values) == 1
    )


async def _self_rules(context: Context, request: Request) -> Answer:
    obj = (await read_object(request)).obj
    namespace = (obj.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise bad_request("no namespace on request")
    rules = context.authorizer.rules(request.user, namespace)
    resources = [_resource_rule(rule) for rule in rules if not rule.paths]
    paths = [
        {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.paths)}
        for rule in rules
        if rule.paths
    ]
    status: dict[str, Any] = {
        "resourceRules": resources,
        "nonResourceRules": paths,
        "incomplete": False,
    }
    if missing := context.authorizer.policy().missing(request.user, namespace):
        status["evaluationError"] = missing
    if GROUP in request.user.groups:  # what its pods open to a node is no list of rules
        status |= {
            "incomplete": True,
            "evaluationError": "node authorizer does not support user rule resolution",
        }
    return _answered({**obj, "spec": {}}, status)  # the servers do not repeat the namespace


def _resource_rule(rule: Rule) -> dict[str, Any]:
    every = {
        "verbs": list(rule.verbs),
        "apiGroups": list(rule.groups),
        "resources": list(rule.resources),
        "resourceNames": list(rule.names),
    }
    return {key: value for key, value in every.items() if value}


_HANDLERS: dict[str, Handler] = {
    "SelfSubjectReview": _self_subject,
    "TokenReview": _token,
    "SelfSubjectAccessReview": _self_access,
    "SubjectAccessReview": _subject_access,
    "LocalSubjectAccessReview": _subject_access,
    "SelfSubjectRulesReview": _self_rules,
    "Binding": binding.bind,
}
