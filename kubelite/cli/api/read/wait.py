"""``wait``: until objects have a condition, a value, exist, or are gone."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from kubelite.cli.api.common import options
from kubelite.cli.api.common.access import Reach
from kubelite.cli.api.common.selection import NAME_NEEDED, Target, Which, in_files, listed
from kubelite.cli.api.common.session import Api, run
from kubelite.cli.api.common.waiting import until
from kubelite.cli.api.printing import template
from kubelite.cli.common import durations
from kubelite.cli.common.command import Option, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic
from kubelite.client.errors import NotFound
from kubelite.control.api.schema import jsonpath
from kubelite.lib.json import Object

_LEAST_SECONDS = 0.1


class Goal(NamedTuple):
    """What is waited for: ``kind`` is condition, delete, create or jsonpath."""

    kind: str
    name: str = ""
    value: str | None = None

    def holds(self, obj: Object | None) -> bool:
        """Whether an object is as wanted; None stands for one that is not there."""
        if self.kind == "delete":
            return obj is None
        if obj is None or self.kind == "create":
            return obj is not None
        if self.kind == "condition":
            return _condition(obj, self.name) == (self.value or "true").lower()
        values = jsonpath.find(self.name, obj)
        if self.value is None:
            return bool(values)
        return len(values) == 1 and template.shown(values[0]) == self.value


def _condition(obj: Object, name: str) -> str:
    """The status of a condition, in lower case; one of an older generation does not count."""
    generation = obj["metadata"].get("generation", 0)
    for row in (obj.get("status") or {}).get("conditions") or ():
        if str(row.get("type", "")).lower() == name.lower():
            is_old = 0 < row.get("observedGeneration", 0) < generation
            return "" if is_old else str(row.get("status", "")).lower()
    return ""


def parse(text: str) -> Goal:
    """The goal that a value of ``--for`` names. Raises ValueError with a sentence."""
    if text.lower() in ("delete", "create"):
        return Goal(text.lower())
    kind, _, rest = text.partition("=")
    if kind == "condition" and rest:
        name, has_value, value = rest.partition("=")
        return Goal(kind, name, value if has_value else None)
    if kind == "jsonpath" and rest:
        end = rest.rfind("}") + 1
        path, value = (rest[:end], rest[end:]) if end else ("", "")
        jsonpath.parse(path)
        if not path or (value and not value.startswith("=")):
            raise ValueError(f"{text!r}: expected jsonpath={{PATH}}=VALUE")
        return Goal(kind, path, value[1:] if value else None)
    raise ValueError(
        f"{text!r} is nothing to wait for: delete, create, condition=NAME[=VALUE] or"
        " jsonpath={PATH}=VALUE"
    )


@usage(
    "kubelite wait pod/web --for=condition=Ready --timeout=30s",
    "kubelite wait deploy/web --for=jsonpath={.status.readyReplicas}=3",
    "kubelite wait pods -l app=web --for=delete",
)
def wait(
    settings: Settings,
    objects: options.Objects = None,
    *,
    goal: Annotated[
        Goal,
        Option(
            "--for", "delete, create, condition=NAME[=VALUE], jsonpath={PATH}=VALUE.", "WHAT", parse
        ),
    ],
    timeout: Annotated[
        float,
        Option("--timeout", "How long to wait; 0 looks once.", "DURATION", durations.parse),
    ] = 30.0,
    files: options.Files = None,
    recursive: options.Recursive = False,
    kustomize: options.Kustomize = None,
    selector: options.Selector = "",
    field_selector: options.FieldSelector = "",
    all_namespaces: options.AllNamespaces = False,
    all: options.All = False,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Waits at most so long for each object. Raises CliError."""
    which = Which(
        objects or (),
        files or (),
        recursive,
        kustomize or (),
        selector,
        field_selector,
        all_namespaces,
        all,
    )

    async def work(api: Api) -> None:
        targets = await _targets(api, which, goal)
        if not targets and goal.kind != "delete" and not api.exit_code:
            api.failed("no matching resources found")
        for target in targets:
            await _wait(api, target, goal, timeout)

    return run(settings, Reach(kubeconfig, context), work)


async def _targets(api: Api, which: Which, goal: Goal) -> list[Target]:
    """The objects that are there; with the goal ``create`` also those that will be."""
    if which.has_files:
        return await in_files(api, which)
    targets: list[Target] = []
    for resource, name in await api.operands(which.words):
        namespace = api.namespace if resource.namespaced else ""
        if name:
            target = Target(resource, namespace, name, {})
            targets += [target] if await _is_waited_for(api, target, goal) else []
        elif which.selector or which.field_selector or which.all or which.all_namespaces:
            targets += await listed(api, which, resource)
        else:
            raise CliError(Diagnostic(NAME_NEEDED, exit_code=2))
    return targets


async def _is_waited_for(api: Api, target: Target, goal: Goal) -> bool:
    """Whether there is something to wait for: an object that is not there has been deleted, and is
    a refusal for any other goal but ``create``.
    """
    try:
        await api.client.get(target.resource.gvr, target.name, target.namespace)
    except NotFound as error:
        if goal.kind == "create":
            return True
        if goal.kind != "delete":
            api.refused(error)
        return False
    return True


async def _wait(api: Api, target: Target, goal: Goal, timeout: float) -> None:
    label, resource = target.label, target.resource
    try:
        await until(
            api.client,
            resource,
            target.namespace,
            target.name,
            goal.holds,
            max(timeout, _LEAST_SECONDS),
        )
    except TimeoutError:
        api.failed(f"timed out waiting for the condition on {resource.plural}/{target.name}")
        return
    api.screen.data(f"{label} condition met\n")
