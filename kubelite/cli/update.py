"""``pod update``: some fields of a pod that runs, changed from the command line."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from kubelite.cli.engine import doc, pods
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble
from kubelite.cli.up import foretell, process_start, tell

if TYPE_CHECKING:
    from kubelite.cli.settings import Settings
    from kubelite.objects.pod.pod import Container, Pod


def update(
    settings: Settings,
    name: str,
    *,
    images: Sequence[str] = (),
    cpu: Sequence[str] = (),
    memory: Sequence[str] = (),
    env: Sequence[str] = (),
    dry_run: bool = False,
) -> int:
    """Changes images, limits and variables; each is ``[CONTAINER=]VALUE``, a variable
    ``[CONTAINER:]NAME=VALUE``.

    Raises CliError for what names no container or is no valid value, NotFound, Conflict.
    """
    from kubelite.objects.rules import defaults, validate

    start = process_start()
    screen = Screen(settings)
    engine = pods(settings, screen)
    pod = engine.manifest(settings.space, name)
    for text in images:
        pod = _change(pod, text, "=", _image)
    for resource, texts in (("cpu", cpu), ("memory", memory)):
        for text in texts:
            pod = _change(pod, text, "=", functools.partial(_set_limit, resource))
    for text in env:
        pod = _change(pod, text, ":", _variable)
    pod = defaults.pod(pod)
    if problems := validate.pod(pod):
        raise CliError(
            *(Trouble(problem.message, problem.code, hint=problem.hint) for problem in problems)
        )
    if dry_run:
        foretell(screen, name, engine.plan(pod), False)
        return 0
    result = engine.up(pod, report=lambda _: None)
    for said in result.warnings:
        screen.warn(Trouble(said))
    tell(
        settings,
        screen,
        result,
        doc(result.pod),
        time.clock_gettime(time.CLOCK_BOOTTIME) - start,
        True,
    )
    return 0


def _change(pod: Pod, text: str, mark: str, act: Callable[[Container, str], Container]) -> Pod:
    """Acts on the container that ``text`` names in front of ``mark``, or on the only one there is."""
    containers = pod.spec.containers
    named, found, value = text.partition(mark)
    chosen = next(
        (each for each in (*containers, *pod.spec.init_containers) if found and each.name == named),
        None,
    )
    if chosen is None and len(containers) > 1:
        names = ", ".join(each.name for each in containers)
        raise CliError(
            Trouble(
                f"{text}: it names no container of the pod",
                hint=f"write CONTAINER{mark} first: {names}",
                exit=2,
            )
        )
    changed = act(chosen, value) if chosen is not None else act(containers[0], text)
    old = chosen or containers[0]

    def among(group: tuple[Container, ...]) -> tuple[Container, ...]:
        return tuple(changed if each is old else each for each in group)

    spec = replace(
        pod.spec, containers=among(containers), init_containers=among(pod.spec.init_containers)
    )
    return replace(pod, spec=spec)


def _image(container: Container, value: str) -> Container:
    """The pull policy is what the new name has by itself."""
    return replace(container, image=value, image_pull_policy=None)


def _set_limit(resource: str, container: Container, value: str) -> Container:
    """A request that the limit has led to, or that would be more than it now, goes along."""
    from kubelite.objects.facts.quantity import QuantityError, canonical, parse

    try:
        amount = canonical(value)
    except QuantityError as error:
        raise CliError(Trouble(f"{value}: {error}", exit=2)) from error
    limits, requests = dict(container.resources.limits), dict(container.resources.requests)
    asked = requests.get(resource)
    if asked is not None and (
        asked == limits.get(resource) or parse(asked).nano > parse(amount).nano
    ):
        requests[resource] = amount
    limits[resource] = amount
    return replace(
        container, resources=replace(container.resources, limits=limits, requests=requests)
    )


def _variable(container: Container, value: str) -> Container:
    """A variable that is there is changed where it stands; ``NAME-`` takes it out."""
    from kubelite.objects.pod.container import EnvVar

    name, given, text = value.partition("=")
    if not given and name.endswith("-"):
        return replace(
            container, env=tuple(each for each in container.env if each.name != name[:-1])
        )
    if not given or not name:
        raise CliError(
            Trouble(f"{value}: a variable is NAME=VALUE, or NAME- to take it out", exit=2)
        )
    made = EnvVar(name=name, value=text)
    if any(each.name == name for each in container.env):
        return replace(
            container, env=tuple(made if each.name == name else each for each in container.env)
        )
    return replace(container, env=(*container.env, made))
