"""``kubelite scheduler``, as it is typed."""

import json
import subprocess
import sys

import pytest
import yaml

from kubelite.control.scheduler import explain, simulate
from tests.control.scheduler.small import node, pod


@pytest.fixture
def files(tmp_path):
    objects = [node("a", cpu="2"), node("b", cpu="1"), pod("low", cpu="1500m", on="a")]
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump_all(objects))
    (tmp_path / "cluster.json").write_text(json.dumps({"kind": "List", "items": objects}))
    (tmp_path / "pod.yaml").write_text(yaml.safe_dump(pod("web", cpu="1", priority=10)))
    (tmp_path / "large.yaml").write_text(yaml.safe_dump(pod("large", cpu="2", priority=10)))
    (tmp_path / "pods.yaml").write_text(yaml.safe_dump([pod("web", cpu="1"), pod("more", cpu="9")]))
    return tmp_path


def kubelite(*words, cwd, stdin=None):
    """Runs the command as if in ``cwd``: paths of files there are made whole."""
    whole = [
        str(cwd / word) if (cwd / word).is_file() or word == "gone.yaml" else word for word in words
    ]
    command = [sys.executable, "-m", "kubelite", "scheduler", *whole]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_explain_says_what_the_function_says(files):
    objects = json.loads((files / "cluster.json").read_text())["items"]
    for name in ("pod", "large"):
        want = explain(objects, yaml.safe_load((files / f"{name}.yaml").read_text()))
        for cluster in ("cluster.yaml", "cluster.json"):
            ran = kubelite(
                "explain", "--cluster", cluster, "--pod", f"{name}.yaml", "-o", "json", cwd=files
            )
            assert (ran.returncode, json.loads(ran.stdout), ran.stderr) == (0, want, "")
    piped = (files / "cluster.json").read_text()
    ran = kubelite("explain", "--cluster", "-", "--pod", "pod.yaml", cwd=files, stdin=piped)
    assert ran.stdout.startswith("runs on b\n")
    assert "a      Insufficient cpu" in ran.stdout


def test_options_of_explain(files):
    words = ("--plugin", "NodeResourcesFit", "--plugin-args",
             'NodeResourcesFit={"scoringStrategy": {"type": "MostAllocated"}}',
             "--candidates", "b", "--balanced-formula", "state", "-o", "json")  # fmt: skip
    ran = kubelite("explain", "--cluster", "cluster.yaml", "--pod", "pod.yaml", *words, cwd=files)
    assert json.loads(ran.stdout)["nodes"]["b"]["scores"] == {"NodeResourcesFit": 51}


def test_a_preemption_is_told(files):
    ran = kubelite("explain", "--cluster", "cluster.yaml", "--pod", "large.yaml", cwd=files)
    assert ran.stdout.startswith("0/2 nodes are available: 2 Insufficient cpu.\n")
    assert "a (chosen)   default/low" in ran.stdout


def test_simulate(files):
    objects = json.loads((files / "cluster.json").read_text())["items"]
    ran = kubelite(
        "simulate", "--cluster", "cluster.yaml", "--pods", "pods.yaml", "-o", "json", cwd=files
    )
    assert json.loads(ran.stdout) == simulate(
        objects, yaml.safe_load((files / "pods.yaml").read_text())
    )
    ran = kubelite("simulate", "--cluster", "cluster.yaml", "--pods", "pods.yaml", cwd=files)
    assert ran.stdout.startswith("1 scheduled, 1 pending, 0 evicted\n")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--pod", "pod.yaml", "--plugin", "Foo"), 1, "error: there is no plug-in Foo"),
        (
            ("--pod", "pod.yaml", "--plugin-args", "NodeName"),
            2,
            "error: --plugin-args NodeName: expected NAME=JSON",
        ),
        (
            ("--pod", "pod.yaml", "--plugin-args", "NodeName={"),
            2,
            "error: --plugin-args NodeName: not JSON",
        ),
        (
            ("--pod", "pods.yaml"),
            1,
            "error: pods.yaml contains 2 pods; exactly one can be explained",
        ),
        (("--pod", "gone.yaml"), 1, "error: gone.yaml: No such file or directory"),
        ((), 2, "error: missing option '--pod'"),
    ],
)
def test_errors_are_a_sentence(files, words, code, said):
    ran = kubelite("explain", "--cluster", "cluster.yaml", *words, cwd=files)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert ran.stderr.replace(f"{files}/", "").startswith(said)
    assert "Traceback" not in ran.stderr
