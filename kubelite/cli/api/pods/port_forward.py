"""``port-forward``: ports of this machine that lead to a pod."""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple

import aiohttp

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.pods.pods import pods_of
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import ClientError
from kubelite.client.port_forward import carry, connect
from kubelite.client.resources import SERVICES
from kubelite.lib.json import Object


class Ports(NamedTuple):
    """A port here, 0 for a free one, and the port there: a number or a name."""

    local: int
    remote: str


def parse(text: str) -> Ports:
    """``8080:80``, ``80``, ``:80``, ``8080:http``. Raises ValueError with a sentence."""
    local, colon, remote = text.partition(":")
    remote = remote if colon else local
    is_port = local.isdecimal() and int(local) < 65536
    if not remote or not (is_port or (colon and not local) or not colon):
        raise ValueError(f"{text!r} is no port: write it like 8080:80, 80, or :80")
    return Ports(int(local) if is_port else 0, remote)


@usage(
    "kubelite port-forward web 8080:80",
    "kubelite port-forward svc/web 8080:http",
    "kubelite port-forward deploy/web :80 --address 0.0.0.0",
)
def port_forward(
    settings: Settings,
    name: Annotated[str, Argument("NAME | TYPE/NAME", "The pod, or whose pod.")],
    ports: Annotated[list[str], Argument("[LOCAL:]REMOTE...", "Ports here and there.")],
    *,
    address: Annotated[
        str, Option("--address", "Addresses to listen on, with commas between.", "ADDRESS")
    ] = "localhost",
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Forwards ports until Ctrl-C. Raises CliError."""
    try:
        pairs = [parse(text) for text in ports]
    except ValueError as error:
        raise CliError(Diagnostic(str(error), exit_code=2)) from error

    async def work(api: Api) -> None:
        pod = (await pods_of(api, name))[0]
        if pod.get("status", {}).get("phase") != "Running":
            phase = pod.get("status", {}).get("phase", "Pending")
            raise CliError(
                Diagnostic(
                    f"unable to forward port because pod is not running. Current status={phase}"
                )
            )
        service = await _service(api, name)
        servers = [
            await _listen(api, pod, host, pair.local, remote_port(pair.remote, pod, service))
            for pair in pairs
            for host in _addresses(address)
        ]
        await asyncio.gather(*(server.serve_forever() for server in servers))

    return run(settings, Reach(kubeconfig, context), work)


def _addresses(text: str) -> list[str]:
    hosts = [host for host in text.split(",") if host]
    return [host for name in hosts for host in (("127.0.0.1",) if name == "localhost" else (name,))]


async def _service(api: Api, word: str) -> Object | None:
    """The Service that is meant, whose ports are others than the pod's."""
    if "/" not in word:
        return None
    (operand,) = await api.operands([word])
    if operand.resource.gvr != SERVICES:
        return None
    return await api.client.get(SERVICES, operand.name, api.namespace)


def remote_port(text: str, pod: Object, service: Object | None) -> int:
    """The number of the pod's port. Raises CliError."""
    target_port: int | str = int(text) if text.isdecimal() else text
    if service is not None:
        rows = service["spec"].get("ports") or ()
        row = next((row for row in rows if target_port in (row["port"], row.get("name"))), None)
        if row is None:
            name = service["metadata"]["name"]
            raise CliError(Diagnostic(f"Service {name} does not have a service port {text}"))
        target_port = row.get("targetPort") or row["port"]
    if isinstance(target_port, int):
        return target_port
    for container in pod["spec"]["containers"]:
        for port in container.get("ports") or ():
            if port.get("name") == target_port:
                return int(port["containerPort"])
    raise CliError(
        Diagnostic(f"Pod {pod['metadata']['name']} does not have a named port '{target_port}'")
    )


async def _listen(api: Api, pod: Object, host: str, local: int, remote: int) -> asyncio.Server:
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        api.screen.data(f"Handling connection for {port}\n")
        try:
            async with connect(api.transport, namespace, name, remote) as socket:
                await carry(socket, reader, writer)
        except (aiohttp.ClientError, ClientError, TimeoutError, OSError) as error:
            api.screen.note(f"the connection to port {remote} of {name} broke off: {error}")
        finally:
            writer.close()

    server = await asyncio.start_server(accept, host, local)
    port = server.sockets[0].getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    api.screen.data(f"Forwarding from {shown}:{port} -> {remote}\n")
    return server
