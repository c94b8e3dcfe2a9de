"""A request as the verbs see it: who asks for what, with which options. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.control.api.wire.negotiation import (
    CUSTOM_MEDIA_TYPES,
    MEDIA_TYPES,
    Form,
    negotiate,
)
from kubelite.control.api.wire.status import bad_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from kubelite.control.api.wire.resource import Resource


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


class Query:
    """The options of a request. Values are read by kind, so that a wrong one is a 400 with its name
    in it.
    """

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def flag(self, name: str) -> bool:
        """A switch: on where it is given at all, unless it says ``false`` or ``0``
        (apimachinery, ``Convert_Slice_string_To_bool``).
        """
        values = self._values.get(name)
        return values is not None and values[0].lower() not in ("false", "0")

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not value.isascii() or not value.lstrip("-").isdigit() or len(value) > 19:
            raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
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

    def form(self) -> Form:
        """The form of the answer that Accept and ``pretty`` ask for. Raises StatusError 406."""
        types = MEDIA_TYPES if self.resource.crd is None else CUSTOM_MEDIA_TYPES
        is_stored = self.resource.verbs != ("create",)
        pretty = self.query.text("pretty")
        return negotiate(self.accept, pretty, self.agent, types, has_tables=is_stored)
