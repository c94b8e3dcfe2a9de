"""What is served beside objects: health, version, discovery and the schema documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubelite.control.api.discovery import delegated, discovery, openapi
from kubelite.control.api.discovery.descriptions import describe
from kubelite.control.api.discovery.gnostic import encode as gnostic
from kubelite.control.api.discovery.health import PATHS as HEALTH
from kubelite.control.api.wire.answer import JSON, Answer, json_answer, not_found_page
from kubelite.control.api.wire.aside import LARGE, aside
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.status import method_not_allowed, no_such_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kubelite.control.api.auth.tokens import Tokens
    from kubelite.control.api.discovery.delegated import DelegatedVersion
    from kubelite.control.api.discovery.health import Health
    from kubelite.control.api.wire.registry import Registry
    from kubelite.control.api.wire.request import Query
    from kubelite.control.api.wire.resource import Resource

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_ISSUER, _KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
_READ_ONLY = ("/version", "/openapi")  # everything else answers to any method


class NonResourcePaths:
    """Answers for paths that name no resource. Documents are made once for each state of the
    registry, and of what ``delegated`` gives: what extension servers serve, a new value after each
    change.
    """

    def __init__(
        self,
        registry: Registry,
        address: str,
        health: Health,
        tokens: Tokens,
        metrics: Callable[[], Answer],
        delegated: Callable[[], Sequence[DelegatedVersion]],
    ) -> None:
        self._registry = registry
        self._address = address
        self._health = health
        self._tokens = tokens
        self._metrics = metrics
        self._delegated = delegated
        self._state: tuple[int, Sequence[DelegatedVersion]] = (-1, ())
        self._made: dict[str, Answer] = {}

    async def answer(self, method: str, path: str, query: Query, accept: str) -> Answer:
        """Raises StatusError 404, 405."""
        path = path.rstrip("/") or "/"
        if path.startswith(tuple(f"{prefix}/" for prefix in HEALTH)) or path in HEALTH:
            return await self._health.answer(path, query)
        if path == "/metrics":
            return self._metrics()
        # A tunnel, or what the server can do: neither is answered with a document.
        if method in ("CONNECT", "OPTIONS") or (
            method not in ("GET", "HEAD") and path.startswith(_READ_ONLY)
        ):
            raise method_not_allowed()
        return await self._document(path, accept)

    async def _document(self, path: str, accept: str) -> Answer:
        state = (self._registry.generation, self._delegated())
        if self._state != state:
            self._state = state
            self._made.clear()
        form = _form(path, accept)
        key = f"{path} {form}"
        size = LARGE if path.startswith("/openapi") else 0
        answer = self._made.get(key) or await aside(size, self._make, path, form)
        if answer is None:
            if path.count("/") == (2 if path.startswith("/api/") else 3) and path.startswith(
                "/api"
            ):
                raise no_such_path()
            return not_found_page()
        if self._state == state:
            self._made[key] = answer
        return answer

    def _served(self) -> list[Resource]:
        """The resources that this server serves itself."""
        elsewhere = {(theirs.group, theirs.version) for theirs in self._state[1]}
        everything = self._registry.all()
        return [res for res in everything if (res.group, res.version) not in elsewhere]

    def _make(self, path: str, form: str) -> Answer | None:
        resources, theirs = self._served(), self._state[1]
        if path in ("/api", "/apis") and form:
            content = f"application/json;g=apidiscovery.k8s.io;v={form};as=APIGroupDiscoveryList"
            return Answer(
                encode(discovery.aggregated(resources, path == "/api", form, theirs)) + b"\n",
                200,
                content,
            )
        if path == "/openapi/v2":
            document = delegated.merge_v2(openapi.v2(resources, describe), theirs)
            if form:  # the only one that kubectl before 1.27 reads
                return Answer(gnostic(document), 200, PROTOBUF)
            return Answer(encode(document), 200, JSON)
        if path.startswith("/openapi/v3/"):
            home = path[len("/openapi/v3/") :]
            if (version := delegated.at(theirs, home)) is not None:
                return None if version.v3 is None else Answer(version.v3, 200, JSON)
            return _or_nothing(openapi.v3(resources, home, describe))
        if path == _ISSUER:
            return json_answer(self._tokens.provider(self._address))
        if path == _KEYS:
            return json_answer(self._tokens.key_set(), content_type="application/jwk-set+json")
        return _or_nothing(self._plain(path))

    def _plain(self, path: str) -> Any:
        resources, theirs = self._served(), self._state[1]
        parts = path.strip("/").split("/")
        match parts:
            case ["version"]:
                return discovery.version_info()
            case ["api"]:
                return discovery.core_versions(self._address)
            case ["api", version]:
                return discovery.resource_list(resources, "", version)
            case ["apis"]:
                return discovery.groups(resources, theirs)
            case ["apis", group]:
                return discovery.group(resources, group, theirs)
            case ["apis", group, version]:
                return discovery.resource_list(resources, group, version)
            case ["openapi", "v3"]:
                return openapi.v3_index(resources, theirs)
            case [""]:
                return {"paths": self._paths()}
        return None

    def _paths(self) -> list[str]:
        groups = {f"/apis/{res.group}" for res in self._registry.all() if res.group}
        versions = {f"/apis/{res.gv}" for res in self._registry.all() if res.group}
        for theirs in self._state[1]:
            groups.add(f"/apis/{theirs.group}")
            versions.add(f"/{theirs.path}")
        fixed = [
            "/api",
            "/api/v1",
            "/apis",
            *HEALTH,
            "/metrics",
            _ISSUER,
            _KEYS,
            "/openapi/v2",
            "/openapi/v3",
            "/version",
        ]
        return sorted({*fixed, *groups, *versions})


def _or_nothing(value: Any) -> Answer | None:
    return None if value is None else json_answer(value)


def _form(path: str, accept: str) -> str:
    """Which of its forms a document is wanted in; "" is plain JSON."""
    if path in ("/api", "/apis"):
        for media_range in accept.split(","):
            words = [word.strip() for word in media_range.split(";")]
            if "as=APIGroupDiscoveryList" in words:
                return "v2beta1" if "v=v2beta1" in words else "v2"
            if words[0] in ("application/json", "*/*"):
                return ""
    return "protobuf" if path == "/openapi/v2" and "proto" in accept else ""
