"""What a manifest says, judged: the pods that can be created, and everything that is wrong with it.
Pure.

``pod up`` and ``pod check`` both stand on this, so that one never accepts what the other refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kubelite.cli.common import error_codes as codes
from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.lib.manifest_yaml import Document, Place
from kubelite.objects.pod import codec, support
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import defaults, validate
from kubelite.objects.rules.problem import (
    DUPLICATE,
    INVALID,
    NO_EFFECT,
    REQUIRED,
    UNSUPPORTED_KIND,
    WRONG_TYPE,
    Path,
    Problem,
    json_path,
)

TODAY = "this version of kubelite runs Pods"


class Review(NamedTuple):
    """Pods with defaults, in the order of the file. With any errors nothing may be created;
    warnings are worth showing whenever a pod is created, notes only to whoever asks for a check."""

    pods: list[Pod]
    errors: list[Diagnostic]
    warnings: list[Diagnostic]
    notes: list[Diagnostic]


class Item(NamedTuple):
    """One object of a manifest: its value, the document it stands in, and where in that."""

    value: Any
    document: Document
    path: Path


def items(documents: list[Document]) -> Iterator[Item]:
    """The objects of all documents; those of a List one by one."""
    for document in documents:
        value = document.value
        if value is None:
            continue
        if (
            isinstance(value, dict)
            and value.get("kind") in ("List", "PodList")
            and isinstance(value.get("items"), list)
        ):
            for at, each in enumerate(value["items"]):
                yield Item(each, document, ("items", at))
        else:
            yield Item(value, document, ())


def review(
    documents: list[Document], file: str, *, namespace: str | None = None, lenient: bool = False
) -> Review:
    """Judges a manifest. ``file`` is its name in places; ``namespace`` the one asked for on the
    command line.
    """
    found = Review([], [], [], [])
    taken: set[tuple[str, str]] = set()
    for item in items(documents):
        _review(item, file, namespace, lenient, found, taken)
    if not found.pods and not found.errors:
        hint = "a manifest begins with apiVersion: v1 and kind: Pod"
        found.errors.append(Diagnostic(f"there is no Pod in {file}", codes.EMPTY, hint=hint))
    return found


def _review(
    item: Item,
    file: str,
    namespace: str | None,
    lenient: bool,
    found: Review,
    taken: set[tuple[str, str]],
) -> None:
    kind = _kind(item)
    if kind is not None:
        skipped = lenient and kind.code == UNSUPPORTED_KIND
        (found.warnings if skipped else found.errors).append(_trouble(item, file, kind))
        return
    made, problems = codec.decode(Pod, item.value)
    if made is None:
        return
    # What could not be read, or stands there under another name, is not missing.
    wrong = {each.path for each in problems} | {each.meant for each in problems if each.meant}
    problems += [each for each in validate.pod(made) if not _below(each.path, wrong)]
    problems += _names(made, taken, namespace)
    findings = support.check(made)
    stops = Level.FATAL if lenient else Level.REFUSED
    for level, told in (
        (Level.QUIET, found.notes),
        (Level.LOUD, found.warnings),
        (stops, found.errors),
    ):
        these = [each.problem for each in findings if _at(each.level, stops) is level]
        these += problems if told is found.errors else []
        told.extend(
            _trouble(item, file, problem)
            for problem in sorted(these, key=lambda each: _place(item, each))
        )
    kept = support.lenient(made, findings) if lenient else made
    found.pods.append(defaults.pod(defaults.fresh(kept), namespace))


def _at(level: Level, stops: Level) -> Level:
    """What a level comes to: whoever is lenient is warned of what would have stopped the pod."""
    if level >= stops:
        return stops
    return min(level, Level.LOUD)


def _below(path: Path, wrong: set[Path]) -> bool:
    """Whether a value that could not be read has been reported there or above."""
    return any(path[:end] in wrong for end in range(len(path) + 1))


def _kind(item: Item) -> Problem | None:
    """What is wrong with the object as such, before its fields are looked at."""
    value = item.value
    if not isinstance(value, dict):
        hint = "a manifest begins with apiVersion: v1 and kind: Pod"
        return Problem(
            (), "this is not an object of Kubernetes: a mapping is expected here", WRONG_TYPE, hint
        )
    version, kind = value.get("apiVersion"), value.get("kind")
    for name, said in (("apiVersion", version), ("kind", kind)):
        if said is None or said == "":
            return Problem(
                (), f"{name}: Required value", REQUIRED, "pods have apiVersion: v1 and kind: Pod"
            )
        if not isinstance(said, str):
            return Problem((name,), "expected string", WRONG_TYPE)
    if (version, kind) == ("v1", "Pod"):
        return None
    return _other_kind(str(version), str(kind), value)


def _other_kind(version: str, kind: str, value: dict[str, Any]) -> Problem:
    from kubelite.objects.facts import kinds

    if kinds.of_manifest(version, kind) is not None:
        template = isinstance(value.get("spec"), dict) and "template" in value["spec"]
        hint = (
            "make a Pod of its template, spec.template" if template else "--lenient leaves it out"
        )
        return Problem(("kind",), f"a {kind} cannot be run yet: {TODAY}", UNSUPPORTED_KIND, hint)
    versions = [each.api_version for each in kinds.KINDS if each.kind == kind]
    if versions:
        said = f'{version} has no kind "{kind}"'
        return Problem(("apiVersion",), said, INVALID, f"write apiVersion: {versions[0]}")
    from difflib import get_close_matches

    close = get_close_matches(kind, [each.kind for each in kinds.KINDS], n=1)
    hint = f'did you mean "{close[0]}"?' if close else "--lenient leaves it out"
    return Problem(
        ("kind",), f'unknown kind "{kind}" of {version}: {TODAY}', UNSUPPORTED_KIND, hint
    )


def _names(made: Pod, taken: set[tuple[str, str]], namespace: str | None) -> list[Problem]:
    """Whether the pod's name and namespace fit the command line and the pods before it, whose names
    are ``taken``.
    """
    own = made.metadata.namespace
    if namespace and own and own != namespace:
        said = f'namespace: the manifest says "{own}", the command line "{namespace}"'
        return [
            Problem(
                ("metadata", "namespace"),
                said,
                codes.OTHER_NAMESPACE,
                "leave --namespace out, or change one",
            )
        ]
    name = (own or namespace or defaults.NAMESPACE, made.metadata.name or "")
    if name in taken and name[1]:
        return [Problem(("metadata", "name"), f'name: Duplicate value: "{name[1]}"', DUPLICATE)]
    taken.add(name)
    return []


def _place(item: Item, problem: Problem) -> Place:
    path = (*item.path, *problem.path)
    return item.document.key_place(path) if problem.at_key else item.document.place(path)


def _trouble(item: Item, file: str, problem: Problem) -> Diagnostic:
    place = _place(item, problem)
    where = f"{file}:{place.line}:{place.column}"
    shown = json_path((*item.path, *problem.path))
    hint = problem.hint or ("" if problem.code == NO_EFFECT else codes.CODES[problem.code].remedy)
    return Diagnostic(
        problem.message, problem.code, f"{where}   {shown}" if shown else where, hint=hint
    )
