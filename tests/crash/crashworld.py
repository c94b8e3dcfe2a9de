"""Commands and agents that are killed at a chosen act, and what a pod has come to afterwards.

They run in forked children of the test: the same code, without Python's start each time.
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kubelite.node.kubelet.act import pod_events
from kubelite.node.kubelet.agent import agent_control
from kubelite.node.kubelet.agent.agent import Agent
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.errors import NotFound
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.log_reader import read
from kubelite.objects.pod.pod import Pod
from tests.e2e.world import SLOW

SECONDS = 30 * SLOW
ROOMS = Path(__file__).parents[2] / "kubelite/node"
TEMPLATES = ("kubelet", "runtime")


def templates() -> set[str]:
    """Every act that the code names, as a pattern: what stands for a container's name is left
    open.
    """
    found = set()
    for room in TEMPLATES:
        for path in sorted((ROOMS / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and _name(node.func) in ("trace", "_trace")
                    and node.args
                ):
                    found.add(_pattern(node.args[0]))
    return found - {""}


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _pattern(word: ast.expr) -> str:
    if isinstance(word, ast.Constant):
        return re.escape(str(word.value))
    if isinstance(word, ast.JoinedStr):
        return "".join(
            re.escape(str(p.value)) if isinstance(p, ast.Constant) else ".+" for p in word.values
        )
    return ""


class Fate:
    """What becomes of a child: it notes its acts in a file, and dies just before act number ``at``
    or the act ``until``, or ``late`` seconds after it."""

    def __init__(self, notes: Path, at: int = 0, late: float = 0.0, until: str = "") -> None:
        self._notes, self._at, self._late, self._until, self._count = notes, at, late, until, 0

    def __call__(self, act: str) -> None:
        self._count += 1
        with self._notes.open("a") as file:
            file.write(f"{act}\n")
        if self._count == self._at or act == self._until:
            if not self._late:
                _die(0)
            threading.Thread(target=_die, args=(self._late,), daemon=True).start()

    def acts(self) -> list[str]:
        return self._notes.read_text().splitlines() if self._notes.exists() else []


def _die(seconds: float) -> None:
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGKILL)


def child(act: Callable[[], Any]) -> int:
    """Runs ``act`` in a process of its own; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        act()
        code = 0
    except BaseException as error:  # noqa: BLE001 - told on stderr, and by the exit code
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def ended(pid: int, seconds: float = SECONDS) -> int:
    """Waits for a child; its exit code, negative for the signal that ended it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"process {pid} did not end within {seconds} s")


def quiet(_: object) -> None:
    return


class Ward:
    """One home with one pod in it that commands and agents are killed over."""

    def __init__(self, root: Path, pod: Pod, changed: Pod, tokens: Path) -> None:
        self.home, self.pod, self.changed, self.tokens = Home(str(root)), pod, changed, tokens
        self.notes = root.parent / "acts"
        self._agent = 0

    def verb(self, name: str, trace: Callable[[str], None] = quiet, **options: Any) -> None:
        """Carries out a verb of the command line in this process."""
        pods = Pods(self.home, trace=trace)
        if name in ("up", "update"):
            pods.up(self.pod if name == "up" else self.changed, report=quiet)
        elif name == "down":
            pods.down("default", "p", report=quiet, **options)
        else:
            getattr(pods, name)("default", "p", **options)

    def go(self) -> None:
        """From now on main containers that wait for it may end."""
        (self.tokens / "go").touch()

    def fate(self, at: int = 0, late: float = 0.0, until: str = "") -> Fate:
        self.notes.unlink(missing_ok=True)
        return Fate(self.notes, at, late, until)

    # -- the agent ---------------------------------------------------------------------------------

    def start_agent_unheard(self, fate: Callable[[str], None] | None = None) -> None:
        """An agent that stays, or is killed as soon as it has something to do."""
        self.home.make()
        self._agent = child(lambda: Agent(self.home, trace=fate, stays=True).run())

    def start_agent(self, fate: Callable[[str], None] | None = None) -> int:
        """An agent that stays; returns once it can be called."""
        self.start_agent_unheard(fate)
        self.until(
            lambda: (
                agent_control.running(self.home) is not None
                and agent_control.notify(self.home, "-")
            ),
            "the agent listens",
        )
        return self._agent

    def end_agent(self) -> None:
        if self._agent:
            try:
                os.kill(self._agent, signal.SIGKILL)
                os.waitpid(self._agent, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
            self._agent = 0
        # The shims call for another one when it is gone.
        agent_control.stop_agent(self.home)

    def take_down(self) -> None:
        """Without an agent, in a process of its own; nothing where the pod is gone already. A shim
        may have called for another agent, which removes the pod before `down` looks for it.
        """
        self.end_agent()
        if self.get() is not None:
            code = ended(child(lambda: self.verb("down", grace=0)))
            assert code == 0 or self.get() is None

    def agent_died(self) -> int:
        pid, self._agent = self._agent, 0
        return ended(pid)

    # -- what has become of the pod ----------------------------------------------------------------

    def get(self) -> dict[str, Any] | None:
        record = next(Ledger(self.home).pods(), None)
        if record is None:
            return None
        try:
            made: dict[str, Any] = msgspec.to_builtins(Pods(self.home).queries.get("default", "p"))
        except NotFound:
            return None
        return made

    def until(self, condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := condition():
                return found
            time.sleep(0.01)
        log = Path(self.home.run, agent_control.LOG)
        said = log.read_text() if log.exists() else ""
        raise AssertionError(
            f"not within {seconds} s: {what}\n{json.dumps(self.get(), indent=1)}\n{said}"
        )

    def story(self) -> str:
        """The last acts, and the pod's timeline."""
        acts = self.notes.read_text() if self.notes.exists() else ""
        told = [
            f"{e.time} {e.object} {e.reason} {e.message}"
            for e in Pods(self.home).queries.events("default", "p")
        ]
        return "\n".join([acts, *told])

    def report(self) -> dict[str, Any]:
        """What must be equal after a disturbed and an undisturbed run."""
        pod = self.get()
        if pod is None:
            return {}
        status = pod["status"]
        every = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
        return {
            "phase": status["phase"],
            "conditions": {c["type"]: c["status"] for c in status["conditions"]},
            "containers": {c["name"]: _brief(c) for c in every},
            "tokens": {
                path.name: path.read_text().split()
                for path in sorted(self.tokens.iterdir())
                if path.name != "go"
            },
            "logs": {c["name"]: self._logs(pod, c) for c in every},
            "started": self._started(pod["metadata"]["uid"]),
            "limit": self._limit(pod["metadata"]["uid"]) if status["phase"] == "Running" else "",
        }

    def _started(self, uid: str) -> dict[str, int]:
        """How often each container was said to have started."""
        events = pod_events.read(pod_events.path(self.home.pod(uid)))
        return {e.object: e.count for e in events if e.reason == pod_events.STARTED}

    def _limit(self, uid: str) -> str:
        """What the kernel holds the sidecar to, in bytes; "" while it does not run."""
        for name in ("memory.limit_in_bytes", "memory.max"):
            for path in Path("/sys/fs/cgroup").glob(
                f"*/{self.home.cgroup}/burstable/pod{uid}/side-0/{name}"
            ):
                try:
                    return path.read_text().strip()
                except OSError:
                    continue
        return ""

    def _logs(self, pod: dict[str, Any], container: dict[str, Any]) -> list[list[str]]:
        directory = (
            f"{self.home.pod_logs('default', 'p', pod['metadata']['uid'])}/{container['name']}"
        )
        attempts = range(max(container["restartCount"] - 1, 0), container["restartCount"] + 1)
        lines = (read(directory, attempt, tail=None, since=None, more=None) for attempt in attempts)
        return [[line.text.decode().rstrip() for line in each] for each in lines]


def _brief(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "restarts": container["restartCount"],
        "ready": container["ready"],
        "state": _end(container["state"]),
        "last": _end(container.get("lastState") or {}),
    }


def _end(state: dict[str, Any]) -> Any:
    ended = state.get("terminated")
    return (ended["exitCode"], ended["reason"]) if ended else sorted(state)
