"""``cp``: copies files to and from containers, by a ``tar`` that the image has to have.

What comes out of a container is not trusted: only its files and directories are unpacked, no links,
and nothing whose name leads upwards.
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
_MAX_MESSAGES = 64 << 10
"""How much is kept of what tar says, in bytes."""


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
        place = await _place(api, origin if origin.pod else destination, container)
        with tempfile.TemporaryFile() as archive:
            if origin.pod:
                await _fetch(api, place, origin.path, archive)
                archive.seek(0)
                name = posixpath.basename(origin.path.rstrip("/"))
                for skipped in unpack(archive, name, destination.path):
                    api.screen.warn(Diagnostic(f"skipped {skipped}: not a file or directory"))
            else:
                name = await _target_name(api, place, origin.path, destination.path)
                pack(archive, origin.path, posixpath.basename(name))
                archive.seek(0)
                await _send(api, place, posixpath.dirname(name), archive)

    return run(settings, Reach(kubeconfig, context), work)


def pack(archive: IO[bytes], path: str, name: str) -> None:
    """Writes a file or directory as ``name`` into an archive. Raises CliError."""
    if not os.path.lexists(path):
        raise CliError(Diagnostic(f"{path} doesn't exist in local filesystem"))
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.add(path, arcname=name)


def unpack(archive: IO[bytes], name: str, target: str) -> list[str]:
    """Unpacks what an archive has as ``name``: into an existing directory, or as ``target`` itself.
    Returns the names that were left out: links, devices and what leads upwards. Raises CliError.
    """
    into_directory = os.path.isdir(target)
    parent = target if into_directory else os.path.dirname(os.path.abspath(target))
    wanted = name if into_directory else os.path.basename(os.path.abspath(target))
    if not os.path.isdir(parent):
        raise CliError(Diagnostic(f"{parent} is not a directory"))
    skipped: list[str] = []
    try:
        with tarfile.open(fileobj=archive, mode="r:") as reader:
            for member in reader:
                first, slash, rest = member.name.partition("/")
                if first != name:
                    continue
                if not (member.isreg() or member.isdir()) or ".." in rest.split("/"):
                    skipped.append(member.name)
                    continue
                member.name = f"{wanted}{slash}{rest}"
                reader.extract(member, parent, filter="data")
    except tarfile.TarError as error:
        raise CliError(
            Diagnostic(f"what the container sent cannot be unpacked: {error}")
        ) from error
    return skipped


async def _place(api: Api, operand: Operand, container: str | None) -> Program:
    """The container of an operand, as a program that is still without a command."""
    namespace = operand.namespace or api.namespace
    pod = await api.client.get(PODS, operand.pod, namespace)
    return Program(namespace, operand.pod, container_of(api, pod, container), [], stdin=False)


async def _target_name(api: Api, place: Program, path: str, target: str) -> str:
    """The whole path of the copy: inside the target where that is a directory."""
    inside = target.rstrip("/") or "/"
    test = place._replace(command=["test", "-d", inside])
    is_directory = await run_program(api, test, bytes, lambda _channel, _data: None) == 0
    name = os.path.basename(os.path.abspath(path))
    return posixpath.join(inside, name) if is_directory or target[-1:] == "/" else inside


async def _fetch(api: Api, place: Program, source: str, archive: IO[bytes]) -> None:
    path = source.rstrip("/") or "/"
    command = ["tar", "cf", "-", "-C", posixpath.dirname(path), posixpath.basename(path) or "."]
    messages = bytearray()

    def write(channel: int, data: bytes) -> None:
        if channel == STDOUT:
            archive.write(data)
        else:
            _keep(messages, data)

    if await run_program(api, place._replace(command=command), bytes, write):
        raise _failure(place, messages)


async def _send(api: Api, place: Program, directory: str, archive: IO[bytes]) -> None:
    program = place._replace(command=["tar", "-xmf", "-", "-C", directory], stdin=True)
    messages = bytearray()
    code = await run_program(
        api,
        program,
        lambda: archive.read(_PIECE),
        lambda _channel, data: _keep(messages, data),
    )
    if code:
        raise _failure(place, messages)


def _keep(messages: bytearray, data: bytes) -> None:
    messages += data[: _MAX_MESSAGES - len(messages)]


def _failure(place: Program, messages: bytearray) -> CliError:
    text = messages.decode(errors="replace").strip()
    reason = text or "it wrote no message; the image may have no tar"
    return CliError(Diagnostic(f"tar in {place.pod} failed: {reason}"))
