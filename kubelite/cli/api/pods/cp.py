"""``cp``: copies files to and from containers, by a ``tar`` that the image has to have.

What comes out of a container is not trusted: it is unpacked by tarfile's filter for data, which
refuses paths and links that lead out of the target.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
import tempfile
from typing import IO, Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.pods.pods import container_of
from kubelite.cli.api.pods.streams import STDOUT, Program, run_program
from kubelite.cli.common.command import Argument, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.pod.cp import Operand, parse_operand
from kubelite.client.resources import PODS

_PIECE = 256 << 10


@usage(
    "kubelite cp page.html web:/page/index.html",
    "kubelite cp other/web:/logs ./logs -c reader",
    notes="The container needs `tar`, as with kubectl.",
)
def copy(
    settings: Settings,
    source: Annotated[str, Argument("SOURCE", "Path, or [NAMESPACE/]POD:PATH.")],
    target: Annotated[str, Argument("TARGET", "Path, or [NAMESPACE/]POD:PATH.")],
    *,
    container: options.Container = None,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Copies a file or a directory. Raises CliError."""
    origin, destination = parse_operand(source), parse_operand(target)
    if bool(origin.pod) == bool(destination.pod):
        raise CliError(
            Diagnostic("exactly one of source and target must be in a pod: POD:PATH", exit_code=2)
        )

    async def work(api: Api) -> None:
        with tempfile.TemporaryFile() as archive:
            if origin.pod:
                await _fetch(api, origin, archive, container)
                archive.seek(0)
                unpack(archive, posixpath.basename(origin.path.rstrip("/")), destination.path)
            else:
                name = await _target_name(api, origin.path, destination, container)
                pack(archive, origin.path, posixpath.basename(name))
                archive.seek(0)
                await _send(api, destination, posixpath.dirname(name), archive, container)

    return run(settings, Reach(kubeconfig, context), work)


def pack(archive: IO[bytes], path: str, name: str) -> None:
    """Writes a file or directory as ``name`` into an archive. Raises CliError."""
    if not os.path.lexists(path):
        raise CliError(Diagnostic(f"{path} doesn't exist in local filesystem"))
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.add(path, arcname=name)


def unpack(archive: IO[bytes], name: str, target: str) -> None:
    """Unpacks what an archive has as ``name``: into an existing directory, or as ``target`` itself.
    Raises CliError for members that lead elsewhere.
    """
    into_directory = os.path.isdir(target)
    parent = target if into_directory else os.path.dirname(os.path.abspath(target))
    wanted = name if into_directory else os.path.basename(os.path.abspath(target))
    if not os.path.isdir(parent):
        raise CliError(Diagnostic(f"{parent} is not a directory"))
    try:
        with tarfile.open(fileobj=archive, mode="r:") as reader:
            for member in reader:
                first, slash, rest = member.name.partition("/")
                if first == name:
                    member.name = f"{wanted}{slash}{rest}"
                    reader.extract(member, parent, filter="data")
    except tarfile.TarError as error:
        raise CliError(
            Diagnostic(f"what the container sent cannot be unpacked: {error}")
        ) from error


async def _program(
    api: Api, operand: Operand, container: str | None, command: list[str], stdin: bool
) -> Program:
    namespace = operand.namespace or api.namespace
    pod = await api.client.get(PODS, operand.pod, namespace)
    chosen = container_of(api, pod, container)
    return Program(namespace, operand.pod, chosen, command, stdin)


async def _target_name(api: Api, path: str, destination: Operand, container: str | None) -> str:
    """The whole path of the copy: inside the target where that is a directory."""
    inside = destination.path.rstrip("/") or "/"
    test = await _program(api, destination, container, ["test", "-d", inside], stdin=False)
    is_directory = await run_program(api, test, bytes, lambda _channel, _data: None) == 0
    name = os.path.basename(os.path.abspath(path))
    return posixpath.join(inside, name) if is_directory or destination.path[-1:] == "/" else inside


async def _fetch(api: Api, origin: Operand, archive: IO[bytes], container: str | None) -> None:
    path = origin.path.rstrip("/") or "/"
    command = ["tar", "cf", "-", "-C", posixpath.dirname(path), posixpath.basename(path) or "."]
    program = await _program(api, origin, container, command, stdin=False)
    messages: list[bytes] = []

    def write(channel: int, data: bytes) -> None:
        if channel == STDOUT:
            archive.write(data)
        else:
            messages.append(data)

    if await run_program(api, program, bytes, write):
        raise _failure(origin, messages)


async def _send(
    api: Api, destination: Operand, directory: str, archive: IO[bytes], container: str | None
) -> None:
    command = ["tar", "-xmf", "-", "-C", directory]
    program = await _program(api, destination, container, command, stdin=True)
    messages: list[bytes] = []
    code = await run_program(
        api,
        program,
        lambda: archive.read(_PIECE),
        lambda _channel, data: messages.append(data),
    )
    if code:
        raise _failure(destination, messages)


def _failure(operand: Operand, messages: list[bytes]) -> CliError:
    text = b"".join(messages).decode(errors="replace").strip()
    why = text or "it wrote no message; the image may have no tar"
    return CliError(Diagnostic(f"tar in {operand.pod} failed: {why}"))
