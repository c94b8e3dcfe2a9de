"""What a manifest says, judged: the pods that can be created, and everything that is wrong with it.
Pure.

``pod up`` and ``pod check`` both stand on this, so that one never accepts what the other refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.lib.json import Object
from kubelite.lib.manifest_yaml import Document
from kubelite.objects.pod import codec, support
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import Cause, Path, copied, duplicate
from kubelite.objects.rules.pods import checks, defaults


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


class Judgement(msgspec.Struct, frozen=True):
    """A pod as its manifest has it, as it would be created, and what Kubernetes says is wrong."""

    written: Object
    complete: Object
    causes: list[Cause]


def review(
    documents: list[Document], file: str, *, namespace: str | None = None, lenient: bool = False
) -> Review:
    """Reviews a manifest. ``file`` is its name in places; ``namespace`` the one asked for on the
    command line.
    """
    result = Review([], [], [], [])
    taken: set[tuple[str, str]] = set()
    for item in items(documents):
        if _is_pod(item.value):
            _review_pod(item, file, namespace, lenient, result, taken)
        else:
            _review_other(item, file, lenient, result)
    if not result.pods and not result.errors:
        from kubelite.cli.common.error_codes import EMPTY
        from kubelite.cli.problems import POD_BEGINS

        result.errors.append(Diagnostic(f"there is no Pod in {file}", EMPTY, hint=POD_BEGINS))
    return result


def _is_pod(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("apiVersion"), value.get("kind")) == ("v1", "Pod")


def _review_other(item: Item, file: str, lenient: bool, result: Review) -> None:
    """An object that is no Pod: an error, unless the kind is known and may be passed over."""
    from kubelite.cli import problems
    from kubelite.cli.common.error_codes import UNSUPPORTED_KIND

    problem = problems.of_kind(item.value)
    skipped = lenient and problem.code == UNSUPPORTED_KIND
    listed = result.warnings if skipped else result.errors
    listed.append(problems.diagnostic(item.document, item.path, file, problem))


def judge(value: Object, namespace: str | None = None) -> Judgement:
    """What Kubernetes says of the value of a Pod, from the same rules as the API server."""
    written, causes = reading.read("core.v1.Pod", value)
    complete = copied(written)
    defaults.without_server_fields(complete)
    defaults.pod(complete, namespace or "")
    # What could not be read, or stands there under another name, is not missing.
    wrong = _unreadable(causes) if causes else set()
    if complete["metadata"].get("generateName"):
        wrong.add(("metadata", "name"))
    broken = [c for c in checks.on_create(complete) if not _is_below(c.path, wrong)]
    return Judgement(written, complete, causes + broken)


def diagnostics_of(pod: Judgement) -> list[Diagnostic]:
    """What is wrong with a pod that comes from no file."""
    from kubelite.cli import problems

    listed = (problems.of_cause(cause, pod.complete) for cause in pod.causes)
    return [Diagnostic(each.message, each.code, hint=each.hint) for each in listed]


def _unreadable(causes: list[Cause]) -> set[Path]:
    from kubelite.cli.hints import meant_path

    return {cause.path for cause in causes} | {meant_path(cause) for cause in causes}


def _review_pod(
    item: Item,
    file: str,
    namespace: str | None,
    lenient: bool,
    result: Review,
    taken: set[tuple[str, str]],
) -> None:
    pod = judge(item.value, namespace)
    findings = support.check(pod.written)
    other_namespace = _other_namespace(pod.written, namespace)
    causes = pod.causes if other_namespace else [*pod.causes, *_taken(pod.complete, taken)]
    if causes or findings or other_namespace:
        judged = pod.complete, causes, findings, other_namespace
        _list_problems(item, file, judged, lenient, result)
    if lenient:
        support.without_refused(pod.complete, findings)
        defaults.pod(pod.complete, namespace or "")
    result.pods.append(codec.decode(Pod, pod.complete))


def _other_namespace(pod: Object, namespace: str | None) -> str:
    """Why the pod's namespace does not fit that of the command line; "" where it does."""
    own = (pod.get("metadata") or {}).get("namespace")
    if namespace and own and own != namespace:
        return f'namespace: the manifest says "{own}", the command line "{namespace}"'
    return ""


def _taken(pod: Object, taken: set[tuple[str, str]]) -> list[Cause]:
    """Whether a pod before it has the same name; the names so far are ``taken``."""
    name = (pod["metadata"]["namespace"], pod["metadata"].get("name") or "")
    if name in taken and name[1]:
        return [duplicate(("metadata", "name"), name[1])]
    taken.add(name)
    return []


def _list_problems(
    item: Item,
    file: str,
    judged: tuple[Object, list[Cause], list[support.Finding], str],
    lenient: bool,
    result: Review,
) -> None:
    """Puts everything that is wrong with a pod into the lists, in the order of the file."""
    from kubelite.cli import problems
    from kubelite.cli.common.error_codes import OTHER_NAMESPACE

    pod, causes, findings, other_namespace = judged
    errors = [problems.of_cause(cause, pod) for cause in causes]
    if other_namespace:
        hint, path = "leave --namespace out, or change one", ("metadata", "namespace")
        errors.append(problems.Problem(path, other_namespace, OTHER_NAMESPACE, hint))
    stops = Level.FATAL if lenient else Level.REFUSED
    for level, diagnostics in (
        (Level.QUIET, result.notes),
        (Level.LOUD, result.warnings),
        (stops, result.errors),
    ):
        at_level = [f for f in findings if _effective(f.level, stops) is level]
        listed = [problems.of_finding(finding) for finding in at_level]
        listed += errors if level is stops else []
        listed.sort(key=lambda problem: problems.place_of(item.document, item.path, problem))
        diagnostics.extend(
            problems.diagnostic(item.document, item.path, file, problem) for problem in listed
        )


def _effective(level: Level, stops: Level) -> Level:
    """What a level comes to: whoever is lenient is warned of what would have stopped the pod."""
    return stops if level >= stops else min(level, Level.LOUD)


def _is_below(path: Path, wrong: set[Path]) -> bool:
    """Whether a value that could not be read has been reported there or above."""
    return any(path[:end] in wrong for end in range(1, len(path) + 1)) or () in wrong
