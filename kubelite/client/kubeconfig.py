"""How to reach a cluster, read from a kubeconfig file or from inside a pod."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
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
    import yaml  # a node has no kubeconfig

    try:
        with open(path, encoding="utf-8") as file:
            value = yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except OSError as error:
        raise BadKubeconfig(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadKubeconfig(f"{path} is not valid YAML: {error}") from error
    return _Reader(path, value).access(context)


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


class _Reader:
    """The entries of a file, with errors that name it."""

    def __init__(self, path: str, value: Any) -> None:
        if not isinstance(value, dict):
            raise BadKubeconfig(f"{path} is no kubeconfig: it must be a mapping")
        self._path = path
        self._value = value

    def access(self, context: str) -> ClusterAccess:
        name = context or self._value.get("current-context") or ""
        if not name:
            raise BadKubeconfig(f"{self._path} has no current-context")
        chosen = self._entry("contexts", "context", name)
        cluster = self._entry("clusters", "cluster", str(chosen.get("cluster") or ""))
        user = self._entry("users", "user", str(chosen["user"])) if chosen.get("user") else {}
        for unsupported in ("exec", "auth-provider", "username"):
            if user.get(unsupported):
                raise BadKubeconfig(
                    f"{self._path}: users of type {unsupported} are not supported, "
                    "use a certificate or a token"
                )
        server = str(cluster.get("server") or "").rstrip("/")
        if not server.startswith(("https://", "http://")):
            raise BadKubeconfig(f"{self._path}: server {server!r} is not an http or https address")
        return ClusterAccess(
            server,
            authority=self._pem(cluster, "certificate-authority"),
            certificate=self._pem(user, "client-certificate"),
            key=self._pem(user, "client-key"),
            token=str(user.get("token") or ""),
            token_file=self._beside(str(user.get("tokenFile") or "")),
            insecure=bool(cluster.get("insecure-skip-tls-verify")),
            tls_server_name=str(cluster.get("tls-server-name") or ""),
            proxy=str(cluster.get("proxy-url") or ""),
            headers={"Impersonate-User": str(user["as"])} if user.get("as") else {},
            namespace=str(chosen.get("namespace") or "default"),
            context=name,
        )

    def _entry(self, section: str, key: str, name: str) -> dict[str, Any]:
        for entry in self._value.get(section) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                return dict(entry.get(key) or {})
        raise BadKubeconfig(f"{self._path} has no {key} named {name!r}")

    def _pem(self, entry: Mapping[str, Any], key: str) -> bytes:
        data, path = entry.get(f"{key}-data"), entry.get(key)
        if data:
            try:
                return base64.b64decode(str(data), validate=True)
            except binascii.Error as error:
                raise BadKubeconfig(f"{self._path}: {key}-data is not base64") from error
        if not path:
            return b""
        try:
            with open(self._beside(str(path)), "rb") as file:
                return file.read()
        except OSError as error:
            raise BadKubeconfig(f"cannot read {key} {path}: {error.strerror}") from error

    def _beside(self, path: str) -> str:
        """Relative paths start at the directory of the file."""
        return os.path.join(os.path.dirname(os.path.abspath(self._path)), path) if path else ""
