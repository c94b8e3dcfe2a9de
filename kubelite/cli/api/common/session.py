"""A verb at work: its cluster, the resources that are served, and how its failures are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from kubelite.cli.api.common import discovery, operands, refusals
from kubelite.cli.api.common.access import Reach, cluster_access
from kubelite.cli.api.common.discovery import Resources, UnknownType
from kubelite.cli.api.common.operands import Operand, OperandError
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.screen import Screen
from kubelite.client.client import DISCOVERY, Client
from kubelite.client.errors import ApiError, BadKubeconfig, ClientError
from kubelite.client.http import HttpTransport

if TYPE_CHECKING:
    from kubelite.cli.common.command import Settings
    from kubelite.client.kubeconfig import ClusterAccess


class Api:
    """The cluster that a verb works with. ``namespace`` is where it looks unless told otherwise,
    ``exit_code`` what it ends with.
    """

    def __init__(
        self, screen: Screen, transport: HttpTransport, namespace: str, *, is_namespace_given: bool
    ) -> None:
        self.screen = screen
        self.is_namespace_given = is_namespace_given
        self.transport = transport
        self.client = Client(transport, user_agent="kubelite-cli")
        self.namespace = namespace
        self.exit_code = 0
        self.has_shown = False
        """Whether a document has been printed, which separates the next one from it."""
        self._resources: Resources | None = None

    async def resources(self) -> Resources:
        """The resources that the server has."""
        if self._resources is None:
            documents = await asyncio.gather(
                self.client.get_path("/api", accept=DISCOVERY),
                self.client.get_path("/apis", accept=DISCOVERY),
            )
            self._resources = discovery.read(*documents)
        return self._resources

    async def operands(self, words: Sequence[str]) -> list[Operand]:
        """What the operands of a command line mean. Raises CliError."""
        try:
            return operands.parse(words, await self.resources())
        except UnknownType as error:
            raise CliError(Diagnostic(str(error))) from error
        except OperandError as error:
            raise CliError(Diagnostic(str(error), exit_code=2)) from error

    def refused(self, error: ApiError, doing: str = "") -> None:
        """Shows a refusal; the verb goes on, and will have failed."""
        self.screen.refusal(refusals.sentence(error, doing))
        self.exit_code = 1

    def failed(self, sentence: str, hint: str = "") -> None:
        """Shows a failure; the verb goes on, and will have failed."""
        self.screen.error(Diagnostic(sentence, hint=hint))
        self.exit_code = 1


Work = Callable[[Api], Awaitable[int | None]]


def run(settings: Settings, reach: Reach, work: Work) -> int:
    """Carries out a verb and returns its exit code: what ``work`` returns, else 1 after a refusal.
    Raises CliError.
    """
    try:
        access = cluster_access(settings, reach)
        return asyncio.run(_run(settings, access, work))
    except ApiError as error:
        Screen(settings).refusal(refusals.sentence(error))
        return 1
    except BadKubeconfig as error:
        raise CliError(Diagnostic(str(error))) from error
    except ClientError as error:
        hint = "`kubelite status` shows whether a cluster of this machine runs"
        raise CliError(Diagnostic(str(error), hint=hint)) from error


async def _run(settings: Settings, access: ClusterAccess, work: Work) -> int:
    transport = HttpTransport(access)
    try:
        api = Api(
            Screen(settings),
            transport,
            settings.namespace or access.namespace,
            is_namespace_given=settings.namespace is not None,
        )
        code = await work(api)
        return api.exit_code if code is None else code
    finally:
        await transport.close()
