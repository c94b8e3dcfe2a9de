"""What authorization and the audit log look at of a request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kubelite.control.api.wire.request import User


class AuthorizationAttributes(NamedTuple):
    """May ``user`` do ``verb`` to a resource, or to a ``path`` that is no resource?

    ``fields`` is the field selector of a list, watch or deletecollection.
    """

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    sub: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""


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
