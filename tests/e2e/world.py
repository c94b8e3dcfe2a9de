"""One kubelite of its own for a test: a root, the command line on it, and the proof that nothing
stays behind.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubelite.testing.host import difference, snapshot

OF_THE_TESTS = ("KUBELITE_STRICT", "KUBELITE_WERROR", "KUBELITE_DEBIAN_PACKAGES")
"""Variables that are no options of the command: with one that might be, it starts more slowly."""
SLOW = int(os.environ.get("KUBELITE_SLOW", "1"))
"""How much longer than ever this machine may take: above 1 on an emulated one."""
TIMEOUT = 60 * SLOW


class World:
    """A root directory and the real command line working on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        own = {"KUBELITE_ROOT": str(root), "KUBELITE_WARM_SECONDS": "0", "NO_COLOR": "1"}
        self.env = {**os.environ, **own}
        for name in OF_THE_TESTS:
            self.env.pop(name, None)

    def kl(
        self, *args: str, input: str | bytes | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``kubelite ARGS``; with ``check`` a failure fails the test and shows what was
        said.
        """
        data = input.encode() if isinstance(input, str) else input
        done = subprocess.run(
            [sys.executable, "-m", "kubelite", *args],
            input=data if data is not None else b"",
            capture_output=True,
            env=self.env,
            timeout=TIMEOUT,
        )
        result = subprocess.CompletedProcess(
            args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )
        if check:
            assert result.returncode == 0, (
                f"kubelite {' '.join(args)}: {result.returncode}\n{result.stdout}{result.stderr}"
            )
        return result

    def command(self, *args: str) -> list[str]:
        """The words of ``kubelite ARGS``."""
        return [sys.executable, "-m", "kubelite", *args]

    def start(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts ``kubelite ARGS`` and returns at once."""
        return subprocess.Popen([sys.executable, "-m", "kubelite", *args], env=self.env, **options)

    def up(
        self, pod: dict[str, Any] | str, *, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        text = pod if isinstance(pod, str) else yaml.safe_dump(pod, sort_keys=False)
        return self.kl("pod", "up", "-", input=text, check=check)

    def down(self, name: str) -> None:
        self.kl("pod", "down", name, "--grace-period", "0")

    def get(self, name: str) -> dict[str, Any]:
        """The pod object as ``pod ls NAME -o json`` gives it."""
        return json.loads(self.kl("pod", "ls", name, "-o", "json").stdout)

    def inspect(self, name: str) -> dict[str, Any]:
        return json.loads(self.kl("pod", "inspect", name, "-o", "json").stdout)

    def logs(self, name: str, container: str | None = None) -> str:
        which = ["-c", container] if container else []
        return self.kl("pod", "logs", name, *which).stdout

    def exec(self, name: str, script: str, container: str | None = None) -> str:
        which = ["-c", container] if container else []
        return self.kl("pod", "exec", name, *which, "--", "sh", "-c", script).stdout

    def output(self, pod: dict[str, Any], container: str = "c") -> str:
        """Brings up a pod that ends by itself, and returns what its container wrote."""
        name = pod["metadata"]["name"]
        self.up(pod)
        try:
            self.kl("pod", "wait", name, "--for=exited", "--timeout", "30s")
            return self.logs(name, container)
        finally:
            self.down(name)

    def files(self) -> set[str]:
        """Everything below the root that belongs to a pod. What goes meanwhile is no error."""
        return {
            os.path.relpath(os.path.join(parent, name), self.root)
            for part in ("pods", "logs", "run/pods", "run/leases", "run/locks")
            for parent, directories, files in os.walk(self.root / part)
            for name in (*directories, *files)
        }


def pod(
    script: str = "", *, name: str = "p", spec: dict[str, Any] | None = None, **container: Any
) -> dict[str, Any]:
    """A pod of one container ``c`` that runs a shell script from the image ``host``."""
    main = {"name": "c", "image": "host", **container}
    if script:
        main["command"] = ["sh", "-c", script]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [main], **(spec or {})},
    }


SLEEP = "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"


def eventually(condition: Callable[[], Any], what: str, seconds: float = 15) -> Any:
    """Polls until the condition gives something true; fails the test after ``seconds``, more on a
    slow machine.
    """
    deadline = time.monotonic() + seconds * SLOW
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid), f"process {pid} is gone")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A kubelite of its own; when the test is over its pods are taken down and the host is as
    before.
    """
    root = tmp_path / "k"
    before = snapshot(root)
    made = World(root)
    yield made
    for item in json.loads(made.kl("pod", "ls", "-A", "-o", "json").stdout)["items"]:
        meta = item["metadata"]
        made.kl("pod", "down", meta["name"], "-n", meta["namespace"], "--grace-period", "0")
    eventually(
        lambda: made.files() == set(),
        "an agent that waited for a pod's lock has seen that it is gone",
        20,
    )
    changes = difference(before, snapshot(root))
    assert changes == [], changes
