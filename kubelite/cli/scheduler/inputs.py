"""What the scheduler commands share: their options, and reading clusters and pods from files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, NoReturn

from kubelite.cli.common import output
from kubelite.cli.common.command import Document, Option, Settings
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen
from kubelite.cli.system.info import DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Cluster = Annotated[
    str,
    Option(
        "--cluster", "Nodes, running pods and other objects; - for stdin.", "FILE", completes="file"
    ),
]
Plugins = Annotated[
    list[str] | None, Option("--plugin", "Run only this plugin; may be repeated.", "NAME")
]
PluginArguments = Annotated[
    list[str] | None,
    Option("--plugin-args", "Arguments of a plugin; may be repeated.", "NAME=JSON"),
]
Formula = Annotated[
    str | None,
    Option(
        "--balanced-formula",
        "How balanced allocation is scored; change since Kubernetes 1.36.",
        "state|change",
    ),
]
Configuration = Annotated[
    str | None,
    Option(
        "--config",
        "A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1).",
        "FILE",
        completes="file",
    ),
]
Seed = Annotated[
    int | None,
    Option("--seed", "Break ties at random from this seed; by default the first node wins."),
]
Format = Annotated[Document | None, DOCUMENT]


def run_scheduler(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The scheduler's answer; what it refuses becomes an error of the command."""
    from kubelite.control.scheduler import SchedulerError

    try:
        return act()
    except SchedulerError as error:
        raise CliError(Diagnostic(str(error))) from error


def options(
    plugins: Sequence[str] | None,
    plugin_args: Sequence[str] | None,
    formula: str | None,
    config: str | None,
    seed: int | None,
) -> dict[str, Any]:
    """The options that both commands pass to the scheduler. Raises CliError."""
    return {
        "plugins": plugins or (),
        "plugin_args": dict(_plugin_argument(text) for text in plugin_args or ()),
        "balanced_formula": formula,
        "configuration": _configuration(config) if config else None,
        "seed": seed,
    }


def _plugin_argument(text: str) -> tuple[str, object]:
    name, separator, value = text.partition("=")
    if not separator:
        _usage_error(
            f"--plugin-args {text}: expected NAME=JSON",
            "for example --plugin-args 'InterPodAffinity={}'",
        )
    try:
        return name, json.loads(value)
    except ValueError as error:
        _usage_error(
            f"--plugin-args {name}: not JSON: {error}",
            "quote it: --plugin-args 'NAME={\"key\": 1}'",
        )


def _usage_error(message: str, hint: str) -> NoReturn:
    raise CliError(Diagnostic(message, hint=hint, exit_code=2))


def read_objects(source: str, default_kind: str = "") -> list[dict[str, Any]]:
    """The objects of a file, - for stdin. Raises OSError, SchedulerError."""
    from kubelite.control.scheduler.facts.documents import objects

    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    return objects(data, label(source), default_kind)


class Inputs(NamedTuple):
    """The objects of a cluster and the pods to schedule, as a scheduler would see them."""

    cluster: list[dict[str, Any]]
    pods: list[dict[str, Any]]


def read_inputs(cluster: str, pods: str) -> Inputs:
    """Reads both files. Pods of Deployments and the like are made from their templates, priority
    classes become priorities. Raises OSError, SchedulerError, CliError.
    """
    from kubelite.cli.scheduler import workloads

    objects = [workloads.as_served(obj) for obj in read_objects(cluster)]
    wanted = read_objects(pods, "Pod")
    workloads.check_fields(wanted, label(pods))
    classes = workloads.priority_classes([*objects, *wanted])
    nodes = sum(obj["kind"] == "Node" for obj in objects)
    running = workloads.prioritized((obj for obj in objects if obj["kind"] == "Pod"), classes)
    others = [obj for obj in objects if obj["kind"] != "Pod"]
    created = workloads.pods_of(wanted, label(pods), nodes)
    return Inputs([*others, *running], workloads.prioritized(created, classes))


def label(source: str) -> str:
    """The name of a file in messages."""
    return "stdin" if source == "-" else source


def only_pod(pods: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """The one pod of a file. Raises CliError if there is none or several."""
    if len(pods) != 1:
        hint = (
            "`kubelite scheduler simulate` takes many" if pods else "give a file with one Pod in it"
        )
        message = f"{source} contains {len(pods) or 'no'} pods; exactly one can be explained"
        raise CliError(Diagnostic(message, hint=hint))
    return pods[0]


def _configuration(source: str) -> Mapping[str, Any]:
    objects = read_objects(source)
    if len(objects) != 1:
        raise CliError(
            Diagnostic(
                f"{source} is not a scheduler configuration: expected one"
                " KubeSchedulerConfiguration"
            )
        )
    return objects[0]


def show(
    settings: Settings,
    answer: dict[str, Any],
    format: Document | None,
    as_text: Callable[[dict[str, Any]], str],
) -> None:
    """Prints an answer as a document, or as text for people."""
    Screen(settings).data(output.document(answer, format) if format else as_text(answer))
