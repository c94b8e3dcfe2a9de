"""The node agent in a cluster: the agent of local pods, joined with an API server.

The agent's threads look after pods; one more thread runs an event loop with everything that speaks
to the API: registration, pods and their status, the kubelet's server, Services and DNS.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import signal
import ssl
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.node.kubelet.act import config_file
from kubelite.node.kubelet.act.cluster_view import ClusterNode
from kubelite.node.kubelet.agent.agent import Agent, log
from kubelite.node.kubelet.cluster import machine
from kubelite.node.kubelet.cluster.cluster_pods import ClusterPods
from kubelite.node.kubelet.cluster.configuration import Serving, configuration
from kubelite.node.kubelet.cluster.driver_control import DriverControl
from kubelite.node.kubelet.cluster.local_volumes import LocalVolumes
from kubelite.node.kubelet.cluster.node_object import NodeDescription
from kubelite.node.kubelet.cluster.node_pressure import NodePressure
from kubelite.node.kubelet.cluster.plugins import Plugins
from kubelite.node.kubelet.cluster.registration import Registration
from kubelite.node.kubelet.cluster.served_pages import pages
from kubelite.node.kubelet.cluster.served_pods import ServedPods
from kubelite.node.kubelet.server.auth import Gate, review_with
from kubelite.node.kubelet.server.server import KubeletServer
from kubelite.node.network.between.ways import RoutingMode
from kubelite.node.network.cni import Directories
from kubelite.node.network.pod import PodNetwork
from kubelite.node.proxy.services import Node
from kubelite.node.runtime.home import Home
from kubelite.up import kept_sockets
from kubelite.up.cluster_network import ClusterNetwork
from kubelite.up.node_routes import NodeRoutes

if TYPE_CHECKING:
    from kubelite.up.node_certificates import NodeCertificates

START_SECONDS = 90.0
ZONE_LABEL = "topology.kubernetes.io/zone"


class NodeOptions(NamedTuple):
    """How a node joins: ``access`` is the kubelet's, ``network_access`` that of Services and DNS,
    ``storage_access`` that of the volumes that are provisioned here.
    ``certificate`` and ``key`` are files of the kubelet's server, ``authority`` that of the
    cluster's certificate authority; ``dns`` is the address of the cluster's name server.
    ``ingress_ports`` are those of HTTP and HTTPS where this node serves Ingresses. ``joined`` is
    the directory of the credentials that a node keeps which has joined from another machine;
    ``routing_mode`` says how packets may travel to the pods of other nodes,
    ``cni`` is where its pods get their network from, None for our own.
    """

    access: ClusterAccess
    network_access: ClusterAccess
    storage_access: ClusterAccess
    name: str
    address: str
    authority: str
    certificate: str
    key: str
    port: int = 10250
    dns: str = "10.96.0.10"
    domain: str = "cluster.local"
    labels: Mapping[str, str] = {}
    resources: Mapping[str, str] = {}
    allow_host_image: bool = False
    cni: Directories | None = None
    ingress_access: ClusterAccess | None = None
    ingress_ports: tuple[int, int] | None = None
    joined: str = ""
    routing_mode: RoutingMode = RoutingMode.auto


class NodeAgent:
    """Runs the node of ``home`` until a signal."""

    def __init__(self, home: Home, options: NodeOptions) -> None:
        self._home = home
        self._options = options
        self._port = options.port
        self._loop = asyncio.new_event_loop()
        self._started: Future[ClusterPods] = Future()
        self._stopping: asyncio.Event | None = None

    def run(self) -> None:
        """Returns after SIGTERM or SIGINT; pods run on. Raises TimeoutError where another agent
        serves this state root, OSError where the server's port is taken.
        """
        self._home.make()
        thread = threading.Thread(target=self._serve_cluster, name="cluster", daemon=True)
        thread.start()
        try:
            view = self._started.result(START_SECONDS)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, _exit)
            Agent(self._home, stays=True, cluster=view).run()
        finally:
            self._stop(thread)

    def _stop(self, thread: threading.Thread) -> None:
        if self._stopping is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(5)

    def _serve_cluster(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run_cluster())
        except BaseException as error:  # the main thread raises it
            if not self._started.done():
                self._started.set_exception(error)
            else:
                logging.getLogger("kubelite.node").exception("the cluster's side has failed")
                os._exit(1)  # whoever watches over the agent starts it again

    async def _run_cluster(self) -> None:
        self._stopping = asyncio.Event()
        options = self._options
        accesses = (options.access, options.network_access, options.storage_access)
        transports = [HttpTransport(access) for access in accesses]
        client, network_client, storage_client = (
            Client(transport, user_agent=f"kubelite-{part}")
            for part, transport in zip(("node", "network", "storage"), transports, strict=True)
        )
        server = self._server(client)
        registration = Registration(client, self._describe)
        certificates = await self._register(client, registration, server, transports)
        node = ClusterNode(
            options.name,
            options.address,
            options.dns,
            options.domain,
            options.allow_host_image,
            options.cni,
        )
        pods = ClusterPods(self._home, node, client, lambda: registration.uid)
        pod_network = PodNetwork(self._home.run, self._home.key, self._home.lock)
        network = ClusterNetwork(
            network_client,
            Node(options.name, options.labels.get(ZONE_LABEL, "")),
            pod_network,
            options.domain,
            kept_sockets.inherited(),
        )
        routes = self._routes(network_client, pod_network)
        volumes = LocalVolumes(storage_client, self._home.volumes, options.name)
        await network.start()
        if routes is not None:
            await routes.start(await registration.pod_range())
        await pods.start()
        self._started.set_result(pods)
        pressure = NodePressure(self._home, options.name, pods, registration.report)
        control = DriverControl(self._home, storage_client, options.name)
        plugins = Plugins(self._home, client, options.name, lambda: registration.uid, control.wake)
        work = [registration.run(), network.run(), volumes.run(), pressure.run()]
        work += [plugins.run(), control.run()]
        work += [routes.run()] if routes is not None else []
        work += [certificate.run() for certificate in certificates]
        if options.ingress_access is not None and options.ingress_ports is not None:
            work.append(_serve_ingresses(options.ingress_access, options))
        await self._run_until_stopped(*work)
        await pods.close()
        await network.close()
        if routes is not None:
            await routes.close()
        await volumes.close()
        await control.close()
        await server.close()
        for transport in transports:
            await transport.close()

    def _routes(self, client: Client, pod_network: PodNetwork) -> NodeRoutes | None:
        """None where plug-ins make the pods' network: it has ways of its own between nodes."""
        options = self._options
        if options.cni is not None or config_file.read(self._home).cni is not None:
            return None
        return NodeRoutes(client, options.name, pod_network, _vni(options), options.routing_mode)

    def _server(self, client: Client) -> KubeletServer:
        options = self._options
        serving = Serving(
            options.port,
            options.authority,
            options.certificate,
            options.key,
            options.dns,
            options.domain,
        )
        return KubeletServer(
            ServedPods(self._home, options.name),
            pages(self._home, options.name, configuration(serving, config_file.read(self._home))),
            Gate(review_with(client), options.name),
        )

    async def _register(
        self,
        client: Client,
        registration: Registration,
        server: KubeletServer,
        transports: Sequence[HttpTransport],
    ) -> tuple[NodeCertificates, ...]:
        """Registers the node and starts its server. A node that has joined gets a certificate for
        its server only when its addresses are known; what keeps its certificates current is
        returned.
        """
        options = self._options
        if not options.joined:
            self._port = await server.start("0.0.0.0", options.port, _tls(options))
            await registration.register()
            return ()
        from kubelite.up import node_certificates  # few nodes have joined from elsewhere

        contexts: list[ssl.SSLContext] = []

        def renewed(name: str) -> None:
            own = directory.pair(name)
            for context in contexts if name == "serving" else ():
                context.load_cert_chain(*own)
            for transport in transports if name == "client" else ():
                access = directory.access()
                transport.renew(access.certificate, access.key)

        directory = node_certificates.Directory(options.joined)
        hosts = (options.name, options.address)
        certificates = node_certificates.NodeCertificates(
            client, directory, options.name, hosts, renewed
        )
        await registration.register()
        await certificates.ensure_serving()
        contexts.append(_tls(options))
        await server.start("0.0.0.0", options.port, contexts[0])
        return (certificates,)

    async def _run_until_stopped(self, *work: Coroutine[Any, Any, None]) -> None:
        """Work that ends for good only by an error, which is raised."""
        assert self._stopping is not None
        tasks = [asyncio.create_task(part) for part in work]
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((stop, *tasks), return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()

    def _describe(self) -> NodeDescription:
        options = self._options
        return machine.describe(
            self._home,
            options.name,
            options.address,
            self._port,
            options.labels,
            options.resources,
        )


async def _serve_ingresses(access: ClusterAccess, options: NodeOptions) -> None:
    """Until cancelled. It is imported once the node runs, so that nobody waits for it."""
    from kubelite.up.cluster_ingress import ClusterIngress, IngressOptions

    assert options.ingress_ports is not None
    client = Client(HttpTransport(access), user_agent="kubelite-ingress")
    ingress = ClusterIngress(client, IngressOptions(options.address, *options.ingress_ports))
    try:
        await ingress.run()
    finally:
        await ingress.close()
        await client.close()


def _vni(options: NodeOptions) -> int:
    """The identifier of the cluster's VXLAN: the same on every node, and that of another cluster
    only by accident (24 bits, of which 0 means none).
    """
    with open(options.authority, encoding="ascii") as file:
        certificate = ssl.PEM_cert_to_DER_cert(file.read())
    return int.from_bytes(hashlib.sha256(certificate).digest()[:3], "big") or 1


def _tls(options: NodeOptions) -> ssl.SSLContext:
    """Client certificates of the cluster's authority are verified where they are presented."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    context.load_verify_locations(options.authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _exit(number: int, frame: object) -> None:
    log(f"ending after signal {number}; pods run on")
    raise SystemExit(0)
