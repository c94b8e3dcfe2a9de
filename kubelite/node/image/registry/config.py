"""Where a registry's images are fetched: mirrors, locations, plain HTTP, blocked ones. Pure.

The file is containers' ``registries.conf`` in its second form (containers-registries.conf(5));
podman, skopeo and CRI-O read the same one. Short names are not searched for: ``nginx`` is
``docker.io/library/nginx`` as in docker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.node.image.errors import PullError
from kubelite.node.image.reference import DEFAULT_DOMAIN, Reference

DOCKER_HUB = "registry-1.docker.io"
"""The host that serves images named ``docker.io/...``."""


class Endpoint(NamedTuple):
    """One place to fetch from: host with port, repository path, and whether plain HTTP may do."""

    host: str
    path: str
    insecure: bool = False


class Registry(NamedTuple):
    """One ``[[registry]]`` table: names below ``prefix`` are fetched from mirrors, then
    ``location``. A prefix may begin with ``*.`` for any host of a domain.
    """

    prefix: str
    location: str
    insecure: bool = False
    blocked: bool = False
    mirrors: tuple[tuple[str, bool, str], ...] = ()
    """Location, insecure, and which pulls it serves: ``all``, ``digest-only`` or ``tag-only``."""


def parse(documents: Iterable[Mapping[str, Any]]) -> tuple[Registry, ...]:
    """The registries of parsed TOML files; a later file replaces an equal prefix of an earlier one.

    Raises PullError for a table without prefix and location.
    """
    registries: dict[str, Registry] = {}
    for document in documents:
        for entry in document.get("registry", ()):
            location = entry.get("location", "")
            prefix = entry.get("prefix") or location
            if not prefix:
                raise PullError(
                    "ErrImagePull", "registries.conf: a [[registry]] has no prefix and no location"
                )
            mirrors = tuple(
                (
                    mirror["location"],
                    bool(mirror.get("insecure")),
                    mirror.get("pull-from-mirror", "all"),
                )
                for mirror in entry.get("mirror", ())
            )
            registries[prefix] = Registry(
                prefix, location, bool(entry.get("insecure")), bool(entry.get("blocked")), mirrors
            )
    return tuple(registries.values())


def endpoints(reference: Reference, registries: Sequence[Registry]) -> list[Endpoint]:
    """The places to try for an image, in order. Raises PullError for a blocked registry."""
    registry = _matching(reference, registries)
    if registry is None:
        return [_endpoint(reference.domain, reference.path, is_loopback(reference.domain))]
    if registry.blocked:
        message = f"registry {registry.prefix} is blocked in registries.conf"
        raise PullError("ErrImagePull", message)
    rest = reference.repository.removeprefix(registry.prefix)
    kind = "digest-only" if reference.digest else "tag-only"
    places = [
        (location, insecure)
        for location, insecure, serves in registry.mirrors
        if serves in ("all", kind)
    ]
    wildcard = registry.prefix.startswith("*.")
    if registry.location and not wildcard:
        places.append((registry.location, registry.insecure))
    else:
        places.append((reference.repository, registry.insecure))
        rest = ""
    return [_split(location + rest, insecure) for location, insecure in places]


def _matching(reference: Reference, registries: Sequence[Registry]) -> Registry | None:
    """The registry with the longest prefix that the repository lies below."""
    fitting = [registry for registry in registries if _is_below(reference, registry.prefix)]
    return max(fitting, key=lambda registry: len(registry.prefix), default=None)


def _is_below(reference: Reference, prefix: str) -> bool:
    if prefix.startswith("*."):
        return reference.domain.partition(":")[0].endswith(prefix[1:])
    name = reference.repository
    return name == prefix or name.startswith(f"{prefix}/")


def _split(text: str, insecure: bool) -> Endpoint:
    host, _, path = text.partition("/")
    return _endpoint(host, path, insecure or is_loopback(host))


def _endpoint(host: str, path: str, insecure: bool) -> Endpoint:
    return Endpoint(DOCKER_HUB if host == DEFAULT_DOMAIN else host, path, insecure)


def is_loopback(host: str) -> bool:
    """Registries on this machine need no TLS, as in docker."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    return name == "localhost" or name.startswith("127.") or name == "[::1]"
