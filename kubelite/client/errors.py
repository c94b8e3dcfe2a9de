"""What a request may raise. Pure.

::

    ClientError
    ├── Unreachable           no answer: the connection failed, or the server is ending
    ├── BadKubeconfig         the file that says how to reach the cluster cannot be used
    └── ApiError              the server answered with a Status: code, reason, message, causes
        ├── BadRequest        400
        ├── Unauthorized      401
        ├── Forbidden         403  (quota, admission, namespace is terminating: see has_cause)
        ├── NotFound          404
        ├── MethodNotAllowed  405
        ├── Conflict          409  the object has changed since it was read
        │   └── AlreadyExists 409
        ├── Gone              410  the revision or continue token is no longer kept: list again
        ├── Invalid           422
        ├── TooManyRequests   429  retry_after seconds; an eviction that a budget forbids, too
        └── ServerError       5xx
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

Status = Mapping[str, Any]


class ClientError(Exception):
    """Anything that keeps a request from being answered as asked."""


class Unreachable(ClientError):
    """There was no answer. Whether the server has done what was asked is not known."""


class BadKubeconfig(ClientError):
    """The message names the file and what is wrong in it."""


class ApiError(ClientError):
    """The server refused. ``status`` is its Status object, ``{}`` where it sent none."""

    def __init__(self, code: int, status: Status, retry_after: float = 0.0) -> None:
        self.code = code
        self.status = status
        self.reason = str(status.get("reason") or "")
        self.message = str(status.get("message") or f"the server answered {code}")
        self.retry_after = retry_after
        super().__init__(self.message)

    @property
    def causes(self) -> list[dict[str, Any]]:
        """The causes of the Status: ``reason``, ``message`` and ``field`` each."""
        details = self.status.get("details") or {}
        return list(details.get("causes") or ())

    def has_cause(self, reason: str) -> bool:
        """Whether a cause has this reason, as ``NamespaceTerminating`` or ``DisruptionBudget``."""
        return any(cause.get("reason") == reason for cause in self.causes)


class BadRequest(ApiError):
    """The request makes no sense."""


class Unauthorized(ApiError):
    """The credentials are not accepted."""


class Forbidden(ApiError):
    """The user may not do that, or admission refuses the object."""


class NotFound(ApiError):
    """There is no such object, or no such resource is served."""


class MethodNotAllowed(ApiError):
    """The resource has no such verb."""


class Conflict(ApiError):
    """The object is not as the request expects it: revision or uid differ."""


class AlreadyExists(Conflict):
    """An object of that name is there already."""


class Gone(ApiError):
    """The revision asked for is no longer kept."""


class Invalid(ApiError):
    """The object breaks the rules of its kind; ``causes`` say which."""


class TooManyRequests(ApiError):
    """Not now: the server is busy, or a disruption budget forbids the eviction."""


class ServerError(ApiError):
    """The server failed."""


_BY_CODE: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def error_for(code: int, body: bytes, retry_after: str = "") -> ApiError:
    """The error of an answer with this code; ``retry_after`` is the header's text."""
    try:
        status = msgspec.json.decode(body)
    except msgspec.DecodeError:
        status = {"message": body[:500].decode("utf-8", "replace").strip()}
    return error_of_status(status if isinstance(status, dict) else {}, code, retry_after)


def error_of_status(status: Status, code: int = 0, retry_after: str = "") -> ApiError:
    """The error of a Status object, as the ERROR event of a watch carries it."""
    code = code or int(status.get("code") or 500)
    kind = _BY_CODE.get(code, ServerError if code >= 500 else ApiError)
    if kind is Conflict and status.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    seconds = float(retry_after) if retry_after.isdigit() else 0.0
    return kind(code, status, seconds)
