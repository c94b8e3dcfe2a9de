"""``pod attach`` and ``pod update`` from the command line."""

from __future__ import annotations

import subprocess

from tests.e2e.test_pod_streams import Terminal
from tests.e2e.world import SLEEP, World, eventually, pod


def test_output_from_now_on_and_the_exit_code(world: World) -> None:
    world.up(
        pod(
            "echo early; while [ ! -e /tmp/go ]; do sleep 0.05; "
            "done; echo late; echo wrong >&2; exit 5"
        )
    )
    attached = world.start("pod", "attach", "p", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    eventually(lambda: int(world.exec("p", "sleep 0.3; echo 1")), "it has had time to attach")
    world.exec("p", ": > /tmp/go")
    out, err = attached.communicate(timeout=20)
    assert (out, err, attached.returncode) == (b"late\n", b"wrong\n", 5)


def test_input_reaches_a_container_that_reads_it_once(world: World) -> None:
    world.up(pod("cat", stdin=True, stdinOnce=True))
    said = world.kl("pod", "attach", "-i", "p", input="a word\n")
    assert said.stdout == "a word\n"
    world.up(pod(SLEEP, name="deaf"))
    refused = world.kl("pod", "attach", "-i", "deaf", input="", check=False)
    assert refused.returncode == 125 and "stdin: true" in refused.stderr


def test_a_terminal_is_left_by_its_keys_and_the_shell_runs_on(world: World) -> None:
    world.up(pod(command=["sh"], stdin=True, tty=True))
    person = Terminal(world, "pod", "attach", "-i", "p")
    person.type("stty size; X=there\n")
    person.expect("40 100")
    person.type("\x10\x11")
    assert person.end() == 0
    again = Terminal(world, "pod", "attach", "-i", "p")
    again.type("echo still=$X\n")
    again.expect("still=there")
    again.type("exit 3\n")
    assert again.end() == 3


def test_update_changes_variables_limits_and_images(world: World) -> None:
    world.up(
        pod(SLEEP, env=[{"name": "A", "value": "1"}], resources={"requests": {"memory": "16Mi"}})
    )
    plan = world.kl("pod", "update", "p", "--env", "A=2", "--env", "c:B=3", "--dry-run").stdout
    assert plan == "p would be updated in place\n  c.env: changed (the container is restarted)\n"
    world.kl("pod", "update", "p", "--env", "A=2", "--env", "c:B=3")
    assert world.exec("p", "echo $A $B") == "2 3\n"
    world.kl("pod", "update", "p", "--env", "A-")
    assert world.exec("p", "echo $A-$B") == "-3\n"
    pid = world.inspect("p")["containers"]["c"]["pid"]
    assert "64Mi (no restart)" in world.kl("pod", "update", "p", "--memory", "c=64Mi").stderr
    assert world.inspect("p")["containers"]["c"]["pid"] == pid
    assert "already up" in world.kl("pod", "update", "p", "--memory", "64Mi").stdout
    for words, said in [
        (("--memory", "many"), "many"), (("--env", "novalue"), "NAME=VALUE"),
        (("--image", "c=not-there"), "not-there"),
    ]:  # fmt: skip
        refused = world.kl("pod", "update", "p", *words, check=False)
        assert refused.returncode in (1, 2) and said in refused.stderr, refused.stderr
    assert world.inspect("p")["containers"]["c"]["pid"] == pid
