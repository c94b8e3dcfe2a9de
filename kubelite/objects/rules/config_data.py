"""Rules about what ConfigMaps and Secrets contain. Documents in, causes out. Pure.

Rules and sentences are those of ``ValidateConfigMap`` and ``ValidateSecret`` in Kubernetes'
``pkg/apis/core/validation``. A value that is not base64, which the API server cannot even decode,
is the concern of :func:`not_base64`.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.rules.cause import Cause, Key, Path, each_invalid, invalid, required, too_long

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_DATA = 1024 * 1024
"""Bytes of all values of one object."""
_SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
}
_ACCOUNT = "kubernetes.io/service-account.name"


def config_map(document: Object) -> Iterator[Cause]:
    """The data of a ConfigMap."""
    data, binary = document.get("data") or {}, document.get("binaryData") or {}
    yield from _keys(data, ("data",))
    yield from _keys(binary, ("binaryData",))
    for key in data:
        if key in binary:
            why = "duplicate of key present in binaryData"
            yield invalid(("data", Key(key)), key, why)
    size = len("".join(data.values()).encode()) + _decoded_size(binary)
    if size > MAX_DATA:
        yield too_long((), MAX_DATA)


def secret(document: Object) -> Iterator[Cause]:
    """The data of a Secret whose ``stringData`` is part of ``data`` already."""
    data, kind = document.get("data") or {}, document.get("type", "")
    yield from _keys(data, ("data",))
    if _decoded_size(data) > MAX_DATA:
        yield too_long(("data",), MAX_DATA)
    for key in _SECRET_KEYS.get(kind, ()):
        if key not in data:
            yield required(("data", Key(key)))
        elif key.startswith(".docker") and not _is_json(data[key]):
            why = "invalid character: the contents are not JSON"
            yield invalid(("data", Key(key)), "<secret contents redacted>", why)
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield required(("data", Key("username")))
        yield required(("data", Key("password")))
    annotations = (document.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        yield required(("metadata", "annotations", Key(_ACCOUNT)))


def not_base64(values: Mapping[str, str], path: Path) -> Iterator[Cause]:
    """Values of ``data`` of a Secret or ``binaryData`` of a ConfigMap that cannot be decoded.

    Causes show no value, which may be secret.
    """
    for key, value in values.items():
        try:
            base64.b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
        except (binascii.Error, ValueError):
            yield invalid((*path, Key(key)), "<contents not shown>", "must be base64")


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """The values of ``stringData`` as ``data`` has them."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def _keys(data: Mapping[str, str], path: Path) -> Iterator[Cause]:
    for key in data:
        if clauses := names.config_key(key):
            yield from each_invalid((*path, Key(key)), key, clauses)


def _decoded_size(values: Mapping[str, str]) -> int:
    return sum(len(value) * 3 // 4 for value in values.values())


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(base64.b64decode(text))
    except (msgspec.DecodeError, binascii.Error):
        return False
    return True
