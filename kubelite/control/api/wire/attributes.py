"""The question that authorization answers. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kubelite.control.api.wire.request import User


class Asked(NamedTuple):
    """May ``user`` do ``verb``: to a resource, or to a ``path`` that is none."""

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    sub: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    fields: str = ""
