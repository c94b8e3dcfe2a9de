"""The problems of a manifest as a person reads them: message, KL code, place and hint. Pure.

Imported when there is one: a manifest without any starts faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.cli.common import error_codes as codes
from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.cli.hints import advice, code_of
from kubelite.lib.json import Object
from kubelite.objects.pod import support
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import Cause, Path, path_text

if TYPE_CHECKING:
    from kubelite.lib.manifest_yaml import Document, Place

TODAY = "kubelite runs Pods, and what has a template of them"
POD_BEGINS = "a manifest begins with apiVersion: v1 and kind: Pod"


class Problem(msgspec.Struct, frozen=True):
    """One line of a review. ``path`` leads to the value, or, where ``at_key``, to its key."""

    path: Path
    message: str
    code: str
    hint: str = ""
    at_key: bool = False


def of_kind(value: Any) -> Problem:
    """Why an object of a manifest is no Pod."""
    if not isinstance(value, dict):
        message = "this is not an object of Kubernetes: a mapping is expected here"
        return Problem((), message, codes.WRONG_TYPE, POD_BEGINS)
    version, kind = value.get("apiVersion"), value.get("kind")
    for name, text in (("apiVersion", version), ("kind", kind)):
        if text is None or text == "":
            hint = "pods have apiVersion: v1 and kind: Pod"
            return Problem((), f"{name}: Required value", codes.REQUIRED, hint)
        if not isinstance(text, str):
            return Problem((name,), "expected string", codes.WRONG_TYPE)
    return _other_kind(str(version), str(kind), value)


def _other_kind(version: str, kind: str, value: Object) -> Problem:
    from kubelite.objects.facts import kinds

    if kinds.of_manifest(version, kind) is not None:
        message = f"{kind} needs a cluster"
        hint = "`kubelite up` starts one, and `kubelite apply -f` takes the whole file"
        return Problem(("kind",), message, codes.NEEDS_CLUSTER, hint)
    group = version.rpartition("/")[0]
    if "." in group and group not in {known.group for known in kinds.KINDS}:
        message = (
            f"{kind} needs a cluster that has its definition: {group} is not of Kubernetes itself"
        )
        hint = "`kubelite up` starts one; apply the CustomResourceDefinition of the kind first"
        return Problem(("kind",), message, codes.NEEDS_CLUSTER, hint)
    versions = [known.api_version for known in kinds.KINDS if known.kind == kind]
    if versions:
        message = f'{version} has no kind "{kind}"'
        return Problem(("apiVersion",), message, codes.INVALID, f"write apiVersion: {versions[0]}")
    from difflib import get_close_matches

    close = get_close_matches(kind, [known.kind for known in kinds.KINDS], n=1)
    hint = f'did you mean "{close[0]}"?' if close else "--lenient leaves it out"
    message = f'unknown kind "{kind}" of {version}: {TODAY}'
    return Problem(("kind",), message, codes.UNSUPPORTED_KIND, hint)


def of_cause(cause: Cause, pod: Object) -> Problem:
    """What Kubernetes says of a pod, with what helps."""
    unknown = cause.reason == reading.UNKNOWN_FIELD
    message = cause.message if unknown else f"{_field(cause.path)}: {cause.message}"
    return Problem(cause.path, message, code_of(cause), advice(cause, pod), at_key=unknown)


def of_finding(finding: support.Finding) -> Problem:
    """A field that this version does not honour."""
    path, message = finding.path, finding.message
    if finding.reason == support.UNSUPPORTED:
        refused = finding.level is Level.REFUSED
        hint = "--lenient runs the pod without it" if refused else ""
        return Problem(path, message, codes.UNSUPPORTED_FIELD, hint, at_key=True)
    if finding.reason == support.NO_EFFECT:
        return Problem(path, message, codes.NO_EFFECT, at_key=True)
    return Problem(path, message, codes.INVALID)


def _field(path: Path) -> str:
    """What a sentence calls the value at a path: its field, ``image``, or its field and position,
    ``args[0]``.
    """
    if not path:
        return "object"
    if isinstance(path[-1], int):
        return "".join(f"[{step}]" if isinstance(step, int) else step for step in path[-2:])
    return path[-1]


def place_of(document: Document, base: Path, problem: Problem) -> Place:
    """Where a problem stands in its document; the path of the object in it is ``base``."""
    path = (*base, *problem.path)
    return document.key_place(path) if problem.at_key else document.place(path)


def diagnostic(document: Document, base: Path, file: str, problem: Problem) -> Diagnostic:
    """A problem with its place in the file."""
    place = place_of(document, base, problem)
    where = f"{file}:{place.line}:{place.column}"
    field = path_text((*base, *problem.path))
    silent = problem.code == codes.NO_EFFECT
    hint = problem.hint or ("" if silent else codes.CODES[problem.code].remedy)
    location = f"{where}   {field}" if field else where
    return Diagnostic(problem.message, problem.code, location, hint=hint)
