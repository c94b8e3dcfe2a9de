"""Each verb as it looks in a terminal of 80 and of 40 columns, without color, in the C locale and
piped: its help, a success, and failures that are sentences.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TypeVar

import pytest

from kubelite.cli.main import COMMANDS
from tests.cli.successes import ELSEWHERE, LOCAL, OF_A_CLUSTER, OF_A_REGISTRY, succeed
from tests.cli.terminal import STYLES, Transcript, run
from tests.e2e.world import World, world
from tests.node.image.conftest import registry
from tests.node.image.registry import Registry
from tests.rootfs import make_root

__all__ = ["registry", "world"]

T = TypeVar("T")
WEB = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: server, image: host, command: [sh, -c, "echo hello; exec sleep 600"]}
"""
READS = """
apiVersion: v1
kind: Pod
metadata: {name: reads}
spec:
  restartPolicy: Never
  containers:
  - {name: c, image: host, stdin: true, command: [sh, -c, 'read line; echo "read: $line"']}
"""
SMALL = """
apiVersion: v1
kind: Pod
metadata: {name: small}
spec: {containers: [{name: c, image: small}]}
"""
NODE = """
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {capacity: {cpu: "4", memory: 8Gi, pods: "110"}}
"""
FAILURES = {
    "pod up": ["up", "up missing.yaml", "up bad.yaml"],
    "pod run": ["run", "run host --env A", "run \udcff"],
    "pod down": ["down", "down no-such-pod", "down missing.yaml"],
    "pod ls": ["ls no-such-pod", "ls -o xml", "ls -l =="],
    "pod describe": ["describe", "describe no-such-pod", "describe deployment/web"],
    "pod inspect": ["inspect", "inspect no-such-pod", "inspect web --what"],
    "pod check": ["check", "check missing.yaml", "check bad.yaml"],
    "pod update": ["update", "update no-such-pod --cpu 1", "update web --cpu 1x"],
    "pod start": ["start", "start no-such-pod", "start -l app=nothing"],
    "pod stop": ["stop", "stop no-such-pod", "stop web --grace-period -1"],
    "pod restart": ["restart", "restart no-such-pod", "restart web -c nothing"],
    "pod kill": ["kill", "kill no-such-pod", "kill web -s NOTHING"],
    "pod pause": ["pause", "pause no-such-pod", "pause web -l app=web"],
    "pod unpause": ["unpause", "unpause no-such-pod", "unpause a/b/c"],
    "pod logs": ["logs", "logs no-such-pod", "logs web --since yesterday"],
    "pod exec": ["exec web", "exec no-such-pod -- true", "exec web -- no-such-program"],
    "pod attach": ["attach", "attach no-such-pod", "attach -i web"],
    "pod debug": ["debug", "debug no-such-pod -- true", "debug web --image no-such:1 -- true"],
    "pod cp": ["cp a b", "cp no-such-pod:/x y", "cp web:/no-such-file y"],
    "pod wait": ["wait", "wait no-such-pod", "wait web --for=deleted --timeout 0.1s"],
    "pod events": ["events no-such-pod", "events -f", "events a b"],
    "pod top": ["top", "top no-such-pod", "top web -o xml"],
    "pod stats": ["stats no-such-pod", "stats a b", "stats web -o xml"],
    "pod diff": ["diff", "diff no-such-pod", "diff web -c nothing"],
    "pod prune": ["prune now", "prune --what", "prune -n"],
    "image import": ["import", "import x missing", "import UPPER ."],
    "image load": ["load", "load missing", "load bad.yaml"],
    "image pull": ["pull", "pull UPPER", "pull a b --what"],
    "image copy": ["copy", "copy web", "copy docker-daemon:UPPER"],
    "image ls": ["ls x", "ls -o xml", "ls --what"],
    "image rm": ["rm", "rm no-such-image", "rm UPPER"],
    "image inspect": ["inspect", "inspect no-such-image", "inspect a b"],
    "image save": ["save", "save no-such-image", "save a -o"],
    "image tag": ["tag", "tag no-such-image b", "tag a"],
    "image prune": ["prune now", "prune --what", "prune -n"],
    "image push": ["push", "push UPPER", "push no-such-image"],
    "image build": ["build missing", "build -f missing", "build --network none ."],
    "image bundle": ["bundle", "bundle -f missing.yaml", "bundle -f bad.yaml"],
    "image commit": ["commit web", "commit no-such-pod x", "commit web UPPER"],
    "image history": ["history", "history no-such-image", "history a b"],
    "image diff": ["diff", "diff no-such-image", "diff a --layer x"],
    "image mount": ["mount", "mount no-such-image .", "mount a"],
    "image unmount": ["unmount", "unmount .", "unmount missing"],
    "network ls": ["ls x", "ls -o xml", "ls --what"],
    "network inspect": ["inspect x", "inspect a b", "inspect -o wide"],
    "scheduler explain": ["explain", "explain --cluster missing --pod x", "explain --pod x"],
    "scheduler simulate": ["simulate", "simulate --cluster missing --pods x", "simulate --what"],
    "scheduler run": ["run now", "run --what", "run --kubeconfig missing"],
    "system info": ["info x", "info -o xml", "info --what"],
    "system check": ["check x", "check --what", "check -n"],
    "system df": ["df x", "df -o xml", "df --what"],
    "node join": ["join", "join --what", "join a b c"],
    "token create": ["create x", "create --what", "create -n"],
    "system agent": ["agent x", "agent --what", "agent --stay now"],
    "system reset": ["reset x", "reset --what", "reset -n"],
    "server": ["x", "--port 70000", "--token-file missing --data-dir data"],
    "up": ["now", "--port 70000", "--what"],
    "down": ["now", "--what", "--keep yes"],
    "ui": ["now", "--port 70000", "--local --context x"],
    "status": ["now", "--what", "--name"],
    "kubeconfig": ["now", "--what", "--name"],
    "node run": ["run now", "run --port 70000", "run --what"],
    "controllers": ["now", "--what", "--kubeconfig missing"],
    "completion": ["", "powershell", "bash zsh"],
    "explain": ["", "KL999", "KL104 KL105"],
    "version": ["x", "-o xml", "--what"],
    "get": [""],
    "describe": ["--what"],
    "apply": ["-f missing.yaml --kubeconfig missing"],
    "delete": ["pods --grace-period -2"],
    "logs": ["web --since yesterday"],
    "exec": ["web --kubeconfig missing -- true"],
    "create": ["-f web.yaml namespace n"],
    "scale": ["deploy/web --replicas x"],
    "rollout status": ["status deploy/web --timeout x"],
    "rollout history": ["history deploy/web --kubeconfig missing"],
    "rollout undo": ["undo deploy/web --to-revision -1"],
    "rollout restart": ["restart --what"],
    "rollout pause": ["pause"],
    "rollout resume": ["resume"],
    "wait": ["pod/web --for nothing"],
    "port-forward": ["web x:y:z"],
    "label": ["pod web"],
    "annotate": ["pod web"],
    "run": ["web --image x --rm"],
    "expose": ["deploy/web --port x"],
    "set image": ["image deploy/web"],
    "set env": ["env deploy/web"],
    "set resources": ["resources deploy/web --limits cpu"],
    "set serviceaccount": ["serviceaccount"],
    "patch": ["pod web -p {}{"],
    "edit": ["pod web --kubeconfig missing"],
    "diff": [""],
    "api-resources": ["-o xml"],
    "top": ["fish"],
    "events": ["--kubeconfig missing"],
    "cordon": ["n1 -l a=b"],
    "uncordon": [""],
    "drain": ["n1 --timeout x"],
    "cp": ["a:b c:d"],
    "attach": ["web --kubeconfig missing"],
    "auth can-i": ["can-i get"],
    "auth whoami": ["whoami -o xml"],
}
"""For each verb three command lines that fail, for one of a cluster's objects one of them.
``bad.yaml`` has a misspelled field.
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "files"
    (directory / "mounted").mkdir(parents=True)
    make_root(directory / "rootfs")
    (directory / "reads.yaml").write_text(READS)
    (directory / "small.yaml").write_text(SMALL)
    (directory / "Containerfile").write_text("FROM small\nCOPY web.yaml /web.yaml\n")
    (directory / "web.yaml").write_text(WEB)
    (directory / "node.yaml").write_text(NODE)
    (directory / "bad.yaml").write_text(WEB.replace("image:", "imag:"))
    return directory


def check(shown: Transcript, style: str) -> None:
    """What holds for every output: no traceback, no color where none is wanted."""
    assert "Traceback" not in shown.text and "this is a bug" not in shown.text, shown.text
    if style in ("NO_COLOR", "piped"):
        assert b"\x1b" not in shown.raw, shown.text


def some(items: list[T], style: str) -> list[T]:
    """All of them; every fifth where Python starts for each."""
    return items[::5] if STYLES[style].starts_python else items


@pytest.mark.parametrize("style", STYLES)
def test_help(style: str, world: World, tmp_path: Path) -> None:
    for name in some(list(COMMANDS), style):
        shown = run(STYLES[style], [*name.split(), "--help"], root=str(world.root))
        check(shown, style)
        assert shown.code == 0 and "Examples:" in shown.text, name
        for line in shown.text.partition("Examples:")[0].splitlines():
            assert len(line) <= (STYLES[style].columns or 80) or len(line.split()) <= 2, line


def test_every_verb_has_failures() -> None:
    assert set(FAILURES) == {name for name in COMMANDS if not COMMANDS[name].alias_of}


@pytest.mark.parametrize("style", STYLES)
def test_failures_are_sentences(style: str, world: World, files: Path) -> None:
    options = STYLES[style]
    run(options, ["pod", "up", "web.yaml"], root=str(world.root), cwd=str(files))
    lines = [
        (name, f"{name.split()[0]} {words}" if " " in name else f"{name} {words}")
        for name, failures in FAILURES.items()
        for words in failures
    ]
    for name, line in some(lines, style):
        shown = run(options, line.split(), root=str(world.root), cwd=str(files))
        check(shown, style)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.text)
        assert shown.code not in (0, 130), f"{name}: {line}\n{plain}"
        first = next((text for text in plain.splitlines() if not text.startswith("ready at")), "")
        assert first.startswith(("error: ", "warning: ")), f"{line}\n{plain}"
        assert len(first) < 300, "one sentence"


def test_every_verb_has_a_success() -> None:
    shown = {success.verb for success in (*LOCAL, *OF_A_REGISTRY, *OF_A_CLUSTER)}
    assert not shown & set(ELSEWHERE)
    assert shown | set(ELSEWHERE) == set(FAILURES)
    for _, path in ELSEWHERE.values():
        assert Path(path).is_file(), path


@pytest.mark.parametrize("style", STYLES)
def test_successes(style: str, world: World, files: Path) -> None:
    options, root, sh = STYLES[style], str(world.root), str(shutil.which("sh"))
    for shown in succeed(options, LOCAL, root, str(files), sh=sh):
        check(shown, style)


@pytest.mark.parametrize("style", [style for style in STYLES if style != "LC_ALL=C"])
def test_successes_with_a_registry(
    style: str, world: World, files: Path, registry: Registry
) -> None:
    options, root = STYLES[style], str(world.root)
    for shown in succeed(options, OF_A_REGISTRY, root, str(files), registry=registry.host):
        check(shown, style)


WRONG = {
    "completion": "missing argument 'SHELL': one of bash, zsh, fish",
    "pod prune -n": "option '-n' needs a value",
    "status --name": "option '--name' needs a value",
    "up --port 70000": "invalid value for '--port': 70000 is not from 1 to 65535",
    "pod stop web --grace-period -1": "invalid value for '--grace-period': -1 is less than 0",
    "image diff a --layer x": "invalid value for '--layer': 'x' is not a whole number",
}


def test_a_wrong_command_line_is_told_plainly(world: World) -> None:
    for line, sentence in WRONG.items():
        shown = run(STYLES["piped"], line.split(), root=str(world.root))
        verb = next(name for name in COMMANDS if line == name or line.startswith(f"{name} "))
        hint = f"  hint: `kubelite {verb} -h` shows the usage"
        assert (shown.code, shown.text.splitlines()) == (2, [f"error: {sentence}", hint])


def test_lines_of_progress_fit_into_a_narrow_terminal(world: World, files: Path) -> None:
    options, root = STYLES["40 columns"], str(world.root)
    for line in ("pod up web.yaml", "pod down web", "pod check bad.yaml"):
        shown = run(options, line.split(), root=root, cwd=str(files))
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.text)
        steps = [text for text in plain.splitlines() if text.startswith("✓")]
        assert [text for text in steps if len(text) >= 40] == [], plain
        assert "   [KL" not in plain


def test_a_terminal_shows_progress_and_color_and_a_pipe_does_not(world: World, files: Path) -> None:
    in_terminal = run(
        STYLES["80 columns"], ["pod", "up", "web.yaml"], root=str(world.root), cwd=str(files)
    )
    assert "\x1b[32m✓\x1b[0m container server" in in_terminal.text
    piped = run(STYLES["piped"], ["pod", "down", "web"], root=str(world.root))
    assert "✓ removed   web" in piped.text


def test_who_waits_longer_than_a_second_sees_for_what(world: World, files: Path) -> None:
    slow = WEB.replace("GracePeriodSeconds: 0", "GracePeriodSeconds: 3").replace(
        "exec sleep 600", "trap '' TERM; while :; do sleep 1; done"
    )
    (files / "slow.yaml").write_text(slow)
    run(STYLES["piped"], ["pod", "up", "slow.yaml"], root=str(world.root), cwd=str(files))
    shown = run(STYLES["80 columns"], ["pod", "down", "web"], root=str(world.root))
    assert shown.code == 0
    assert re.search(
        r"stopping web: its containers may take their grace period \(\d s\)", shown.text
    )
    assert "\r" + " " * 79 + "\r" in shown.text, "the line is removed again"


def test_what_destroys_asks_in_a_terminal(world: World, files: Path) -> None:
    refused = run(STYLES["80 columns"], ["system", "reset"], root=str(world.root), input=b"n\n")
    assert refused.code == 1 and "Continue? [y/N]" in refused.text
    assert "canceled: nothing was changed" in refused.text
    unasked = run(STYLES["piped"], ["system", "reset"], root=str(world.root))
    assert unasked.code == 2 and "stdin is not a terminal" in unasked.text
