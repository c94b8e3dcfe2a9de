"""From a method and a URL path to what is meant. Pure.

``/api/v1/namespaces/x/pods/y/log`` is the resource ``pods`` named ``y`` in ``x``, subresource
``log``; a namespace is itself a resource, so ``/api/v1/namespaces/x/status`` is its subresource
(apiserver, ``request/requestinfo.go``).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubelite.control.api.wire.status import StatusError, bad_request
from kubelite.lib.text_cache import remember_short

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_NAMESPACE_PARTS = ("status", "finalize")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_COMMANDS = ("exec", "attach", "run", "portForward")
"""Paths of a kubelet that lead into containers by any method: a WebSocket begins with GET."""
CONNECT = ("exec", "attach", "portforward", "proxy")


class Target(NamedTuple):
    """What a resource path names. ``rest`` is what follows the subresource, for ``proxy``;
    ``watch``: the path is one of the old ones that only watch (``/api/v1/watch/pods``).
    """

    group: str
    version: str
    namespace: str
    plural: str
    name: str
    sub: str
    rest: str
    watch: bool = False


def split(raw_path: str) -> list[str] | None:
    """The decoded segments of a path; None when one is a trick: a way up. Ignores empty ones at the
    end.
    """
    if "%" not in raw_path:
        segments = raw_path.strip("/").split("/")
    else:
        segments = [_unescaped(segment) for segment in raw_path.strip("/").split("/")]
    return None if "." in segments or ".." in segments else segments


def _unescaped(segment: str) -> str:
    """A segment with its percent escapes resolved (RFC 3986, section 2.1); what is no UTF-8 becomes
    U+FFFD.
    """
    data = segment.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data).decode("utf-8", "replace")


@remember_short(4096)
def parse(raw_path: str) -> Target | None:
    """The resource that a path names; None when it names none (discovery, health, nonsense)."""
    segments = split(raw_path)
    if segments is None:
        raise _no_name()
    if segments[0] == "api" and len(segments) >= 3:
        target = _resource("", segments[1], segments[2:])
    elif segments[0] == "apis" and len(segments) >= 4:
        target = _resource(segments[1], segments[2], segments[3:])
    else:
        return None
    if "%" in raw_path and any("/" in part or "\0" in part for part in target[:-2]):
        raise _no_name()  # an escaped slash has no place but behind a proxied name
    return target


def _no_name() -> StatusError:
    return bad_request("the path of the request holds a segment that cannot be a name")


def _resource(group: str, version: str, rest: list[str]) -> Target:
    namespace, watch = "", rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in _NAMESPACE_PARTS:
            rest = rest[2:]
    plural, name, sub, *more = rest if len(rest) > 2 else (*rest, "", "")
    return Target(group, version, namespace, plural, name, sub, "/".join(more), watch)


def verb(method: str, target: Target, *, watching: bool) -> str:
    """The verb that authorization and audit speak of. Empty for a method that means nothing.

    Whoever may only read through the proxy of a node executes nothing through it.
    """
    if target.sub not in CONNECT:
        return _plain_verb(method, target, watching or target.watch)
    if target.sub != "proxy":
        is_command = method in ("POST", "GET")
    else:
        of_kubelet = target.rest if target.plural == "nodes" else ""
        is_command = of_kubelet.strip("/").partition("/")[0] in _COMMANDS
    return "create" if is_command else _plain_verb(method, target, False)


def _plain_verb(method: str, target: Target, watching: bool) -> str:
    if method in ("GET", "HEAD"):
        return "get" if target.name and not watching else "watch" if watching else "list"
    if method == "DELETE":
        return "delete" if target.name else "deletecollection"
    return _VERBS.get(method, "")
