"""Which pods a command line means: names, manifests and label selectors."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, NamedTuple

from kubelite.cli.common.command import Argument, Option, Settings
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import suggest_command

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from kubelite.cli.pod_row import Doc
    from kubelite.cli.review import Owner
    from kubelite.node.kubelet.pods.pods import Pods
    from kubelite.objects.pod.pod import Pod

NAME = Argument("NAME", "Name of the pod, or pod/NAME.", completes="pod")
NAMES = Argument("[NAME]...", "Names of pods.", completes="pod")
SELECTOR = Option("--selector -l", "Pods with these labels: app=web,tier!=db.", "SELECTOR")
FILES = Option(
    "--filename -f",
    "Manifest file, directory of manifests, URL, or - for stdin; may be repeated.",
    "FILE",
    completes="file",
)
RECURSIVE = Option("--recursive -R", "Look for manifests in directories of directories too.")
KUSTOMIZE = Option(
    "--kustomize -k",
    "Directory with a kustomization, which kubectl builds; may be repeated.",
    "DIR",
    completes="file",
)
SUFFIXES = (".yaml", ".yml", ".json")
_POD_WORDS = ("pod", "pods", "po")


class Target(NamedTuple):
    """A pod that a command is about."""

    namespace: str
    name: str


def pod_name(text: str) -> str:
    """The name in ``NAME`` or ``pod/NAME``. Raises CliError for anything else with a slash."""
    kind, slash, name = text.rpartition("/")
    if not slash or kind.lower() in _POD_WORDS:
        if not name:
            raise CliError(Diagnostic(f"{text!r} is not the name of a pod", exit_code=2))
        return name
    hint = f"pods of another namespace: {name} -n {kind}" if "/" not in kind else ""
    raise CliError(
        Diagnostic(f"{text} is not a pod: expected NAME or pod/NAME", "", "", "", hint, 2)
    )


def select(
    settings: Settings,
    pods: Pods,
    names: Iterable[str] | None,
    selector: str | None = None,
    *,
    command: str,
) -> list[Target]:
    """The pods that names or a selector mean; ``command`` is its verb, for suggestions.

    Raises CliError if there is neither or both, and for a selector that is not one.
    """
    names = list(names or ())
    namespace = settings.active_namespace
    if names and selector is not None:
        raise CliError(Diagnostic("names and --selector cannot be combined", exit_code=2))
    if names:
        return [Target(namespace, pod_name(name)) for name in names]
    if selector is None:
        example = suggest_command(settings, f"pod {command} NAME")
        raise CliError(
            Diagnostic("name a pod, or select pods with -l", hint=f"`{example}`", exit_code=2)
        )
    matches = matcher(selector)
    selected = [
        Target(namespace, pod.metadata.name or "")
        for pod in pods.queries.list(namespace)
        if matches(pod.metadata.labels)
    ]
    if not selected:
        raise CliError(Diagnostic(f"no pod in namespace {namespace} matches {selector}"))
    return selected


def owner_of(pod: Pod) -> Owner | None:
    """The object of a manifest whose template a local pod was made from."""
    from kubelite.cli.review import Owner
    from kubelite.cli.workloads import OWNER

    name = (pod.metadata.annotations or {}).get(OWNER)
    return Owner(pod.metadata.namespace or "", name) if name else None


def owned_by(pods: Pods, owners: Collection[Owner]) -> list[Target]:
    """The pods that were made from the templates of these objects."""
    return [
        Target(pod.metadata.namespace or "", pod.metadata.name or "")
        for namespace in {owner.namespace for owner in owners}
        for pod in pods.queries.list(namespace)
        if owner_of(pod) in owners
    ]


def matcher(selector: str) -> Callable[[Mapping[str, str] | None], bool]:
    """Tells whether labels match. Raises CliError for a selector that is not one."""
    from kubelite.objects.facts import labels

    try:
        parsed = labels.parse(selector)
    except labels.SelectorError as error:
        hint = "write it like -l app=web,tier!=db"
        raise CliError(Diagnostic(f"invalid selector: {error}", hint=hint, exit_code=2)) from error
    return lambda of_pod: parsed.matches(of_pod or {})


def matching(documents: list[Doc], selector: str | None) -> list[Doc]:
    """The documents whose labels match the selector, all of them without one."""
    if selector is None:
        return documents
    matches = matcher(selector)
    return [document for document in documents if matches(document["metadata"].get("labels"))]


def is_file(operand: str) -> bool:
    """Whether an operand is a manifest: ``-``, a path, or a name that ends like one.

    Anything else is the name of a pod, ``pod/NAME`` too.
    """
    kind, slash, _ = operand.partition("/")
    if slash and kind.lower() in _POD_WORDS and not os.path.exists(operand):
        return False
    return operand == "-" or os.sep in operand or operand.endswith(SUFFIXES)


def manifest_files(
    operands: Sequence[str],
    *,
    recursive: bool = False,
    example: str = "kubelite pod up web.yaml",
) -> list[str]:
    """Manifest files, directories replaced by the manifests in them, by name; with ``recursive``
    also by those in the directories below. ``example`` is a command line that names one.

    Raises CliError for no operand, and for a directory without a manifest.
    """
    if not operands:
        raise CliError(Diagnostic("name a manifest", hint=f"`{example}`", exit_code=2))
    files: list[str] = []
    for operand in operands:
        if operand == "-" or not os.path.isdir(operand):
            files.append(operand)
            continue
        inside = sorted(
            os.path.join(directory, name)
            for directory, _, names in _walked(operand, recursive=recursive)
            for name in names
            if name.endswith(SUFFIXES)
        )
        if not inside:
            raise CliError(
                Diagnostic(f"{operand} contains no manifest: no {', '.join(SUFFIXES)} file")
            )
        files += inside
    return files


def _walked(top: str, *, recursive: bool) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, of the one directory or of all below it."""
    walked = os.walk(top)
    return walked if recursive else itertools.islice(walked, 1)
