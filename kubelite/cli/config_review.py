"""ConfigMaps, Secrets and PersistentVolumeClaims of manifests, judged by the API server's rules,
and what pods refer to of them. Pure.

Imported when a manifest has or needs any: one that holds only plain pods starts faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from kubelite.cli.common import error_codes as codes
from kubelite.cli.problems import Problem
from kubelite.lib.json import Object
from kubelite.objects.facts import names
from kubelite.objects.pod import support
from kubelite.objects.pod.references import Reference
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import claims, config_data, metadata, reading
from kubelite.objects.rules.cause import Cause
from kubelite.objects.rules.pods import defaults


class ObjectKey(NamedTuple):
    """What identifies one of them."""

    kind: str
    namespace: str
    name: str


Held = Mapping[ObjectKey, Object]
"""Those of the manifests."""


def judge(value: Object, namespace: str | None) -> tuple[Object, list[Cause]]:
    """One of them with its defaults, and what Kubernetes says is wrong with it."""
    kind = value["kind"]
    document, causes = reading.read(f"core.v1.{kind}", value)
    defaults.without_server_fields(document)
    meta = document.setdefault("metadata", {})
    meta["namespace"] = meta.get("namespace") or namespace or defaults.NAMESPACE
    encoded_field = "data" if kind == "Secret" else "binaryData"
    wrong = list(config_data.not_base64(document.get(encoded_field) or {}, (encoded_field,)))
    if kind == "Secret":
        _complete_secret(document)
    if not causes and not wrong:
        wrong = [*metadata.on_create(meta, names.subdomain), *_RULES[kind](document)]
    return document, [*causes, *wrong]


def _claim(document: Object) -> Iterator[Cause]:
    return claims.claim_spec(document.get("spec") or {}, ("spec",))


_RULES: dict[str, Callable[[Object], Iterable[Cause]]] = {
    "ConfigMap": config_data.config_map,
    "Secret": config_data.secret,
    "PersistentVolumeClaim": _claim,
}


def findings(document: Object) -> Iterator[support.Finding]:
    """What of a claim is not so on one machine without a cluster: it is a directory."""
    if document["kind"] != "PersistentVolumeClaim":
        return
    for field, value in (document.get("spec") or {}).items():
        if (field, value) == ("volumeMode", "Block"):
            text = "volumeMode is not supported: without a cluster a claim is a directory"
            yield support.Finding(Level.REFUSED, ("spec", field), text, support.UNSUPPORTED)
        elif field != "volumeMode":
            text = f"{field} has no effect: without a cluster a claim is a directory"
            yield support.Finding(Level.QUIET, ("spec", field), text, support.NO_EFFECT)


def _complete_secret(document: Object) -> None:
    document["type"] = document.get("type") or "Opaque"
    texts = document.pop("stringData", None) or {}
    document["data"] = {**(document.get("data") or {}), **config_data.encoded(texts)}


def key_of(document: Object) -> ObjectKey:
    """The key of a document that :func:`judge` has completed."""
    meta = document["metadata"]
    return ObjectKey(document["kind"], meta["namespace"], meta.get("name") or "")


def missing(
    references: list[Reference], namespace: str, held: Held
) -> Iterator[tuple[support.Finding, Problem]]:
    """What a pod of ``namespace`` refers to that the manifests do not hold and that is not
    optional: as a finding about what refers to it, and as the problem to show.
    """
    for reference in references:
        if reference.optional:
            continue
        config = held.get(ObjectKey(reference.kind, namespace, reference.name))
        if config is None:
            yield _missing_object(reference, namespace, held)
            continue
        present = {**(config.get("data") or {}), **(config.get("binaryData") or {})}
        for key, path in reference.keys:
            if key not in present:
                yield _missing_key(reference, namespace, key, path, present)


def _missing_object(
    reference: Reference, namespace: str, held: Held
) -> tuple[support.Finding, Problem]:
    kind, name = reference.kind, reference.name
    message = f'{kind.lower()} "{name}" not found'
    known = [key.name for key in held if (key.kind, key.namespace) == (kind, namespace)]
    close = get_close_matches(name, known, n=1)
    elsewhere = [key.namespace for key in held if (key.kind, key.name) == (kind, name)]
    if close:
        hint = f'did you mean "{close[0]}"?'
    elif elsewhere:
        hint = f'the pod is in namespace "{namespace}", the {kind} in "{elsewhere[0]}"'
    else:
        hint = f"put the {kind} into the same file"
    finding = support.Finding(Level.REFUSED, reference.path, message, support.UNSUPPORTED)
    path = (*reference.path, reference.name_field)
    return finding, Problem(path, message, codes.NOT_FOUND, hint)


def _missing_key(
    reference: Reference, namespace: str, key: str, path: Any, present: Mapping[str, str]
) -> tuple[support.Finding, Problem]:
    """In the words of the kubelet, which differ between files and variables."""
    kind = reference.kind
    if reference.in_volume:
        word = "config" if kind == "ConfigMap" else "secret"
        message = f"references non-existent {word} key: {key}"
    else:
        message = f"couldn't find key {key} in {kind} {namespace}/{reference.name}"
    close = get_close_matches(key, present, n=1)
    listed = ", ".join(f'"{present_key}"' for present_key in sorted(present)[:5]) or "no key"
    hint = f'did you mean "{close[0]}"?' if close else f"{kind} {reference.name} has: {listed}"
    finding = support.Finding(Level.REFUSED, reference.path, message, support.UNSUPPORTED)
    return finding, Problem(path, message, codes.NOT_FOUND, hint)
