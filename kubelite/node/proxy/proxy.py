"""The proxy of one node: holds what the kernel serves, and applies each change as one transaction.

The kernel's table is ours alone. Only this class writes it, so the elements it remembers are the
kernel's; when somebody else removes the table, :meth:`ServiceProxy.rebuild` makes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from kubelite.node.network.errors import FirewallRefused
from kubelite.node.network.families import IPV4, Family
from kubelite.node.proxy import service_rules
from kubelite.node.proxy.service_rules import Elements
from kubelite.node.proxy.services import Endpoint, Frontend

Key = tuple[str, str]
"""Namespace and name of a Service."""


class Served:
    """What one Service has in the table."""

    def __init__(self, frontends: Sequence[Frontend] = ()) -> None:
        self.frontends = tuple(frontends)
        self.elements: Elements = service_rules.elements(frontends)

    def endpoints(self, protocol: str = "") -> set[Endpoint]:
        """Every endpoint behind the Service, or those of one protocol."""
        return {
            endpoint
            for frontend in self.frontends
            if protocol in ("", frontend.protocol)
            for endpoint in frontend.endpoints
        }


class ServiceProxy:
    """The Services of one node in the nftables table ``table``, with their addresses of one family,
    for the pods behind ``bridge`` and everybody who is no pod.

    ``run`` carries out nft commands as one transaction and returns JSON listings
    (:func:`kubelite.node.network.nftables.run`). Calls are made one at a time.
    """

    def __init__(
        self,
        table: str,
        run: Callable[[str], str],
        family: Family = IPV4,
        bridge: str = service_rules.ANY_BRIDGE,
    ) -> None:
        self.table, self.family = table, family
        self._bridge = bridge
        self._run = run
        self._served: dict[Key, Served] = {}
        self._hairpin: Elements = {}
        self._timeouts: set[int] = set()
        self._has_table = False

    def stop(self) -> None:
        """Removes the table. Raises NetworkError."""
        self._run(service_rules.without_table(self.table, self.family))

    def apply(
        self, change: Mapping[Key, Sequence[Frontend]], local_addresses: Sequence[str]
    ) -> set[Endpoint]:
        """Serves the changed Services as one transaction. The first one replaces what an earlier
        proxy has left, so that nothing is out of service meanwhile.

        ``local_addresses`` are the addresses of this node's pods. Returns the UDP endpoints that no
        longer serve a changed Service: their connections have to be forgotten by the kernel. Raises
        NetworkError; then nothing has changed.
        """
        after = {key: Served(frontends) for key, frontends in change.items()}
        before = {key: self._served.get(key, Served()) for key in change}
        hairpin = service_rules.hairpin_elements(local_addresses)
        commands = self._commands(before, after, hairpin)
        if not self._has_table:
            self._run(service_rules.table(self.table, self.family, self._bridge) + commands)
            self._has_table = True
        elif commands:
            self._commit(commands)
        self._served.update({key: served for key, served in after.items() if served.frontends})
        for key, served in after.items():
            if not served.frontends:
                self._served.pop(key, None)
        self._hairpin = hairpin
        self._forget_clients(before, after)
        return {
            endpoint
            for key in change
            for endpoint in before[key].endpoints("udp") - after[key].endpoints("udp")
        }

    def rebuild(self) -> None:
        """Makes the table again with everything it held. Raises NetworkError."""
        everything = _merged(self._served.values()) | self._hairpin
        self._run(
            service_rules.table(self.table, self.family, self._bridge)
            + "".join(
                service_rules.affinity_chain(self.table, seconds, self.family)
                for seconds in self._timeouts
            )
            + service_rules.change(self.table, {}, everything, self.family)
        )

    def _commands(
        self, before: Mapping[Key, Served], after: Mapping[Key, Served], hairpin: Elements
    ) -> str:
        timeouts = {
            frontend.affinity_seconds
            for served in after.values()
            for frontend in served.frontends
            if frontend.affinity_seconds
        }
        chains = [
            service_rules.affinity_chain(self.table, seconds, self.family)
            for seconds in sorted(timeouts - self._timeouts)
        ]
        elements = service_rules.change(
            self.table,
            _merged(before.values()) | self._hairpin,
            _merged(after.values()) | hairpin,
            self.family,
        )
        self._timeouts |= timeouts
        return "".join(chains) + elements

    def _commit(self, commands: str) -> None:
        """Where the kernel refuses, the table is not what this class remembers: once more on a new
        one.
        """
        try:
            self._run(commands)
        except FirewallRefused:
            self.rebuild()
            self._run(commands)

    def _forget_clients(self, before: Mapping[Key, Served], after: Mapping[Key, Served]) -> None:
        lost = service_rules.lost_endpoints(
            (frontend for served in before.values() for frontend in served.frontends),
            (frontend for served in after.values() for frontend in served.frontends),
        )
        if not lost:
            return
        listings = [
            self._run(f"list map {self.family.nft} {self.table} {name}\n")
            for name in service_rules.affinity_maps(self.family)
        ]
        stale = service_rules.stale_affinity(listings, lost)
        if stale:
            self._run(service_rules.change(self.table, dict.fromkeys(stale, ""), {}, self.family))


def _merged(services: Iterable[Served]) -> Elements:
    result: Elements = {}
    for served in services:
        result.update(served.elements)
    return result
