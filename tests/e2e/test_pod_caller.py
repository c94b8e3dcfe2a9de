"""A pod is the same whoever starts it: a shell with `nice`, `taskset`, `ulimit` or an odd umask, or
an agent that restarts it later.
"""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.e2e.world import World, pod

SHOW = (
    "nice; grep Cpus_allowed_list /proc/self/status; cat /proc/self/personality; umask;"
    "ulimit -S -f; ulimit -S -s; ulimit -S -n; stat -c %a /made /file"
)


def an_odd_shell() -> None:
    os.nice(7)
    os.umask(0o077)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for number, soft in (
        (resource.RLIMIT_FSIZE, 64 << 20),
        (resource.RLIMIT_STACK, 1 << 20),
        (resource.RLIMIT_NOFILE, 100),
    ):
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))


def shown(world: World, name: str, directory: Path, before: Callable[[], None] | None) -> str:
    volumes = [
        {"name": "d", "hostPath": {"path": f"{directory}/{name}/d", "type": "DirectoryOrCreate"}},
        {"name": "f", "hostPath": {"path": f"{directory}/{name}/f", "type": "FileOrCreate"}},
    ]
    mounts = [{"name": "d", "mountPath": "/made"}, {"name": "f", "mountPath": "/file"}]
    manifest = pod(SHOW, name=name, spec={"volumes": volumes}, volumeMounts=mounts)
    subprocess.run(
        world.command("pod", "up", "-"),
        input=yaml.safe_dump(manifest).encode(),
        env=world.env,
        preexec_fn=before,
        capture_output=True,
        check=True,
        timeout=60,
    )
    world.kl("pod", "wait", name, "--for=exited")
    return world.logs(name)


def test_a_pod_inherits_nothing_of_the_shell_that_starts_it(world: World, tmp_path: Path) -> None:
    plain = shown(world, "plain", tmp_path, None)
    assert plain.splitlines()[0] == "0" and plain.endswith("755\n644\n")
    assert shown(world, "odd", tmp_path, an_odd_shell) == plain
