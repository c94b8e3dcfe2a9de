"""The way to a kubelet: which node a pod is on, where its kubelet listens, and what the API server
shows it.

The API server presents a client certificate of its own and believes certificates of the cluster's
authority only.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.verbs.read import entry_of
from kubelite.control.api.wire.allowed_addresses import resolve
from kubelite.control.api.wire.documents import load
from kubelite.control.api.wire.status import bad_request, not_found, unavailable

if TYPE_CHECKING:
    from kubelite.control.api.admission.context import Context
    from kubelite.control.api.auth.pki import Pki
    from kubelite.control.api.wire.request import Request

PORT = 10250
_PREFERRED = ("InternalIP", "Hostname", "InternalDNS", "ExternalIP", "ExternalDNS")
USER, GROUPS = "kube-apiserver-kubelet-client", ("system:masters",)


class Place(NamedTuple):
    """A kubelet's address."""

    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as a URL has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Kubelets:
    """Connects to kubelets. The TLS context is made when the first is needed."""

    def __init__(self, pki: Pki) -> None:
        self._pki = pki
        self._context: ssl.SSLContext | None = None

    @property
    def tls(self) -> ssl.SSLContext:
        """What to connect with."""
        if self._context is None:
            own = self._pki.client("apiserver-kubelet-client", USER, GROUPS)
            context = ssl.create_default_context(cafile=self._pki.authority.certificate)
            context.load_cert_chain(own.certificate, own.key)
            context.set_alpn_protocols(["http/1.1"])
            self._context = context
        return self._context


async def pod_of(context: Context, request: Request, *, scheduled: bool = True) -> dict[str, Any]:
    """The pod that a request names; ``scheduled``: it must be on a node. Raises StatusError 400,
    404.
    """
    pod = load(await entry_of(context.store, request))
    if scheduled and not pod.get("spec", {}).get("nodeName"):
        raise bad_request(f"pod {request.name} does not have a host assigned")
    return pod


async def place_of(context: Context, node: str) -> Place:
    """Where the kubelet of a node listens. Raises StatusError 404, 503."""
    nodes = context.registry.builtin("", "nodes")
    entry = await context.store.get(nodes.prefix, "", node)
    if entry is None:
        raise not_found(nodes, node)
    status = load(entry).get("status", {})
    addresses = {address["type"]: address["address"] for address in status.get("addresses") or ()}
    host = next((addresses[kind] for kind in _PREFERRED if kind in addresses), None)
    if host is None:
        raise unavailable(f"no address is known for node {node}")
    port = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint", {}).get("Port", PORT)
    # The kubelet shows a certificate of the cluster, so it may be on this very machine.
    await resolve(host, loopback=True)
    return Place(host, int(port))


def container_of(pod: dict[str, Any], wanted: str) -> str:
    """The container that is meant; without a name the only one, or the annotated default. Raises
    StatusError 400.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    kinds = ("containers", "initContainers", "ephemeralContainers")
    names = {kind: [container["name"] for container in spec.get(kind) or ()] for kind in kinds}
    if wanted:
        if not any(wanted in listed for listed in names.values()):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
        return wanted
    default = (pod["metadata"].get("annotations") or {}).get(
        "kubectl.kubernetes.io/default-container"
    )
    if default in names["containers"]:
        return str(default)
    if len(names["containers"]) == 1:
        return str(names["containers"][0])
    text = (
        f"a container name must be specified for pod {name}, choose one of: "
        f"[{' '.join(names['containers'])}]"
    )
    if names["initContainers"]:
        text += f" or one of the init containers: [{' '.join(names['initContainers'])}]"
    raise bad_request(text)
