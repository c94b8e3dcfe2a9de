"""The API over the pods of a state root, put together and taken apart."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from kubelite.client.client import Client
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.local import LocalTransport
from kubelite.client.resources import CLUSTER_ROLES, GroupVersionResource
from kubelite.client.transport import Identity
from kubelite.control.api.auth.pki import Pair
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.store.memory import Memory
from kubelite.node.kubelet.act import facts
from kubelite.node.kubelet.cluster import machine
from kubelite.node.kubelet.cluster.node_object import NodeDescription
from kubelite.node.kubelet.cluster.registration import Registration
from kubelite.node.kubelet.cluster.served_pages import pages
from kubelite.node.kubelet.cluster.served_pods import ServedPods
from kubelite.node.kubelet.server.auth import Gate, review_with
from kubelite.node.kubelet.server.server import KubeletServer
from kubelite.node.runtime.home import Home
from kubelite.ui.local.follower import Follower
from kubelite.ui.local.keys import key_directory

_LOOPBACK = "127.0.0.1"
_ADMIN = Identity("system:admin", ("system:masters",))
_USER, _GROUP, _ROLE = "local-user", "kubelite:local", "kubelite:local"
_BINDINGS = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
_RULES = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},
    {
        "apiGroups": [""],
        "resources": ["pods/exec", "pods/attach", "pods/portforward"],
        "verbs": ["create"],
    },
]
"""What can be done here: nothing else that the API knows has an effect without a cluster."""


class LocalEngine:
    """Serves the pods of ``home`` for as long as the block lasts. Keys live in a directory of the
    state root until then.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._node = facts.node_name()
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self.access = ClusterAccess("")
        """How to reach the API, as a user who may look at everything, and end and enter pods."""

    async def __aenter__(self) -> Self:
        """Returns when the API shows all pods. Raises OSError, RuntimeFailure, ClientError."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def wait(self) -> None:
        """Returns never. Raises what ends the following of the pods."""
        await asyncio.gather(*self._tasks)

    async def _start(self) -> None:
        self._home.make()
        keys = self._stack.enter_context(key_directory(self._home.run))
        server = ApiServer(Memory(), Options(keys, _LOOPBACK, 0, metrics=True, beside=()))
        self._stack.push_async_callback(server.close)
        await server.start()
        client = Client(LocalTransport(server.application, _ADMIN), user_agent="kubelite-ui")
        await self._start_kubelet(server, client)
        await _allow(client)
        follower = Follower(self._home, server, client, self._node)
        self._stack.push_async_callback(follower.close)
        await follower.start()
        self._run(follower.run())
        self.access = _access(server)

    async def _start_kubelet(self, server: ApiServer, client: Client) -> None:
        kubelet = KubeletServer(
            ServedPods(self._home, ""),
            pages(self._home, self._node, {}, mirrored=False),
            Gate(review_with(client), self._node),
        )
        authority = server.pki.authority.certificate
        port = await kubelet.start(_LOOPBACK, 0, _tls(server.pki.server([_LOOPBACK]), authority))
        self._stack.push_async_callback(kubelet.close)

        def describe() -> NodeDescription:
            return machine.describe(self._home, self._node, _LOOPBACK, port, {}, {})

        registration = Registration(client, describe)
        await registration.register()
        self._run(registration.run())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.append(task)

        async def stop() -> None:
            task.cancel()
            await asyncio.wait([task])

        self._stack.push_async_callback(stop)


async def _allow(client: Client) -> None:
    """Gives the user of the page its role."""
    group = "rbac.authorization.k8s.io"
    api_version, metadata = f"{group}/v1", {"name": _ROLE}
    await client.create(
        CLUSTER_ROLES,
        {"apiVersion": api_version, "kind": "ClusterRole", "metadata": metadata, "rules": _RULES},
    )
    await client.create(
        _BINDINGS,
        {
            "apiVersion": api_version,
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": _ROLE},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": _GROUP}],
        },
    )


def _access(server: ApiServer) -> ClusterAccess:
    pair = server.pki.client("local-user", _USER, (_GROUP,))
    certificate, key, authority = (
        _read(path) for path in (pair.certificate, pair.key, server.pki.authority.certificate)
    )
    url = f"https://{_LOOPBACK}:{server.port}"
    return ClusterAccess(url, authority, certificate, key, context="local")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _tls(own: Pair, authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    context.load_verify_locations(authority)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context
