"""Rules about the sources of a projected volume. Documents in, causes out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules import metadata
from kubelite.objects.rules.cause import (
    Cause,
    Path,
    each_invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    required_fields,
)
from kubelite.objects.rules.pods.fields import downward_file
from kubelite.objects.rules.pods.paths import file_mode, inside_volume, key_to_path

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
_CONFLICT = "conflicting duplicate paths"
_MIN_TOKEN_SECONDS = 600
_MAX_TOKEN_SECONDS = 1 << 32
_MIN_CERTIFICATE_SECONDS = 3600
_MAX_CERTIFICATE_SECONDS = 7862400
_MAX_KUBERNETES_CERTIFICATE_SECONDS = 86400


class _Files:
    """The paths that sources have taken so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._taken: set[str] = set()

    def take(self, file: str, shown: str) -> Iterator[Cause]:
        """Takes a path; the cause of a second one shows ``shown``."""
        if file in self._taken:
            yield invalid(self._path, shown, _CONFLICT)
        self._taken.add(file)


def projected(source: Object, path: Path) -> Iterator[Cause]:
    """A projected volume."""
    yield from file_mode(source.get("defaultMode"), (*path, "defaultMode"))
    files = _Files(path)
    for index, part in enumerate(source.get("sources") or ()):
        here = (*path, "sources", index)
        for kind in ("secret", "configMap"):
            if kind in part:
                yield from _keys(part[kind], files, (*here, kind))
        if "downwardAPI" in part:
            yield from _downward(part["downwardAPI"], files, (*here, "downwardAPI"))
        if "serviceAccountToken" in part:
            yield from _token(part["serviceAccountToken"], path, (*here, "serviceAccountToken"))
        if "clusterTrustBundle" in part:
            yield from _bundle(part["clusterTrustBundle"], files, (*here, "clusterTrustBundle"))
        if "podCertificate" in part:
            yield from _certificate(part["podCertificate"], files, (*here, "podCertificate"))
        if len(part) > 1:
            yield forbidden(here, "may not specify more than 1 volume type per source")


def _keys(source: Object, files: _Files, path: Path) -> Iterator[Cause]:
    yield from required_fields(source, path, "name")
    for index, item in enumerate(source.get("items") or ()):
        yield from key_to_path(item, (*path, "items", index))
        if item.get("path"):
            yield from files.take(item["path"], source.get("name", ""))


def _downward(source: Object, files: _Files, path: Path) -> Iterator[Cause]:
    for file in source.get("items") or ():
        yield from downward_file(file, path)
        if file.get("path"):
            yield from files.take(file["path"], file["path"])


def _token(source: Object, volume: Path, path: Path) -> Iterator[Cause]:
    seconds = source.get("expirationSeconds", 0)
    if seconds < _MIN_TOKEN_SECONDS:
        why = "may not specify a duration less than 10 minutes"
        yield invalid((*path, "expirationSeconds"), seconds, why)
    if seconds > _MAX_TOKEN_SECONDS:
        why = "may not specify a duration larger than 2^32 seconds"
        yield invalid((*path, "expirationSeconds"), seconds, why)
    # The path of the cause is the volume's, not the source's: so it is in Kubernetes.
    if not source.get("path"):
        yield required((*volume, "path"))
    else:
        yield from inside_volume(source["path"], (*volume, "path"))


def _bundle(source: Object, files: _Files, path: Path) -> Iterator[Cause]:
    if "name" in source and "signerName" in source:
        yield invalid(path, source, "only one of name and signerName may be used")
    elif "name" in source:
        if not source["name"]:
            yield required((*path, "name"), "must be a valid object name")
        if "labelSelector" in source:
            why = "labelSelector must be unset if name is specified"
            yield invalid((*path, "labelSelector"), source["labelSelector"], why)
    elif "signerName" in source:
        yield from metadata.selector(source.get("labelSelector"), (*path, "labelSelector"))
    else:
        yield required(path, "either name or signerName must be specified")
    if not source.get("path"):
        yield required((*path, "path"))
    yield from inside_volume(source.get("path", ""), (*path, "path"))
    yield from files.take(source.get("path", ""), source.get("path", ""))


def _certificate(source: Object, files: _Files, path: Path) -> Iterator[Cause]:
    signer = source.get("signerName", "")
    yield from signer_name(signer, (*path, "signerName"))
    yield from _user_annotations(source.get("userAnnotations") or {}, (*path, "userAnnotations"))
    if source.get("keyType") not in KEY_TYPES:
        yield not_supported((*path, "keyType"), source.get("keyType", ""), KEY_TYPES)
    yield from _certificate_seconds(source, signer, (*path, "maxExpirationSeconds"))
    chosen = [
        field
        for field in ("credentialBundlePath", "keyPath", "certificateChainPath")
        if source.get(field)
    ]
    for field in chosen:
        yield from inside_volume(source[field], (*path, field))
        yield from files.take(source[field], source[field])
    if not chosen:
        why = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        yield required(path, why)


def _certificate_seconds(source: Object, signer: str, path: Path) -> Iterator[Cause]:
    seconds = source.get("maxExpirationSeconds")
    if seconds is None:
        return
    limit = _MAX_CERTIFICATE_SECONDS
    if signer.startswith("kubernetes.io/") or ".kubernetes.io/" in signer:
        limit = _MAX_KUBERNETES_CERTIFICATE_SECONDS
    if seconds < _MIN_CERTIFICATE_SECONDS:
        yield invalid(path, seconds, "if provided, maxExpirationSeconds must be >= 3600")
    if seconds > limit:
        yield invalid(path, seconds, f"if provided, maxExpirationSeconds must be <= {limit}")


def _user_annotations(annotations: Object, path: Path) -> Iterator[Cause]:
    for key in annotations:
        if "/" not in key:
            why = 'must be a domain-prefixed key (such as "acme.io/foo")'
            yield invalid(path, key.lower(), why)
        else:
            yield from each_invalid(path, key, names.annotation(key))


def signer_name(signer: str, path: Path) -> Iterator[Cause]:
    """The name of a signer: a domain and a path, ``example.com/my-signer``."""
    if not signer:
        yield required(path)
        return
    domain, slash, rest = signer.partition("/")
    if not slash or "/" in rest or not rest:
        yield invalid(
            path,
            signer,
            'must be a fully qualified domain and path of the form "example.com/signer-name"',
        )
        return
    yield from each_invalid(path, domain, names.subdomain(domain))
    yield from each_invalid(path, rest, names.subdomain(rest))
