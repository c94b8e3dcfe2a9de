"""``image build``: makes an image from a Containerfile."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated

from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.image.store import open_store, show_loaded

_NAMES = ("Containerfile", "Dockerfile")
_FILE = Option("--file -f", "Containerfile or Dockerfile; - for stdin.", "FILE", completes="file")


@usage(
    "kubelite image build -t web:1 .",
    "kubelite image build -f web/Containerfile -t web:1 --build-arg VERSION=2 web",
    notes="SOURCE_DATE_EPOCH in the environment bounds all times, so that the same inputs give the"
    " same image. Steps are cached; kubelite image prune --all forgets them.",
)
def build(
    settings: Settings,
    context: Annotated[
        str, Argument("[CONTEXT]", "Directory that COPY and ADD take files from.", completes="file")
    ] = ".",
    *,
    file: Annotated[str | None, _FILE] = None,
    tag: Annotated[
        str | None, Option("--tag -t", "Name of the image; one that exists moves.")
    ] = None,
    build_arg: Annotated[
        list[str] | None, Option("--build-arg", "Value of an ARG; may be repeated.", "NAME=VALUE")
    ] = None,
    secret: Annotated[
        list[str] | None,
        Option("--secret", "File for RUN --mount=type=secret.", "id=NAME,src=FILE"),
    ] = None,
    target: Annotated[str, Option("--target", "The stage to build.", "STAGE")] = "",
    network: Annotated[str, Option("--network", "Network of RUN: default or host.")] = "default",
    no_cache: Annotated[bool, Option("--no-cache", "Carry out every step.")] = False,
    pull: Annotated[bool, Option("--pull", "Ask registries for newer base images.")] = False,
) -> int:
    """Builds an image, printing each step. Raises BuildError, CliError."""
    from kubelite.node.build.builder import build as build_image
    from kubelite.node.build.containerfile import parse
    from kubelite.node.build.services import Options
    from kubelite.node.image.content.documents import creation_time

    screen, start = Screen(settings), time.monotonic()
    store = open_store(settings)
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    if network not in ("default", "host"):
        raise CliError(Diagnostic("--network is default or host", exit_code=2))
    place = _directory(context)
    path = _containerfile(file, place)
    options = Options(
        context=place,
        ignore_file=Path(f"{path}.dockerignore") if path else None,
        arguments=dict(_pair(text) for text in build_arg or ()),
        secrets=dict(_secret(text) for text in secret or ()),
        target=target,
        use_cache=not no_cache,
        always_pull=pull,
        host_network=network == "host",
        created=creation_time(os.environ, time.time()),
        latest=int(epoch) if epoch.isdecimal() else None,
    )
    built = build_image(
        store,
        lambda: open_pods(settings, screen),
        parse(path.read_text("utf-8") if path else sys.stdin.read()),
        options,
        tag,
        screen.note,
    )
    show_loaded(screen, [built], "built", start)
    return 0


def _directory(context: str) -> Path:
    path = Path(context)
    if not path.is_dir():
        hint = "give the directory that COPY takes files from"
        raise CliError(Diagnostic(f"{context} is not a directory", hint=hint, exit_code=2))
    return path.resolve()


def _containerfile(file: str | None, context: Path) -> Path | None:
    """The file that says what to build; None for the standard input."""
    if file == "-":
        return None
    paths = [Path(file)] if file is not None else [context / name for name in _NAMES]
    for path in paths:
        if path.exists():
            return path
    hint = "name a Containerfile with -f FILE; - reads stdin"
    missing = f"{file} does" if file else f"{' and '.join(map(str, paths))} do"
    raise CliError(Diagnostic(f"{missing} not exist", hint=hint))


def _pair(text: str) -> tuple[str, str]:
    """A value; that of the environment for a name alone, as in docker."""
    name, equals, value = text.partition("=")
    return name, value if equals else os.environ.get(name, "")


def _secret(text: str) -> tuple[str, Path]:
    fields = dict(part.partition("=")[::2] for part in text.split(","))
    source = Path(fields.get("src") or fields.get("source") or "")
    if not fields.get("id") or not source.is_file():
        hint = "write it like --secret id=token,src=./token"
        raise CliError(Diagnostic(f"--secret {text} names no file", hint=hint, exit_code=2))
    return fields["id"], source
