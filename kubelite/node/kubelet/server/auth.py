"""Who asks this kubelet, and whether they may: decided by the API server, remembered for a while.

The mapping of paths to attributes is the kubelet's (documentation, "Kubelet authentication and
authorization"): resource ``nodes`` of the core group, named like this node, with a subresource.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.resources import GroupVersionResource
from kubelite.node.kubelet.server.http import Request

ANONYMOUS = "system:anonymous"
ALLOWED_SECONDS, DENIED_SECONDS, TOKEN_SECONDS = 300.0, 30.0, 120.0
MAX_REMEMBERED = 1000
_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch"}
_SUBRESOURCES = {
    "stats": "stats",
    "metrics": "metrics",
    "logs": "log",
    "checkpoint": "checkpoint",
    "pods": "pods",
    "runningpods": "pods",
    "healthz": "healthz",
    "configz": "configz",
}
_COMMANDS = ("exec", "attach", "run", "portForward")
"""What leads into containers is no reading, though a WebSocket begins with GET."""
_FINE_GRAINED = ("pods", "healthz", "configz")
"""Subresources since Kubernetes 1.33; whoever may ``proxy`` may these as well."""

_REVIEWS = {
    "TokenReview": GroupVersionResource("authentication.k8s.io", "v1", "tokenreviews"),
    "SubjectAccessReview": GroupVersionResource(
        "authorization.k8s.io", "v1", "subjectaccessreviews"
    ),
}

Review = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]
"""Sends a review object of a kind to the API server and returns its status."""


class User(NamedTuple):
    """Who asks."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()


class Gate:
    """Lets requests in. ``review`` asks the API server, ``node`` is this node's name."""

    def __init__(self, review: Review, node: str) -> None:
        self._review = review
        self._node = node
        self._tokens: dict[str, tuple[float, User | None]] = {}
        self._verdicts: dict[tuple[User, str, str], tuple[float, bool]] = {}

    async def user(self, request: Request) -> User | None:
        """The user of a request; None for a token that nobody knows."""
        user = of_certificate(request.certificate)
        if user is not None:
            return user
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return User(ANONYMOUS, groups=("system:unauthenticated",))
        return await self._of_token(token.strip())

    async def allows(self, user: User, request: Request) -> bool:
        """Whether the user may do this."""
        verb, subresources = attributes(request)
        for subresource in subresources:
            if await self._verdict(user, verb, subresource):
                return True
        return False

    async def _of_token(self, token: str) -> User | None:
        kept = self._tokens.get(token)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        status = await self._review("TokenReview", {"token": token})
        info = status.get("user") or {}
        user = None
        if status.get("authenticated"):
            user = User(
                info.get("username", ""), info.get("uid", ""), tuple(info.get("groups", ()))
            )
        _remember(self._tokens, token, (time.monotonic() + TOKEN_SECONDS, user))
        return user

    async def _verdict(self, user: User, verb: str, subresource: str) -> bool:
        key = (user, verb, subresource)
        kept = self._verdicts.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "resourceAttributes": {
                "verb": verb,
                "resource": "nodes",
                "subresource": subresource,
                "name": self._node,
                "version": "v1",
            },
        }
        status = await self._review("SubjectAccessReview", spec)
        allowed = bool(status.get("allowed"))
        seconds = ALLOWED_SECONDS if allowed else DENIED_SECONDS
        _remember(self._verdicts, key, (time.monotonic() + seconds, allowed))
        return allowed


def review_with(client: Client) -> Review:
    """Reviews by the API server of ``client``. Raises ClientError."""

    async def review(kind: str, spec: dict[str, Any]) -> Mapping[str, Any]:
        resource = _REVIEWS[kind]
        body = {"apiVersion": resource.api_version, "kind": kind, "spec": spec}
        answer = await client.create(resource, body)
        return dict(answer.get("status") or {})

    return review


def of_certificate(certificate: Mapping[str, Any] | None) -> User | None:
    """The user that a verified client certificate names: common name and organisations."""
    if not certificate:
        return None
    parts = [part for name in certificate.get("subject", ()) for part in name]
    names = [value for key, value in parts if key == "commonName"]
    groups = tuple(value for key, value in parts if key == "organizationName")
    return User(names[0], groups=(*groups, "system:authenticated")) if names else None


def attributes(request: Request) -> tuple[str, tuple[str, ...]]:
    """The verb, and the subresources of ``nodes`` any of which is enough."""
    first = request.path.strip("/").partition("/")[0]
    verb = _VERBS.get(request.method, request.method.lower())
    if first in _COMMANDS:
        verb = "create"
    subresource = _SUBRESOURCES.get(first, "proxy")
    if subresource in _FINE_GRAINED:
        return verb, (subresource, "proxy")
    return verb, (subresource,)


def _remember(memory: dict[Any, Any], key: Any, value: Any) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.pop(next(iter(memory)))
    memory[key] = value
