"""The kubeconfig file that ``kubelite server`` writes, and where."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.lib.files import write_atomic

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings
    from kubelite.control.api.server.lifecycle import ApiServer

_MARK = "# written by kubelite server\n"
_TEMPLATE = """{mark}apiVersion: v1
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


def default_directory(settings: Settings) -> str:
    """Where the server keeps everything unless told otherwise."""
    root = settings.root or os.environ.get("KUBELITE_ROOT")
    if root is None:
        user_root = os.path.expanduser("~/.local/share/kubelite")
        root = "/var/lib/kubelite" if os.geteuid() == 0 else user_root
    return os.path.join(root, "server")


def own_kubeconfig(directory: str) -> str:
    """The file, unless told otherwise, of the server that keeps everything in a directory."""
    return os.path.join(directory, "admin.kubeconfig")


def check_overwrite(path: str | None) -> None:
    """Refuses to overwrite a file that kubelite did not write. Raises CliError."""
    if path is None or not os.path.exists(path):
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        if file.readline() != _MARK:
            raise CliError(
                Diagnostic(
                    f"{path} exists and was not written by kubelite",
                    hint="choose a new file with --kubeconfig, and use it with KUBECONFIG=FILE",
                )
            )


def write_kubeconfig(server: ApiServer, path: str) -> None:
    """Writes all that kubectl needs into one file, readable by its owner only. Raises CliError."""
    admin = server.pki.client("admin", "kubernetes-admin", ("system:masters",))
    host = f"[{server.address}]" if ":" in server.address else server.address
    text = _TEMPLATE.format(
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
            Diagnostic(
                f"cannot write {path}: {error.strerror}", hint="choose another with --kubeconfig"
            )
        ) from error


def _base64(path: str) -> str:
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()
