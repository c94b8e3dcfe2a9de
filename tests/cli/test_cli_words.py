"""What people type: names of pods, words from habit, times, operands of cp, completion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubelite.cli.common import durations, habits, targets
from kubelite.cli.common.completion import candidates
from kubelite.cli.common.diagnostic import CliError
from kubelite.cli.main import COMMANDS, GROUPS
from kubelite.cli.pod.cp import Operand, parse_operand
from kubelite.cli.pod.run import default_name, manifest_of


@pytest.mark.parametrize(
    ("text", "name"), [("web", "web"), ("pod/web", "web"), ("pods/a.b", "a.b"), ("PO/x", "x")]
)
def test_names_of_pods(text: str, name: str) -> None:
    assert targets.pod_name(text) == name


@pytest.mark.parametrize("text", ["deployment/web", "default/web", "a/b/c", "pod/"])
def test_what_is_not_the_name_of_a_pod_is_wrong_usage(text: str) -> None:
    with pytest.raises(CliError) as error:
        targets.pod_name(text)
    assert error.value.diagnostics[0].exit_code == 2


def test_files_and_names_are_told_apart(tmp_path: Path) -> None:
    for operand in ("-", "./web", "web.yaml", "a/b", "x.json"):
        assert targets.is_file(operand)
    for operand in ("web", "pod/web", "web.yaml.d"):
        assert not targets.is_file(operand)


def test_a_directory_stands_for_the_manifests_directly_in_it(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "README.md"):
        (tmp_path / name).write_text("")
    (tmp_path / "inner").mkdir()
    found = targets.manifest_files([str(tmp_path), "-", "x.yaml"])
    assert [Path(path).name for path in found] == ["a.yml", "b.yaml", "c.json", "-", "x.yaml"]
    with pytest.raises(CliError, match="contains no manifest"):
        targets.manifest_files([str(tmp_path / "inner")])
    with pytest.raises(CliError, match="name a manifest"):
        targets.manifest_files([])


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ps -A", "pod ls -A"),
        ("ps -a", "pod ls"),
        ("images --all", "image ls"),
        ("list pods", "pod ls"),
        ("list pod/web", "pod ls web"),
        ("list images", "image ls"),
        ("pod get web -o yaml", "pod ls web -o yaml"),
        ("pod apply -f web.yaml", "pod up -f web.yaml"),
        ("rm web", "pod down web"),
        ("images", "image ls"),
        ("rmi web", "image rm web"),
        ("pull nginx", "image pull nginx"),
        ("push x", "image push x"),
        ("build .", "image build ."),
        ("history web:1", "image history web:1"),
        ("info", "system info"),
        ("pods", "pod ls"),
        ("pod list", "pod ls"),
        ("pod rm web", "pod down web"),
        ("pod delete web", "pod down web"),
        ("image list", "image ls"),
        ("help", "--help"),
    ],
)
def test_words_from_habit_lead_to_the_command(typed: str, meant: str) -> None:
    assert habits.translate(typed.split()) == meant.split()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("get pods -l app=web", "pod ls -l app=web"),
        ("get po/web -o yaml", "pod ls web -o yaml"),
        ("get images", "image ls"),
        ("describe pod web", "pod describe web"),
        ("describe web", "pod describe web"),
        ("delete pod/web", "pod down web"),
        ("delete web", "pod down web"),
        ("delete -f web.yaml", "pod down -f web.yaml"),
        ("apply -f web.yaml", "pod up -f web.yaml"),
        ("logs web --tail 3", "pod logs web --tail 3"),
        ("run --rm host -- true", "pod run --rm host -- true"),
        ("get nodes", None),
        ("get", None),
        ("delete deploy/web", None),
        ("create configmap c", None),
        ("scale deploy/web --replicas 3", None),
        ("logs web --context other", None),
        ("get pods --kubeconfig=k", None),
    ],
)
def test_verbs_of_a_cluster_are_for_pods_of_this_machine_without_one(
    typed: str, meant: str | None
) -> None:
    assert habits.without_cluster(typed.split()) == (meant.split() if meant else None)


@pytest.mark.parametrize(
    "typed",
    ["list deployments", "pod scale", "pod edit web", "up web.yaml", "up -f web.yaml", "down web"],
)
def test_words_from_habit_without_a_command_are_answered(typed: str) -> None:
    with pytest.raises(CliError) as error:
        habits.translate(typed.split())
    assert error.value.diagnostics[0].hint and error.value.diagnostics[0].exit_code == 2


@pytest.mark.parametrize(
    "typed", ["", "fly", "pod fly", "explain KL104", "up", "up --port 1", "down --keep"]
)
def test_other_words_are_left_alone(typed: str) -> None:
    assert habits.translate(typed.split()) is None


def test_every_translation_is_a_command_of_the_table() -> None:
    for verb in habits._POD_VERBS | set(habits._POD_SYNONYMS.values()):
        assert f"pod {verb}" in COMMANDS
    for words in habits._TOP_LEVEL.values():
        assert words == ["--help"] or " ".join(words) in COMMANDS
    for verb in habits._IMAGE_SYNONYMS.values():
        assert f"image {verb}" in COMMANDS


@pytest.mark.parametrize(
    ("text", "operand"),
    [
        ("web:/a", Operand("web", "/a")),
        ("web:a", Operand("web", "/a")),
        ("other/web:/a", Operand("web", "/a", "other")),
        ("pod/web:/a", Operand("web", "/a")),
        ("./a:b", Operand("", "./a:b")),
        ("/a:b", Operand("", "/a:b")),
        ("a/b/c:d", Operand("", "a/b/c:d")),
        ("-", Operand("", "-")),
    ],
)
def test_operands_of_cp(text: str, operand: Operand) -> None:
    assert parse_operand(text) == operand


def test_times() -> None:
    assert durations.parse_time("1970-01-01T00:01:00Z") == 60
    assert durations.parse_time("1970-01-01T01:00:00+01:00") == 0
    for text in ("yesterday", "", "2026-11-30", "2026-11-30T12:00:00"):
        with pytest.raises(ValueError, match="is not a time"):
            durations.parse_time(text)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("nginx", "nginx"),
        ("docker.io/library/nginx:1.29", "nginx"),
        ("localhost:5000/a/My_App@sha256:" + "0" * 64, "my-app"),
        ("___", "pod"),
    ],
)
def test_a_pod_is_named_after_its_image(image: str, name: str) -> None:
    assert default_name(image) == name


def test_the_manifest_of_run() -> None:
    made = manifest_of("web", "web:1", ["sh"], ["A=b=c"], ["x=y,z=1"], [80])
    assert made["metadata"] == {"name": "web", "labels": {"x": "y", "z": "1"}}
    assert made["spec"]["containers"] == [
        {
            "name": "web",
            "image": "web:1",
            "command": ["sh"],
            "env": [{"name": "A", "value": "b=c"}],
            "ports": [{"containerPort": 80}],
        }
    ]
    with pytest.raises(CliError):
        manifest_of("web", "web:1", [], ["A"], [], [])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A state root with records of two pods and an image, as completion reads them."""
    for uid, name, namespace in (("1", "web", "default"), ("2", "other", "far")):
        spec = {"containers": [{"name": f"{name}-c"}], "initContainers": [{"name": f"{name}-i"}]}
        record = {"name": name, "namespace": namespace, "pod": {"spec": spec}}
        (tmp_path / "pods" / uid).mkdir(parents=True)
        (tmp_path / "pods" / uid / "pod.json").write_text(json.dumps(record) + "\nchecksum\n")
    (tmp_path / "pods" / "3").mkdir()
    (tmp_path / "pods" / "3" / "pod.json").write_text("{torn")
    (tmp_path / "images" / "names").mkdir(parents=True)
    (tmp_path / "images" / "names" / "x.json").write_text('{"name": "docker.io/library/sig:1"}\n')
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("im", ["image"]),
        ("pod lo", ["logs"]),
        ("pod st", ["start", "stats", "stop"]),
        ("pod logs ", ["web"]),
        ("pod logs -n far ", ["other"]),
        ("pod down web w", ["web"]),
        ("pod inspect web ", []),
        ("pod logs web -c ", ["web-c", "web-i"]),
        ("pod logs --tai", ["--tail"]),
        ("pod ls -o w", ["wide"]),
        ("pod run ", ["host", "sig:1"]),
        ("image rm s", ["sig:1"]),
        ("-n ", ["default", "far"]),
        ("pod exec web -- ", []),
        ("pod up ", []),
        ("completion z", ["zsh"]),
        ("--ver", ["--verbose", "--version"]),
    ],
)
def test_completion(root: Path, typed: str, offered: list[str]) -> None:
    words = ["--root", str(root), *typed.split()]
    words += [""] if typed.endswith(" ") else []
    assert candidates(GROUPS, COMMANDS, words) == offered
