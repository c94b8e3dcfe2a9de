"""From Ingresses to the backend of a request. Pure.

Semantics are those of networking.k8s.io/v1: the most specific host decides, then the longest path,
an exact one before a prefix of the same length; of two Ingresses that say the same the older
counts. What no rule matches goes to the default backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kubelite.lib.json import Object

CONTROLLER = "kubelite.io/ingress"
"""The ``controller`` of the IngressClasses whose Ingresses are served here."""
CLASS_NAME = "kubelite"
"""The name of the class that a cluster begins with."""
_OLD_CLASS = "kubernetes.io/ingress.class"


class Backend(NamedTuple):
    """A port of a Service, by number or by name."""

    namespace: str
    service: str
    port: int | str


class Path(NamedTuple):
    """Requests whose path equals, or begins with the segments of, ``path``."""

    path: str
    is_exact: bool
    backend: Backend


class Routes(NamedTuple):
    """Paths by host, in the order in which they are tried; ``*.example.com`` stands for one more
    label, "" for every host.
    """

    hosts: Mapping[str, Sequence[Path]]
    default: Backend | None = None


def is_ours(ingress: Object, classes: Iterable[Object]) -> bool:
    """Whether the class of an Ingress, named by its field or by the older annotation, is served
    here.
    """
    annotations = ingress["metadata"].get("annotations") or {}
    name = (ingress.get("spec") or {}).get("ingressClassName") or annotations.get(_OLD_CLASS)
    return any(
        ingress_class["metadata"]["name"] == name
        and (ingress_class.get("spec") or {}).get("controller") == CONTROLLER
        for ingress_class in classes
    )


def routes(ingresses: Iterable[Object]) -> Routes:
    """The routes of these Ingresses. Backends that are no Services are left out."""
    hosts: dict[str, dict[tuple[str, bool], Backend]] = {}
    default: Backend | None = None
    for ingress in sorted(ingresses, key=_age):
        namespace, spec = ingress["metadata"]["namespace"], ingress.get("spec") or {}
        default = default or _backend(namespace, spec.get("defaultBackend"))
        for rule in spec.get("rules") or ():
            paths = hosts.setdefault(rule.get("host", "").lower(), {})
            for entry in (rule.get("http") or {}).get("paths") or ():
                if backend := _backend(namespace, entry.get("backend")):
                    key = entry.get("path") or "/", entry.get("pathType") == "Exact"
                    paths.setdefault(key, backend)
    return Routes({host: _ordered(paths) for host, paths in hosts.items() if paths}, default)


def find(table: Routes, host: str, path: str) -> Backend | None:
    """The backend for a request; ``host`` has no port, ``path`` no query. None for no backend."""
    host = host.lower().rstrip(".")
    for name in (host, f"*.{host.partition('.')[2]}", ""):
        if name in table.hosts:
            matching = (entry for entry in table.hosts[name] if _matches(entry, path))
            entry = next(matching, None)
            return entry.backend if entry else table.default
    return table.default


def certificates(ingresses: Iterable[Object]) -> dict[str, tuple[str, str]]:
    """The Secret, as namespace and name, with the certificate of each host; "" stands for hosts
    that have none of their own.
    """
    result: dict[str, tuple[str, str]] = {}
    for ingress in sorted(ingresses, key=_age):
        for entry in (ingress.get("spec") or {}).get("tls") or ():
            if entry.get("secretName"):
                secret = ingress["metadata"]["namespace"], entry["secretName"]
                for host in entry.get("hosts") or ("",):
                    result.setdefault(host.lower(), secret)
    return result


def _backend(namespace: str, backend: Object | None) -> Backend | None:
    service = (backend or {}).get("service")
    if not service:
        return None
    port = service.get("port") or {}
    return Backend(namespace, service["name"], port.get("number") or port.get("name", ""))


def _ordered(paths: Mapping[tuple[str, bool], Backend]) -> tuple[Path, ...]:
    entries = [Path(path, is_exact, backend) for (path, is_exact), backend in paths.items()]
    return tuple(sorted(entries, key=lambda e: (-len(e.path.rstrip("/")), not e.is_exact, e.path)))


def _matches(entry: Path, path: str) -> bool:
    if entry.is_exact:
        return path == entry.path
    prefix = entry.path.rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _age(ingress: Object) -> tuple[str, str, str]:
    meta = ingress["metadata"]
    return meta.get("creationTimestamp") or "", meta["namespace"], meta["name"]
