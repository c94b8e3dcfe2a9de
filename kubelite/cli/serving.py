"""``kubelite server``: the API server in the foreground, from the first file to the last watcher
told.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble
from kubelite.control.api.auth.authentication import read_token_file
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.types import StoreError
from kubelite.lib.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.cli.settings import Settings
    from kubelite.control.api.wire.request import User
    from kubelite.control.store.backend import Backend

_MARK = "# written by kubelite server\n"
_SWITCH_SECONDS = 0.0005


class Wanted(NamedTuple):
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
    node: bool


def serve(settings: Settings, wanted: Wanted) -> int:
    """Serves until a signal. Raises CliError."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    # The store's writer thread must not wait long for the interpreter while requests are being
    # handled.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # A request makes many small objects and no cycles: looking for cycles as often as Python does
    # costs a sixth of a create.
    gc.set_threshold(20_000, 20, 100)
    directory = data_directory(settings, wanted.data_dir)
    check_kubeconfig(wanted.kubeconfig)
    try:
        asyncio.run(_serve(Screen(settings), wanted, directory, tokens_of(wanted.token_file)))
    except StoreError as error:
        raise CliError(Trouble(str(error), hint="choose another place with --data-dir")) from error
    return 0


def data_directory(settings: Settings, chosen: str | None) -> str:
    """Where the server keeps everything. Raises CliError where it cannot be made."""
    root = settings.root or os.environ.get("KUBELITE_ROOT")
    if root is None:
        home = os.path.expanduser("~/.local/share/kubelite")
        root = "/var/lib/kubelite" if os.geteuid() == 0 else home
    path = os.path.realpath(chosen or os.path.join(root, "server"))
    try:
        os.makedirs(path, 0o700, exist_ok=True)
    except OSError as error:
        raise CliError(
            Trouble(f"cannot make {path}: {error.strerror}", hint="choose another with --data-dir")
        ) from error
    return path


def tokens_of(path: str | None) -> Mapping[str, User]:
    """The users of the token file. Raises CliError where it cannot be read."""
    if path is None:
        return {}
    try:
        return read_token_file(path)
    except OSError as error:
        raise CliError(Trouble(f"cannot read the token file {path}: {error.strerror}")) from error
    except ValueError as error:
        raise CliError(Trouble(f"cannot use the token file: {error}")) from error


def check_kubeconfig(path: str | None) -> None:
    """Refuses to overwrite a file that somebody else wrote. Raises CliError."""
    if path is None or not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        if file.readline() != _MARK:
            raise CliError(
                Trouble(
                    f"{path} is there and was not written by kubelite",
                    hint="name a new file with --kubeconfig, and use it with KUBECONFIG=FILE",
                )
            )


async def _serve(
    screen: Screen, wanted: Wanted, directory: str, tokens: Mapping[str, User]
) -> None:
    """The life of the server."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, over.set)
    server = ApiServer(await _backend(wanted, directory), _options(wanted, directory, tokens))
    try:
        await server.start()
    except OSError as error:
        await server.close()
        where = f"{wanted.bind}:{wanted.port}"
        hint = "choose another with --port, 0 takes a free one"
        raise CliError(Trouble(f"cannot listen on {where}: {error.strerror}", hint=hint)) from error
    config = wanted.kubeconfig or os.path.join(directory, "admin.kubeconfig")
    write_kubeconfig(server, config)
    screen.note(f"ready at https://{server.address}:{server.port}; export KUBECONFIG={config}")
    gc.freeze()
    await over.wait()
    screen.note("ending: no new requests, watchers are told")
    await server.close()


async def _backend(wanted: Wanted, directory: str) -> Backend:
    """Where objects are kept. Raises StoreError."""
    if wanted.etcd is not None:
        from kubelite.control.store.etcd import Etcd

        return await Etcd.connect(wanted.etcd)
    from kubelite.control.store.sqlite import SQLite

    return SQLite(os.path.join(directory, "store.db"))


def _options(wanted: Wanted, directory: str, tokens: Mapping[str, User]) -> Options:
    return Options(
        os.path.join(directory, "pki"),
        wanted.bind,
        wanted.port,
        names=wanted.names,
        static_tokens=tokens,
        metrics=wanted.metrics,
        audit_log=wanted.audit_log or "",
        audit_rules=tuple(audit_rules(wanted.audit_policy)) if wanted.audit_log else (),
    )


def audit_rules(path: str | None) -> list[dict[str, Any]]:
    """The rules of an audit policy; without one the metadata of every request is written. Raises
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
        raise CliError(Trouble(f"cannot read the audit policy {path}: {error.strerror}")) from error
    except (PolicyError, yaml.YAMLError) as error:
        raise CliError(Trouble(f"cannot use the audit policy {path}: {error}")) from error


def write_kubeconfig(server: ApiServer, path: str) -> None:
    """Everything that kubectl needs, in one file for its owner only. Raises CliError."""
    admin = server.pki.client("admin", "kubernetes-admin", ("system:masters",))
    host = f"[{server.address}]" if ":" in server.address else server.address
    text = _KUBECONFIG.format(
        mark=_MARK,
        server=f"https://{host}:{server.port}",
        authority=_base64(server.pki.authority.certificate),
        certificate=_base64(admin.certificate),
        key=_base64(admin.key),
    )
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        write_atomic(path, text.encode(), durable=False)
    except OSError as error:
        raise CliError(
            Trouble(f"cannot write {path}: {error.strerror}", hint="name another with --kubeconfig")
        ) from error


def _base64(path: str) -> str:
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


_KUBECONFIG = """{mark}apiVersion: v1
kind: Config
clusters:
- name: kubelite
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: kubelite-admin
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: kubelite
  context:
    cluster: kubelite
    user: kubelite-admin
current-context: kubelite
"""
