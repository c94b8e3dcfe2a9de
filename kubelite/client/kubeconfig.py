"""How to reach a cluster, read from a kubeconfig file or from inside a pod."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kubelite.client.errors import BadKubeconfig

ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"


class ClusterAccess(NamedTuple):
    """A server and the credentials for it. Certificates and keys are PEM, empty where unused;
    ``context`` is what a kubeconfig calls it.
    """

    server: str
    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    insecure: bool = False
    tls_server_name: str = ""
    proxy: str = ""
    headers: Mapping[str, str] = {}
    namespace: str = "default"
    context: str = ""


def load(path: str, context: str = "") -> ClusterAccess:
    """The access that a kubeconfig's context describes; "" is its current one.

    Raises BadKubeconfig.
    """
    return _Reader({path: _read(path)}).access(context)


def load_merged(paths: Sequence[str], context: str = "") -> ClusterAccess:
    """The same of several files, as KUBECONFIG names them: of entries with one name the first
    counts, and the first current-context. Raises BadKubeconfig.
    """
    return _Reader({path: _read(path) for path in paths}).access(context)


def _read(path: str) -> dict[str, Any]:
    import yaml  # a node has no kubeconfig

    try:
        with open(path, encoding="utf-8") as file:
            value = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise BadKubeconfig(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadKubeconfig(f"{path} is not valid YAML: {error}") from error
    if not isinstance(value, dict):
        raise BadKubeconfig(f"{path} is no kubeconfig: it must be a mapping")
    return value


def in_pod(directory: str = ACCOUNT_DIRECTORY) -> ClusterAccess:
    """The access of a pod's service account. Raises BadKubeconfig."""
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST"),
        os.environ.get("KUBERNETES_SERVICE_PORT"),
    )
    if not host or not port:
        raise BadKubeconfig("KUBERNETES_SERVICE_HOST is not set: this is no pod, name a kubeconfig")
    try:
        with open(os.path.join(directory, "ca.crt"), "rb") as file:
            authority = file.read()
    except OSError as error:
        raise BadKubeconfig(f"cannot read the service account's ca.crt: {error}") from error
    host = f"[{host}]" if ":" in host else host
    token_file = os.path.join(directory, "token")
    return ClusterAccess(f"https://{host}:{port}", authority, token_file=token_file)


class _Entry(NamedTuple):
    """A cluster, user or context, and the file that it stands in."""

    path: str
    fields: dict[str, Any]

    def text(self, key: str) -> str:
        return str(self.fields.get(key) or "")

    def pem(self, key: str) -> bytes:
        """A certificate or key, in the entry or in a file that it names. Raises BadKubeconfig."""
        if data := self.text(f"{key}-data"):
            try:
                return base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise BadKubeconfig(f"{self.path}: {key}-data is not base64") from error
        if not self.text(key):
            return b""
        try:
            with open(self.beside(key), "rb") as file:
                return file.read()
        except OSError as error:
            raise BadKubeconfig(f"cannot read {key} {self.text(key)}: {error.strerror}") from error

    def beside(self, key: str) -> str:
        """A path; a relative one starts at the directory of the file."""
        directory = os.path.dirname(os.path.abspath(self.path))
        return os.path.join(directory, self.text(key)) if self.text(key) else ""


class _Reader:
    """The entries of files, with errors that name them."""

    def __init__(self, files: Mapping[str, dict[str, Any]]) -> None:
        self._files = files
        self._names = " and ".join(files)

    def access(self, context: str) -> ClusterAccess:
        current = (value.get("current-context") for value in self._files.values())
        name = context or str(next(filter(None, current), ""))
        if not name:
            raise BadKubeconfig(f"{self._names} has no current-context")
        chosen = self._entry("contexts", "context", name)
        cluster = self._entry("clusters", "cluster", chosen.text("cluster"))
        user = self._user(chosen.text("user"))
        server = cluster.text("server").rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise BadKubeconfig(
                f"{cluster.path}: server {server!r} is not an http or https address"
            )
        access = ClusterAccess(
            server,
            authority=cluster.pem("certificate-authority"),
            certificate=user.pem("client-certificate"),
            key=user.pem("client-key"),
            token=user.text("token"),
            token_file=user.beside("tokenFile"),
            insecure=bool(cluster.fields.get("insecure-skip-tls-verify")),
            tls_server_name=cluster.text("tls-server-name"),
            proxy=cluster.text("proxy-url"),
            headers={"Impersonate-User": user.text("as")} if user.text("as") else {},
            namespace=chosen.text("namespace") or "default",
            context=name,
        )
        if plugin := user.fields.get("exec"):
            from kubelite.client import credential_plugin

            issued = credential_plugin.run(plugin, os.path.dirname(os.path.abspath(user.path)))
            return access._replace(**issued._asdict())
        return access

    def _user(self, name: str) -> _Entry:
        user = self._entry("users", "user", name) if name else _Entry("", {})
        for unsupported in ("auth-provider", "username"):
            if user.fields.get(unsupported):
                raise BadKubeconfig(
                    f"{user.path}: users of type {unsupported} are not supported, "
                    "use a certificate, a token or exec"
                )
        return user

    def _entry(self, section: str, key: str, name: str) -> _Entry:
        for path, value in self._files.items():
            for entry in value.get(section) or ():
                if isinstance(entry, dict) and entry.get("name") == name:
                    return _Entry(path, dict(entry.get(key) or {}))
        raise BadKubeconfig(f"{self._names} has no {key} named {name!r}")
