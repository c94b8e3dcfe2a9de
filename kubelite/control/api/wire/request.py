"""A request as the verbs see it: who asks for what, with which options. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.wire.status import bad_request, not_acceptable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kubelite.control.api.wire.resource import Resource

_FORMS = {
    "Table": "table",
    "PartialObjectMetadata": "partial",
    "PartialObjectMetadataList": "partial",
}


class User(NamedTuple):
    """Who asks. ``extra`` travels along for SubjectAccessReview and audit."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def user_info(user: User) -> dict[str, Any]:
    """A user as ``authentication.k8s.io/v1`` writes one."""
    every = {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": {key: list(values) for key, values in user.extra},
    }
    return {key: value for key, value in every.items() if value}


class Form(NamedTuple):
    """In which form objects are wanted: ``plain``, ``table`` or ``partial``."""

    name: str = "plain"
    content_type: str = "application/json"


PLAIN = Form()


class Query:
    """The options of a request. Values are read by kind, so that a wrong one is a 400 with its name
    in it.
    """

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def text(self, name: str, default: str = "") -> str:
        found = self._values.get(name)
        return found[0] if found else default

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def flag(self, name: str) -> bool:
        value = self.text(name)
        if value in ("", "0", "false", "False", "f", "F", "FALSE"):
            return False
        if value in ("1", "true", "True", "t", "T", "TRUE"):
            return True
        raise bad_request(f"the query parameter {name} must be true or false, not {value!r}")

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not value.isascii() or not value.lstrip("-").isdigit() or len(value) > 19:
            raise bad_request(f"the query parameter {name} must be a whole number, not {value!r}")
        return int(value)

    def dry_run(self) -> bool:
        values = self.all("dryRun")
        if any(value != "All" for value in values):
            raise bad_request(f'dryRun: Unsupported value: "{values[0]}": supported values: "All"')
        return bool(values)


class Request(msgspec.Struct, frozen=True, eq=False):
    """One request for a resource."""

    method: str
    verb: str
    resource: Resource
    namespace: str
    name: str
    sub: str
    rest: str
    query: Query
    user: User
    accept: str
    content_type: str
    agent: str
    read_body: Callable[[], Awaitable[bytes]]
    headers: Mapping[str, str]
    notes: dict[str, str] = msgspec.field(
        default_factory=dict
    )  # what admission wants the audit log to say

    def manager(self) -> str:
        """Who is written into managedFields: what the request says, else the client's program name."""
        name = self.query.text("fieldManager")
        if len(name) > 128 or not name.isprintable():
            raise bad_request("fieldManager must be at most 128 printable characters")
        if not name:
            program = self.agent.split("/", 1)[0][:128]
            name = (
                program
                if program.isprintable()
                else "".join(each for each in program if each.isprintable())
            )
        return name or "unknown"

    def form(self) -> Form:
        """The first form in Accept that can be given. Raises StatusError 406."""
        return negotiate(self.accept)


def negotiate(accept: str) -> Form:
    """The form that an Accept header asks for. Raises StatusError 406."""
    if accept in ("", "*/*", "application/json"):
        return PLAIN
    for wish in accept.split(","):
        media, *parameters = [part.strip() for part in wish.split(";")]
        if media not in ("application/json", "application/*", "*/*"):
            continue
        values = dict(part.partition("=")[::2] for part in parameters)
        wanted = values.get("as")
        if wanted is None:
            return PLAIN
        if (
            wanted in _FORMS
            and values.get("g") == "meta.k8s.io"
            and values.get("v") in ("v1", "v1beta1")
        ):
            return Form(_FORMS[wanted], "application/json")
    raise not_acceptable(["application/json"])
