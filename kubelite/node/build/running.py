"""RUN: a container of our own engine whose writable layer is the changeset.

The container is that of a pod: the same isolation, user look-up, network and limits.  The pod is
removed whatever happens; what a killed build leaves is an ended pod, which `pod ls` shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.node.build.errors import BuildError
from kubelite.node.image.content.merged import MergedTree
from kubelite.node.runtime.errors import NotFound, RuntimeFailure
from kubelite.objects.pod import codec
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults

if TYPE_CHECKING:
    from kubelite.node.kubelet.pods.pods import Pods

NAMESPACE = "kubelite-build"
_CONTAINER = "run"


class Mount(NamedTuple):
    """A path of this machine, or memory where `source` is empty, at a path of the container."""

    target: str
    source: str = ""
    read_only: bool = False
    size: str = ""


class Run(NamedTuple):
    """What is run: the image by id, the arguments, and what the container gets."""

    image_id: str
    command: Sequence[str]
    variables: Mapping[str, str]
    mounts: Sequence[Mount] = ()
    host_network: bool = False


@contextmanager
def changes_of(pods: Pods, run: Run, output: Callable[[bytes], None]) -> Iterator[Path]:
    """The directory with what a command has written, which may be moved away.

    `output` gets each line. Raises BuildError with the exit code of a command that fails.
    """
    name = f"build-{os.urandom(6).hex()}"
    try:
        pods.up(_pod(name, run), report=lambda step: None)
        for line in pods.queries.logs(NAMESPACE, name, _CONTAINER, follow=True):
            output(line.text)
        ended = pods.queries.wait(NAMESPACE, name, "exited", None)
        code = pods.queries.exit_code(ended) if ended is not None else 1
        if code:
            raise BuildError(f"the command ended with exit code {code}")
        upper, _ = pods.queries.written(NAMESPACE, name, _CONTAINER)
        yield Path(upper)
    finally:
        try:
            pods.down(NAMESPACE, name, grace=0, report=lambda step: None)
        except (NotFound, RuntimeFailure):
            pass  # it never came up, or `pod down` says what is left


def remove_stubs(changes: Path, below: MergedTree, mounts: Sequence[Mount]) -> None:
    """Remove the empty files and directories that only were there to be mounted on."""
    for mount in mounts:
        parts = below.resolve(mount.target)
        while parts and below.find(parts) is None:
            stub = changes.joinpath(*parts)
            try:
                if stub.is_dir() and not stub.is_symlink():
                    stub.rmdir()
                elif stub.lstat().st_size == 0:
                    stub.unlink()
            except OSError:
                break
            parts = parts[:-1]


def _pod(name: str, run: Run) -> Pod:
    volumes, places = [], []
    for number, mount in enumerate(run.mounts):
        kind: dict[str, Any] = {"hostPath": {"path": mount.source}}
        if not mount.source:
            limit = {"sizeLimit": mount.size} if mount.size else {}
            kind = {"emptyDir": {"medium": "Memory"} | limit}
        volumes.append({"name": f"m{number}"} | kind)
        place = {"name": f"m{number}", "mountPath": mount.target, "readOnly": mount.read_only}
        places.append(place)
    container = {
        "name": _CONTAINER,
        "image": run.image_id,
        "imagePullPolicy": "Never",
        "command": [_literal(word) for word in run.command],
        "env": [{"name": n, "value": _literal(value)} for n, value in run.variables.items()],
        "volumeMounts": places,
    }
    spec = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "enableServiceLinks": False,
        "hostNetwork": run.host_network,
        "volumes": volumes,
        "containers": [container],
    }
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }
    defaults.without_server_fields(document)
    defaults.pod(document)
    return codec.decode(Pod, document)


def _literal(text: str) -> str:
    """A text in which a pod's `$(NAME)` stands for itself."""
    return text.replace("$(", "$$(")
