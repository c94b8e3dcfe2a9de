"""``logs``: the logs of containers, one after the other or, followed, as they grow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

import aiohttp

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.pods.pods import container_of, pods_of
from kubelite.cli.common import durations
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.pod.logs import TAIL_OF_SELECTED
from kubelite.client.errors import ApiError, Unreachable, error_for
from kubelite.client.resources import PODS
from kubelite.client.transport import Call
from kubelite.lib.http_body import pieces
from kubelite.lib.json import Object


class Log(NamedTuple):
    """The log of one container."""

    namespace: str
    pod: str
    container: str

    @property
    def prefix(self) -> bytes:
        return f"[pod/{self.pod}/{self.container}] ".encode()


@usage(
    "kubelite logs -f web",
    "kubelite logs deploy/web -c server --tail 20",
    "kubelite logs -l app=web --all-containers --prefix",
)
def logs(
    settings: Settings,
    words: Annotated[
        list[str] | None, Argument("[NAME | TYPE/NAME] [CONTAINER]", "The pod, or whose pods.")
    ] = None,
    *,
    selector: options.Selector = "",
    container: options.Container = None,
    follow: Annotated[bool, Option("--follow -f", "Go on with new lines.")] = False,
    previous: Annotated[bool, Option("--previous -p", "Of the run before.")] = False,
    tail: Annotated[
        int | None, Option("--tail", "Only the last lines; -1 for all.", minimum=-1)
    ] = None,
    since: Annotated[
        float | None,
        Option("--since", "Only lines newer than this: 10s, 5m.", "DURATION", durations.parse),
    ] = None,
    since_time: Annotated[
        str, Option("--since-time", "Only lines since: 2026-11-30T12:00:00Z.", "TIME")
    ] = "",
    timestamps: Annotated[bool, Option("--timestamps", "Show the time of each line.")] = False,
    limit_bytes: Annotated[
        int | None, Option("--limit-bytes", "At most so many bytes.", minimum=1)
    ] = None,
    all_containers: Annotated[bool, Option("--all-containers", "Of all containers.")] = False,
    all_pods: Annotated[bool, Option("--all-pods", "Of all pods of the object.")] = False,
    prefix: Annotated[bool, Option("--prefix", "Begin each line with pod and container.")] = False,
    ignore_errors: Annotated[
        bool, Option("--ignore-errors", "Go on with others where a log cannot be read.")
    ] = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Prints logs. Raises CliError; a log that is not there is a refusal of the server."""
    names = list(words or ())
    if bool(names) == bool(selector) or len(names) > 2:
        raise CliError(
            Diagnostic("name one pod (POD or TYPE/NAME), or select pods with -l", exit_code=2)
        )
    if tail is None and selector:
        tail = TAIL_OF_SELECTED
    query = {
        "follow": "true" if follow else "",
        "previous": "true" if previous else "",
        "tailLines": "" if tail in (None, -1) else tail,
        "sinceSeconds": "" if since is None else max(int(since), 1),
        "sinceTime": since_time,
        "timestamps": "true" if timestamps else "",
        "limitBytes": limit_bytes or "",
    }
    given = {key: value for key, value in query.items() if value != ""}

    async def work(api: Api) -> None:
        pods = await _pods(api, names, selector, all_pods=all_pods)
        chosen = [
            log
            for pod in pods
            for log in _logs_of(api, pod, (container or "".join(names[1:])), all_containers)
        ]
        printers = [_print(api, log, given, prefix or all_pods, ignore_errors) for log in chosen]
        if follow and len(printers) > 1:
            await asyncio.gather(*printers)
        else:
            for printer in printers:
                await printer

    return run(settings, Reach(kubeconfig, context), work)


async def _pods(api: Api, names: list[str], selector: str, *, all_pods: bool) -> list[Object]:
    if selector:
        page = await api.client.list(PODS, api.namespace, label_selector=selector)
        if not page.items:
            api.screen.note(f"No resources found in {api.namespace} namespace.")
        return page.items
    pods = await pods_of(api, names[0])
    if len(pods) > 1 and not all_pods:
        api.screen.note(f"Found {len(pods)} pods, using pod/{pods[0]['metadata']['name']}")
    return pods if all_pods else pods[:1]


def _logs_of(api: Api, pod: Object, container: str, all_containers: bool) -> list[Log]:
    metadata, spec = pod["metadata"], pod["spec"]
    if all_containers:
        rows = [*(spec.get("initContainers") or ()), *spec["containers"]]
        names = [row["name"] for row in (*rows, *(spec.get("ephemeralContainers") or ()))]
    else:
        names = [container_of(api, pod, container or None)]
    return [Log(metadata["namespace"], metadata["name"], name) for name in names]


async def _print(
    api: Api, log: Log, query: Mapping[str, object], with_prefix: bool, ignore_errors: bool
) -> None:
    path = PODS.path(log.namespace, log.pod, "log")
    call = Call("GET", path, urlencode({"container": log.container, **query}))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    try:
        async with api.transport.request(call, timeout) as response:
            if response.status != 200:
                raise error_for(response.status, await response.read())
            held = b""
            async for piece in pieces(response):
                if not with_prefix:
                    api.screen.bytes(piece)
                    continue
                *lines, held = (held + piece).split(b"\n")
                api.screen.bytes(b"".join(log.prefix + line + b"\n" for line in lines))
            if held:
                api.screen.bytes(log.prefix + held + b"\n")
    except ApiError as error:
        if not ignore_errors:
            raise
        api.screen.refusal(f"error: {error.message}")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unreachable(f"the log of {log.pod} broke off: {error}") from error
