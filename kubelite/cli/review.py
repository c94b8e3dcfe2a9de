"""What a manifest says, judged: the pods that can be created, and everything that is wrong with it.
Pure.

``pod up`` and ``pod check`` both stand on this, so that one never accepts what the other refuses.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.cli.common.diagnostic import Diagnostic
from kubelite.lib.manifest_yaml import Document
from kubelite.objects.pod import codec, support
from kubelite.objects.pod.pod import Pod
from kubelite.objects.pod.support import Level
from kubelite.objects.rules import reading
from kubelite.objects.rules.cause import Cause, Path, copied, duplicate
from kubelite.objects.rules.pods import checks, defaults

if TYPE_CHECKING:
    from kubelite.cli import problems
    from kubelite.cli.config_review import ObjectKey
    from kubelite.lib.json import Object


PodName = tuple[str, str]
"""Namespace and name."""
_HELD_KINDS = ("ConfigMap", "Secret", "PersistentVolumeClaim")
_HELD_VOLUMES = {"configMap", "secret", "projected", "persistentVolumeClaim"}
_BESIDE_KINDS = ("Namespace", "ServiceAccount")
"""Kinds that local pods do well without."""


class Review(NamedTuple):
    """Pods with defaults, in the order of the file. With any errors nothing may be created;
    warnings are worth showing whenever a pod is created, notes only to whoever asks for a check.
    ``objects`` are the ConfigMaps, Secrets and PersistentVolumeClaims, with defaults;
    ``referenced`` are those that a pod refers to, by its namespace and name; a pod that refers to
    none has no entry. ``owners`` are the objects whose templates were made into pods.
    """

    pods: list[Pod]
    errors: list[Diagnostic]
    warnings: list[Diagnostic]
    notes: list[Diagnostic]
    objects: dict[ObjectKey, Object]
    referenced: dict[PodName, list[Object]]
    owners: list[Owner]


class Owner(NamedTuple):
    """An object whose pods are named after it: its namespace, and ``Deployment/web``."""

    namespace: str
    name: str


class Item(NamedTuple):
    """One object of a manifest: its value, the document it stands in, where in that, and the name
    of the file."""

    value: Any
    document: Document
    path: Path
    file: str = ""


def items(documents: list[Document], file: str = "") -> Iterator[Item]:
    """The objects of all documents; those of a List one by one."""
    for document in documents:
        value = document.value
        if value is None:
            continue
        if (
            isinstance(value, dict)
            and str(value.get("kind")).endswith("List")
            and isinstance(value.get("items"), list)
        ):
            for index, item in enumerate(value["items"]):
                yield Item(item, document, ("items", index), file)
        else:
            yield Item(value, document, (), file)


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
    return review_files([(file, documents)], namespace=namespace, lenient=lenient)


def review_files(
    files: Sequence[tuple[str, list[Document]]],
    *,
    namespace: str | None = None,
    lenient: bool = False,
) -> Review:
    """Reviews manifests that belong together: pods of one may refer to ConfigMaps of another."""
    result = Review([], [], [], [], {}, {}, [])
    taken: set[PodName] = set()
    all_items = [list(items(documents, file)) for file, documents in files]
    for item in itertools.chain(*all_items):
        if _is_held(item.value):
            _review_held(item, namespace, lenient, result)
    others = []
    for file_items, (file, _) in zip(all_items, files, strict=True):
        if not file_items:
            result.errors.append(_no_pod(file))
        for item in file_items:
            if _is_pod(item.value):
                _review_pod(item, namespace, lenient, result, taken)
            elif _may_have_template(item.value):
                _review_workload(item, namespace, lenient, result, taken)
            elif not _is_held(item.value):
                others.append(item)
    for item in others:
        _review_other(item, lenient, result)
    if not result.pods and not result.owners and not result.errors:
        result.errors.append(_no_pod(" or ".join(file for file, _ in files)))
    return result


def _no_pod(file: str) -> Diagnostic:
    from kubelite.cli.common.error_codes import EMPTY
    from kubelite.cli.problems import POD_BEGINS

    return Diagnostic(f"there is no Pod in {file}", EMPTY, hint=POD_BEGINS)


def _is_pod(value: Any) -> bool:
    return isinstance(value, dict) and (value.get("apiVersion"), value.get("kind")) == ("v1", "Pod")


def _is_held(value: Any) -> bool:
    """Whether it is something that pods refer to."""
    return (
        isinstance(value, dict)
        and value.get("apiVersion") == "v1"
        and value.get("kind") in _HELD_KINDS
    )


def _may_have_template(value: Any) -> bool:
    """Whether an object is of a kind whose pods run here. Manifests with none import nothing."""
    if not isinstance(value, dict) or _is_held(value) or "spec" not in value:
        return False
    from kubelite.cli import workloads

    return workloads.family_of(value) is not None


def _review_workload(
    item: Item, namespace: str | None, lenient: bool, result: Review, taken: set[PodName]
) -> None:
    """The pods of a template, named after their owner; what is wrong with one is told once."""
    from kubelite.cli import problems, workload_review, workloads

    document, causes = workload_review.judge(item.value, namespace)
    other_namespace = _other_namespace(item.value, namespace)
    judged = document, causes, list(workloads.findings(document)), other_namespace
    _list_problems(item, judged, [], lenient, result)
    if causes or other_namespace:
        return
    owner = Owner(document["metadata"]["namespace"], workloads.owner_of(document))
    if owner in result.owners:
        cause = duplicate(("metadata", "name"), document["metadata"]["name"])
        problem = problems.of_cause(cause, document)
        result.errors.append(problems.diagnostic(item.document, item.path, item.file, problem))
    result.owners.append(owner)
    for claim in workloads.claims(document):
        _hold(claim, namespace, result)
    path = (*item.path, *workloads.FAMILIES[document["apiVersion"], document["kind"]].template)
    untold = result._replace(errors=[], warnings=[], notes=[])
    for number, pod in enumerate(workloads.pods(document)):
        target = result if number == 0 else untold
        _review_pod(item._replace(value=pod, path=path), namespace, lenient, target, taken)
    if not result.errors:
        result.errors.extend(untold.errors)  # a name that only a later one shares with another pod


def _hold(document: Object, namespace: str | None, result: Review) -> list[Cause]:
    """Keeps an object for the pods that refer to it, and returns what is wrong with it."""
    from kubelite.cli import config_review

    complete, causes = config_review.judge(document, namespace)
    key = config_review.key_of(complete)
    if key in result.objects and key.name:
        causes.append(duplicate(("metadata", "name"), key.name))
    result.objects[key] = complete
    return causes


def _review_held(item: Item, namespace: str | None, lenient: bool, result: Review) -> None:
    from kubelite.cli import config_review

    causes = _hold(item.value, namespace, result)
    findings = [] if causes else list(config_review.findings(item.value))
    judged = item.value, causes, findings, _other_namespace(item.value, namespace)
    _list_problems(item, judged, [], lenient, result)


def _review_other(item: Item, lenient: bool, result: Review) -> None:
    """An object of another kind: an error, unless it needs a cluster and there are pods beside
    it, which run without.
    """
    from kubelite.cli import problems
    from kubelite.cli.common.error_codes import NEEDS_CLUSTER, UNSUPPORTED_KIND

    problem = problems.of_kind(item.value)
    has_pods = bool(result.pods or result.owners)
    listed = result.errors
    if problem.code == NEEDS_CLUSTER and item.value["kind"] in _BESIDE_KINDS and has_pods:
        listed = result.notes
    elif (problem.code == NEEDS_CLUSTER and has_pods) or (
        lenient and problem.code in (NEEDS_CLUSTER, UNSUPPORTED_KIND)
    ):
        listed = result.warnings
    listed.append(problems.diagnostic(item.document, item.path, item.file, problem))


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
    judged = _with_account(_without_disabled_fields(complete))
    broken = [c for c in checks.on_create(judged) if not _is_below(c.path, wrong)]
    return Judgement(written, complete, causes + broken)


def _without_disabled_fields(pod: Object) -> Object:
    """The pod without what the API server passes over: nothing is wrong with it there. A local pod
    keeps it, as the signal that ends a container.
    """
    spec = pod["spec"]
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    if not (
        "schedulingGroup" in spec
        or any("lifecycle" in container for container in containers)
        or any("projected" in volume for volume in spec.get("volumes") or ())
    ):
        return pod
    from kubelite.objects.rules.pods.creation import drop_disabled_fields

    judged: Object = copied(pod)
    drop_disabled_fields(judged["spec"])
    return judged


def _with_account(pod: Object) -> Object:
    """The pod as validation sees it in a server: admission has given it a service account."""
    spec = pod["spec"]
    if spec.get("serviceAccountName"):
        return pod
    return {**pod, "spec": {**spec, "serviceAccountName": "default"}}


def diagnostics_of(pod: Judgement) -> list[Diagnostic]:
    """What is wrong with a pod that comes from no file."""
    from kubelite.cli import problems

    listed = (problems.of_cause(cause, pod.complete) for cause in pod.causes)
    return [Diagnostic(problem.message, problem.code, hint=problem.hint) for problem in listed]


def _unreadable(causes: list[Cause]) -> set[Path]:
    from kubelite.cli.hints import meant_path

    return {cause.path for cause in causes} | {meant_path(cause) for cause in causes}


def _review_pod(
    item: Item,
    namespace: str | None,
    lenient: bool,
    result: Review,
    taken: set[PodName],
) -> None:
    pod = judge(item.value, namespace)
    findings = support.check(pod.written)
    missing = _missing_objects(pod, result) if _has_references(pod.written) else []
    other_namespace = _other_namespace(pod.written, namespace)
    causes = pod.causes if other_namespace else [*pod.causes, *_taken(pod.complete, taken)]
    if causes or findings or missing or other_namespace:
        judged = pod.complete, causes, findings, other_namespace
        _list_problems(item, judged, [problem for _, problem in missing], lenient, result)
    if lenient:
        support.without_refused(pod.complete, [*findings, *(finding for finding, _ in missing)])
        defaults.pod(pod.complete, namespace or "")
    result.pods.append(codec.decode(Pod, pod.complete))


def _has_references(pod: Object) -> bool:
    """Whether a pod may refer to objects of the manifests, quickly told."""
    spec = pod.get("spec") or {}
    if any(volume.keys() & _HELD_VOLUMES for volume in spec.get("volumes") or ()):
        return True
    return any(
        container.get("envFrom")
        or any("valueFrom" in variable for variable in container.get("env") or ())
        for group in ("initContainers", "containers")
        for container in spec.get(group) or ()
    )


def _missing_objects(
    pod: Judgement, result: Review
) -> list[tuple[support.Finding, problems.Problem]]:
    """Puts what the pod refers to into ``referenced``, and returns what the manifests lack."""
    from kubelite.cli import config_review
    from kubelite.objects.pod.references import references

    meta = pod.complete["metadata"]
    namespace, wanted = meta["namespace"], list(references(pod.written))
    keys = {
        config_review.ObjectKey(reference.kind, namespace, reference.name) for reference in wanted
    }
    objects = [result.objects[key] for key in sorted(keys) if key in result.objects]
    if objects:
        result.referenced[namespace, meta.get("name") or ""] = objects
    return list(config_review.missing(wanted, namespace, result.objects))


def _other_namespace(document: Object, namespace: str | None) -> str:
    """Why an object's namespace does not fit that of the command line; "" where it does."""
    own = (document.get("metadata") or {}).get("namespace")
    if namespace and own and own != namespace:
        return f'namespace: the manifest says "{own}", the command line "{namespace}"'
    return ""


def _taken(pod: Object, taken: set[PodName]) -> list[Cause]:
    """Whether a pod before it has the same name; the names so far are ``taken``."""
    name = (pod["metadata"]["namespace"], pod["metadata"].get("name") or "")
    if name in taken and name[1]:
        return [duplicate(("metadata", "name"), name[1])]
    taken.add(name)
    return []


def _list_problems(
    item: Item,
    judged: tuple[Object, list[Cause], list[support.Finding], str],
    missing: list[problems.Problem],
    lenient: bool,
    result: Review,
) -> None:
    """Puts everything that is wrong with a pod into the lists, in the order of the file."""
    from kubelite.cli import problems

    pod, causes, findings, other_namespace = judged
    errors = [problems.of_cause(cause, pod) for cause in causes]
    if other_namespace:
        errors.append(_namespace_problem(other_namespace))
    stops = Level.FATAL if lenient else Level.REFUSED
    for level, diagnostics in (
        (Level.QUIET, result.notes),
        (Level.LOUD, result.warnings),
        (stops, result.errors),
    ):
        at_level = [f for f in findings if _effective(f.level, stops) is level]
        listed = [problems.of_finding(finding) for finding in at_level]
        listed += errors if level is stops else []
        listed += missing if level is (Level.LOUD if lenient else stops) else []
        listed.sort(key=lambda problem: problems.place_of(item.document, item.path, problem))
        diagnostics.extend(
            problems.diagnostic(item.document, item.path, item.file, problem) for problem in listed
        )


def _namespace_problem(message: str) -> problems.Problem:
    from kubelite.cli import problems
    from kubelite.cli.common.error_codes import OTHER_NAMESPACE

    hint, path = "leave --namespace out, or change one", ("metadata", "namespace")
    return problems.Problem(path, message, OTHER_NAMESPACE, hint)


def _effective(level: Level, stops: Level) -> Level:
    """What a level comes to: whoever is lenient is warned of what would have stopped the pod."""
    return stops if level >= stops else min(level, Level.LOUD)


def _is_below(path: Path, wrong: set[Path]) -> bool:
    """Whether a value that could not be read has been reported there or above."""
    return any(path[:end] in wrong for end in range(1, len(path) + 1)) or () in wrong
