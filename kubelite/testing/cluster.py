"""A Kubernetes control plane in this process, for tests: API server, scheduler, all controllers and
acted nodes, ready in some tens of milliseconds::

    with run_cluster(directory) as cluster:
        kubectl = ["kubectl", "--kubeconfig", cluster.kubeconfig()]

It lives in a thread with an event loop of its own, so that any client can be used against it. Real
are the API with its admission and authorization, scheduling and every controller; nodes are acted,
no container runs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kubelite.client.client import Client
from kubelite.client.local import LocalTransport
from kubelite.client.transport import Identity
from kubelite.control.api.server.lifecycle import ApiServer, Options
from kubelite.control.controllers.registry import select
from kubelite.control.store.memory import Memory
from kubelite.lib.json import Object
from kubelite.testing.clock import ForwardClock
from kubelite.testing.fake_kubelet import FakeKubelet
from kubelite.up.control_plane import ControlPlane

ADMIN = Identity("kubernetes-admin", ("system:masters",))
FIRST_NODE = "node-0"
RENEWED_AHEAD_SECONDS = 240.0
"""How far ahead nodes renew their Leases: as far as the node controller believes them."""
QUIET_SECONDS = 0.02
PATIENCE = 30.0

T = TypeVar("T")


class Cluster:
    """A running control plane. Its methods may be called from any thread but its own.

    ``url`` is where it listens, ``client`` a client of its administrator for coroutines that
    :meth:`run` carries out.
    """

    def __init__(self, directory: Path) -> None:
        self.url = ""
        self.client: Client
        self._directory = directory
        self._loop: asyncio.AbstractEventLoop
        self._server: ApiServer
        self._plane: ControlPlane
        self._clock = ForwardClock()
        self._kubelet: FakeKubelet
        self._is_up: Future[None] = Future()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._live, name="kubelite-cluster", daemon=True)

    # Life

    def start(self) -> None:
        """Returns when the control plane is ready and has a node. Raises what kept it from it."""
        self._thread.start()
        self._is_up.result()

    def close(self) -> None:
        """Ends it; nothing of it stays but its keys."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    def _live(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # whoever waits for the start gets it
            if self._is_up.done():
                raise
            self._is_up.set_exception(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        options = Options(str(self._directory / "pki"), port=0)
        async with AsyncExitStack() as stack:
            self._server = ApiServer(Memory(), options)
            stack.push_async_callback(self._server.close)
            await self._server.start()
            self.url = f"https://127.0.0.1:{self._server.port}"
            application = self._server.application
            self.client = Client(LocalTransport(application, ADMIN))
            self._plane = ControlPlane(application, select(("*",)), self._clock, scheduler=True)
            stack.push_async_callback(self._plane.close)
            self._kubelet = FakeKubelet(self.client, self._clock)
            stack.push_async_callback(self._kubelet.close)
            await asyncio.gather(self._plane.start(), self._kubelet.start())
            await self._kubelet.add_node(FIRST_NODE, {}, {})
            self._is_up.set_result(None)
            await self._end.wait()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carries out a coroutine in the event loop of the control plane. Returns what it returns,
        raises what it raises.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # Access

    def kubeconfig(self, namespace: str = "default") -> Path:
        """A file with which kubectl and every client library reach the cluster, as its
        administrator. ``namespace`` is where they look unless told otherwise.
        """
        admin = self._server.pki.client("admin", ADMIN.user, ADMIN.groups)
        name = "kubelite-test"
        cluster = {
            "server": self.url,
            "certificate-authority-data": _base64(self._server.authority.encode()),
        }
        user = {
            "client-certificate-data": _base64(Path(admin.certificate).read_bytes()),
            "client-key-data": _base64(Path(admin.key).read_bytes()),
        }
        context = {"cluster": name, "user": name, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": context}],
            "current-context": name,
        }
        path = self._directory / f"{self._server.port}-{namespace}.kubeconfig"
        path.touch(0o600)
        path.write_text(json.dumps(config))
        return path

    # Nodes

    def add_node(self, name: str, labels: Mapping[str, str] = {}, **capacity: str) -> Object:
        """Adds a node that is ready: ``add_node("big", {"disk": "ssd"}, cpu="128")``. One named
        ``node-0`` is there from the start. Returns it.
        """
        return dict(self.run(self._kubelet.add_node(name, labels, capacity)))

    def lose_node(self, name: str) -> None:
        """The node's kubelet falls silent: after :meth:`advance` the node is unreachable."""
        self.run(self._kubelet.lose_node(name))

    def regain_node(self, name: str) -> None:
        """The node is heard of again, and goes on with its pods."""
        self.run(self._kubelet.regain_node(name))

    @property
    def kubelet(self) -> FakeKubelet:
        """Who acts the nodes; for coroutines that :meth:`run` carries out."""
        return self._kubelet

    # Time

    def now(self) -> float:
        """What controllers and nodes take for the time, in seconds since 1970."""
        return self._clock.now()

    def advance(self, seconds: float) -> None:
        """Sets the clock of controllers and nodes forward. What was to happen on the way happens in
        its order, each thing with all that follows from it, as far as that needs no more time.
        """
        self.run(self._advance(seconds))

    def settle(self) -> None:
        """Returns when nobody has anything to do any more. Raises AssertionError when there is no
        rest.
        """
        self.run(self._settle())

    async def _advance(self, seconds: float) -> None:
        pieces = max(1, math.ceil(seconds / RENEWED_AHEAD_SECONDS))
        for _ in range(pieces):
            await self._advance_piece(seconds / pieces)

    async def _advance_piece(self, seconds: float) -> None:
        target = self._clock.now() + seconds
        await self._kubelet.renew(target)
        await self._settle()
        while (when := self._clock.next()) is not None and when <= target:
            self._clock.set_forward(when)
            await self._settle()
        self._clock.set_forward(target)
        await self._settle()

    async def _settle(self) -> None:
        store, ends = self._server.context.store, time.monotonic() + PATIENCE
        revision, since = store.revision, time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            await asyncio.sleep(0.001)
            is_idle = self._plane.controllers.is_idle and self._kubelet.is_idle
            if not is_idle or store.revision != revision:
                revision, since = store.revision, time.monotonic()
            if time.monotonic() > ends:
                raise AssertionError(
                    f"no rest after {PATIENCE:.0f} s: something is written again and again"
                )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def run_cluster(directory: Path) -> Iterator[Cluster]:
    """A control plane for the length of the block. ``directory`` keeps its keys, which take longer
    to make than all the rest: one that ran there before starts in some tens of milliseconds.
    """
    cluster = Cluster(directory)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.close()
