"""``pod up``: from a manifest to running pods, each step shown as it happens."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

from kubelite.cli.common import manifest
from kubelite.cli.common.command import Argument, Option, Output, Settings, usage
from kubelite.cli.common.diagnostic import CliError, Diagnostic, cell
from kubelite.cli.common.engine import (
    CniBinDir,
    CniConfDir,
    as_document,
    cni_directories,
    open_home,
    open_pods,
    suggest_command,
)
from kubelite.cli.common.screen import Screen
from kubelite.cli.common.targets import (
    FILES,
    KUSTOMIZE,
    RECURSIVE,
    Target,
    manifest_files,
    owned_by,
    owner_of,
)
from kubelite.node.network.cni import DEFAULT_BIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kubelite.cli.common.manifest import Manifest
    from kubelite.cli.pod_row import Doc
    from kubelite.lib.json import Object
    from kubelite.node.kubelet.act.executor import Step
    from kubelite.node.kubelet.act.images import ImagePulls
    from kubelite.node.kubelet.act.updating import Plan
    from kubelite.node.kubelet.pods.pods import Pods, UpResult
    from kubelite.node.network.cni import Directories
    from kubelite.objects.pod.pod import Pod

FILE = Argument("FILE", "Manifest file, or - for stdin.", completes="file")
LENIENT = Option("--lenient", "Warn about unsupported fields instead of refusing the manifest.")
DRY_RUN = Option("--dry-run", "Only show what would be done.")
_GAP = " " * 6
_BESIDE_OBJECT = 23
"""Columns that a step's line has beside its object, the terminal's last one among them."""
_SOURCES = Argument(
    "[FILE]...", "Manifest files, directories of manifests, URLs, or - for stdin.", completes="file"
)


@usage("kubelite pod up web.yaml", "generate-manifest | kubelite pod up -")
def up(
    settings: Settings,
    sources: Annotated[list[str] | None, _SOURCES] = None,
    *,
    filename: Annotated[list[str] | None, FILES] = None,
    recursive: Annotated[bool, RECURSIVE] = False,
    kustomize: Annotated[list[str] | None, KUSTOMIZE] = None,
    lenient: Annotated[bool, LENIENT] = False,
    replace: Annotated[
        bool,
        Option("--replace", "Recreate pods of the same name that differ or have ended."),
    ] = False,
    allow_unsafe_sysctl: Annotated[
        list[str] | None,
        Option(
            "--allow-unsafe-sysctl",
            "Allow pods to set this sysctl or pattern, such as kernel.msg*; may be repeated.",
            "NAME",
        ),
    ] = None,
    cni_conf_dir: CniConfDir = None,
    cni_bin_dir: CniBinDir = DEFAULT_BIN,
    dry_run: Annotated[bool, DRY_RUN] = False,
    output: Annotated[Output | None, Option("--output -o", "Output format.")] = None,
) -> int:
    """Creates every pod of the manifests in order, those of templates too; all of it is checked
    before the first. Pods of a template that has changed are replaced where that is needed, and
    those that are too many are removed.

    Raises CliError with every problem of the manifests, and what the engine raises. Interrupted, it
    removes what it has made of a pod that was not up yet.
    """
    start = process_start()
    screen = Screen(settings)
    operands = [*(sources or ()), *(filename or ())]
    files = [*(kustomize or ())]
    if operands or not files:
        files += manifest_files(operands, recursive=recursive)
    loaded = manifest.load_all(files, namespace=settings.namespace, lenient=lenient)
    for warning in loaded.warnings:
        screen.warn(warning)
    pods = open_pods(settings, screen)
    surplus = _surplus(pods, loaded)
    if dry_run:
        _show_plans(screen, pods, loaded, surplus, replace=replace)
        return 0
    if len(loaded.pods) > 1:
        _check_images(settings, screen, loaded.pods)
    for target in surplus:
        pods.down(*target, report=lambda step: screen.progress(step_line(step, screen)))
    created = []
    not_up: list[Diagnostic] = []
    for pod in loaded.pods:
        result = up_one(
            screen,
            pods,
            pod,
            loaded.documents(pod),
            replace=replace or _is_replaced(pods, pod, loaded),
            unsafe_sysctls=allow_unsafe_sysctl or (),
            cni=cni_directories(cni_conf_dir, cni_bin_dir),
        )
        created.append(as_document(result.pod))
        seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - start
        try:
            show_result(settings, screen, result, created[-1], seconds, output is None)
        except CliError as error:
            not_up += error.diagnostics
        start = time.clock_gettime(time.CLOCK_BOOTTIME)
    if output is not None:
        _show(screen, created, output)
    if not_up:
        raise CliError(*not_up)
    return 0


def _show_plans(
    screen: Screen, pods: Pods, loaded: Manifest, surplus: list[Target], *, replace: bool
) -> None:
    """Says what would be done with each pod."""
    for pod in loaded.pods:
        plan = pods.queries.plan(pod, loaded.documents(pod))
        is_replaced = replace or _is_replaced(pods, pod, loaded)
        show_plan(screen, pod.metadata.name or "", plan, is_replaced)
    for target in surplus:
        screen.data(f"{target.name} would be taken down\n")


def _surplus(pods: Pods, loaded: Manifest) -> list[Target]:
    """Pods of the manifests' templates that the manifests do not ask for any more."""
    if not loaded.owners:
        return []
    kept = {(pod.metadata.namespace, pod.metadata.name) for pod in loaded.pods}
    return [target for target in owned_by(pods, loaded.owners) if tuple(target) not in kept]


def _is_replaced(pods: Pods, pod: Pod, loaded: Manifest) -> bool:
    """Whether a pod is removed and created again: one of a template is, as its controller would do
    it, where it cannot be changed in place.
    """
    if not loaded.owners or owner_of(pod) not in loaded.owners:
        return False
    return pods.queries.plan(pod, loaded.documents(pod)).kind == "replace"


def _check_images(settings: Settings, screen: Screen, pods: Sequence[Pod]) -> None:
    """Looks all images up before the first pod is created. Raises CliError with all missing."""
    from msgspec.structs import replace

    from kubelite.node.image.errors import ImageError
    from kubelite.node.kubelet.act import images

    home = open_home(settings)
    pulls = _shown_pulls(screen)
    missing: dict[str, Diagnostic] = {}
    with screen.waiting("looking for the images"):
        for pod in pods:
            for container in (*pod.spec.init_containers, *pod.spec.containers):
                spec = replace(pod.spec, init_containers=(), containers=(container,))
                try:
                    images.resolve(home, replace(pod, spec=spec), pulls=pulls)
                except ImageError as error:
                    text = f'pod "{pod.metadata.name}": {error.message}'
                    missing.setdefault(container.image or "", Diagnostic(text, hint=error.hint))
    if missing:
        raise CliError(*missing.values())


def _shown_pulls(screen: Screen) -> ImagePulls:
    """Pulls whose progress the terminal shows."""
    from kubelite.node.kubelet.act.images import ImagePulls

    def show(image: str, message: str) -> None:
        screen.say_waiting(message or f'Pulling image "{image}"')

    return ImagePulls(show=show)


def up_one(
    screen: Screen,
    pods: Pods,
    pod: Pod,
    documents: Sequence[Object] = (),
    *,
    replace: bool = False,
    unsafe_sysctls: Sequence[str] = (),
    cni: Directories | None = None,
) -> UpResult:
    """Brings one pod up and shows its steps. Interrupted, it says what is left of the pod."""
    name = pod.metadata.name or ""
    try:
        with screen.waiting(f"starting {name}: waiting for its containers"):
            result = pods.up(
                pod,
                documents=documents,
                replace=replace,
                unsafe_sysctls=unsafe_sysctls,
                cni=cni,
                pulls=_shown_pulls(screen),
                report=lambda step: screen.progress(step_line(step, screen)),
            )
    except KeyboardInterrupt:
        _show_interrupted(screen, pods, pod)
        raise
    for warning_text in result.warnings:
        screen.warn(Diagnostic(warning_text))
    return result


def _show_interrupted(screen: Screen, pods: Pods, pod: Pod) -> None:
    from kubelite.node.runtime.errors import NotFound

    name = pod.metadata.name or ""
    try:
        pods.queries.get(pod.metadata.namespace or "default", name)
    except NotFound:
        screen.note(f"interrupted: {name} was not up yet and has been removed")
    else:
        screen.note(f"interrupted: {name} exists; `kubelite pod down {name}` removes it")


def show_result(
    settings: Settings, screen: Screen, result: UpResult, pod: Doc, seconds: float, as_data: bool
) -> None:
    """Says what has become of a pod, on stdout with ``as_data``. Raises CliError if it is not up:
    it failed, or one of its containers has already ended and is restarted.
    """
    name = pod["metadata"]["name"]
    if result.failed:
        raise CliError(failure(settings, pod))
    if restarting := _restarting(settings, pod):
        raise CliError(restarting)
    if result.changed:
        line = f"{name} is updated in {seconds:.2f} s  (engine {result.engine_ms:.0f} ms)"
        for change in result.changed:
            screen.progress(f"{screen.err('green', '✓')} changed   {cell(change)}")
    elif not result.created:
        phase = pod["status"]["phase"]
        line = (
            f"{name} has ended ({phase}); use --replace to run it again"
            if phase in ("Succeeded", "Failed")
            else f"{name} is already up, nothing to do"
        )
    else:
        line = f"{name} is up in {seconds:.2f} s  (engine {result.engine_ms:.0f} ms)"
        follow = suggest_command(settings, f"pod logs -f {name}")
        fits = len(line) + len(_GAP) + len(follow) <= screen.columns or not screen.is_terminal
        line += (_GAP if fits else "\n") + screen.out("dim", follow)
    if not as_data:
        screen.note(line)
    elif not settings.quiet:
        screen.data(line + "\n")


def show_plan(screen: Screen, name: str, plan: Plan, replace: bool) -> None:
    """Says what would be done with a pod, one line for each change."""
    recreate = "would be taken down and recreated"
    heads = {
        "create": "would be created",
        "nothing": "is already up, nothing to do",
        "update": recreate if replace else "would be updated in place",
        "replace": recreate if replace else "must be recreated: use --replace",
    }
    lines = "".join(f"  {cell(line)}\n" for line in plan.lines)
    screen.data(f"{name} {heads[plan.kind]}\n{lines}")


def _show(screen: Screen, created: list[Doc], format: Output) -> None:
    from kubelite.cli.common import output

    if format is Output.name:
        screen.data("".join(f"pod/{pod['metadata']['name']}\n" for pod in created))
    elif format in (Output.json, Output.yaml):
        data = created[0] if len(created) == 1 else output.as_list(created)
        screen.data(output.document(data, format))


def step_line(step: Step, screen: Screen) -> str:
    """One step of bringing a pod up: its kind, its object, and how long it took. On one line of
    the terminal where its object is short enough.
    """
    took = f"{step.milliseconds:6.1f} ms" if step.milliseconds >= 0 else ""
    width = min(max(screen.columns - _BESIDE_OBJECT, 0), 44)
    check = screen.err("green", "✓")
    return f"{check} {cell(step.name):<9} {cell(step.detail):<{width}} {took}".rstrip()


def failure(settings: Settings, pod: Doc) -> Diagnostic:
    """Why a pod failed at once, from its status."""
    name = pod["metadata"]["name"]
    for container, subject in _container_statuses(pod):
        terminated = (container.get("state") or {}).get("terminated")
        if terminated is not None and terminated.get("exitCode"):
            logs = suggest_command(settings, f"pod logs {name} -c {container['name']}")
            return Diagnostic(
                f'pod "{name}" failed: {subject} exited with code {terminated["exitCode"]}',
                cause=terminated.get("message") or "",
                hint=f"`{logs}` shows its output",
            )
    return Diagnostic(f'pod "{name}" failed', cause=pod.get("status", {}).get("message") or "")


def _restarting(settings: Settings, pod: Doc) -> Diagnostic | None:
    """Names the container that keeps a pod from being up because it ends again and again."""
    name = pod["metadata"]["name"]
    for container, subject in _container_statuses(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("lastState") or {}).get("terminated")
        if waiting.get("reason") == "CrashLoopBackOff" and ended is not None:
            logs = suggest_command(settings, f"pod logs {name} -c {container['name']} -p")
            return Diagnostic(
                f'pod "{name}" is not up: {subject} exited with code {ended["exitCode"]} and is '
                "being restarted",
                cause=ended.get("message") or "",
                hint=f"`{logs}` shows its output; `kubelite pod events {name}` what happens",
            )
    return None


def _container_statuses(pod: Doc) -> Iterator[tuple[Object, str]]:
    """The statuses of a pod's containers, and how messages name each of them."""
    status = pod.get("status", {})
    for container in status.get("initContainerStatuses") or ():
        yield container, f'init container "{container["name"]}"'
    for container in status.get("containerStatuses") or ():
        yield container, f'container "{container["name"]}"'


def process_start() -> float:
    """When this process was started, in seconds of CLOCK_BOOTTIME: Python's own start counts as
    the command's time.
    """
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
