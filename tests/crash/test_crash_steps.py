"""kill -9 at every act of every verb and of the agent: the pod gets where an undisturbed run gets.

Each container appends a token per start to a volume, and says a few lines: nothing is started twice or lost, no line is missing
or there twice, every exit code is right.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubelite.node.kubelet import claims
from kubelite.node.runtime.ledger import Ledger
from kubelite.objects import defaults
from kubelite.objects.pod import Pod
from kubelite.testing.host import difference, snapshot
from tests.crash.crashworld import Ward, child, ended, templates

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
RANDOM_KILLS = int(os.environ.get("KUBELITE_RANDOM_KILLS", "50"))
SEED = int(os.environ.get("KUBELITE_SEED", "1"))
HIT: set[str] = set()
ELSEWHERE = {
    "undo", "remove what a killed command left", "record failure", "kill containers", "kill container .+", "hook .+ of .+",
    "ask for start of .+",
}  # fmt: skip
"""Acts of other tests, and one that only a kill within the shim's start leads to."""
SAY = "trap 'echo bye; exit 0' TERM; echo token >> /tokens/{name}; for n in 1 2 3; do echo line $n; done; "
STAY = "while :; do sleep 0.02; done"
TWICE = "if [ $(wc -l < /tokens/{name}) = 1 ]; then exit 3; fi; exit 0"


def container(name: str, script: str, **more: Any) -> dict[str, Any]:
    mount = {"name": "tokens", "mountPath": "/tokens"}
    words = ["sh", "-c", (SAY + script).replace("{name}", name)]
    return {"name": name, "image": "host", "command": words, "volumeMounts": [mount], **more}


def made(tmp_path: Path, main: str, restart: str) -> Ward:
    """An init container, a sidecar and a main container."""
    tokens = tmp_path / "tokens"
    tokens.mkdir()

    def spec(memory: str, env: str) -> Pod:
        return defaults.pod(msgspec.convert({"metadata": {"name": "p"}, "spec": whole(tokens, main, restart, memory, env)}, Pod))

    return Ward(tmp_path / "k", spec("64Mi", "old"), spec("96Mi", "new"), tokens)


def whole(tokens: Path, main: str, restart: str, memory: str, env: str) -> dict[str, Any]:
    side = {"restartPolicy": "Always", "resources": {"limits": {"memory": memory}, "requests": {"memory": "32Mi"}}}
    return {
        "restartPolicy": restart,
        "terminationGracePeriodSeconds": 10,
        "volumes": [{"name": "tokens", "hostPath": {"path": str(tokens)}}],
        "initContainers": [container("init", ""), container("side", STAY, **side)],
        "containers": [container("main", main, env=[{"name": "WHICH", "value": env}])],
    }


@pytest.fixture
def clean(tmp_path: Path) -> Iterator[list[Ward]]:
    """Wards, taken down when the test is over: then the host is as it was."""
    root = tmp_path / "k"
    before, wards = snapshot(root), []
    yield wards
    for ward in wards:
        finish(ward)
    assert difference(before, snapshot(root)) == []


def finish(ward: Ward) -> None:
    ward.end_agent()
    if ward.get() is not None:
        assert ended(child(lambda: ward.verb("down", grace=0))) == 0
    assert ward.get() is None
    for path in ward.tokens.iterdir():
        path.unlink()


class Case:
    """A verb on a pod: how it comes to where the verb begins, and when it is over."""

    def __init__(self, name: str, main: str, restart: str) -> None:
        self.name, self.main, self.restart = name, main, restart

    def begin(self, ward: Ward) -> None:
        """The pod as the verb finds it."""
        if self.name != "up":
            ward.verb("up")
            ward.until(lambda: said_all(ward), "the containers have spoken")
        if self.name == "start":
            ward.verb("stop")

    def begun(self, ward: Ward) -> bool:
        """Whether the killed verb has left its wish on record; otherwise whoever gave it has to give it again."""
        pod, record = ward.get(), next(ward_pods(ward), None)
        if pod is None or record is None:
            return self.name == "down"
        if self.name == "up":
            return True
        if self.name == "update":
            return b'"new"' in bytes(record.pod)
        wished = {"stop": "stop", "restart": "restart", "start": "restart"}.get(self.name)
        noted = Ledger(ward.home).history(record.uid).get("main", ())
        moved = self.name in ("restart", "start") and (restarts(pod)["main"] == 1 or any(past.again for past in noted))
        return record.stage == "removing" if self.name == "down" else record.goal == wished or moved

    def over(self, ward: Ward) -> bool:
        if self.name == "down":
            return ward.get() is None and not list(Path("/sys/fs/cgroup").glob(f"*/{ward.home.cgroup}"))
        pod = ward.get()
        if pod is None:
            return False
        if self.name == "up":
            return pod["status"]["phase"] == "Succeeded" and not running(pod)
        if self.name == "stop":
            return not running(pod) and pod["status"].get("reason") == "Stopped"
        ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"] == "True"
        wanted = {"init": 0, "side": 0 if self.name == "update" else 1, "main": 1}
        again = restarts(pod) == wanted and next(ward_pods(ward)).goal == "run"
        resized = self.name != "update" or ward.report()["limit"] == str(96 << 20)
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
    )
}


def ward_pods(ward: Ward) -> Iterator[Any]:
    return Ledger(ward.home).pods()


def said_all(ward: Ward) -> bool:
    """Whether the last attempt of every container has said what it says when it starts."""
    return all(lines[-1:] == ["line 3"] for logs in ward.report().get("logs", {}).values() for lines in logs[-1:])


def restarts(pod: dict[str, Any]) -> dict[str, int]:
    status = pod["status"]
    return {c["name"]: c["restartCount"] for c in (*status["initContainerStatuses"], *status["containerStatuses"])}


def running(pod: dict[str, Any]) -> bool:
    status = pod["status"]
    return any("running" in c["state"] for c in (*status["initContainerStatuses"], *status["containerStatuses"]))


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
    assert ended(child(lambda: ward.verb(case.name, fate))) == 0
    reached = settled(ward, case)
    finish(ward)
    return reached, fate.acts(), agent.acts()


def first_of_each(acts: list[str]) -> dict[str, int]:
    """The number of the first act of each name that the code knows; acts of different containers are one."""
    known, found = sorted(templates(), key=lambda name: -len(name.replace(".+", ""))), {}
    for number, act in enumerate(acts, 1):
        name = next(pattern for pattern in known if re.fullmatch(pattern, act))
        found.setdefault(name, number)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_command_is_killed_at_each_of_its_acts(tmp_path: Path, clean: list[Ward], name: str) -> None:
    case = CASES[name]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    wanted, acts, _ = undisturbed(ward, case)
    for pattern, number in first_of_each(acts).items():
        strike_command(ward, case, number, 0.0)
        assert settled(ward, case) == wanted, acts[number - 1]
        HIT.add(pattern)
        finish(ward)


def strike_command(ward: Ward, case: Case, number: int, late: float) -> None:
    """A command is killed at an act; an agent is there, or comes afterwards."""
    if case.name != "up":
        ward.start_agent()
        case.begin(ward)
    fate = ward.fate(number, late)
    code = ended(child(lambda: ward.verb(case.name, fate)))
    assert code == -signal.SIGKILL or (late and code == 0), fate.acts()
    if case.name == "up":
        ward.start_agent()
    if not case.begun(ward):
        assert ended(child(lambda: ward.verb(case.name))) == 0


def test_the_agent_is_killed_at_each_of_its_acts(tmp_path: Path, clean: list[Ward]) -> None:
    case = CASES["up"]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    wanted, _, acts = undisturbed(ward, case)
    for pattern, number in first_of_each(acts).items():
        strike_agent(ward, case, number)
        assert settled(ward, case) == wanted, acts[number - 1]
        HIT.add(pattern)
        finish(ward)


def strike_agent(ward: Ward, case: Case, number: int) -> None:
    fate = ward.fate(number)
    ward.start_agent(fate)
    assert ended(child(lambda: ward.verb("up"))) == 0
    assert ward.agent_died() == -signal.SIGKILL, fate.acts()
    ward.start_agent()


def test_a_running_agent_sees_a_pod_whose_command_died_with_its_record(tmp_path: Path, clean: list[Ward]) -> None:
    """Nobody calls it: the command is killed after the pod is on record and before it does anything else."""
    case = CASES["up"]
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    ward.start_agent()

    def claim() -> None:
        claims.claim(ward.home, Ledger(ward.home), ward.pod)
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(child(claim)) == -signal.SIGKILL
    assert settled(ward, case)["tokens"] == {"init": ["token"], "main": ["token"] * 2, "side": ["token"]}


def test_an_agent_brings_back_a_sandbox_through_kills(tmp_path: Path, clean: list[Ward]) -> None:
    """Pause is killed; the agent is killed at each act of clearing and making the sandbox again."""
    case = Case("again", STAY, "Always")
    ward = made(tmp_path, case.main, case.restart)
    clean.append(ward)
    acts = lose_sandbox(ward, 0)
    for pattern, number in first_of_each(acts).items():
        lose_sandbox(ward, number)
        HIT.add(pattern)


def lose_sandbox(ward: Ward, number: int) -> list[str]:
    ward.start_agent()
    ward.verb("up")
    ward.end_agent()
    ward.until(lambda: all(spoken(ward.tokens / name) for name in ("side", "main")), "each container has left its token")
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
    tokens = {path.name: len(path.read_text().split()) for path in ward.tokens.iterdir()}
    assert tokens == {"init": 2, "side": 2, "main": 2}
    states = {c["name"]: c["lastState"]["terminated"]["exitCode"] for c in pod["status"]["containerStatuses"]}
    assert states == {"main": 137}
    finish(ward)
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


def test_kills_at_random_times(tmp_path: Path, clean: list[Ward]) -> None:
    """A command or an agent, at any time, in the middle of an act and of the shim's start too."""
    luck = random.Random(SEED)
    wards, results = {}, {}
    for name, case in CASES.items():
        place = tmp_path / name
        place.mkdir()
        wards[name] = made(place, case.main, case.restart)
        clean.append(wards[name])
        began = time.monotonic()
        reached, acts, agents = undisturbed(wards[name], case)
        results[name] = (reached, len(acts), len(agents), time.monotonic() - began)
    for number in range(RANDOM_KILLS):
        name = luck.choice(["up", "up", *CASES])
        ward, case = wards[name], CASES[name]
        wanted, acts, agents, _ = results[name]
        late = luck.choice([0.0001, 0.0005, 0.001, 0.003, 0.01])
        if name == "up" and luck.random() < 0.4:
            strike_agent_late(ward, luck.randint(1, agents), late)
        else:
            strike_command(ward, case, luck.randint(1, acts), late)
        reached = settled(ward, case)
        assert reached == wanted, f"kill {number} of seed {SEED}: {name}, {late} s after an act\n{ward.story()}"
        finish(ward)


def strike_agent_late(ward: Ward, number: int, late: float) -> None:
    ward.start_agent(ward.fate(number, late))
    assert ended(child(lambda: ward.verb("up"))) == 0
    time.sleep(late)
    ward.end_agent()
    ward.start_agent()


def test_every_named_act_was_hit() -> None:
    """Stands last: what the code names and no test above has reached would be untested."""
    missed = {name.replace("\\", "") for name in templates() - HIT} - ELSEWHERE
    assert missed == set()


