"""What helps with a cause: its KL code, and a hint from one table by place and reason. Pure.

The causes are Kubernetes' (``objects/rules``) and know nothing of either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubelite.cli.common import error_codes as codes
from kubelite.lib.json import Object
from kubelite.objects.facts import names, quantity, schema
from kubelite.objects.rules import cause as reasons
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import Cause, Path

_CODES = {
    reading.UNKNOWN_FIELD: codes.UNKNOWN_FIELD,
    reading.WRONG_TYPE: codes.WRONG_TYPE,
    reading.NOT_A_QUANTITY: codes.BAD_QUANTITY,
    reasons.REQUIRED: codes.REQUIRED,
    reasons.DUPLICATE: codes.DUPLICATE,
    reasons.NOT_FOUND: codes.NOT_FOUND,
}
_NAMES = frozenset(
    "name generateName namespace hostname subdomain hostnameOverride serviceAccountName nodeName "
    "runtimeClassName priorityClassName conditionType topologyKey hostnames".split()
)
"""Fields whose invalid values are bad names."""
_LONG_FORMS = {"environment": "env", "arguments": "args", "mounts": "volumeMounts"}
"""What people write for a field that has a shorter name or one of its own."""
_POD = "core.v1.Pod"
_HOMES = {
    _POD: "the pod itself",
    "meta.v1.ObjectMeta": "metadata",
    "core.v1.PodSpec": "spec",
    "core.v1.Container": "a container",
    "core.v1.SecurityContext": "a container's securityContext",
    "core.v1.PodSecurityContext": "spec.securityContext",
    "core.v1.ResourceRequirements": "resources",
}


def code_of(cause: Cause) -> str:
    """The KL code of a cause."""
    if cause.reason == reasons.INVALID and isinstance(cause.value, str) and _is_name(cause.path):
        return codes.BAD_NAME
    return _CODES.get(cause.reason, codes.INVALID)


def _is_name(path: Path) -> bool:
    fields = [step for step in path if isinstance(step, str)]
    return bool(fields) and fields[-1] in _NAMES


def advice(cause: Cause, pod: Object) -> str:
    """What helps with a cause of this pod; "" where nothing is known."""
    for pattern in (_pattern(cause.path), "*"):
        hint = _HINTS.get((pattern, cause.reason))
        text = hint(cause, pod) if callable(hint) else hint
        if text:
            return text
    return ""


def _pattern(path: Path) -> str:
    """A path without positions and keys; containers of all sorts are ``container``."""
    text = "".join(
        "[]" if isinstance(step, int | reasons.Key) else f".{step}" for step in path
    ).removeprefix(".")
    for group in ("containers", "initContainers", "ephemeralContainers"):
        text = text.replace(f"spec.{group}[]", "container")
    return text


def _close(word: str, known: list[str], cutoff: float = 0.6) -> str:
    from difflib import get_close_matches

    by_small = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(word.lower(), by_small, n=1, cutoff=cutoff)
    return by_small[matches[0]] if matches else ""


def _did_you_mean(word: str) -> str:
    return f'did you mean "{word}"?' if word else ""


def _volume(cause: Cause, pod: Object) -> str:
    known = [volume.get("name", "") for volume in (pod.get("spec") or {}).get("volumes") or ()]
    close = _close(str(cause.value), known) if cause.value else ""
    listed = ", ".join(f'"{name}"' for name in known[:5]) if known else "none"
    return _did_you_mean(close) or f"spec.volumes has: {listed}"


def _resource(cause: Cause, _pod: Object) -> str:
    return _did_you_mean(_close(str(cause.value), ["cpu", "memory", "ephemeral-storage"]))


def _supported(cause: Cause, _pod: Object) -> str:
    """A value that is supported in another spelling."""
    listed = cause.message.partition("supported values: ")[2]
    known = [word.strip('"') for word in listed.split(", ")]
    same = (word for word in known if word.lower() == str(cause.value).lower())
    return _did_you_mean(next(same, ""))


def _good_name(cause: Cause, _pod: Object) -> str:
    if not _is_name(cause.path) or not isinstance(cause.value, str):
        return ""
    name = names.suggested(cause.value)
    return f'for example "{name}"' if name and name != cause.value else ""


def _amount(cause: Cause, _pod: Object) -> str:
    return quantity.suggestion(str(cause.value))


def _type(cause: Cause, _pod: Object) -> str:
    """What the writer of a value of the wrong type probably meant."""
    value: Any = cause.value
    expected = cause.message.removeprefix("expected ").partition(",")[0]
    if expected == "string" and isinstance(value, bool):
        return "YAML reads y, n, yes, no, on, off, true and false as booleans: put it in quotes"
    if expected == "string" and isinstance(value, int | float):
        return f'put it in quotes: "{value}"'
    if expected == "integer" and isinstance(value, str) and value.isdecimal():
        return f"leave the quotes out: {value}"
    if expected == "boolean" and value in ("true", "false", "yes", "no", "on", "off"):
        return f"leave the quotes out: {value}"
    if expected == "list" and isinstance(value, dict | str):
        return 'begin each item with "- "'
    if expected == "mapping" and isinstance(value, list):
        return 'there is only one of it: leave the "- " out'
    return ""


def _known_field(cause: Cause, document: Object) -> str:
    """The field that was meant, or the place that has a field of this name."""
    *_, field = cause.path
    root = schema.definition_of(document) or _POD
    meant = _meant(cause, root)
    if meant:
        return _did_you_mean(meant)
    here = _definition_at(cause.path[:-1], root)
    homes = [
        home
        for definition, home in _HOMES.items()
        if definition != here and field in schema.types_of(definition)
    ]
    where = " or ".join(homes[:2])
    return f'"{field}" is a field of {where}: check the indentation' if where else ""


def meant_path(cause: Cause) -> Path:
    """The path of the field that was probably meant where a field is not known; else the cause's
    own.
    """
    meant = _meant(cause) if cause.reason == reading.UNKNOWN_FIELD else ""
    return (*cause.path[:-1], meant) if meant else cause.path


def _meant(cause: Cause, root: str = _POD) -> str:
    known = list(schema.types_of(_definition_at(cause.path[:-1], root)))
    long = [word for word, field in _LONG_FORMS.items() if field in known]
    meant = _close(str(cause.path[-1]), [*known, *long], cutoff=0.7)
    return meant if meant in known else _LONG_FORMS.get(meant, "")


def _definition_at(path: Path, root: str) -> str:
    """The definition of the object at a path of an object of the definition ``root``."""
    kind = root
    for step in path:
        inner = kind[1:] if kind[0] in "[{" else ""
        kind = inner or schema.types_of(kind).get(str(step), "o")
    return kind


_Hint = str | Callable[[Cause, Object], str]
_HINTS: dict[tuple[str, str], _Hint] = {
    ("*", reading.UNKNOWN_FIELD): _known_field,
    ("*", reading.WRONG_TYPE): _type,
    ("*", reading.NOT_A_QUANTITY): _amount,
    ("*", reasons.NOT_SUPPORTED): _supported,
    ("*", reasons.INVALID): _good_name,
    ("spec.containers", reasons.REQUIRED): "a pod has at least one container",
    ("container.image", reasons.REQUIRED): "this machine's own file system is the image host",
    ("container.volumeMounts[].name", reasons.NOT_FOUND): _volume,
    ("container.volumeDevices[].name", reasons.NOT_FOUND): _volume,
    ("container.env[].valueFrom.fileKeyRef.volumeName", reasons.NOT_FOUND): _volume,
    ("container.resources.limits[]", reasons.INVALID): _resource,
    ("container.resources.requests[]", reasons.INVALID): _resource,
    ("container.ports[].hostPort", reasons.DUPLICATE): (
        "two containers cannot have the same port of the machine"
    ),
    ("spec.dnsConfig", reasons.REQUIRED): (
        "dnsPolicy None leaves the pod without any other name server"
    ),
    ("spec.dnsConfig.nameservers", reasons.REQUIRED): (
        "dnsPolicy None leaves the pod without any other name server"
    ),
}
"""By pattern and reason; ``*`` is any place, looked up after the place itself."""
