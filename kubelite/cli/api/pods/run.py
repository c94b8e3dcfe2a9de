"""``run``: one container of an image in a pod of the cluster."""

from __future__ import annotations

import enum
from typing import Annotated

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.changing import Change
from kubelite.cli.api.common.selection import Target
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.common.waiting import until
from kubelite.cli.api.pods.exec import attach_to
from kubelite.cli.api.write.create import create_one, target_of
from kubelite.cli.api.write.generators import exposed
from kubelite.cli.common import durations
from kubelite.cli.common.command import Argument, Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.pod.exec import STDIN, TTY
from kubelite.cli.pod.run import key_value
from kubelite.client.resources import PODS
from kubelite.lib.json import Object


class Restart(enum.StrEnum):
    """When the container is started again."""

    Always = "Always"
    OnFailure = "OnFailure"
    Never = "Never"


@usage(
    "kubelite run web --image web:1 --port 80 --expose",
    "kubelite run -it --rm shell --image busybox -- sh",
    notes="A pod of this machine, without a cluster: `kubelite pod run`.",
)
def run_pod(
    settings: Settings,
    name: Annotated[str, Argument("NAME", "Name of the pod.")],
    words: Annotated[
        list[str] | None, Argument("[-- ARGS]", "Arguments of the program, or with --command all.")
    ] = None,
    *,
    image: Annotated[str, Option("--image", "Image of the container.")],
    port: Annotated[
        int | None, Option("--port", "Port of the container.", minimum=1, maximum=65535)
    ] = None,
    env: Annotated[list[str] | None, Option("--env", "A variable: KEY=VALUE.")] = None,
    labels: Annotated[str, Option("--labels -l", "Labels of the pod: a=b,c=d.")] = "",
    as_command: Annotated[
        bool, Option("--command", "What follows is the program, not its arguments.")
    ] = False,
    restart: Annotated[Restart, Option("--restart", "When it starts again.")] = Restart.Always,
    expose: Annotated[bool, Option("--expose", "Create a Service for the port, too.")] = False,
    stdin: Annotated[bool, STDIN] = False,
    tty: Annotated[bool, TTY] = False,
    attach: Annotated[bool, Option("--attach", "Show what it writes until it ends.")] = False,
    remove: Annotated[bool, Option("--rm", "Delete the pod when it has ended.")] = False,
    timeout: Annotated[
        float,
        Option(
            "--pod-running-timeout", "How long it may take to start.", "DURATION", durations.parse
        ),
    ] = 60.0,
    format: options.Shown = options.NO_FORMAT,
    dry_run: options.Dry = options.DryRun.none,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Creates a pod and, with ``-i`` or ``--attach``, goes on with its input and output. Raises
    CliError.
    """
    is_attached = attach or stdin
    if remove and not is_attached:
        raise CliError(Diagnostic("--rm should only be used for attached containers", exit_code=2))
    if expose and port is None:
        raise CliError(Diagnostic("--port must be set when exposing a service", exit_code=2))
    obj = pod_of(name, image, words or [], env or [], labels, restart.value)
    container = obj["spec"]["containers"][0]
    container |= {"stdin": True, "stdinOnce": True} if stdin else {}
    container |= {"tty": True} if tty else {}
    if port is not None:
        container["ports"] = [{"containerPort": port}]
    if as_command and words:
        container["command"] = container.pop("args")
    change = Change(dry_run, format)

    async def work(api: Api) -> int:
        target = await target_of(api, obj)
        if expose:
            service = exposed(obj, name, [], "", "")
            await create_one(api, await target_of(api, service), change)
        if not (is_attached and dry_run is options.DryRun.none):
            await create_one(api, target, change)
            return api.exit_code
        await api.client.create(PODS, obj, api.namespace, strict=True)
        try:
            return await _attached(api, target, timeout, stdin=stdin, tty=tty)
        finally:
            if remove:
                await api.client.delete(PODS, name, api.namespace)
                api.screen.data(f'pod "{name}" deleted\n')

    return run(settings, Reach(kubeconfig, context), work)


def pod_of(
    name: str, image: str, args: list[str], env: list[str], labels: str, restart: str
) -> Object:
    """The pod that a command line describes. Raises CliError."""
    pairs = [key_value(text, "--labels") for text in labels.split(",") if text]
    variables = [key_value(text, "--env") for text in env]
    container: Object = {"name": name, "image": image}
    if args:
        container["args"] = args
    if variables:
        container["env"] = [{"name": key, "value": value} for key, value in variables]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(pairs) or {"run": name},
        },
        "spec": {"containers": [container], "restartPolicy": restart},
    }


async def _attached(api: Api, target: Target, timeout: float, *, stdin: bool, tty: bool) -> int:
    """Waits until the container runs and goes on with its input and output; its exit code."""
    await _until_phase(api, target, ("Running", "Succeeded", "Failed"), timeout)
    pod = await api.client.get(PODS, target.name, target.namespace)
    if pod["status"]["phase"] == "Running":
        await attach_to(api, pod, target.name, stdin=stdin, tty=tty)
    else:
        path = PODS.path(target.namespace, target.name, "log")
        api.screen.bytes(await api.client.get_bytes(path))
    return await _exit_code(api, target)


async def _until_phase(
    api: Api, target: Target, phases: tuple[str, ...], timeout: float | None
) -> None:
    def is_done(obj: Object | None) -> bool:
        return obj is None or (obj.get("status") or {}).get("phase") in phases

    try:
        await until(api.client, target.resource, target.namespace, target.name, is_done, timeout)
    except TimeoutError as error:
        hint = f"`kubelite describe pod {target.name}` shows why"
        raise CliError(Diagnostic("timed out waiting for the pod to run", hint=hint)) from error


async def _exit_code(api: Api, target: Target) -> int:
    """The exit code of the container's last run; one that is started again has none yet."""

    def has_ended(obj: Object | None) -> bool:
        return obj is None or _terminated(obj) is not None

    await until(api.client, target.resource, target.namespace, target.name, has_ended)
    pod = await api.client.get(PODS, target.name, target.namespace)
    return int((_terminated(pod) or {}).get("exitCode", 0))


def _terminated(pod: Object) -> Object | None:
    for row in (pod.get("status") or {}).get("containerStatuses") or ():
        for state in (row.get("state") or {}, row.get("lastState") or {}):
            if state.get("terminated"):
                terminated: Object = state["terminated"]
                return terminated
    return None
