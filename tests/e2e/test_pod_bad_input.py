"""Bad input ends in exit code 1 with the place and a hint, and nothing is created."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubelite.testing.host import difference, snapshot
from tests.e2e.world import World

HEAD = (
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n"
    "  containers:\n  - name: c\n    image: host\n"
)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        pytest.param("a: [1\nb: 2", "pod.yaml:2:", "", id="not YAML"),
        pytest.param(HEAD + "    image: other\n", "pod.yaml:9:5", "image", id="duplicate key"),
        pytest.param(
            HEAD + "    livenesProbe: {}\n", "pod.yaml:9:5", "livenessProbe", id="unknown field"
        ),
        pytest.param(
            HEAD + "    tty: [1]\n", "pod.yaml:9:10", "spec.containers[0].tty", id="wrong type"
        ),
        pytest.param(
            HEAD + "    resources: {limits: {cpu: 1x}}\n",
            "pod.yaml:9:",
            "spec.containers[0].resources.limits",
            id="quantity",
        ),
        pytest.param(
            HEAD.replace("name: p", "name: Not_A_Name"),
            "pod.yaml:4:9",
            "metadata.name",
            id="bad name",
        ),
        pytest.param(
            HEAD + "  - name: c\n    image: host\n",
            "pod.yaml:9:",
            "spec.containers[1].name",
            id="same name twice",
        ),
        pytest.param(
            HEAD + "    volumeMounts: [{name: none, mountPath: /x}]\n",
            "pod.yaml:9:",
            "spec.containers[0].volumeMounts[0].name",
            id="no such volume",
        ),
        pytest.param(
            HEAD + "    workingDir: etc\n", "pod.yaml:9:", "absolute path", id="relative directory"
        ),
        pytest.param(
            HEAD
            + "    volumeMounts: [{name: v, mountPath: /}]\n  volumes: [{name: v, emptyDir: {}}]\n",
            "pod.yaml:9:",
            "would hide the whole image",
            id="volume over everything",
        ),
        pytest.param(
            HEAD + "    resources: {limits: {cpu: 10Gi}}\n",
            "pod.yaml:9:",
            "was memory meant?",
            id="impossible number of CPUs",
        ),
        pytest.param(
            HEAD + "    enviroment: []\n", "pod.yaml:9:5", 'did you mean "env"?', id="long form"
        ),
        pytest.param("a: {{ .Values.x }}\n", "pod.yaml:1:5", "helm template", id="template"),
        pytest.param("", "pod.yaml", "empty", id="empty file"),
        pytest.param("kind: Service\napiVersion: v1\n", "pod.yaml", "Service", id="another kind"),
    ],
)
def test_one_problem_one_sentence_one_place(
    world: World, tmp_path: Path, text: str, place: str, says: str
) -> None:
    (tmp_path / "pod.yaml").write_text(text)
    check_refused(world, tmp_path / "pod.yaml", place, says)


@pytest.mark.parametrize(
    "content", [b"\x00\x01\x02\xff" * 100, b"\x7fELF" + bytes(1000)], ids=["binary", "a program"]
)
def test_a_file_that_is_no_text(world: World, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pod.yaml").write_bytes(content)
    check_refused(world, tmp_path / "pod.yaml", "pod.yaml", "")


def test_a_file_of_10_megabytes(world: World, tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(HEAD + "# filler\n" * (10 << 20 >> 3))
    check_refused(world, tmp_path / "pod.yaml", "pod.yaml", "")


def test_a_file_that_is_not_there(world: World, tmp_path: Path) -> None:
    check_refused(world, tmp_path / "pod.yaml", "pod.yaml", "")


def check_refused(world: World, path: Path, place: str, says: str) -> None:
    before = snapshot(world.root)
    refused = world.kl("pod", "up", str(path), check=False)
    assert refused.returncode == 1, refused
    assert refused.stderr.startswith("error: ") and "Traceback" not in refused.stderr
    assert place in refused.stderr and says in refused.stderr, refused.stderr
    assert "hint:" in refused.stderr
    assert world.files() == set()
    assert difference(before, snapshot(world.root)) == []


@pytest.mark.parametrize(
    "args",
    [["pod", "up"], ["pod", "fly", "x"], ["pod", "ls", "--nonsense"], ["pod", "inspect", "a", "b"]],
)
def test_wrong_usage_is_2(world: World, args: list[str]) -> None:
    wrong = world.kl(*args, check=False)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: ") and "hint:" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"podPidsLimit": "many"}', "$.podPidsLimit"),
        ('{"evictionSoft": {"memory.available": "1Gi"}}', "evictionSoftGracePeriod lacks"),
        ("{", "truncated"),
    ],
)
def test_settings_of_the_node_that_count_for_nothing_are_named(
    world: World, text: str, says: str
) -> None:
    settings = world.root / "node.json"
    world.root.mkdir(exist_ok=True)
    settings.write_text(text)
    said = world.kl("pod", "ls").stderr
    assert f"warning: {settings} is not valid: " in said and says in said
    settings.write_text("{}")
    assert "warning" not in world.kl("pod", "ls").stderr
