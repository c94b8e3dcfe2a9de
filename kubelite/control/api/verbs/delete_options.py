"""DeleteOptions: read from the body of a DELETE or from its query, and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.strategy.bodies import typed
from kubelite.control.api.wire import causes, codec
from kubelite.control.api.wire.status import bad_request, invalid_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.status import Cause

KIND = "DeleteOptions"
POLICIES = ("Foreground", "Background", "Orphan")


class DeleteOptions(NamedTuple):
    """How an object is to be deleted; ``grace`` in seconds, ``policy`` "" for the kind's default.

    ``orphan`` is the deprecated ``orphanDependents``; at most one of the two is given.
    """

    grace: int | None = None
    policy: str = ""
    orphan: bool | None = None
    uid: str = ""
    revision: str = ""
    dry_run: bool = False

    @property
    def says_policy(self) -> bool:
        """Whether the request says what becomes of dependents."""
        return bool(self.policy) or self.orphan is not None


async def read_options(request: Request) -> DeleteOptions:
    """The options of a DELETE: those of the body, or without one those of the query. Raises
    StatusError 400, 422.
    """
    data = await request.read_body()
    if not data.strip():
        return _checked(_from_query(request))
    options = options_of(codec.decode(data, request.content_type).value)
    # A dry run that only the query asks for is honoured too: the other way round would delete.
    return options._replace(dry_run=options.dry_run or request.query.dry_run())


def _from_query(request: Request) -> dict[str, Any]:
    query = request.query
    given = {
        "gracePeriodSeconds": query.number("gracePeriodSeconds"),
        "propagationPolicy": query.text("propagationPolicy") or None,
        "orphanDependents": query.flag("orphanDependents")
        if query.text("orphanDependents")
        else None,
        "dryRun": query.all("dryRun") or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def options_of(body: Any) -> DeleteOptions:
    """The options that a document holds. Raises StatusError 400 for a document of another kind, 422
    for options that cannot be.
    """
    if isinstance(body, dict) and body.get("kind") not in (None, "", KIND):
        version = body.get("apiVersion") or "v1"
        raise bad_request(
            f'no kind "{body["kind"]}" is registered for version "{version}" in scheme '
            f'"pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    return _checked(typed("meta.v1.DeleteOptions", body))


def _checked(body: dict[str, Any]) -> DeleteOptions:
    if problems := list(_problems(body)):
        raise invalid_options(KIND, problems)
    conditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds")
    return DeleteOptions(
        grace=1 if grace is not None and grace < 0 else grace,
        policy=body.get("propagationPolicy") or "",
        orphan=body.get("orphanDependents"),
        uid=conditions.get("uid") or "",
        revision=conditions.get("resourceVersion") or "",
        dry_run=bool(body.get("dryRun")),
    )


def _problems(body: dict[str, Any]) -> Iterator[Cause]:
    """apimachinery, ``meta/v1/validation.ValidateDeleteOptions``."""
    policy, path = body.get("propagationPolicy"), "propagationPolicy"
    if policy is not None and body.get("orphanDependents") is not None:
        yield causes.invalid(
            path, policy, "orphanDependents and deletionPropagation cannot be both set"
        )
    elif policy is not None and policy not in POLICIES:
        yield causes.unsupported(path, policy, ["Foreground", "Background", "Orphan", "nil"])
    yield from dry_run_problems(body.get("dryRun") or [])


def dry_run_problems(values: list[str]) -> Iterator[Cause]:
    """The only dry run there is goes through all stages."""
    if any(value != "All" for value in values):
        yield causes.unsupported("dryRun", values, ["All"])
