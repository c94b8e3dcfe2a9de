"""Connects a pod's sandbox to the network of CNI plug-ins, instead of our own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from kubelite.lib.files import FileLock, names
from kubelite.node.cgroup.classes import below, class_of
from kubelite.node.kubelet.act import facts
from kubelite.node.kubelet.act.pod_context import PodContext
from kubelite.node.kubelet.decide import container_config
from kubelite.node.network import ports, resolver, sockets
from kubelite.node.network.bandwidth import Bandwidth
from kubelite.node.network.cni import Directories, loopback, name_server, plugins, requests
from kubelite.node.network.cni.attachments import Connection
from kubelite.node.network.cni.requests import PodFacts
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.ports import HostPort
from kubelite.node.runtime.sandbox import Sandbox
from kubelite.objects.pod import qos


class PluginNetwork:
    """The network that ``directories`` ask for, for the pod of ``context``. Raises NetworkError
    for an invalid configuration, and for host ports that no plug-in opens.
    """

    def __init__(
        self, context: PodContext, directories: Directories, limits: Bandwidth | None
    ) -> None:
        self._context = context
        self._directories = directories
        self._choice = plugins.read_network(directories.conf)
        self._pod = _pod_facts(context, limits or Bandwidth())
        unserved = requests.refuse_unserved(self._choice.network, self._pod)
        context.warnings += [*self._choice.faults, *unserved]

    def connect(self, created: Sandbox) -> None:
        """Runs the plug-ins and puts the pod's addresses into the context and the sandbox's record,
        which the caller saves. Raises PortTaken for host ports that somebody has, NetworkError,
        NativeError, OSError.
        """
        context, record = self._context, created.record
        loopback.bring_up(created.netns)
        connection = Connection(context.home.attachment(context.record.uid), trace=context.trace)
        holder = (record.pause_pid, record.pause_ticks)
        addresses = connection.add(
            self._choice.network, self._directories, self._pod, record.pause, holder, self._claim
        )
        if context.host_files.cluster[0]:
            with FileLock(context.home.lock):
                name_server.reach(context.home.run, addresses.host_interfaces)
        first, *rest = addresses.of_pod
        record.address = first
        record.ipv6 = next((address for address in rest if ":" in address), "")
        record.host_address = context.node.address or addresses.gateway or facts.node_address()
        context.node = context.node._replace(
            pod_addresses=record.addresses, address=record.host_address
        )

    @contextlib.contextmanager
    def _claim(self) -> Iterator[None]:
        """Between the look at the ports of other pods and the record of these nobody else has one.
        Raises PortTaken.
        """
        with FileLock(self._context.home.lock):
            if self._pod.ports:
                _refuse_taken(self._context, self._pod.ports)
            yield


def _refuse_taken(context: PodContext, requested: Sequence[HostPort]) -> None:
    """No plug-in does: the pod that had the port would get what is meant for this one. Raises
    PortTaken.
    """
    home, held = context.home, []
    for uid in names(home.pods):
        with contextlib.suppress(NetworkError):  # a damaged record is that pod's own misfortune
            other = Connection(home.attachment(uid)).read()
            if other is not None and uid != context.record.uid:
                held += [ports.Held(port, f"pod {other.owner}") for port in other.ports]
    ports.refuse_taken(requested, held)
    sockets.refuse_bound(port for port in requested if ":" not in port.host_ip)


def _pod_facts(context: PodContext, limits: Bandwidth) -> PodFacts:
    home, record, pod = context.home, context.record, context.pod
    namespace = record.namespace
    text, _ = resolver.resolv_conf(pod.spec, context.host_files, namespace)
    group = below(class_of(qos.qos_class(pod)), f"pod{record.uid}")
    return PodFacts(
        namespace=namespace,
        name=record.name,
        uid=record.uid,
        ports=tuple(container_config.host_ports(pod)),
        bandwidth=limits,
        resolv=resolver.parse(text),
        cgroup=f"/{home.cgroup}/{group}",
    )
