"""Services, DNS and policies of one node: informers of the cluster joined with proxy and name
server.

What changes is collected while the kernel works and applied as one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kubelite.client.client import Client
from kubelite.client.informers import Informer, Informers
from kubelite.client.resources import GroupVersionResource
from kubelite.node.dns.server import DnsServer, Options
from kubelite.node.dns.sockets import Sockets, open_sockets
from kubelite.node.kubelet.act.facts import read_host_files
from kubelite.node.network import announcements, bridge, names, nftables
from kubelite.node.network.errors import NetworkError
from kubelite.node.network.families import FAMILIES, IPV4, IPV6, Family
from kubelite.node.network.netlink import RemovalWatch, watch_interfaces, watch_tables
from kubelite.node.network.pod import PodNetwork
from kubelite.node.network.resolver import is_loopback, parse
from kubelite.node.proxy import netfilter, policy_rules, service_rules
from kubelite.node.proxy.health_checks import HealthChecks
from kubelite.node.proxy.policies import EGRESS, INGRESS, isolation, pod_addresses, pod_facts
from kubelite.node.proxy.proxy import ServiceProxy
from kubelite.node.proxy.services import (
    Endpoint,
    Frontend,
    Health,
    Node,
    frontends,
    health_check,
)
from kubelite.objects.facts.load_balancers import announced_addresses, announcers

SERVICES = GroupVersionResource("", "v1", "services")
SLICES = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
POLICIES = GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
NAMESPACES = GroupVersionResource("", "v1", "namespaces")
PODS = GroupVersionResource("", "v1", "pods")
SERVICE_LABEL = "kubernetes.io/service-name"
DNS_SERVICE = ("kube-system", "kube-dns")
RETRY_SECONDS = 1.0
Key = tuple[str, str]
Object = Mapping[str, Any]

_log = logging.getLogger("kubelite.network")


class ClusterNetwork:
    """The network of ``node``, whose local pods are in ``pod_network``. ``sockets`` are the name
    server's where somebody keeps them for it.
    """

    def __init__(
        self,
        client: Client,
        node: Node,
        pod_network: PodNetwork,
        domain: str,
        sockets: Sockets | None = None,
    ) -> None:
        self._node = node
        self._pod_network = pod_network
        self._informers = Informers(client)
        self._services = self._informers.of(SERVICES)
        self._services.add_index("announced by", announcers)
        self._slices = self._informers.of(SLICES)
        self._slices.add_index("service", lambda obj: [_slice_key(obj)])
        self._slices.add_index("endpoint node", _nodes)
        self._policies = self._informers.of(POLICIES)
        self._namespaces = self._informers.of(NAMESPACES)
        self._pods = self._informers.of(PODS)
        self._service_table, self._policy_table = _tables(pod_network.key)
        own = names.bridge(pod_network.key)
        self._proxies = [
            ServiceProxy(self._service_table, nftables.run, family, own) for family in FAMILIES
        ]
        # None: there is no table yet.
        self._policy_contents: dict[Family, policy_rules.Content | None]
        self._policy_contents = dict.fromkeys(FAMILIES)
        self._has_services, self._has_policies = {IPV4}, {IPV4}
        directory = Directory(self._services, self._slices, self._namespaces)
        self._dns = DnsServer(directory, Options(domain, _upstreams()))
        self._sockets = sockets
        self._dns_port = 0
        self._dirty: set[Key] = set()
        self._policies_dirty = True
        self._tables_gone = False
        self._pods_cut_off = True
        self._health_checks = HealthChecks()
        self._announced: set[str] | None = None
        self._wake = asyncio.Event()
        self._watches: list[RemovalWatch] = []

    async def start(self) -> None:
        """Returns when every Service that exists is served. Raises NetworkError, OSError."""
        if warning := await asyncio.to_thread(bridge.load_netfilter):
            _log.warning("%s", warning)
        await self._informers.wait_synced()
        # No sooner: a question may wait that would be answered with "no such name".
        self._dns_port = await self._dns.serve(self._sockets or open_sockets("127.0.0.1", 0))
        self._services.add_handler(self._service_changed)
        self._slices.add_handler(self._slice_changed)
        for informer in (self._policies, self._namespaces, self._pods):
            informer.add_handler(self._policy_input_changed)
        self._watch_kernel()
        await self._find_tables()
        await self._apply()

    async def close(self) -> None:
        """What is served stays served."""
        for watch in self._watches:
            asyncio.get_running_loop().remove_reader(watch.fileno())
            watch.close()
        await self._health_checks.close()
        await self._dns.close()
        await self._informers.close()

    # -- what changes -----------------------------------------------------------------------------

    def _service_changed(self, old: Object | None, new: Object | None) -> None:
        self._mark(_key(new or old or {}))

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        for obj in (old, new):
            if obj is not None:
                namespace, _, name = _slice_key(obj).partition("/")
                self._mark((namespace, name))

    def _policy_input_changed(self, old: Object | None, new: Object | None) -> None:
        contents = [self._policy_contents[family] for family in self._has_policies]
        if len(self._policies) or any(content != policy_rules.EMPTY for content in contents):
            self._policies_dirty = True
            self._wake.set()

    def _mark(self, key: Key) -> None:
        self._dirty.add(key)
        self._wake.set()

    def _watch_kernel(self) -> None:
        """From here on, what somebody else removes is made again."""
        for watch in (watch_tables(), watch_interfaces()):
            self._watches.append(watch)
            loop = asyncio.get_running_loop()
            loop.add_reader(watch.fileno(), self._removed, watch)

    def _removed(self, watch: RemovalWatch) -> None:
        objects, key = watch.removed(), self._pod_network.key
        if objects & {self._service_table, self._policy_table, "*"}:
            self._tables_gone = True
            self._wake.set()
        if objects & {names.table(key), names.bridge(key), "*"}:
            self._pods_cut_off = True
            self._wake.set()
        if any(names.is_announcer(name, key) or name == "*" for name in objects):
            self._announced = None
            self._wake.set()

    # -- what is done -----------------------------------------------------------------------------

    async def run(self) -> None:
        """Follows the cluster until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._apply()
            except (NetworkError, OSError) as error:
                _log.warning("services and policies cannot be changed: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
                self._wake.set()

    async def _apply(self) -> None:
        """Applies everything that has changed since the last time; what fails stays to be done.

        Objects are read here, where informers change them, and never in a thread. Raises
        NetworkError, OSError.
        """
        keys, self._dirty = self._dirty, set()
        tables_gone, self._tables_gone = self._tables_gone, False
        policies, self._policies_dirty = self._policies_dirty, False
        cut_off, self._pods_cut_off = self._pods_cut_off, False
        try:
            if cut_off and await asyncio.to_thread(self._pod_network.repair):
                _log.warning("bridge or firewall of the pods were removed by somebody else")
            if tables_gone:
                policies |= await self._restore_tables()
            if keys:
                for proxy in self._proxies:
                    await self._serve(proxy, keys)
                await self._health_checks.update({key: self._health(key) for key in keys})
            await self._announce()
            if policies:
                await self._apply_policies()
        except BaseException:
            self._dirty |= keys
            self._tables_gone |= tables_gone
            self._policies_dirty |= policies
            self._pods_cut_off |= cut_off
            raise

    async def _find_tables(self) -> None:
        """Learns which tables of IPv6 an earlier agent has left. Where nobody uses that family they
        are not made: the kernel may not know it.
        """
        for table, used in (
            (self._service_table, self._has_services),
            (self._policy_table, self._has_policies),
        ):
            if await self._has_table(table, IPV6):
                used.add(IPV6)

    async def _has_table(self, table: str, family: Family) -> bool:
        return await asyncio.to_thread(nftables.has_table, table, family.nft)

    async def _serve(self, proxy: ServiceProxy, keys: set[Key]) -> None:
        """Serves what the Services ``keys`` are in the proxy's family."""
        change = {key: self._frontends(key, proxy.family) for key in keys}
        if any(change.values()):
            self._has_services.add(proxy.family)
        if proxy.family in self._has_services:
            local = self._local_addresses(proxy.family)
            gone = await asyncio.to_thread(proxy.apply, change, local)
            await asyncio.to_thread(netfilter.forget_udp, gone, proxy.family)

    async def _restore_tables(self) -> bool:
        """Makes the tables of Services again that are missing, which making one anew is told of as
        well; returns whether those of policies are to be.
        """
        for proxy in self._proxies:
            used = proxy.family in self._has_services
            if used and not await self._has_table(proxy.table, proxy.family):
                _log.warning("the firewall table of the services was removed: it is made again")
                await asyncio.to_thread(proxy.rebuild)
        is_missing = False
        for family in self._has_policies:
            if not await self._has_table(self._policy_table, family):
                _log.warning("the firewall table of the policies was removed: it is made again")
                self._policy_contents[family] = None
                is_missing = True
        return is_missing

    def _frontends(self, key: Key, family: Family) -> Sequence[Frontend]:
        service = self._services.get(*key)
        if service is None:
            return ()
        slices = self._slices.by_index("service", "/".join(key))
        served = frontends(dict(service), [dict(part) for part in slices], self._node, family)
        if key == DNS_SERVICE and not slices:
            # The name server is this process; what the pods call leads to it.
            here = (Endpoint("127.0.0.1", self._dns_port),)
            return [frontend._replace(endpoints=here) for frontend in served]
        return served

    def _health(self, key: Key) -> Health | None:
        service = self._services.get(*key)
        slices = self._slices.by_index("service", "/".join(key))
        return health_check(service, slices, self._node) if service is not None else None

    async def _announce(self) -> None:
        """Answers for the addresses that the controller of load balancers gives to this node."""
        addresses = {
            address
            for service in self._services.by_index("announced by", self._node.name)
            for address in announced_addresses(dict(service), self._node.name)
            if "." in address
        }
        if addresses != self._announced:
            await asyncio.to_thread(announcements.announce, self._pod_network.key, addresses)
            self._announced = addresses

    def _local_addresses(self, family: Family) -> list[str]:
        return [
            address
            for endpoint_slice in self._slices.by_index("endpoint node", self._node.name)
            for endpoint in endpoint_slice.get("endpoints") or ()
            if endpoint.get("nodeName") == self._node.name
            for address in family.of(endpoint["addresses"])
        ]

    async def _apply_policies(self) -> None:
        contents = {family: self._policies_of(family) for family in FAMILIES}
        for family, content in contents.items():
            if content != policy_rules.EMPTY:
                self._has_policies.add(family)
            if family in self._has_policies:
                await self._hold(content, family)

    def _policies_of(self, family: Family) -> policy_rules.Content:
        pods = pod_facts([dict(pod) for pod in self._pods.list()], family)
        local = [
            address
            for pod in self._pods.by_index("node", self._node.name)
            for address in family.of(pod_addresses(pod.get("status") or {}))
        ]
        namespaces = {
            space["metadata"]["name"]: space["metadata"].get("labels") or {}
            for space in self._namespaces.list()
        }
        policies = [dict(policy) for policy in self._policies.list()]
        return policy_rules.content(
            isolation(INGRESS, policies, pods, namespaces, local, family),
            isolation(EGRESS, policies, pods, namespaces, local, family),
            pods,
            family,
        )

    async def _hold(self, content: policy_rules.Content, family: Family) -> None:
        table, old = self._policy_table, self._policy_contents[family]
        commands = policy_rules.change(table, old or policy_rules.EMPTY, content, family)
        if old is None:  # in one transaction: no moment is without the policies
            commands = policy_rules.table(table, family) + commands
        if commands:
            await asyncio.to_thread(nftables.run, commands)
        self._policy_contents[family] = content


class Directory:
    """The objects that the name server answers from: see
    :class:`kubelite.node.dns.names.Directory`.
    """

    def __init__(self, services: Informer, slices: Informer, namespaces: Informer) -> None:
        self._services = services
        self._slices = slices
        self._namespaces = namespaces
        self.changes = 0
        services.add_index("address", _cluster_ips)
        slices.add_index("address", _addresses)
        for informer in (services, slices, namespaces):
            informer.add_handler(self._changed)

    def _changed(self, old: Object | None, new: Object | None) -> None:
        self.changes += 1

    def service(self, namespace: str, name: str) -> Any:
        """A Service, or None."""
        return self._services.get(namespace, name)

    def slices(self, namespace: str, name: str) -> Sequence[Any]:
        """The EndpointSlices of a Service; its index is the network's."""
        return self._slices.by_index("service", f"{namespace}/{name}")

    def has_namespace(self, name: str) -> bool:
        """Whether there is such a Namespace."""
        return self._namespaces.get("", name) is not None

    def service_at(self, address: str) -> Any:
        """The Service with this cluster IP, or None."""
        return next(iter(self._services.by_index("address", address)), None)

    def endpoints_at(self, address: str) -> Sequence[tuple[Any, Any]]:
        """The endpoints with this address, each behind its EndpointSlice."""
        return [
            (endpoint_slice, endpoint)
            for endpoint_slice in self._slices.by_index("address", address)
            for endpoint in endpoint_slice.get("endpoints") or ()
            if address in endpoint["addresses"]
        ]


def remove_network(key: str) -> None:
    """Removes tables and announced addresses of the home with this key. Raises NetworkError,
    NativeError, OSError.
    """
    announcements.announce(key, ())
    commands = [
        service_rules.without_table(table, family)
        for family in FAMILIES
        for table in _tables(key)
        if family is IPV4 or nftables.has_table(table, family.nft)
    ]
    nftables.run("".join(commands))


def _tables(key: str) -> tuple[str, str]:
    return f"{names.table(key)}-services", f"{names.table(key)}-policies"


def _key(obj: Object) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def _slice_key(obj: Object) -> str:
    meta = obj["metadata"]
    return f"{meta['namespace']}/{(meta.get('labels') or {}).get(SERVICE_LABEL, '')}"


def _cluster_ips(obj: Object) -> list[str]:
    return [address for address in obj["spec"].get("clusterIPs") or () if address != "None"]


def _nodes(obj: Object) -> list[str]:
    return [endpoint.get("nodeName", "") for endpoint in obj.get("endpoints") or ()]


def _addresses(obj: Object) -> list[str]:
    return [a for endpoint in obj.get("endpoints") or () for a in endpoint["addresses"]]


def _upstreams() -> tuple[str, ...]:
    """The name servers that this machine asks itself; a stub on loopback is asked as well."""
    host = read_host_files()
    servers = parse(host.upstream or host.resolv).servers
    own = [server for server in servers if not is_loopback(server)]
    return tuple(own or servers)
