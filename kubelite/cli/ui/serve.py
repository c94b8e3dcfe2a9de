"""``kubelite ui``: the web page of a cluster, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, NamedTuple

from kubelite.cli.cluster.options import ClusterName
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.connection import ContextName
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import open_home

if TYPE_CHECKING:
    from kubelite.client.kubeconfig import ClusterAccess
    from kubelite.node.runtime.home import Home
    from kubelite.ui.server import Info


class Place(NamedTuple):
    """Where the page is served, and whether it is opened in a browser."""

    address: str
    port: int
    opens_browser: bool


@usage(
    "kubelite ui",
    "kubelite ui --local",
    "kubelite ui --kubeconfig ~/.kube/config --context staging",
    notes="Without a cluster it shows the pods of `pod up`. The page may do what you may do. Its "
    "address works once, in one browser.",
)
def ui(
    settings: Settings,
    *,
    kubeconfig: Annotated[
        str | None,
        Option(
            "--kubeconfig",
            "How to reach the cluster; by default KUBECONFIG, or the one that runs here.",
            "FILE",
            completes="file",
        ),
    ] = None,
    context_name: ContextName = None,
    name: ClusterName = "default",
    local: Annotated[
        bool, Option("--local", "Show the pods of this machine's state root, not a cluster.")
    ] = False,
    address: Annotated[
        str, Option("--address", "Address to listen on; others can read along.", "ADDRESS")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        Option("--port", "Port to listen on; 0 chooses a free one.", minimum=0, maximum=65535),
    ] = 0,
    no_browser: Annotated[
        bool, Option("--no-browser", "Only print the address; as root no browser is opened.")
    ] = False,
) -> int:
    """Serves the page until a signal. Raises CliError."""
    check_address(address)
    from kubelite.cli.common.foreground import run_until_signal
    from kubelite.cli.ui.finding import named_cluster, running_cluster

    path = "" if local else kubeconfig or os.environ.get("KUBECONFIG", "").split(":")[0]
    _check_choice(local, kubeconfig, context_name, path)
    access = None
    if path:
        access = named_cluster(path, context_name)
    elif not local:
        access = running_cluster(settings, name)
    place = Place(address, port, not no_browser)
    if access is not None:
        run_until_signal(
            settings,
            f"showing {access.context} at {access.server}; Ctrl-C ends it",
            lambda: _serve_cluster(settings, access, place, name),
        )
        return 0
    home = open_home(settings)
    run_until_signal(
        settings,
        f"showing the pods of {home.root}; Ctrl-C ends it",
        lambda: _serve_local(settings, home, place),
    )
    return 0


def check_address(address: str) -> None:
    """Refuses what is not one address by which a browser can call this server. Raises CliError."""
    import ipaddress

    try:
        is_wildcard = ipaddress.ip_address(address).is_unspecified
    except ValueError:
        is_wildcard = True
    if is_wildcard:
        hint = "name one IP address of this machine: browsers must call the page by it"
        raise CliError(Diagnostic(f"cannot listen on {address}", hint=hint, exit_code=2))


def _check_choice(local: bool, kubeconfig: str | None, context: str | None, path: str) -> None:
    """Refuses options that name nothing together. Raises CliError."""
    if local and (kubeconfig or context):
        other = "--kubeconfig" if kubeconfig else "--context"
        message = f"--local and {other} cannot be used together"
        raise CliError(Diagnostic(message, exit_code=2))
    if context and not path:
        hint = "name its file with --kubeconfig or KUBECONFIG"
        raise CliError(Diagnostic("--context needs a kubeconfig", hint=hint, exit_code=2))


async def _serve_cluster(
    settings: Settings, access: ClusterAccess, place: Place, name: str
) -> None:
    """Until cancelled. Raises CliError."""
    import asyncio

    from kubelite.cli.ui.finding import boot_milliseconds
    from kubelite.node.runtime.home import Home
    from kubelite.ui.server import Info

    home = Home(settings.root) if os.geteuid() == 0 else None
    boot = boot_milliseconds(home, name, access) if home else None
    info = Info("cluster", access.context, access.server, access.namespace, boot)
    async with _page(settings, access, info, home, place):
        await asyncio.Event().wait()


async def _serve_local(settings: Settings, home: Home, place: Place) -> None:
    """Until cancelled. Raises CliError."""
    from kubelite.ui.local.engine import LocalEngine
    from kubelite.ui.server import Info

    async with LocalEngine(home) as engine:
        info = Info("local", engine.access.context, home.root)
        async with _page(settings, engine.access, info, home, place):
            await engine.wait()


@contextlib.asynccontextmanager
async def _page(
    settings: Settings, access: ClusterAccess, info: Info, home: Home | None, place: Place
) -> AsyncIterator[None]:
    """The page is served, and its address printed. Raises CliError."""
    import tempfile

    from kubelite.cli.common.screen import Screen
    from kubelite.cli.ui.browser import has_browser, open_page
    from kubelite.client.http import HttpTransport
    from kubelite.ui.server import UiServer

    transport = HttpTransport(access)
    server = UiServer(transport, info, home)
    try:
        try:
            url = await server.start(place.address, place.port)
        except OSError as error:
            hint = "choose another with --address and --port"
            sentence = f"cannot listen on {place.address}:{place.port}: {error.strerror}"
            raise CliError(Diagnostic(sentence, hint=hint)) from error
        Screen(settings).data(url + "\n")
        with contextlib.ExitStack() as stack:
            if place.opens_browser and has_browser():
                directory = tempfile.TemporaryDirectory(prefix="kubelite-ui-")
                open_page(url, stack.enter_context(directory))
            yield
    finally:
        await server.close()
        await transport.close()
