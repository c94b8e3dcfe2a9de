"""A node of plain values: actions are carried out on records with a clock that is set by hand, and
rules are watched over.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubelite.node.kubelet.decide import restart_policy
from kubelite.node.kubelet.decide.actions import (
    ClearSandbox,
    CreateSandbox,
    Decision,
    FailPod,
    FinishRestart,
    RecordExit,
    Resize,
    RestartAll,
    ResumeStart,
    StartContainer,
    TimePoint,
    decide,
)
from kubelite.node.kubelet.decide.restart_policy import SECOND
from kubelite.node.kubelet.decide.stopping import Kill, MarkStop, RunHook, Terminate
from kubelite.node.runtime.records import (
    HOOK_BEGUN,
    HOOK_OVER,
    REMOVING,
    RESTART,
    RUN,
    ContainerRecord,
    ExitRecord,
    FinishedAttempt,
    ObservedContainer,
    ObservedPod,
    PodRecord,
    PodStop,
    SandboxRecord,
    Stop,
)
from kubelite.objects.pod.pod import Pod

WALL = 1_700_000_000 * SECOND
BOOT = "boot"
ANEW = 88
"""The exit code that restarts all containers, in pods with such a rule."""


class Node:
    """One pod on a simulated machine. ``now`` is CLOCK_BOOTTIME; the wall runs along."""

    def __init__(self, pod: Pod, max_backoff: int = restart_policy.MAX_BACKOFF) -> None:
        self.pod, self.max_backoff, self.now = pod, max_backoff, SECOND
        self.record = PodRecord(
            uid="u", namespace="default", name="p", stage="created", created_at=WALL,
            pod=msgspec.Raw(b"{}"), boot=BOOT,
            started=self.now,
        )  # fmt: skip
        self.sandbox: SandboxRecord | None = None
        self.up = False
        self.containers: dict[str, ObservedContainer] = {}
        self.hooks: list[tuple[str, str]] = []
        self.log: list[tuple[int, Any]] = []
        self.rules = {
            c.name: c.restart_policy_rules
            for c in (*pod.spec.init_containers, *pod.spec.containers)
        }
        self.kinds = {c.name: "init" for c in pod.spec.init_containers} | {
            c.name: "main" for c in (*pod.spec.containers, *pod.spec.ephemeral_containers)
        }

    def moment(self) -> TimePoint:
        return TimePoint(self.now, BOOT, WALL + self.now)

    def observed(self) -> ObservedPod:
        return ObservedPod(self.record, self.sandbox, self.up, tuple(self.containers.values()))

    def running(self) -> list[str]:
        return [name for name, observed in self.containers.items() if observed.running]

    # -- decide and act ----------------------------------------------------------------------------

    def settle(self) -> Decision:
        """Decides and acts until there is nothing left to do at this moment."""
        for _ in range(500):
            decision = decide(self.pod, self.observed(), self.moment(), self.max_backoff)
            if not decision.actions:
                return decision
            for action in decision.actions:
                self.log.append((self.now, action))
                self._do(action)
        raise AssertionError(f"no end of actions: {self.log[-6:]}")

    def _do(self, action: Any) -> None:
        match action:
            case CreateSandbox():
                assert not self.up, "a sandbox over another"
                number = sum(isinstance(each, CreateSandbox) for _, each in self.log)
                self.sandbox, self.up = (
                    SandboxRecord(uid="u", boot=BOOT, pause=f"pause-{number}"),
                    True,
                )
            case ClearSandbox():
                assert self.sandbox is not None
                self.sandbox.gone = True
            case StartContainer(name, attempt, backoff):
                self._start(name, attempt, backoff)
            case ResumeStart(name):
                self._run(self.containers[name].record)
            case RecordExit(name):
                self._note(name)
            case FailPod(reason, message):
                self.record.reason, self.record.message = reason, message
                self.record.stop = PodStop(
                    since=self.now, boot=BOOT, grace=restart_policy.grace(self.pod) * SECOND
                )
            case Resize():
                self.record.resize = False
            case RestartAll(name, code):
                self.record.goal, self.record.restart_reason = RESTART, f"{name} {code}"
                self.record.stop = PodStop(since=self.now, boot=BOOT, grace=0)
            case FinishRestart():
                for observed in self.containers.values():
                    self._restart(observed)
                self.record.goal, self.record.stop, self.record.reason = RUN, None, ""
            case MarkStop(name, grace, restart):
                self.containers[name].record.stop = Stop(
                    since=self.now, grace=grace, restart=restart
                )
            case RunHook(name, kind, _):
                self._hook(name, kind)
            case Terminate(name, _):
                self.containers[name].record.stop.signalled = self.now
            case Kill(name):
                self.containers[name].record.stop.killed = self.now
                self.ends(name, 137)

    def _restart(self, observed: ObservedContainer) -> None:
        if observed.last_exit is None:
            return
        source = self.record.restart_reason and observed.last_exit.code == ANEW
        if self.record.restart_reason:
            observed.record.sandbox = ""
            if observed.last_exit.force_restart:
                return  # as executor.py: one that waits already keeps its back-off
        observed.last_exit.force_restart = True
        if not source or not self.rules[observed.record.name]:
            observed.last_exit.not_before = observed.last_exit.backoff = 0

    def _start(self, name: str, attempt: int, backoff: int) -> None:
        observed = self.containers.get(name)
        assert observed is None or not observed.running, f"{name} is started while it runs"
        assert attempt == (observed.record.attempt + 1 if observed is not None else 0), (
            "an attempt was left out"
        )
        assert self.up, f"{name} is started without a sandbox"
        record = ContainerRecord(
            id=f"{name}-{attempt}", name=name, init=self.kinds[name] == "init", attempt=attempt,
            image="host", image_id="",
            created_at=self.now, env=(), cwd="/", uid=0, gid=0, groups=(), caps=(),
            no_new_privs=False, tty=False,
            stdin=False, oom_score_adj=0, sandbox=self.sandbox.pause, backoff=backoff,
        )  # fmt: skip
        self._run(record)

    def _run(self, record: ContainerRecord) -> None:
        before = self.containers.get(record.name)
        record.pid, record.ticks, record.started_at = 7, 1, WALL + self.now
        self.containers[record.name] = ObservedContainer(
            record, True, None, None, before.last_exit if before else None
        )

    def _note(self, name: str) -> None:
        observed = self.containers[name]
        record = observed.record
        code = observed.exit.code if observed.exit is not None else restart_policy.UNKNOWN_EXIT_CODE
        ran = observed.exit.finished_at - record.started_at if observed.exit is not None else 0
        again = record.stop is not None and record.stop.restart
        wait = (
            0
            if again
            else restart_policy.backoff_after(
                record.backoff, ran, restart_policy.max_backoff(self.pod, self.max_backoff)
            )
        )
        past = FinishedAttempt(
            id=record.id, name=name, init=record.init, attempt=record.attempt,
            sandbox=record.sandbox, image="", image_id="",
            code=code, signal=0, reason="", message="", created_at=0, started_at=record.started_at,
            finished_at=WALL + self.now, boot=BOOT, not_before=self.now + wait, backoff=wait,
            force_restart=again,
        )  # fmt: skip
        self.containers[name] = observed._replace(last_exit=past, running=False)

    def _hook(self, name: str, kind: str) -> None:
        record = self.containers[name].record
        if kind == "post_start":
            record.post_start_hook = HOOK_BEGUN
        else:
            record.stop.hook = HOOK_BEGUN
        self.hooks.append((record.id, kind))

    # -- what the world does -----------------------------------------------------------------------

    def ends(self, name: str, code: int) -> None:
        observed = self.containers[name]
        record = observed.record
        ending = ExitRecord(
            id=record.id,
            role=2,
            pid=7,
            code=code,
            signal=0,
            started_at=record.started_at,
            finished_at=WALL + self.now,
        )
        self.containers[name] = observed._replace(running=False, exit=ending)

    def hook_ends(self) -> None:
        """Every hook that was begun is over."""
        for id, kind in self.hooks:
            record = next((s.record for s in self.containers.values() if s.record.id == id), None)
            if record is not None and kind == "post_start":
                record.post_start_hook = HOOK_OVER
            elif record is not None and record.stop is not None:
                record.stop.hook = HOOK_OVER
        self.hooks.clear()

    def sandbox_dies(self) -> None:
        self.up = False
        for name in self.running():
            self.containers[name] = self.containers[name]._replace(running=False)

    def delete(self, grace: int | None = None) -> None:
        seconds = restart_policy.grace(self.pod) if grace is None else grace
        self.record.stage = REMOVING
        self.record.stop = PodStop(since=self.now, boot=BOOT, grace=seconds * SECOND)

    def started(self, name: str) -> list[int]:
        """When the container's attempts began, in seconds."""
        return [
            at // SECOND
            for at, action in self.log
            if isinstance(action, StartContainer) and action.name == name
        ]
