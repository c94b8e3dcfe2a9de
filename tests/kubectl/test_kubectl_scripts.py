"""Every script in ``checks`` with every kubectl."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.control.debian import kubectl_of
from tests.kubectl.script import parse

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE / "checks").glob("*.txt"))


class Kubectl:
    def __init__(self, version: str, kubeconfig: str, namespace: str, home: Path) -> None:
        self._command = [kubectl_of(version), "--kubeconfig", kubeconfig, "--namespace", namespace]
        self._environment = {**os.environ, "HOME": str(home)}

    def run(self, *words: str) -> tuple[int, str]:
        done = subprocess.run(
            [*self._command, *words],
            cwd=HERE / "manifests",
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["new", "old"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, version: str, kubeconfig: str, tmp_path: Path) -> None:
    namespace = f"{script.stem}-{version}"
    kubectl = Kubectl(version, kubeconfig, namespace, tmp_path)
    assert kubectl.run("create", "namespace", namespace)[0] == 0
    problems: list[str] = []
    for step in parse(script.read_text(), namespace):
        if not step.runs_with(version):
            continue
        code, output = kubectl.run(*step.words)
        found = list(step.problems(code, output))
        if found:
            said = output if len(output) < 2000 else output[:2000] + "..."
            problems.append(
                f"{script.name}:{step.number}: kubectl "
                f"{' '.join(step.words)}: {'; '.join(found)}\n{said}"
            )
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("version", ["new", "old"])
def test_there_are_a_hundred_checks(version: str) -> None:
    steps = [
        step
        for script in SCRIPTS
        for step in parse(script.read_text(), "x")
        if step.runs_with(version)
    ]
    assert len(steps) >= 100
