"""Status: how the API says no, and the HTTP code of each reason. Pure.

Bodies carry Kubernetes' own reasons, messages and key order, because clients compare them byte for
byte (apimachinery, ``api/errors``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubelite.control.api.wire.resource import Resource


class Cause(NamedTuple):
    """One thing that is wrong: ``FieldValueRequired``, ``Required value``,
    ``spec.containers[0].name``.
    """

    reason: str
    message: str
    field: str = ""


class StatusError(Exception):
    """A refusal. ``status`` is the body of the answer, ``code`` its HTTP code; ``headers`` and
    ``warnings`` go with it.
    """

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.status = body("Failure", message, reason, details, code)
        wait = (details or {}).get("retryAfterSeconds")
        self.headers = {} if wait is None else {"Retry-After": str(wait)}
        self.warnings: tuple[tuple[str, str], ...] = ()


def body(
    status: str,
    message: str = "",
    reason: str = "",
    details: dict[str, Any] | None = None,
    code: int = 0,
) -> dict[str, Any]:
    """A Status object in the servers' key order; what is empty is left out."""
    filled: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": status,
    }
    optional = {"message": message, "reason": reason, "details": details, "code": code}
    return filled | {key: value for key, value in optional.items() if value}


def details(
    res: Resource | None = None,
    name: str = "",
    *,
    uid: str = "",
    causes: Iterable[Cause] = (),
    retry: int = 0,
) -> dict[str, Any]:
    """The ``details`` of a Status; ``kind`` in it is the plural, as the servers have it."""
    listed = [_cause(cause) for cause in causes]
    every = {
        "name": name,
        "group": res.group if res else "",
        "kind": res.plural if res else "",
        "uid": uid,
        "causes": listed,
        "retryAfterSeconds": retry,
    }
    return {key: value for key, value in every.items() if value}


def _cause(cause: Cause) -> dict[str, str]:
    shown = {"reason": cause.reason, "message": cause.message}
    return {**shown, "field": cause.field} if cause.field else shown


def success(res: Resource, name: str, uid: str) -> dict[str, Any]:
    """What DELETE answers for kinds that do not answer with the object."""
    return body("Success", details=details(res, name, uid=uid))


def bad_request(message: str) -> StatusError:
    """400: the request cannot be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: credentials were given and are not valid."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(
    res: Resource | None, name: str, message: str, causes: Iterable[Cause] = ()
) -> StatusError:
    """403 with the whole sentence given."""
    return StatusError(403, "Forbidden", message, details(res, name, causes=causes))


def refused(res: Resource, name: str, why: str, causes: Iterable[Cause] = ()) -> StatusError:
    """403 of an admission rule: ``pods "x" is forbidden: exceeded quota ...``."""
    return forbidden(res, name, f'{res.group_resource} "{name}" is forbidden: {why}', causes)


def not_found(res: Resource, name: str) -> StatusError:
    """404 for an object."""
    return StatusError(
        404, "NotFound", f'{res.group_resource} "{name}" not found', details(res, name)
    )


def no_such_path() -> StatusError:
    """404 for a path that nothing serves."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405: the path exists, the verb does not."""
    message = "the server does not allow this method on the requested resource"
    return StatusError(405, "MethodNotAllowed", message, {})


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: none of the wanted forms can be given."""
    listed = ", ".join(accepted)
    return StatusError(
        406, "NotAcceptable", f"only the following media types are accepted: {listed}"
    )


def already_exists(res: Resource, name: str) -> StatusError:
    """409 of a create."""
    return StatusError(
        409, "AlreadyExists", f'{res.group_resource} "{name}" already exists', details(res, name)
    )


MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def conflict(res: Resource, name: str, why: str = MODIFIED) -> StatusError:
    """409 of a write that started from an old state."""
    message = f'Operation cannot be fulfilled on {res.group_resource} "{name}": {why}'
    return StatusError(409, "Conflict", message, details(res, name))


def precondition_failed(
    res: Resource, name: str, what: str, given: str, present: str
) -> StatusError:
    """409 of a deletion that meant another object; ``what`` is UID or ResourceVersion."""
    hint = {
        "UID": "The object might have been deleted and then recreated",
        "ResourceVersion": "The object might have been modified",
    }[what]
    label = f"{res.kind}.{res.group}" if res.group else res.kind
    message = (
        f'Operation cannot be fulfilled on {label} "{name}": the {what} in the precondition '
        f"({given}) does not match the {what} in record ({present}). {hint}"
    )
    filled = {**details(res, name), "kind": res.kind}
    return StatusError(409, "Conflict", message, filled)


def apply_conflict(causes: list[Cause]) -> StatusError:
    """409 of a server-side apply; a cause is FieldManagerConflict, ``conflict with "kubectl" using
    v1``, ``.data.a``.
    """
    number = f"{len(causes)} conflict" + ("s" if len(causes) > 1 else "")
    text = f"{causes[0].message}: {causes[0].field}" if len(causes) == 1 else _by_manager(causes)
    return StatusError(
        409, "Conflict", f"Apply failed with {number}: {text}", details(causes=causes)
    )


def _by_manager(causes: list[Cause]) -> str:
    """Several conflicts as the servers write them: each manager once, its fields as a list
    below.
    """
    fields: dict[str, list[str]] = {}
    for cause in causes:
        fields.setdefault(cause.message.replace("conflict ", "conflicts ", 1), []).append(
            cause.field
        )
    return "\n".join(
        "\n".join([f"{message}:", *(f"- {path}" for path in paths)])
        for message, paths in fields.items()
    )


def expired(message: str) -> StatusError:
    """410: the revision asked for is no longer kept; list again."""
    return StatusError(410, "Expired", message)


def too_large() -> StatusError:
    """413: the body is larger than the server reads."""
    return StatusError(413, "RequestEntityTooLarge", "limit is 3145728", details())


def unsupported_media_type(accepted: Iterable[str]) -> StatusError:
    """415: the body is in a form the server does not read."""
    listed = ", ".join(accepted)
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {listed}"
    )
    return StatusError(415, "UnsupportedMediaType", message)


def invalid(res: Resource, name: str, causes: list[Cause], kind: str = "") -> StatusError:
    """422: understood, and wrong. ``kind`` is told where it is not that of the resource."""
    text = _listed(causes)
    kind = kind or res.kind
    label = f"{kind}.{res.group}" if res.group else kind
    filled = details(res, name, causes=causes)
    filled = {**filled, "kind": kind} if filled else filled
    return StatusError(422, "Invalid", f'{label} "{name}" is invalid: {text}', filled)


def invalid_options(kind: str, causes: list[Cause]) -> StatusError:
    """422 for the options of a request: ``DeleteOptions``, ``ListOptions``, ``PatchOptions`` ..."""
    text = _listed(causes)
    filled = {"group": "meta.k8s.io", "kind": kind, **details(causes=causes)}
    return StatusError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {text}', filled)


def undecodable_patch(patched: str, why: str) -> StatusError:
    """422: what a patch makes of an object is no object of its kind."""
    cause = Cause("FieldValueInvalid", f"Invalid value: {_quoted(patched)}: {why}", "patch")
    message = f' "" is invalid: patch: {cause.message}'
    return StatusError(422, "Invalid", message, details(causes=[cause]))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _listed(causes: list[Cause]) -> str:
    problems = dict.fromkeys(
        f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes
    )
    text = ", ".join(problems)
    return text if len(problems) == 1 else f"[{text}]"


def too_many_requests(message: str, retry: int, causes: Iterable[Cause] = ()) -> StatusError:
    """429: later, perhaps."""
    return StatusError(429, "TooManyRequests", message, details(causes=causes, retry=retry))


def internal(message: str) -> StatusError:
    """500: our fault."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}", details())


def unavailable(message: str) -> StatusError:
    """503: not now."""
    return StatusError(503, "ServiceUnavailable", message)


def future_revision(wanted: int, current: int) -> StatusError:
    """504 for a revision that does not exist yet."""
    filled = details(
        causes=[Cause("ResourceVersionTooLarge", "Too large resource version")], retry=1
    )
    message = f"Too large resource version: {wanted}, current: {current}"
    return StatusError(504, "Timeout", message, filled)


def no_space(message: str) -> StatusError:
    """507: the store cannot write."""
    return StatusError(507, "InsufficientStorage", message)
