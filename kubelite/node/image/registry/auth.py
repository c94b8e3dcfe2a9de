"""Who one is for a registry: challenges, docker's configuration files, pull secrets. Pure.

Sources: the distribution project's token authentication specification, RFC 9110 11.6.1, and the
formats of docker's ``config.json`` and of Secrets of type ``kubernetes.io/dockerconfigjson`` and
``kubernetes.io/dockercfg``. Keys match as in the kubelet: host with optional globs, then path.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.lib.digest import hexdigest
from kubelite.node.image.reference import DEFAULT_DOMAIN, Reference

_PARAMETER = re.compile(r'\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))\s*,?')
_HUB_KEYS = ("index.docker.io", "docker.io", "registry-1.docker.io")


class Credentials(NamedTuple):
    """A name and password, or an identity token (OAuth2 refresh token) in place of both."""

    username: str = ""
    password: str = ""
    identity_token: str = ""

    @property
    def basic(self) -> str:
        """The value of an ``Authorization`` header of the Basic scheme."""
        text = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(text).decode()}"

    @property
    def key(self) -> str:
        """What tells them from others, without saying them."""
        return hexdigest("\0".join(self).encode())


class Challenge(NamedTuple):
    """What a ``WWW-Authenticate`` header asks for: a scheme in lower case and its parameters."""

    scheme: str
    parameters: dict[str, str]


class Helpers(NamedTuple):
    """Credential helper programs: by registry, and the one for all others ("" for none)."""

    by_registry: Mapping[str, str]
    default: str


def challenges(headers: Iterable[str]) -> list[Challenge]:
    """The challenges of an answer's headers; what cannot be read is left out."""
    parsed = []
    for header in headers:
        scheme, _, rest = header.strip().partition(" ")
        parameters = {
            match[1].lower(): re.sub(r"\\(.)", r"\1", match[2])
            if match[2] is not None
            else match[3]
            for match in _PARAMETER.finditer(rest)
        }
        if scheme:
            parsed.append(Challenge(scheme.lower(), parameters))
    return parsed


def from_docker_config(document: Mapping[str, Any], reference: Reference) -> list[Credentials]:
    """The credentials that a docker configuration holds for an image, the most specific first.

    ``document`` is ``config.json`` or the map of registries of the older ``.dockercfg``.
    """
    entries = document.get("auths", document if "credHelpers" not in document else {})
    if not isinstance(entries, Mapping):
        return []
    fitting = [key for key in entries if _key_matches(key, reference)]
    decoded = (_credentials(entries[key]) for key in sorted(fitting, key=len, reverse=True))
    return [credentials for credentials in decoded if credentials is not None]


def helpers(document: Mapping[str, Any]) -> Helpers:
    """The credential helpers that a docker configuration names."""
    return Helpers(document.get("credHelpers") or {}, document.get("credsStore") or "")


def from_secret(secret: Mapping[str, Any], reference: Reference) -> list[Credentials]:
    """The credentials that an image pull Secret holds for an image."""
    import json

    data = secret.get("data") or {}
    for key in (".dockerconfigjson", ".dockercfg"):
        if key in data:
            try:
                document = json.loads(base64.b64decode(data[key]))
            except (ValueError, binascii.Error):
                return []
            return from_docker_config(document, reference) if isinstance(document, dict) else []
    return []


def server_names(reference: Reference) -> Sequence[str]:
    """What a credential helper may know the registry as."""
    if reference.domain == DEFAULT_DOMAIN:
        return ("https://index.docker.io/v1/", "docker.io")
    return (reference.domain, f"https://{reference.domain}")


def _key_matches(key: str, reference: Reference) -> bool:
    text = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    text = re.sub(r"/v[12]$", "", text)
    host, _, path = text.partition("/")
    if host in _HUB_KEYS:
        host = DEFAULT_DOMAIN
    if not _host_matches(host, reference.domain):
        return False
    return not path or reference.path == path or reference.path.startswith(f"{path}/")


def _host_matches(pattern: str, host: str) -> bool:
    """A glob stands for part of one label, never for several."""
    wanted, given = pattern.split("."), host.split(".")
    return len(wanted) == len(given) and all(map(fnmatch.fnmatchcase, given, wanted))


def _credentials(entry: Any) -> Credentials | None:
    if not isinstance(entry, Mapping):
        return None
    if token := entry.get("identitytoken"):
        return Credentials(identity_token=str(token))
    if auth := entry.get("auth"):
        try:
            name, _, password = base64.b64decode(str(auth)).decode().partition(":")
        except (ValueError, binascii.Error):
            return None
        return Credentials(name, password.rstrip("\0"))
    if "username" in entry:
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    return None


def keys_of(
    used: Credentials, secrets: Iterable[Mapping[str, Any]], reference: Reference
) -> tuple[str, ...]:
    """What is recorded of credentials that worked: their key, and the Secrets that hold them."""
    holders = [secret for secret in secrets if used in from_secret(secret, reference)]
    return (used.key, *filter(None, map(_uid, holders)))


def keys_of_secrets(secrets: Iterable[Mapping[str, Any]], reference: Reference) -> frozenset[str]:
    """What opens an image that is there: the same credentials, or a Secret that has held them, as
    in the kubelet; a Secret may be given a new password.
    """
    keys = set()
    for secret in secrets:
        credentials = from_secret(secret, reference)
        keys |= {login.key for login in credentials}
        if credentials:
            keys.add(_uid(secret))
    return frozenset(keys - {""})


def _uid(secret: Mapping[str, Any]) -> str:
    return str((secret.get("metadata") or {}).get("uid") or "")
