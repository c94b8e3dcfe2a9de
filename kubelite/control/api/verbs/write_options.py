"""CreateOptions, UpdateOptions and PatchOptions: the query of a write, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.verbs.delete_options import dry_run_problems
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.status import invalid_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.status import Cause

MAX_MANAGER = 128
_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_VALIDATIONS = ("Ignore", "Strict", "Warn")


class WriteOptions(NamedTuple):
    """How a write is meant. ``manager`` is who is written into managedFields, ``validation`` the
    strictness about unknown and duplicate fields, ``size`` about how many bytes of JSON have to be
    looked at.
    """

    manager: str
    validation: str
    dry_run: bool
    force: bool = False
    size: int = 0


def write_options(request: Request, *, is_apply: bool = False) -> WriteOptions:
    """The options of a create, update or patch. Raises StatusError 400, 422."""
    query = request.query
    dry_run = query.all("dryRun")
    manager = query.text("fieldManager")
    validation = query.text("fieldValidation") or "Warn"
    force = query.flag("force")
    has_force = "force" in query
    problems: list[Cause] = []
    if is_apply or has_force:
        problems += _apply_problems(manager, has_force, is_apply=is_apply)
    if manager:
        problems += _manager_problems(manager)
    if dry_run:
        problems += dry_run_problems(dry_run)
    if validation not in _VALIDATIONS:
        problems.append(causes.unsupported("fieldValidation", validation, ["", *_VALIDATIONS]))
    if problems:
        raise invalid_options(_KINDS.get(request.verb, "UpdateOptions"), problems)
    return WriteOptions(manager or manager_of(request.agent), validation, bool(dry_run), force)


def _apply_problems(manager: str, has_force: bool, *, is_apply: bool) -> Iterator[Cause]:
    if is_apply and not manager:
        yield causes.required("fieldManager", "is required for apply patch")
    if not is_apply and has_force:
        yield causes.forbidden("force", "may not be specified for non-apply patch")


def _manager_problems(manager: str) -> Iterator[Cause]:
    if len(manager.encode()) > MAX_MANAGER:
        yield causes.too_long("fieldManager", MAX_MANAGER)
    for index, character in enumerate(manager):
        if not character.isprintable():
            why = "should only contain printable characters"
            yield causes.invalid(f"fieldManager[{index}]", manager, why)
            return


def manager_of(agent: str) -> str:
    """The field manager of a client that names none: its program, from User-Agent."""
    program = agent.split("/", 1)[0][:MAX_MANAGER]
    return "".join(character for character in program if character.isprintable()) or "unknown"
