"""Which requests are let in. Pure.

A page that any site may open in the same browser must not reach the cluster: neither by a request
across origins, nor by a WebSocket, for which browsers ask nobody, nor under a name of its own that
it lets resolve to this address (DNS rebinding).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

PAGE, SESSION = "/ui/", "/ui/session"
_READING = ("GET", "HEAD")
_OWN_SITE = ("same-origin", "none")
"""``same-site`` is not enough: every port of this machine is of the same site."""


class RequestFacts(NamedTuple):
    """What is looked at of a request. Texts are "" where there is no such header."""

    method: str
    path: str
    host: str
    origin: str
    site: str
    """Sec-Fetch-Site, which a browser sets and no page can."""
    is_upgrade: bool
    has_session: bool


class Refusal(NamedTuple):
    """Why a request is not answered: code and reason of a Status, and a sentence."""

    code: int
    reason: str
    message: str


def refusal(
    request: RequestFacts, hosts: Collection[str], public: Collection[str]
) -> Refusal | None:
    """Why a request is refused, None for one that is let in. ``hosts`` are the names by which this
    server is called, with its port; ``public`` the paths that need no session.
    """
    if request.host not in hosts:
        return _forbidden("the Host header does not name this server")
    if request.origin and request.origin != f"http://{request.host}":
        return _forbidden("the request comes from another origin")
    if not request.origin and (request.is_upgrade or request.method not in _READING):
        return _forbidden("the request does not say from which origin it comes")
    if request.site and request.site not in _OWN_SITE and not _opens_page(request):
        return _forbidden("the request comes from another site")
    if request.has_session or request.path in public or request.path == SESSION:
        return None
    return Refusal(401, "Unauthorized", "no session: open the address that `kubelite ui` prints")


def _opens_page(request: RequestFacts) -> bool:
    """A link anywhere may lead to the page, which tells nothing by itself."""
    return request.method in _READING and request.path == PAGE and not request.is_upgrade


def _forbidden(message: str) -> Refusal:
    return Refusal(403, "Forbidden", message)
