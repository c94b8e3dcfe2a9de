"""``pod cp``: copies files between this machine and a running container."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, NamedTuple

from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.pod.exec import CONTAINER
from kubelite.cli.pod_row import default_container

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kubelite.node.kubelet.pods.copying import Side
    from kubelite.node.kubelet.pods.pods import Pods


class Operand(NamedTuple):
    """A source or target; ``pod`` is "" on this machine, ``namespace`` "" if not given."""

    pod: str
    path: str
    namespace: str = ""


def parse_operand(text: str) -> Operand:
    """``[NAMESPACE/]POD:PATH``, or a path of this machine; one with a colon must begin with ``/``
    or ``.``.
    """
    name, colon, path = text.partition(":")
    if not colon or not name or name.startswith(("/", ".")) or name.count("/") > 1:
        return Operand("", text)
    namespace, _, name = name.rpartition("/")
    return Operand(
        name,
        path if path.startswith("/") else f"/{path}",
        "" if namespace in ("pod", "pods", "po") else namespace,
    )


@usage(
    "kubelite pod cp page.html web:/page/index.html", "kubelite pod cp web:/logs ./logs -c reader"
)
def copy(
    settings: Settings,
    source: Annotated[
        str, Argument("SOURCE", "Path, POD:PATH, or - for a tar stream on stdin.", completes="pod")
    ],
    target: Annotated[
        str, Argument("TARGET", "Path, POD:PATH, or - for a tar stream on stdout.", completes="pod")
    ],
    *,
    container: Annotated[str | None, CONTAINER] = None,
) -> int:
    """Copies a file or tree; ``-`` is a tar stream. Raises NotFound, NotRunning and what copying
    raises.
    """
    from kubelite.node.kubelet.pods import copying

    screen = Screen(settings)
    pods = open_pods(settings, screen)
    origin, destination = parse_operand(source), parse_operand(target)
    if bool(origin.pod) == bool(destination.pod):
        raise CliError(
            Diagnostic(
                "exactly one of source and target must be in a pod: [NAMESPACE/]POD:PATH",
                exit_code=2,
            )
        )
    skipped: list[str] = []
    with ExitStack() as stack:
        here = stack.enter_context(copying.machine())
        there = stack.enter_context(
            _container_files(settings, pods, origin if origin.pod else destination, container)
        )
        if source == "-":
            copying.receive(sys.stdin.buffer, there, destination.path)
        elif target == "-":
            whole_directory = origin.path.endswith("/.")
            name = "" if whole_directory else os.path.basename(origin.path.rstrip("/"))
            copying.pack(there, origin.path, name, here, sys.stdout.buffer, skipped)
            sys.stdout.buffer.flush()
        elif origin.pod:
            skipped = copying.copy(there, origin.path, here, _absolute(destination.path))
        else:
            skipped = copying.copy(here, _absolute(origin.path), there, destination.path)
    for name in skipped:
        screen.warn(Diagnostic(f"skipped {name}: not a file, directory or symbolic link"))
    return 0


def _absolute(path: str) -> str:
    """Keeps the end as it is: a slash, or a dot after one, means something."""
    whole = os.path.join(os.getcwd(), path)
    return whole if path != "." else f"{whole[:-1]}."


def _container_files(
    settings: Settings, pods: Pods, operand: Operand, container: str | None
) -> AbstractContextManager[Side]:
    namespace = operand.namespace or settings.active_namespace
    chosen = (
        container or default_container(as_document(pods.queries.get(namespace, operand.pod)))[0]
    )
    return pods.files(namespace, operand.pod, chosen)
