"""What runs beside an API server in its process: controllers, speaking only through the API."""

from __future__ import annotations

from collections.abc import Sequence

from kubelite.client.client import Client
from kubelite.client.informers import Informers
from kubelite.client.local import LocalTransport
from kubelite.client.transport import Application, Identity
from kubelite.control.controllers.loop import Clock
from kubelite.control.controllers.manager import ControllerManager
from kubelite.control.controllers.registry import Row

MANAGER = Identity("system:kube-controller-manager")


def account_identity(account: str) -> Identity:
    """The user of a service account in kube-system."""
    groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system")
    return Identity(f"system:serviceaccount:kube-system:{account}", groups)


class ControlPlane:
    """The controllers of an API server in this process."""

    def __init__(
        self, application: Application, controllers: Sequence[Row], clock: Clock | None = None
    ) -> None:
        self._application = application
        self._informers = Informers(self._client(MANAGER))
        self.controllers = ControllerManager(
            self._informers,
            lambda account: self._client(account_identity(account)),
            controllers,
            clock,
        )

    def _client(self, identity: Identity) -> Client:
        return Client(LocalTransport(self._application, identity))

    async def start(self) -> None:
        """Starts what there is; returns when every controller has its first view."""
        await self.controllers.start()

    async def close(self) -> None:
        """Ends everything that was started."""
        await self.controllers.close()
        await self._informers.close()
