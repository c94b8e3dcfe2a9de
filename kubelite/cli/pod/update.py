"""``pod update``: changes some fields of a running pod."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec.structs import replace

from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.cli.common.engine import as_document, open_pods
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import NAME, pod_name
from kubelite.cli.pod.up import DRY_RUN, process_start, show_plan, show_result

if TYPE_CHECKING:
    from kubelite.objects.pod.pod import Container, Pod


@usage(
    "kubelite pod update web --memory server=256Mi",
    "kubelite pod update web --image server=web:2",
    notes="Limits change in place; another image or variable restarts the container. Name the"
    " container if the pod has several.",
)
def update(
    settings: Settings,
    name: Annotated[str, NAME],
    *,
    image: Annotated[
        list[str] | None, Option("--image", "New image.", "[CTR=]IMAGE", completes="image")
    ] = None,
    cpu: Annotated[list[str] | None, Option("--cpu", "New CPU limit.", "[CTR=]AMOUNT")] = None,
    memory: Annotated[
        list[str] | None, Option("--memory", "New memory limit.", "[CTR=]AMOUNT")
    ] = None,
    env: Annotated[
        list[str] | None,
        Option("--env", "Set NAME=VALUE, or NAME- to unset.", "[CTR:]NAME=VALUE"),
    ] = None,
    dry_run: Annotated[bool, DRY_RUN] = False,
) -> int:
    """Changes images, limits and environment variables.

    Raises CliError for an unknown container or invalid value, NotFound, Conflict.
    """
    from kubelite.cli.review import diagnostics_of, judge
    from kubelite.objects.pod import codec
    from kubelite.objects.pod.pod import Pod

    name = pod_name(name)
    start = process_start()
    screen = Screen(settings)
    pods = open_pods(settings, screen)
    pod = pods.queries.manifest(settings.active_namespace, name)
    for text in image or ():
        pod = _change(pod, text, "=", _set_image)
    for resource, texts in (("cpu", cpu), ("memory", memory)):
        for text in texts or ():
            pod = _change(pod, text, "=", functools.partial(_set_limit, resource))
    for text in env or ():
        pod = _change(pod, text, ":", _set_variable)
    judgement = judge(msgspec.json.decode(msgspec.json.encode(pod)))
    if judgement.causes:
        raise CliError(*diagnostics_of(judgement))
    pod = codec.decode(Pod, judgement.complete)
    if dry_run:
        show_plan(screen, name, pods.queries.plan(pod), False)
        return 0
    result = pods.up(pod, report=lambda _: None)
    for warning in result.warnings:
        screen.warn(Diagnostic(warning))
    seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - start
    show_result(settings, screen, result, as_document(result.pod), seconds, True)
    return 0


def _change(pod: Pod, text: str, separator: str, act: Callable[[Container, str], Container]) -> Pod:
    """Acts on the container that ``text`` names before the separator, or on the only one."""
    containers = pod.spec.containers
    name, has_separator, value = text.partition(separator)
    everyone = (*containers, *pod.spec.init_containers)
    chosen = next(
        (container for container in everyone if has_separator and container.name == name), None
    )
    if chosen is None and len(containers) > 1:
        names = ", ".join(container.name for container in containers)
        raise CliError(
            Diagnostic(
                f"{text} does not name a container of the pod",
                hint=f"begin with CONTAINER{separator}; the containers are {names}",
                exit_code=2,
            )
        )
    old = chosen or containers[0]
    changed = act(old, value if chosen is not None else text)

    def updated(group: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(changed if container is old else container for container in group)

    spec = replace(
        pod.spec,
        containers=updated(containers),
        init_containers=updated(pod.spec.init_containers),
    )
    return replace(pod, spec=spec)


def _set_image(container: Container, value: str) -> Container:
    """The pull policy becomes the default of the new image."""
    return replace(container, image=value, image_pull_policy=None)


def _set_limit(resource: str, container: Container, value: str) -> Container:
    """A request that equals the old limit, or exceeds the new one, is changed with it."""
    from kubelite.objects.facts.quantity import QuantityError, canonical, parse

    try:
        amount = canonical(value)
    except QuantityError as error:
        raise CliError(Diagnostic(f"--{resource}: {error}", exit_code=2)) from error
    limits, requests = dict(container.resources.limits), dict(container.resources.requests)
    request = requests.get(resource)
    if request is not None and (
        request == limits.get(resource) or parse(request).nano > parse(amount).nano
    ):
        requests[resource] = amount
    limits[resource] = amount
    return replace(
        container, resources=replace(container.resources, limits=limits, requests=requests)
    )


def _set_variable(container: Container, value: str) -> Container:
    """An existing variable keeps its position; ``NAME-`` removes it."""
    from kubelite.objects.pod.container import EnvVar

    name, has_value, text = value.partition("=")
    if not has_value and name.endswith("-"):
        kept = tuple(variable for variable in container.env if variable.name != name[:-1])
        return replace(container, env=kept)
    if not has_value or not name:
        raise CliError(
            Diagnostic(f"{value}: expected NAME=VALUE, or NAME- to unset it", exit_code=2)
        )
    new = EnvVar(name=name, value=text)
    if any(variable.name == name for variable in container.env):
        env = tuple(new if variable.name == name else variable for variable in container.env)
        return replace(container, env=env)
    return replace(container, env=(*container.env, new))
