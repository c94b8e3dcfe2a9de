"""Runs the API server: from the command's options to the last closed watch."""

from __future__ import annotations

import asyncio
import gc
import glob
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.foreground import run_until_signal
from kubelite.cli.common.screen import Screen
from kubelite.cli.controllers.options import controller_settings
from kubelite.cli.server.kubeconfig import (
    check_overwrite,
    default_directory,
    own_kubeconfig,
    write_kubeconfig,
)
from kubelite.control.api.auth.authentication import read_token_file
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.registry import UnknownController, select
from kubelite.control.store.types import StoreError
from kubelite.lib import known_roots
from kubelite.lib.trusted_paths import directory_problem, file_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kubelite.cli.common.command import Settings
    from kubelite.control.api.wire.request import User
    from kubelite.control.controllers.registry import Row
    from kubelite.control.store.backend import Backend

_log = logging.getLogger("kubelite.server")
_SWITCH_SECONDS = 0.0005
_RETRY_SECONDS = 1.0


class ServerOptions(NamedTuple):
    """The options of the command."""

    data_dir: str | None
    bind: str
    port: int
    names: tuple[str, ...]
    etcd: str | None
    kubeconfig: str | None
    token_file: str | None
    audit_log: str | None
    audit_policy: str | None
    metrics: bool
    controllers: tuple[str, ...] = ("*",)
    scheduler: bool = True
    nodes: bool = True
    load_balancer_pool: str = ""
    ingress: bool = True


def run(settings: Settings, options: ServerOptions) -> int:
    """Serves until a signal. Raises CliError."""
    # The store's writer thread must not wait long for the interpreter while requests are handled.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # A request makes many small objects and no cycles: looking for cycles as often as Python does
    # costs a sixth of a create. The middle generation stays small, as nothing is answered while it
    # is looked through: 90,000 objects take 31 ms.
    gc.set_threshold(20_000, 5, 400)
    controllers = selected_controllers(options.controllers)
    controller_settings(options.load_balancer_pool)
    directory = data_directory(settings, options.data_dir)
    check_overwrite(options.kubeconfig)
    try:
        tokens = read_tokens(options.token_file)
        run_until_signal(
            settings,
            "",
            lambda: _run_server(Screen(settings), options, directory, tokens, controllers),
            ending="shutting down: refusing new requests, closing watches",
        )
    except StoreError as error:
        raise CliError(
            Diagnostic(str(error), hint="choose another directory with --data-dir")
        ) from error
    return 0


def data_directory(settings: Settings, chosen: str | None) -> str:
    """The directory in which the server keeps everything. Raises CliError if it cannot be made."""
    path = os.path.realpath(chosen or default_directory(settings))
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError as error:
        raise CliError(
            Diagnostic(
                f"cannot create {path}: {error.strerror}", hint="choose another with --data-dir"
            )
        ) from error
    _refuse_open(path)
    if chosen:
        known_roots.register(path)
    return path


def _refuse_open(path: str) -> None:
    """Refuses a data directory that others could change, or keys and records that others could
    read. Raises CliError.
    """
    if problem := directory_problem(path):
        raise CliError(
            Diagnostic(
                f"{path} cannot be used as a data directory: {problem}",
                hint="choose a directory that nobody else can write to with --data-dir",
            )
        )
    secrets = [*glob.glob(f"{path}/pki/*.key"), *glob.glob(f"{path}/*.db*")]
    for file in sorted(secrets):
        if problem := file_problem(file):
            raise CliError(
                Diagnostic(
                    f"{file} {problem}: what it holds may be known to others",
                    hint="chmod 600 it, or remove the directory to begin with new keys",
                )
            )


def read_tokens(path: str | None) -> Mapping[str, User]:
    """The users of the token file. Raises CliError if it cannot be read."""
    if path is None:
        return {}
    try:
        return read_token_file(path)
    except OSError as error:
        raise CliError(
            Diagnostic(f"cannot read the token file {path}: {error.strerror}")
        ) from error
    except ValueError as error:
        raise CliError(Diagnostic(f"invalid token file: {error}")) from error


def selected_controllers(words: Sequence[str]) -> tuple[Row, ...]:
    """The controllers that ``--controllers`` names. Raises CliError for an unknown one."""
    try:
        return select(words)
    except UnknownController as error:
        raise CliError(Diagnostic(str(error))) from error


async def _run_server(
    screen: Screen,
    options: ServerOptions,
    directory: str,
    tokens: Mapping[str, User],
    controllers: Sequence[Row],
) -> None:
    """Starts the server and what runs beside it; ends both when it is cancelled or one of them
    fails.
    """
    server = ApiServer(
        await _backend(options, directory),
        _server_options(options, directory, tokens, controllers),
    )
    try:
        await _start(server, options)
        config = options.kubeconfig or own_kubeconfig(directory)
        write_kubeconfig(server, config)
        screen.note(f"ready at https://{server.address}:{server.port}; export KUBECONFIG={config}")
        await _run_control_plane(server, controllers, options)
    finally:
        await server.close()


async def _start(server: ApiServer, options: ServerOptions) -> None:
    try:
        await server.start()
    except OSError as error:
        where = f"{options.bind}:{options.port}"
        hint = "choose another with --port; 0 chooses a free one"
        raise CliError(
            Diagnostic(f"cannot listen on {where}: {error.strerror}", hint=hint)
        ) from error


async def _run_control_plane(
    server: ApiServer, controllers: Sequence[Row], options: ServerOptions
) -> None:
    """Runs scheduler and controllers from when the server is ready until it is cancelled. They are
    imported here: nobody who waits for the server waits for them.
    """
    if options.nodes:
        await _ensure_node_objects(server, controllers, options)
    if not controllers and not options.scheduler:
        gc.freeze()
        await asyncio.Event().wait()
    from kubelite.up.control_plane import ControlPlane

    control_plane = ControlPlane(
        server.application,
        controllers,
        scheduler=options.scheduler,
        elect=options.etcd is not None,  # other servers may share it
        settings=controller_settings(options.load_balancer_pool),
    )
    try:
        await control_plane.start()
        gc.freeze()
        await asyncio.Event().wait()
    finally:
        await control_plane.close()


async def _ensure_node_objects(
    server: ApiServer, controllers: Sequence[Row], options: ServerOptions
) -> None:
    """Creates what nodes need; tries again while the store does not answer."""
    from kubelite.client.errors import ClientError
    from kubelite.control.controllers.registry import PROVISIONER
    from kubelite.up.node_objects import ensure_node_objects

    url = f"https://{server.address}:{server.port}"
    provisioner = any(row.name == PROVISIONER for row in controllers)
    while True:
        try:
            await ensure_node_objects(
                server.application,
                url,
                server.authority,
                ingress=options.ingress,
                provisioner=provisioner,
            )
        except ClientError as error:
            _log.warning("cannot create the objects that nodes need, trying again: %s", error)
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


async def _backend(options: ServerOptions, directory: str) -> Backend:
    """Where objects are stored. Raises StoreError."""
    if options.etcd is not None:
        from kubelite.control.store.etcd import Etcd

        return await Etcd.connect(options.etcd)
    from kubelite.control.store.sqlite import SQLite

    return SQLite(os.path.join(directory, "store.db"))


def _server_options(
    options: ServerOptions,
    directory: str,
    tokens: Mapping[str, User],
    controllers: Sequence[Row],
) -> Options:
    return Options(
        os.path.join(directory, "pki"),
        options.bind,
        options.port,
        names=options.names,
        static_tokens=tokens,
        metrics=options.metrics,
        audit_log=options.audit_log or "",
        audit_rules=tuple(audit_rules(options.audit_policy)) if options.audit_log else (),
        beside=frozenset(row.name for row in controllers),
    )


def audit_rules(path: str | None) -> list[dict[str, Any]]:
    """The rules of an audit policy; without one the metadata of every request is logged. Raises
    CliError.
    """
    if path is None:
        return [{"level": "Metadata"}]
    import yaml

    from kubelite.control.api.auth.audit_policy import PolicyError, read

    try:
        with open(path, encoding="utf-8") as file:
            return read(yaml.safe_load(file))
    except OSError as error:
        raise CliError(
            Diagnostic(f"cannot read the audit policy {path}: {error.strerror}")
        ) from error
    except (PolicyError, yaml.YAMLError) as error:
        raise CliError(Diagnostic(f"invalid audit policy {path}: {error}")) from error
