"""From a request to an answer: who asks, may they, which handler; and every error as a Status. Owns
no socket.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from kubelite.control.api.admission.dynamic import conversion
from kubelite.control.api.auth.authentication import ANONYMOUS, impersonated
from kubelite.control.api.auth.authorization import attributes_of, denial
from kubelite.control.api.kinds.registry import rules_of
from kubelite.control.api.server.flow_control import TooManyRequests
from kubelite.control.api.server.metrics import Target
from kubelite.control.api.verbs import (
    binding,
    component_statuses,
    delete,
    eviction,
    patches,
    proxy,
    read,
    reviews,
    scale,
    streams,
    token_requests,
    usage,
    watch,
    write,
)
from kubelite.control.api.wire import paths
from kubelite.control.api.wire.answer import Answer, Stream, json_answer, warnings
from kubelite.control.api.wire.aside import aside
from kubelite.control.api.wire.attributes import AuditAttributes, AuthorizationAttributes
from kubelite.control.api.wire.negotiation import PLAIN, is_plain, negotiate
from kubelite.control.api.wire.raw_request import AuditTrace
from kubelite.control.api.wire.representation import represent
from kubelite.control.api.wire.request import Query, Request
from kubelite.control.api.wire.resource import METRICS
from kubelite.control.api.wire.status import (
    StatusError,
    forbidden,
    internal,
    method_not_allowed,
    no_space,
    no_such_path,
    unavailable,
)
from kubelite.control.store.types import NoSpace, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.aggregation.aggregation import Aggregation
    from kubelite.control.api.aggregation.services import ApiService
    from kubelite.control.api.auth.audit import Audit
    from kubelite.control.api.discovery.nonresource import NonResourcePaths
    from kubelite.control.api.server.flow_control import Classified, FlowControl
    from kubelite.control.api.server.metrics import Metrics
    from kubelite.control.api.verbs.custom_definitions import Definitions
    from kubelite.control.api.wire.paths import Target as PathTarget
    from kubelite.control.api.wire.raw_request import RawRequest
    from kubelite.control.api.wire.request import User
    from kubelite.control.api.wire.resource import Resource

    Handler = Callable[[Context, Request], Awaitable[Answer | Stream]]

_log = logging.getLogger("kubelite.api")
_AUTHORIZATION = "authorization.k8s.io"
_RELAYED = ("log", "exec", "attach", "portforward", "proxy")  # answered by somebody else
_PASSED_SECONDS = 60.0  # kube-apiserver, ``--request-timeout``
_PARTS = ("status", "finalize", "approval", "resize", "ephemeralcontainers")


class App:
    """Answers requests."""

    def __init__(
        self,
        context: Context,
        definitions: Definitions,
        aggregation: Aggregation,
        nonresource: NonResourcePaths,
        flow: FlowControl,
        metrics: Metrics,
        audit: Audit | None = None,
    ) -> None:
        self._context = context
        self._definitions = definitions
        self._aggregation = aggregation
        self._nonresource = nonresource
        self._flow = flow
        self._metrics = metrics
        self._audit = audit

    async def handle(self, raw: RawRequest) -> Answer | Stream:
        """The answer to a request. Never raises but for cancellation."""
        if self._audit is None:
            return await self._answer(raw, AuditTrace())
        since, trace = datetime.now(UTC), AuditTrace()
        answer = await self._answer(raw._replace(read_body=trace.recording(raw.read_body)), trace)
        try:
            self._audit.note(_audited(raw, trace), raw, trace, answer, since)
        except OSError as error:
            _log.error("the audit log cannot be written: %s", error)
        return answer

    async def _answer(self, raw: RawRequest, trace: AuditTrace) -> Answer | Stream:
        try:
            return await self._handle(raw, trace)
        except StatusError as error:
            return await aside(len(str(error)), _refused, error, raw)
        except TooManyRequests as error:
            self._metrics.reject(error.level)
            return _OVERLOADED
        except NoSpace as error:
            return refusal(no_space(str(error)))
        except StoreError as error:
            return refusal(unavailable(str(error)))
        except Exception as error:  # noqa: BLE001  # a client gets a Status whatever happens; the log gets the rest
            _log.exception("%s %s failed", raw.method, raw.path)
            return refusal(internal(f"{type(error).__name__} in the API server; its log says more"))

    async def _handle(self, raw: RawRequest, trace: AuditTrace) -> Answer | Stream:
        asker = await self._context.authenticator.identify(raw.credentials)
        trace.asker = asker
        await self._definitions.refresh()
        await self._aggregation.refresh()
        await self._context.authorizer.refresh(asker)
        user = impersonated(asker, raw.headers, self._context.authorizer)
        if user is not asker:
            await self._context.authorizer.refresh(user)
            trace.impersonated = user
        target = paths.parse(raw.path)
        if target is None:
            return await self._answer_path(user, raw, trace)
        query = await _query(raw) if raw.query else Query({})
        trace.request = request = self._request(raw, query, target, user, trace)
        size = len(raw.query)
        attributes = await aside(size, attributes_of, request) if size else attributes_of(request)
        await self._flow.refresh()
        classified = self._flow.classify(attributes)
        self._authorize(request, attributes, trace)
        elsewhere = self._aggregation.find(target.group, target.version)
        long = request.verb == "watch" or request.sub in _RELAYED
        seat = None if long else await self._flow.acquire(classified)
        begun = self._metrics.begin(request.verb)
        code = 500
        try:
            answer = await (
                self._pass_on(elsewhere, raw, user, None if long else classified)
                if elsewhere
                else self._respond(request)
            )
            code = answer.code if isinstance(answer, Answer) else 200
        except StatusError as error:
            code = error.code
            raise
        finally:
            self._metrics.end(begun, _counted_as(request), code)
            if seat is not None:
                seat.release()
        return _with_flow(answer, classified)

    async def _pass_on(
        self, service: ApiService, raw: RawRequest, user: User, classified: Classified | None
    ) -> Answer | Stream:
        """The answer of an extension server, which holds a seat while it is passed on;
        ``classified`` is None for one that lasts. Raises StatusError, StoreError.
        """
        lasts = classified is None or streams.wants_upgrade(raw.headers)
        answer = await self._aggregation.pass_on(
            service, user, raw.headers, raw.read_body, None if lasts else _PASSED_SECONDS
        )
        if classified is None or lasts or isinstance(answer, Answer):
            return answer
        return Stream(lambda connection: self._seated(connection, answer, classified))

    async def _seated(self, connection: Any, stream: Stream, classified: Classified) -> Any:
        from aiohttp import web

        try:
            seat = await self._flow.acquire(classified)
        except TooManyRequests as error:
            self._metrics.reject(error.level)
            headers = {"Content-Type": _OVERLOADED.content_type, **dict(_OVERLOADED.headers)}
            return web.Response(body=_OVERLOADED.body, status=_OVERLOADED.code, headers=headers)
        try:
            return await stream.run(connection)
        finally:
            if seat is not None:
                seat.release()

    async def _answer_path(self, user: User, raw: RawRequest, trace: AuditTrace) -> Answer | Stream:
        """The answer for a path that is no resource. Raises StatusError."""
        attributes = AuthorizationAttributes(user, raw.method.lower(), path=raw.path)
        self._authorize_path(attributes, raw, trace)
        await self._flow.refresh()
        classified = self._flow.classify(attributes)
        seat = await self._flow.acquire(classified)
        try:
            if (elsewhere := self._aggregation.at_path(raw.path)) is not None:
                return await self._pass_on(elsewhere, raw, user, classified)
            query = await _query(raw) if raw.query else Query({})
            accept = raw.headers.get("Accept", "")
            return await self._nonresource.answer(raw.method, raw.path, query, accept)
        finally:
            if seat is not None:
                seat.release()

    async def _respond(self, request: Request) -> Answer | Stream:
        """The answer of the request's handler, in the form that was asked for. Raises
        StatusError.
        """
        handler = route(request)
        if request.sub in _RELAYED:
            return await handler(self._context, request)
        form = request.form()  # before anything is written: a 406 leaves nothing behind
        res = request.resource
        warning = res.deprecation or rules_of(res).deprecation
        headers = warnings([warning]) if warning else ()
        try:
            answer = await handler(conversion.seen_from(self._context, res), request)
        except StatusError as error:
            error.warnings = (*error.warnings, *headers)
            raise
        if not isinstance(answer, Answer):
            return answer
        if headers:
            answer = answer._replace(headers=(*answer.headers, *headers))
        return answer if form is PLAIN else await aside(len(answer.body), represent, answer, form)

    def _allows(self, attributes: AuthorizationAttributes, trace: AuditTrace) -> bool:
        allowed = self._context.authorizer.allows(attributes)
        if self._audit is not None:
            trace.annotations[f"{_AUTHORIZATION}/decision"] = "allow" if allowed else "forbid"
            trace.annotations[f"{_AUTHORIZATION}/reason"] = self._context.authorizer.reason(
                attributes
            )
        return allowed

    def _authorize_path(
        self, attributes: AuthorizationAttributes, raw: RawRequest, trace: AuditTrace
    ) -> None:
        if not self._allows(attributes, trace):
            who, verb = attributes.user.name, attributes.verb
            raise forbidden(None, "", f'forbidden: User "{who}" cannot {verb} path "{raw.path}"')

    def _request(
        self, raw: RawRequest, query: Query, target: PathTarget, user: User, trace: AuditTrace
    ) -> Request:
        res = self._context.registry.find(target.group, target.version, target.plural) or _unknown(
            target
        )
        headers = raw.headers
        namespace = target.namespace if res.namespaced else ""
        return Request(
            method=raw.method,
            verb=paths.verb(raw.method, target, watching=query.flag("watch")),
            resource=res,
            namespace=namespace,
            name=target.name,
            sub=target.sub,
            rest=target.rest,
            query=query,
            user=user,
            accept=headers.get("Accept", ""),
            content_type=headers.get("Content-Type", "").split(";")[0].strip(),
            agent=headers.get("User-Agent", ""),
            read_body=raw.read_body,
            headers=headers,
            notes=trace.annotations,
        )

    def _authorize(
        self, request: Request, attributes: AuthorizationAttributes, trace: AuditTrace
    ) -> None:
        """Raises StatusError 403, before anything is looked at."""
        if not self._allows(attributes, trace):
            reason = self._context.authorizer.reason(attributes)
            raise denial(request.resource, attributes, reason)


async def _query(raw: RawRequest) -> Query:
    """The query parameters, which may have a megabyte."""
    parameters = await aside(len(raw.query), parse_qs, raw.query, keep_blank_values=True)
    return Query(parameters)


def _audited(raw: RawRequest, trace: AuditTrace) -> AuditAttributes:
    """What the rules of the audit log look at, as far as it became known."""
    asker, request = trace.asker or ANONYMOUS, trace.request
    if request is None:
        verb = raw.method.lower()
        return AuditAttributes(asker, verb, raw.path, impersonated=trace.impersonated)
    return AuditAttributes(
        asker,
        request.verb,
        raw.path,
        request.resource.group,
        request.resource.plural,
        request.sub,
        request.namespace,
        request.name,
        trace.impersonated,
    )


def _unknown(target: PathTarget) -> Resource:
    """A resource that nothing serves: authorization answers first, so that a 404 tells nothing to
    those who may not ask.
    """
    from kubelite.control.api.wire.resource import Resource

    return Resource(
        target.group,
        target.version,
        "",
        target.plural,
        target.plural,
        bool(target.namespace),
        "",
        "",
        verbs=(),
    )


def route(request: Request) -> Handler:
    """The handler of a request. Raises StatusError 404, 405."""
    res, verb = request.resource, request.verb
    if not res.kind:
        raise no_such_path()
    if request.sub:
        if request.sub not in res.subresources:
            raise no_such_path()
        handler = _SUBRESOURCES.get((request.sub, verb)) or (
            _PART.get(verb) if request.sub in _PARTS else None
        )
    elif res.verbs == ("create",):
        handler = reviews.handler(res) if verb == "create" and not request.name else None
    elif verb not in res.verbs or _is_misplaced(request):
        handler = None
    else:
        handler = _COMPUTED.get((res.group, res.plural, verb)) or _VERBS[verb]
    if handler is None:
        raise method_not_allowed()
    return _needs_namespace(request, handler)


def _is_misplaced(request: Request) -> bool:
    """Whether the method means nothing at this path: a POST to an object, a PUT or PATCH to a
    collection, a HEAD.
    """
    if request.method == "HEAD":
        return request.resource.crd is None
    return request.verb == "create" if request.name else request.verb in ("update", "patch")


def _needs_namespace(request: Request, handler: Handler) -> Handler:
    """Objects in namespaces are named with one; only lists may look at all of them."""
    if (
        request.resource.namespaced
        and not request.namespace
        and request.verb not in ("list", "watch")
    ):
        raise no_such_path() if request.name else method_not_allowed()
    return handler


async def _get_list(context: Context, request: Request) -> Answer:
    return await read.list_objects(context.store, request)


async def _get(context: Context, request: Request) -> Answer:
    return await read.get(context.store, request)


async def _watch(context: Context, request: Request) -> Stream:
    return await watch.watch(context.store, request)


_VERBS: dict[str, Handler] = {
    "get": _get,
    "list": _get_list,
    "watch": _watch,
    "create": write.create,
    "update": write.update,
    "patch": patches.patch_object,
    "delete": delete.delete,
    "deletecollection": delete.delete_collection,
}
_COMPUTED: dict[tuple[str, str, str], Handler] = {
    ("", "componentstatuses", "get"): component_statuses.get_status,
    ("", "componentstatuses", "list"): component_statuses.list_statuses,
    (METRICS, "nodes", "get"): usage.get_node,
    (METRICS, "nodes", "list"): usage.list_nodes,
    (METRICS, "pods", "get"): usage.get_pod,
    (METRICS, "pods", "list"): usage.list_pods,
}
_PART: dict[str, Handler] = {"get": _get, "update": write.update, "patch": patches.patch_object}
_SUBRESOURCES: dict[tuple[str, str], Handler] = {
    ("scale", "get"): scale.get_scale,
    ("scale", "update"): scale.put_scale,
    ("scale", "patch"): scale.patch_scale,
    ("binding", "create"): binding.bind,
    ("eviction", "create"): eviction.evict,
    ("token", "create"): token_requests.create,
    ("log", "get"): streams.log,
    ("exec", "create"): streams.relay,
    ("attach", "create"): streams.relay,
    ("portforward", "create"): streams.relay,
    **{
        ("proxy", verb): proxy.proxy
        for verb in ("get", "list", "create", "update", "patch", "delete")
    },
}


_OVERLOADED = Answer(
    b"Too many requests, please try again later.\n",
    429,
    "text/plain; charset=utf-8",
    (("Retry-After", "1"), ("X-Content-Type-Options", "nosniff")),
)


def _with_flow(answer: Answer | Stream, classified: Classified) -> Answer | Stream:
    """Tells how flow control saw the request."""
    if not isinstance(answer, Answer):
        return answer
    body, code, content_type, headers = answer
    return Answer(body, code, content_type, headers + classified.headers)


_METHODS = {"create": "POST", "update": "PUT"}


def _counted_as(request: Request) -> Target:
    """The labels of a request in the metrics."""
    scope = "resource" if request.name else "namespace" if request.namespace else "cluster"
    res, verb = request.resource, request.verb
    method = _METHODS.get(verb) or verb.upper()
    return Target(method, res.group, res.version, res.plural, request.sub, scope)


def _refused(error: StatusError, raw: RawRequest) -> Answer:
    return _in_accepted_form(refusal(error), raw)


def _in_accepted_form(answer: Answer, raw: RawRequest) -> Answer:
    """A refusal in the form of the Accept header; JSON where that asks for nothing we have."""
    accept = raw.headers.get("Accept", "")
    if is_plain(accept):
        return answer
    try:
        return represent(answer, negotiate(accept)._replace(name="plain"))
    except StatusError:
        return answer


def refusal(error: StatusError) -> Answer:
    """A StatusError as an answer."""
    return json_answer(error.status, error.code, headers=(*error.headers.items(), *error.warnings))
