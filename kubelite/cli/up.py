"""``pod up``: from a manifest to running pods, each step shown as it happens."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from kubelite.cli import manifest
from kubelite.cli.engine import again, doc, pods
from kubelite.cli.screen import Screen
from kubelite.cli.text import CliError, Trouble, cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelite.cli.output import Output
    from kubelite.cli.podrow import Doc
    from kubelite.cli.settings import Settings
    from kubelite.cli.text import Paint
    from kubelite.node.kubelet.act.bringup import Step
    from kubelite.node.kubelet.act.updating import Plan
    from kubelite.node.kubelet.pods.pods import UpResult


def up(
    settings: Settings,
    source: str,
    *,
    lenient: bool = False,
    replace: bool = False,
    unsafe_sysctls: Sequence[str] = (),
    dry_run: bool = False,
    format: Output | None = None,
) -> int:
    """Creates every pod of the manifest, one after the other; all of it is checked before the
    first.

    Raises CliError with every problem of the manifest, and what the engine raises. Interrupted, it
    leaves nothing of the pod that was not up yet.
    """
    start = process_start()
    screen = Screen(settings)
    plan = manifest.load(source, namespace=settings.namespace, lenient=lenient)
    for warning in plan.warnings:
        screen.warn(warning)
    engine = pods(settings, screen)
    if dry_run:
        for pod in plan.pods:
            foretell(screen, pod.metadata.name or "", engine.plan(pod), replace)
        return 0
    done = []
    for pod in plan.pods:
        result = engine.up(
            pod,
            replace=replace,
            unsafe_sysctls=unsafe_sysctls,
            report=lambda step: screen.progress(step_line(step, screen.err)),
        )
        for said in result.warnings:
            screen.warn(Trouble(said))
        done.append(doc(result.pod))
        tell(
            settings,
            screen,
            result,
            done[-1],
            time.clock_gettime(time.CLOCK_BOOTTIME) - start,
            format is None,
        )
        start = time.clock_gettime(time.CLOCK_BOOTTIME)
    if format is not None:
        _show(screen, done, format)
    return 0


def tell(
    settings: Settings, screen: Screen, result: UpResult, pod: Doc, seconds: float, as_data: bool
) -> None:
    """Says what has become of a pod: as the command's output with ``as_data``. Raises CliError for
    one that failed.
    """
    name = pod["metadata"]["name"]
    if result.failed:
        raise CliError(failed(settings, pod))
    if result.changed:
        line = f"{name} is updated in {seconds:.2f} s  (engine {result.engine_ms:.0f} ms)"
        for change in result.changed:
            screen.progress(f"{screen.err('green', '✓')} changed   {cell(change)}")
    elif not result.created:
        phase = pod["status"]["phase"]
        ended = phase in ("Succeeded", "Failed")
        line = (
            f"{name} has ended ({phase}), --replace runs it again"
            if ended
            else f"{name} is already up, nothing to do"
        )
    else:
        follow = screen.out("dim", again(settings, f"pod logs -f {name}"))
        line = f"{name} is up in {seconds:.2f} s  (engine {result.engine_ms:.0f} ms)      {follow}"
    if not as_data:
        screen.note(line)
    elif not settings.quiet:
        screen.data(line + "\n")


def foretell(screen: Screen, name: str, plan: Plan, replace: bool) -> None:
    """Says what would be done with a pod, one line for each thing."""
    heads = {
        "create": "would be created",
        "nothing": "is already up, nothing to do",
        "update": "would be taken down and created anew"
        if replace
        else "would be updated in place",
        "replace": "would be taken down and created anew"
        if replace
        else "needs a new pod: --replace",
    }
    screen.data(
        f"{name} {heads[plan.kind]}\n" + "".join(f"  {cell(line)}\n" for line in plan.lines)
    )


def _show(screen: Screen, done: list[Doc], format: Output) -> None:
    from kubelite.cli import output

    if format.value == "name":
        screen.data("".join(f"pod/{pod['metadata']['name']}\n" for pod in done))
        return
    if format.value in ("json", "yaml"):
        screen.data(output.document(done[0] if len(done) == 1 else output.as_list(done), format))


def step_line(step: Step, paint: Paint) -> str:
    """One step of a pod's way up: its kind, what it was about, and how long it took."""
    took = f"{step.milliseconds:6.1f} ms" if step.milliseconds >= 0 else ""
    return f"{paint('green', '✓')} {cell(step.name):<9} {cell(step.detail):<44} {took}".rstrip()


def failed(settings: Settings, pod: Doc) -> Trouble:
    """Why a pod that came to its end at once failed, from its status."""
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    for kind, key in (
        ("init container", "initContainerStatuses"),
        ("container", "containerStatuses"),
    ):
        for each in status.get(key) or []:
            ended = (each.get("state") or {}).get("terminated")
            if ended is not None and ended.get("exitCode"):
                follow = again(settings, f"pod logs {name} -c {each['name']}")
                return Trouble(
                    f'pod "{name}" failed: {kind} "{each["name"]}" ended with exit code {ended["exitCode"]}',
                    cause=ended.get("message") or "",
                    hint=f"`{follow}` shows what it said",
                )
    return Trouble(f'pod "{name}" failed', cause=status.get("message") or "")


def process_start() -> float:
    """When this process was started, in seconds of CLOCK_BOOTTIME: Python's own start counts as the
    command's time.
    """
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
