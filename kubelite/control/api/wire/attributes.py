"""What authorization and the audit log look at of a request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.lib.text_cache import LONGEST

if TYPE_CHECKING:
    from kubelite.control.api.wire.request import User


class AuthorizationAttributes(NamedTuple):
    """May ``user`` do ``verb`` to a resource, or to a ``path`` that is no resource?

    ``pinned_name`` and ``pinned_node`` are the metadata.name and spec.nodeName that the field
    selector of a list or watch demands.
    """

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    sub: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    pinned_name: str = ""
    pinned_node: str = ""

    @property
    def is_short(self) -> bool:
        """Whether the answer may be remembered: most of the question is the client's own choice."""
        user, *texts = self
        return sum(map(len, texts)) + length(user) <= LONGEST


def length(user: User) -> int:
    """The characters of all that is known of a user."""
    extra = sum(len(key) + sum(map(len, values)) for key, values in user.extra)
    return len(user.name) + len(user.uid) + sum(map(len, user.groups)) + extra


class AuditAttributes(NamedTuple):
    """What an audit rule looks at. ``resource`` is empty for paths that are no resources."""

    user: User
    verb: str
    path: str
    group: str = ""
    resource: str = ""
    sub: str = ""
    namespace: str = ""
    name: str = ""
    impersonated: User | None = None
