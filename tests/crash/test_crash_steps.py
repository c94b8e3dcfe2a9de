"""kill -9 at every act of every verb and of the agent: the pod gets where an undisturbed run gets.

Each container appends a token per start to a volume, and says a few lines: nothing is started twice
or lost, no line is missing or there twice, every exit code is right.
"""

from __future__ import annotations

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet.act import pod_names
from kubelite.node.runtime.ledger import Ledger
from kubelite.objects.pod.pod import Pod
from kubelite.objects.rules.pods import defaults
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import Ward, child, ended, templates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
HIT: set[str] = set()
GROUP = 4321
SAY = (
    "trap 'echo bye; exit 0' TERM; echo token >> /tokens/{name}; "
    "for n in 1 2 3; do echo line $n; done; "
)
WAIT = "while :; do sleep 0.02; done"
HOOKED = "until [ -e /hooked ]; do sleep 0.02; done; "
STAY = HOOKED + WAIT
GO = HOOKED + "until [ -e /tokens/go ]; do sleep 0.02; done; "
TWICE = GO + "if [ $(wc -l < /tokens/{name}) = 1 ]; then exit 3; fi; exit 0"
ONCE_MORE = GO + "if [ $(wc -l < /tokens/{name}) = 1 ]; then exit 88; fi; " + WAIT
DEAF = "trap '' TERM; " + STAY
HOOKS = {
    "postStart": {"exec": {"command": ["touch", "/hooked"]}},
    "preStop": {"exec": {"command": ["true"]}},
}
ANEW = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [88]}}


def container(name: str, script: str, **more: Any) -> dict[str, Any]:
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("tokens", "data", "cache")]
    words = ["sh", "-c", (SAY + script).replace("{name}", name)]
    return {"name": name, "image": "host", "command": words, "volumeMounts": mounts, **more}


def made(tmp_path: Path, main: str, restart: str, **more: Any) -> Ward:
    """An init container, a sidecar and a main container with hooks."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()

    def spec(memory: str, env: str) -> Pod:
        parts = {**whole(tokens, main, restart, memory, env), **more}
        document = {"metadata": {"name": "p"}, "spec": parts}
        defaults.pod(document)
        return msgspec.convert(document, Pod)

    return Ward(tmp_path / "k", spec("64Mi", "old"), spec("96Mi", "new"), tokens)


def whole(tokens: Path, main: str, restart: str, memory: str, env: str) -> dict[str, Any]:
    side = {
        "restartPolicy": "Always",
        "resources": {"limits": {"memory": memory}, "requests": {"memory": "32Mi"}},
    }
    return {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {"fsGroup": GROUP},
        "volumes": [
            {"name": "tokens", "hostPath": {"path": str(tokens)}},
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "cache", "emptyDir": {"medium": "Memory"}},
        ],
        "initContainers": [container("init", ""), container("side", WAIT, **side)],
        "containers": [
            container(
                "main",
                main,
                env=[{"name": "WHICH", "value": env}],
                lifecycle=HOOKS,
                restartPolicy=restart,
                restartPolicyRules=[ANEW],
            )
        ],
    }


@pytest.fixture
def clean(tmp_path: Path) -> Iterator[list[Ward]]:
    """Wards, taken down when the test is over: then the host is as it was."""
    root = tmp_path / "k"
    before, wards = snapshot(root), []
    yield wards
    for ward in wards:
        check_nothing_left(ward)
    assert difference(before, snapshot(root)) == []


def check_nothing_left(ward: Ward) -> None:
    ward.take_down()
    assert ward.get() is None
    claim = Path(ward.home.claim("default", "data"))
    assert set(claim.parent.glob("*")) - {claim.parent / ".lock"} <= {claim}
    if claim.exists():
        status = claim.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o2777, GROUP)
    for path in ward.tokens.iterdir():
        path.unlink()


class Case:
    """A verb on a pod: how it comes to where the verb begins, and when it is over."""

    def __init__(self, name: str, main: str, restart: str, verb: str = "", **options: Any) -> None:
        self.name, self.main, self.restart = name, main, restart
        self.verb, self.options = verb or name, options

    def begin(self, ward: Ward) -> None:
        """The pod as the verb finds it."""
        if self.verb != "up":
            ward.verb("up")
            ward.until(lambda: said_all(ward), "the containers have spoken")
        if self.verb == "start":
            ward.verb("stop")

    def begun(self, ward: Ward) -> bool:
        """Whether the killed verb has left its wish on record; otherwise whoever gave it has to
        give it again.
        """
        pod, record = ward.get(), next(ward_pods(ward), None)
        if pod is None or record is None:
            return self.verb == "down"
        if self.verb == "up":
            return True
        if self.verb == "update":
            return b'"new"' in bytes(record.pod)
        wished = {"stop": "stop", "restart": "restart", "start": "restart"}.get(self.verb)
        noted = Ledger(ward.home).history(record.uid).get("main", ())
        moved = self.verb in ("restart", "start") and (
            restarts(pod)["main"] == 1 or any(past.force_restart for past in noted)
        )
        return record.stage == "removing" if self.verb == "down" else record.goal == wished or moved

    def over(self, ward: Ward) -> bool:
        if self.verb == "down":
            return ward.get() is None and not list(
                Path("/sys/fs/cgroup").glob(f"*/{ward.home.cgroup}")
            )
        pod = ward.get()
        if pod is None:
            return False
        if self.name == "up":
            return pod["status"]["phase"] == "Succeeded" and not running(pod)
        if self.verb == "stop":
            return not running(pod) and pod["status"].get("reason") == "Stopped"
        ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "True"
        wanted = {
            "init": int(self.name == "anew"),
            "side": 0 if self.verb == "update" else 1,
            "main": 1,
        }
        again = restarts(pod) == wanted and next(ward_pods(ward)).goal == "run"
        resized = self.verb != "update" or ward.report()["limit"] == str(96 << 20)
        return ready and again and resized and said_all(ward)


CASES = {
    case.name: case
    for case in (
        Case("up", TWICE, "OnFailure"),
        Case("restart", STAY, "Always"),
        Case("stop", STAY, "Always"),
        Case("update", STAY, "Always"),
        Case("start", STAY, "Always"),
        Case("down", STAY, "Always"),
        Case("deaf", DEAF, "Always", "stop", grace=1),
        Case("anew", ONCE_MORE, "Never", "up"),
    )
}


def ward_pods(ward: Ward) -> Iterator[Any]:
    return Ledger(ward.home).pods()


def said_all(ward: Ward) -> bool:
    """Whether the last attempt of every container has said what it says when it starts."""
    return all(
        lines[-1:] == ["line 3"]
        for logs in ward.report().get("logs", {}).values()
        for lines in logs[-1:]
    )


def restarts(pod: dict[str, Any]) -> dict[str, int]:
    status = pod["status"]
    return {
        c["name"]: c["restartCount"]
        for c in (*status.get("initContainerStatuses", []), *status["containerStatuses"])
    }


def running(pod: dict[str, Any]) -> bool:
    status = pod["status"]
    return any(
        "running" in c["state"]
        for c in (*status.get("initContainerStatuses", []), *status["containerStatuses"])
    )


def settled(ward: Ward, case: Case) -> dict[str, Any]:
    ward.until(lambda: case.over(ward), f"{case.name} is over")
    return ward.report()


def undisturbed(ward: Ward, case: Case) -> tuple[dict[str, Any], list[str], list[str]]:
    """What is reached, the command's acts, and the agent's."""
    agent = ward.fate()
    agent._notes = ward.notes.with_suffix(".agent")
    agent._notes.unlink(missing_ok=True)
    ward.start_agent(agent)
    case.begin(ward)
    fate = ward.fate()
    assert ended(child(lambda: ward.verb(case.verb, fate, **case.options))) == 0
    ward.go()
    reached = settled(ward, case)
    check_nothing_left(ward)
    return reached, fate.acts(), agent.acts()


def first_of_each(acts: list[str]) -> dict[str, int]:
    """The number of the first act of each name that the code knows; acts of different containers
    are one.
    """
    known, found = sorted(templates(), key=lambda name: -len(name.replace(".+", ""))), {}
    for number, act in enumerate(acts, 1):
        name = next(pattern for pattern in known if re.fullmatch(pattern, act))
        found.setdefault(name, number)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_command_is_killed_at_each_of_its_acts(
    tmp_path: Path, clean: list[Ward], name: str
) -> None:
    case = CASES[name]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    wanted, acts, _ = undisturbed(ward, case)
    for pattern, number in first_of_each(acts).items():
        strike_command(ward, case, number, 0.0)
        assert settled(ward, case) == wanted, acts[number - 1]
        HIT.add(pattern)
        check_nothing_left(ward)


def strike_command(ward: Ward, case: Case, number: int, late: float) -> None:
    """A command is killed at an act; an agent is there, or comes afterwards."""
    if case.verb != "up":
        ward.start_agent()
        case.begin(ward)
    ward.go()
    fate = ward.fate(number, late)
    code = ended(child(lambda: ward.verb(case.verb, fate, **case.options)))
    assert code == -signal.SIGKILL or (late and code == 0), fate.acts()
    if case.verb == "up":
        ward.start_agent()
    if not case.begun(ward):
        assert ended(child(lambda: ward.verb(case.verb, **case.options))) == 0


@pytest.mark.parametrize("name", ["up", "anew"])
def test_the_agent_is_killed_at_each_of_its_acts(
    tmp_path: Path, clean: list[Ward], name: str
) -> None:
    case = CASES[name]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    wanted, _, acts = undisturbed(ward, case)
    for pattern, number in first_of_each(acts).items():
        strike_agent(ward, case, number)
        assert settled(ward, case) == wanted, acts[number - 1]
        HIT.add(pattern)
        check_nothing_left(ward)


def strike_agent(ward: Ward, case: Case, number: int) -> None:
    fate = ward.fate(number)
    ward.start_agent(fate)
    assert ended(child(lambda: ward.verb("up"))) == 0
    ward.go()
    assert ward.agent_died() == -signal.SIGKILL, fate.acts()
    ward.start_agent()


def test_a_running_agent_sees_a_pod_whose_command_died_with_its_record(
    tmp_path: Path, clean: list[Ward]
) -> None:
    """Nobody calls it: the command is killed after the pod is on record and before it does anything
    else.
    """
    case = CASES["up"]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    ward.start_agent()

    def claim() -> None:
        pod_names.claim(ward.home, Ledger(ward.home), ward.pod)
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(child(claim)) == -signal.SIGKILL
    ward.go()
    assert settled(ward, case)["tokens"] == {
        "init": ["token"],
        "main": ["token"] * 2,
        "side": ["token"],
    }


def test_the_agent_is_killed_at_the_end_of_the_deadline(tmp_path: Path, clean: list[Ward]) -> None:
    ward = made(tmp_path, STAY, "Always", activeDeadlineSeconds=2)
    clean.append(ward)
    fate = ward.fate(until="record failure")
    ward.start_agent(fate)
    ward.verb("up")
    assert ward.agent_died() == -signal.SIGKILL, fate.acts()
    ward.start_agent()
    pod = ward.until(
        lambda: (p := ward.get()) and not running(p) and p, "the deadline has ended all"
    )
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert [c["state"]["terminated"]["exitCode"] for c in pod["status"]["containerStatuses"]] == [0]
    assert ward.report()["tokens"] == {"init": ["token"], "main": ["token"], "side": ["token"]}
    HIT.add(re.escape("record failure"))


def test_who_finishes_a_start_is_killed_too(tmp_path: Path, clean: list[Ward]) -> None:
    """A command is killed between asking for a start and the answer, and so is the agent that asks
    how that start went.
    """
    ward = made(tmp_path, STAY, "Always", initContainers=[])
    clean.append(ward)
    fate = ward.fate(until="flush record")
    assert ended(child(lambda: ward.verb("up", fate))) == -signal.SIGKILL
    fate = ward.fate(until="find start of main")
    ward.start_agent_unheard(fate)
    assert ward.agent_died() == -signal.SIGKILL, fate.acts()
    ward.start_agent()
    pod = ward.until(lambda: (p := ward.get()) and running(p) and said_all(ward) and p, "it runs")
    assert restarts(pod) == {"main": 0} and ward.report()["tokens"] == {"main": ["token"]}
    HIT.add(re.escape("find start of ") + ".+")


def test_a_failed_start_is_undone_through_kills(tmp_path: Path, clean: list[Ward]) -> None:
    """Killed just before it undoes what it made, and again when it continues; and while it removes
    what was left of it.
    """
    ward = made(
        tmp_path,
        STAY,
        "Always",
        initContainers=[container("init", "", command=["/no/such/program"])],
    )
    clean.append(ward)
    for act in ("undo", "continue an interrupted up", "undo", "remove files"):
        fate = ward.fate(until=act)
        assert ended(child(lambda fate=fate: ward.verb("up", fate))) == -signal.SIGKILL, fate.acts()
        HIT.add(re.escape(act))
    fate = ward.fate(until="remove what a killed command left")
    assert ended(child(lambda: ward.verb("up", fate))) == -signal.SIGKILL, fate.acts()
    HIT.add(re.escape("remove what a killed command left"))
    assert ended(child(lambda: ward.verb("up"))) == 1
    assert ward.get() is None and not list(ward.tokens.iterdir())


def test_an_agent_brings_back_a_sandbox_through_kills(tmp_path: Path, clean: list[Ward]) -> None:
    """Pause is killed; the agent is killed at each act of clearing and making the sandbox again."""
    case = Case("again", STAY, "Always")
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    acts = lose_sandbox(ward, 0)
    for pattern, number in first_of_each(acts).items():
        lose_sandbox(ward, number)
        HIT.add(pattern)


def test_a_pause_that_is_killed_before_its_record_has_paused_nothing(
    tmp_path: Path, clean: list[Ward]
) -> None:
    case = Case("pause", STAY, "Always")
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    ward.start_agent()
    ward.verb("up")
    act = "record that the pod is paused"
    fate = ward.fate(until=act)
    assert ended(child(lambda: ward.verb("pause", fate))) == -signal.SIGKILL, fate.acts()
    HIT.add(re.escape(act))
    for record in ward_pods(ward):
        assert not record.paused
    ward.verb("pause")
    ward.verb("unpause")
    pod = ward.get()
    assert pod is not None and running(pod)
    check_nothing_left(ward)


def lose_sandbox(ward: Ward, number: int) -> list[str]:
    ward.start_agent()
    ward.verb("up")
    ward.end_agent()
    ward.until(
        lambda: all(spoken(ward.tokens / name) for name in ("side", "main")),
        "each container has left its token",
    )
    fate = ward.fate(number)
    pause = next(iter(ward_sandboxes(ward))).pause_pid
    os.kill(pause, signal.SIGKILL)
    ward.start_agent_unheard(fate)
    if number:
        assert ward.agent_died() == -signal.SIGKILL, fate.acts()
        ward.start_agent()
    pod = ward.until(lambda: back(ward), "the pod is back")
    acts = fate.acts()
    assert restarts(pod) == {"init": 1, "side": 1, "main": 1}
    tokens = {name: len(found) for name, found in ward.report()["tokens"].items()}
    assert tokens == {"init": 2, "side": 2, "main": 2}
    states = {
        c["name"]: c["lastState"]["terminated"]["exitCode"]
        for c in pod["status"]["containerStatuses"]
    }
    assert states == {"main": 137}
    check_nothing_left(ward)
    return acts


def spoken(path: Path) -> bool:
    """Whether a container was given the time to say that it runs."""
    return path.exists() and path.read_text() != ""


def back(ward: Ward) -> dict[str, Any] | None:
    pod = ward.get()
    if pod is None or restarts(pod)["main"] != 1 or not running(pod):
        return None
    conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
    tokens = ward.tokens / "main"
    return pod if conditions["Ready"] == "True" and len(tokens.read_text().split()) == 2 else None


def ward_sandboxes(ward: Ward) -> Iterator[Any]:
    ledger = Ledger(ward.home)
    return (found for record in ledger.pods() if (found := ledger.sandbox(record.uid)) is not None)


OF_A_CLUSTER = {"publish volume of a driver", "unpublish volumes of drivers"}
"""Only pods that come through the API have these: see tests/cluster/test_cluster_csi.py."""


def test_every_named_act_was_hit() -> None:
    """Stands last: what the code names and no test above has reached would be untested."""
    missed = {name.replace("\\", "") for name in templates() - HIT}
    assert missed == OF_A_CLUSTER
