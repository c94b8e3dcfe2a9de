"""Two commands on one pod at the same time: one of them is stopped at any of its acts while the
other runs. And commands that are killed and given again while no agent is there.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kubelite.core.errors import ShimSilent
from kubelite.core.shim import Shim
from kubelite.node.kubelet.act import pod_events
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.errors import Conflict, NotFound, NotRunning
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import LOOK_SECONDS
from kubelite.node.runtime.records import ContainerRecord, PodRecord
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import SECONDS, Ward, child, ended, quiet
from tests.e2e.world import SLOW

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
VERBS = ("up", "update", "down", "stop", "start", "restart", "pause", "unpause")
REFUSED = 3
"""The exit code of a command that was refused because of what the other one did."""
UNSEEN = 4
"""The exit code of a command that was about to overwrite a record that it had not read."""
ROUNDS = int(os.environ.get("KUBELITE_INTERLEAVINGS", "10")) // SLOW + 1


def ward(tmp_path: Path) -> Ward:
    """A pod that needs no agent: an init container and a main one, each leaving a token per
    start. The main one says goodbye when it is asked to end.
    """
    tokens = tmp_path / "tokens"
    tokens.mkdir()

    def container(name: str, script: str, **more: Any) -> dict[str, Any]:
        bye = "trap 'echo bye >> /tokens/bye; exit 0' TERM"
        words = ["sh", "-c", f"{bye}; echo token >> /tokens/{name}; {script}"]
        mounts = [{"name": "tokens", "mountPath": "/tokens"}]
        return {"name": name, "image": "host", "command": words, "volumeMounts": mounts, **more}

    def spec(value: str) -> Pod:
        env = [{"name": "WHICH", "value": value}]
        wait = "while :; do sleep 0.02; done"
        parts = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 5,
            "volumes": [{"name": "tokens", "hostPath": {"path": str(tokens)}}],
            "initContainers": [container("init", "exit 0")],
            "containers": [container("main", wait, env=env)],
        }
        document = {"metadata": {"name": "p"}, "spec": parts}
        defaults.pod(document)
        return msgspec.convert(document, Pod)

    return Ward(tmp_path / "k", spec("old"), spec("new"), tokens)


def stop_at(number: int) -> Callable[[str], None]:
    """Stops this process before act ``number``."""
    acts = 0

    def trace(_: str) -> None:
        nonlocal acts
        acts += 1
        if acts == number:
            os.kill(os.getpid(), signal.SIGSTOP)

    return trace


def command(made: Ward, verb: str, trace: Callable[[str], None] = quiet) -> int:
    def act() -> None:
        refuse_unseen_writes()
        try:
            made.verb(verb, trace)
        except (NotFound, Conflict, NotRunning):
            os._exit(REFUSED)

    return child(act)


def refuse_unseen_writes() -> None:
    """Ends this process where it writes a pod's record that it read before the last change of it:
    what another command has put on record would be lost.
    """
    read, save = Ledger.pod, Ledger.save_pod
    seen: dict[int, tuple[PodRecord, bytes]] = {}

    def on_disk(ledger: Ledger, uid: str) -> bytes:
        path = Path(ledger.home.pod(uid), "pod.json")
        return path.read_bytes() if path.exists() else b""

    def noted_read(self: Ledger, uid: str) -> PodRecord | None:
        before = on_disk(self, uid)
        record = read(self, uid)
        if record is not None:
            seen[id(record)] = record, before
        return record

    def checked_save(self: Ledger, record: PodRecord) -> None:
        known = seen.get(id(record))
        if known is not None and known[1] != on_disk(self, record.uid):
            os.write(2, b"a record was to be overwritten that had changed meanwhile\n")
            os._exit(UNSEEN)
        save(self, record)
        seen[id(record)] = record, on_disk(self, record.uid)

    Ledger.pod, Ledger.save_pod = noted_read, checked_save  # type: ignore[method-assign]


def has_stopped(pid: int) -> bool:
    """Whether the process was stopped; False when it has ended first, and is waited for."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    return os.WIFSTOPPED(status)


def tokens(made: Ward, name: str) -> int:
    path = made.tokens / name
    return len(path.read_text().split()) if path.exists() else 0


@pytest.mark.parametrize("number", [1, 6, 12, 18, 22])
def test_a_parallel_up_waits_and_starts_nothing_twice(tmp_path: Path, number: int) -> None:
    """The second one sees a record that says "creating": it must not take the pod for abandoned."""
    made = ward(tmp_path)
    before = snapshot(tmp_path / "k")
    first = command(made, "up", stop_at(number))
    assert has_stopped(first)

    def up_again() -> None:
        result = Pods(made.home).up(made.pod, report=quiet)
        assert number == 1 or not result.created, "it was judged by what it was before"

    second = child(up_again)
    time.sleep(0.5)
    assert os.waitpid(second, os.WNOHANG) == (0, 0) or number == 1, "it waits for the first"
    os.kill(first, signal.SIGCONT)
    assert (ended(first), ended(second)) == (0, 0)
    assert (tokens(made, "init"), tokens(made, "main")) == (1, 1)
    pod = made.get()
    assert pod is not None and pod["status"]["phase"] == "Running"
    made.verb("down", grace=0)
    assert difference(before, snapshot(tmp_path / "k")) == []


@settings(
    max_examples=ROUNDS,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(VERBS), st.sampled_from(VERBS), st.integers(1, 30), st.booleans())
@example("up", "down", 12, False)
@example("down", "up", 2, True)
@example("update", "stop", 4, True)
@example("update", "down", 1, True)
@example("pause", "down", 1, True)
@example("pause", "restart", 1, True)
@example("pause", "update", 1, True)
def test_any_two_commands_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, first: str, second: str, number: int, is_up: bool
) -> None:
    """Both end, refused at most, and what they leave is one whole pod or none. Neither overwrites
    what the other has recorded, and each container that was to end was told so.
    """
    root = tmp_path_factory.mktemp("pair")
    made = ward(root)
    before = snapshot(root / "k")
    if is_up:
        made.verb("up")
    one = command(made, first, stop_at(number))
    stopped = has_stopped(one)
    two = command(made, second)
    if stopped:
        time.sleep(0.2)
        os.kill(one, signal.SIGCONT)
        assert ended(one) in (0, REFUSED)
    assert ended(two) in (0, REFUSED)
    pod = made.get()
    if pod is not None:
        (record,) = Ledger(made.home).pods()
        assert record.stage == "created"
        made.verb("down")
    assert made.get() is None
    assert tokens(made, "bye") >= tokens(made, "main"), "a container was killed"
    made.until(lambda: difference(before, snapshot(root / "k")) == [], "nothing is left", SECONDS)


ACTS = [
    "make volumes",
    "record sandbox",
    "start container init",
    "announce start of init",
    "record exit of init",
    "acknowledge exit of init",
    "start container main",
    "flush record",
    "announce start of main",
    "record that the pod is up",
]


@pytest.mark.parametrize("act", ACTS)
def test_a_killed_up_is_continued_by_the_next(tmp_path: Path, act: str) -> None:
    """No agent is there. Each container is started once, its log and its exit code are kept, and
    its start is announced once.
    """
    made = ward(tmp_path)
    before = snapshot(tmp_path / "k")
    assert ended(child(lambda: made.verb("up", made.fate(until=act)))) == -signal.SIGKILL
    (uid,) = (record.uid for record in Ledger(made.home).pods())
    assert ended(child(lambda: made.verb("up"))) == 0
    (record,) = Ledger(made.home).pods()
    assert record.uid == uid
    made.until(lambda: tokens(made, "main") == 1, "the main container has started")
    assert (tokens(made, "init"), tokens(made, "main")) == (1, 1)
    pod = made.get()
    assert pod is not None and pod["status"]["phase"] == "Running"
    (init,) = pod["status"]["initContainerStatuses"]
    assert init["state"]["terminated"]["reason"] == "Completed"
    assert announced(made, uid) == {"Started container init": 1, "Started container main": 1}
    made.verb("down", grace=0)
    assert difference(before, snapshot(tmp_path / "k")) == []


def announced(made: Ward, uid: str) -> dict[str, int]:
    """How often the start of each container was announced."""
    events = pod_events.read(pod_events.path(made.home.pod(uid)))
    return {e.message: e.count for e in events if e.reason == pod_events.STARTED}


@pytest.mark.parametrize("name", ["init", "main"])
def test_a_start_that_was_announced_and_not_recorded_is_announced_once(
    tmp_path: Path, name: str
) -> None:
    made = ward(tmp_path)

    def killed_in_between() -> None:
        save = Ledger.save_container

        def save_or_end(self: Ledger, uid: str, record: ContainerRecord) -> None:
            if record.name == name and record.ticks:
                os.kill(os.getpid(), signal.SIGKILL)
            save(self, uid, record)

        Ledger.save_container = save_or_end  # type: ignore[method-assign]
        made.verb("up")

    assert ended(child(killed_in_between)) == -signal.SIGKILL
    (uid,) = (record.uid for record in Ledger(made.home).pods())
    assert announced(made, uid)[f"Started container {name}"] == 1
    assert ended(child(lambda: made.verb("up"))) == 0
    assert announced(made, uid) == {"Started container init": 1, "Started container main": 1}
    made.verb("down", grace=0)


@pytest.mark.parametrize("act", ["start pause", *ACTS])
def test_a_killed_up_is_continued_though_nobody_looks(tmp_path: Path, act: str) -> None:
    """Once there is a shim, it calls for an agent; nobody gives another command."""
    made = ward(tmp_path)
    before = snapshot(tmp_path / "k")
    assert ended(child(lambda: made.verb("up", made.fate(until=act)))) == -signal.SIGKILL
    made.until(lambda: tokens(made, "main") == 1, "the main container has started")
    pod = made.until(
        lambda: (p := made.get()) and p["status"]["phase"] == "Running" and p, "the pod is up"
    )
    assert (tokens(made, "init"), tokens(made, "main")) == (1, 1)
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    made.verb("down", grace=0)
    made.end_agent()
    assert difference(before, snapshot(tmp_path / "k")) == []


def test_a_killed_up_of_another_manifest_is_taken_away(tmp_path: Path) -> None:
    made = ward(tmp_path)
    assert ended(child(lambda: made.verb("up", made.fate(until="flush record")))) == -signal.SIGKILL
    assert ended(child(lambda: made.verb("update"))) == 0
    (record,) = Ledger(made.home).pods()
    assert re.search(b'"new"', bytes(record.pod))
    Pods(made.home).down("default", "p", grace=0, report=quiet)


def test_a_shim_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start is on record whose answer nobody has seen, and the shim is stopped: looks say what
    there is on record, other verbs say that it does not answer, and down kills it.
    """
    made = ward(tmp_path)
    before = snapshot(tmp_path / "k")
    monkeypatch.setattr(Shim, "patience", 1)
    assert ended(child(lambda: made.verb("up", made.fate(until="flush record")))) == -signal.SIGKILL
    (record,) = Ledger(made.home).pods()
    sandbox = Ledger(made.home).sandbox(record.uid)
    assert sandbox is not None
    os.kill(sandbox.shim_pid, signal.SIGSTOP)
    queries = Pods(made.home).queries
    looks = (
        lambda: queries.list(None),
        lambda: queries.inspect("default", "p"),
        lambda: list(queries.logs("default", "p", "init")),
        lambda: queries.stats("default", "p"),
    )
    for look in looks:
        assert ended(child(look), 3 * LOOK_SECONDS + SECONDS / 5) == 0

    def stop() -> None:
        with pytest.raises(ShimSilent):
            made.verb("stop")

    assert ended(child(stop)) == 0
    assert ended(child(lambda: made.verb("down"))) == 0
    assert made.get() is None
    made.end_agent()
    made.until(lambda: difference(before, snapshot(tmp_path / "k")) == [], "nothing is left")
