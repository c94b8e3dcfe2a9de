"""Attacks by links: at mount points, in a /dev of one's own, at logs, below /proc/sys, and while
files are copied.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubelite.core.errors import NativeError
from kubelite.node.kubelet.decide import security_context
from kubelite.node.kubelet.pods import copying
from kubelite.node.runtime import log_reader
from kubelite.node.runtime.errors import RuntimeFailure
from kubelite.node.volume import sources
from tests.attack.arena import SLEEP, Arena, bring_in, image, pod

NEVER = {"imagePullPolicy": "Never"}


def volumes(**paths: tuple[Path | str, str]) -> dict[str, Any]:
    """hostPath volumes: name=(path, mount point)."""
    return {
        "spec": {
            "volumes": [
                {"name": name, "hostPath": {"path": str(path)}} for name, (path, _) in paths.items()
            ]
        },
        "volumeMounts": [{"name": name, "mountPath": at} for name, (_, at) in paths.items()],
    }


def attempt(act: Callable[[], object]) -> object:
    """What it gives; a refusal is an answer as well."""
    try:
        return act()
    except (RuntimeFailure, OSError) as error:
        return error


# -- mount points ----------------------------------------------------------------------------------


def test_no_directory_is_made_through_a_link(arena: Arena, tmp_path: Path) -> None:
    """CVE-2024-45310, CVE-2021-30465: a mount point below a link of the image to a directory of the
    host.
    """
    host = tmp_path / "host"
    host.mkdir()
    (tmp_path / "volume").mkdir()
    root = image(arena, tmp_path)
    (root / "data").symlink_to(host)
    options = {
        "image": bring_in(arena, root),
        **NEVER,
        **volumes(v=(tmp_path / "volume", "/data/new")),
    }
    attempt(lambda: arena.output(["echo"], **options))
    assert os.listdir(host) == []
    with arena.without("inside"):
        attempt(lambda: arena.output(["echo"], **options))
    assert os.listdir(host) == ["new"]


def test_a_sub_path_that_became_a_link_is_refused_where_it_is_mounted(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CVE-2021-25741: what is checked early is checked again with the descriptor that is
    mounted.
    """
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/sub").symlink_to(tmp_path / "secret")
    options = volumes(v=(tmp_path / "volume", "/data"))
    options["volumeMounts"][0]["subPath"] = "sub"
    monkeypatch.setattr(sources, "make_parts", lambda *_: set())
    monkeypatch.setattr(sources, "resolve_subpath", lambda _, subpath: subpath)
    with arena.without(""), pytest.raises(RuntimeFailure, match="subPath"):
        arena.output("ls /data", **options)
    with arena.without("subpath"):
        assert arena.output("ls /data", **options) == "key\n"


# -- a /dev of one's own (CVE-2025-31133, CVE-2025-52565) ------------------------------------------


def test_a_null_device_that_is_a_link_covers_nothing(arena: Arena, tmp_path: Path) -> None:
    dev = tmp_path / "dev"
    dev.mkdir()
    (dev / "null").symlink_to("/proc/sys/kernel/core_pattern")
    options = volumes(v=(dev, "/dev"))
    assert arena.output("cat /proc/timer_list", **options) == ""
    with arena.without("null"):
        assert (
            arena.output("cat /proc/timer_list", **options)
            == Path("/proc/sys/kernel/core_pattern").read_text()
        )


@pytest.mark.parametrize(("defence", "kind"), [("", "none"), ("console", "character special file")])
def test_a_console_that_is_a_link_is_no_mount_point(
    arena: Arena, tmp_path: Path, defence: str, kind: str
) -> None:
    dev = tmp_path / "dev"
    (dev / "pts").mkdir(parents=True)
    (dev / "console").symlink_to("/tmp/bound")
    options = volumes(v=(dev, "/dev"), p=("/dev/pts", "/dev/pts"))
    with arena.without(defence):
        said = arena.output("stat -c %F /tmp/bound 2>&1 || echo none", tty=True, **options)
    assert said.split("\r\n")[-2].endswith(kind)


# -- sysctls (CVE-2025-52881) ----------------------------------------------------------------------


def test_a_sysctl_is_written_below_proc_sys_only(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    monkeypatch.setattr(
        security_context, "sysctls", lambda *_: ((f"net/../../..{victim}", "owned"),)
    )
    with arena.without(""), pytest.raises(NativeError, match="sysctls"):
        arena.output("true")
    assert victim.read_text() == "mine"
    with arena.without("sysctls"):
        arena.output("true")
    assert victim.read_text() == "owned"


# -- logs (CVE-2025-0750, CVE-2024-5154) -----------------------------------------------------------


def soft(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def fifo(path: Path, victim: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("plant", [soft, hard, fifo])
def test_a_log_is_written_to_no_file_of_another_name(
    arena: Arena, tmp_path: Path, plant: Callable[[Path, Path], None]
) -> None:
    victim = tmp_path / "victim"
    victim.write_text("")
    for defence in ("", "logs"):
        if defence and plant is fifo:
            continue  # without it the shim waits for a reader
        with arena.without(defence):
            arena.up(pod(f"echo said; {SLEEP}"))
            (log,) = Path(arena.home.logs).rglob("0.log")
            plant(log.with_name("1.log"), victim)
            attempt(lambda: arena.pods.restart("default", "p", grace=0))
            deadline = time.monotonic() + (10 if defence else 0.3)
            while not victim.read_text() and time.monotonic() < deadline:
                time.sleep(0.02)
            assert ("said" in victim.read_text()) == bool(defence)
            arena.down()


@pytest.mark.parametrize("plant", [soft, hard, fifo])
def test_a_log_is_read_from_no_file_of_another_name(
    arena: Arena,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Path, Path], None],
) -> None:
    victim = tmp_path / "victim"
    arena.up(pod("echo secret"))
    arena.pods.queries.wait("default", "p", "exited", 20)
    (log,) = Path(arena.home.logs).rglob("0.log")
    log.rename(
        victim
    )  # in the form of a log, so that nothing but its name keeps it from being shown
    plant(log, victim)
    assert isinstance(attempt(arena.logs), OSError)
    if plant is not fifo:
        monkeypatch.setattr(
            log_reader, "_open", lambda path: os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        )
        monkeypatch.setattr(
            log_reader._Reader,
            "_is",
            staticmethod(lambda fd, path: os.path.samestat(os.fstat(fd), os.stat(path))),
        )
        assert arena.logs() == "secret\n"


# -- copying (CVE-2018-15664, CVE-2019-1002101, CVE-2019-11246) ------------------------------------

# The image is the host's own root: what a test has in /tmp must not be seen there.
EMPTY_TMP = {
    "spec": {"volumes": [{"name": "t", "emptyDir": {}}]},
    "volumeMounts": [{"name": "t", "mountPath": "/tmp"}],
}
FLIP = (
    "import os,time\nos.makedirs('/tmp/t/d')\nopen('/tmp/t/d/file', "
    "'w').write('inside')\nos.symlink({host!r}, '/tmp/t/l')\n"
    "print('ready', flush=True)\n"
    "while True:\n"
    " for a, b in (('d', 'k'), ('l', 'd'), ('d', 'l'), ('k', 'd')):\n"
    "  os.rename('/tmp/t/' + a, '/tmp/t/' + b)\n"
    "  time.sleep(0.002 * (b == 'd'))"
)


@contextmanager
def sides(arena: Arena) -> Iterator[tuple[copying.Side, copying.Side]]:
    with copying.machine() as here, arena.pods.files("default", "p", "c") as there:
        yield here, there


def test_a_link_swapped_while_files_are_copied_never_leads_out(
    arena: Arena, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    (host / "file").write_text("outside")
    (tmp_path / "new").write_text("new")
    arena.up(pod(["python3", "-c", FLIP.format(host=str(host))], **EMPTY_TMP))
    deadline = time.monotonic() + 20
    while "ready" not in arena.logs():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    read: set[str] = set()
    with sides(arena) as (here, there):
        for turn in range(600):
            if turn >= 60 and read:
                break
            out = tmp_path / f"out{turn}"
            attempt(lambda out=out: copying.copy(there, "/tmp/t/d/file", here, str(out)))
            attempt(lambda: copying.copy(here, str(tmp_path / "new"), there, "/tmp/t/d/new"))
            attempt(
                lambda turn=turn: copying.copy(
                    there, "/tmp/t/d", here, str(tmp_path / f"tree{turn}")
                )
            )
            read |= {out.read_text()} if out.exists() else set()
            read |= {path.read_text() for path in (tmp_path / f"tree{turn}").glob("file")}
    assert read <= {"inside"}
    assert read, "nothing was ever there to be copied"
    assert os.listdir(host) == ["file"]
    # The same names resolved by hand, as cp does: the link is followed to the host.
    monkeypatch.setattr(copying, "_RESOLVE", 0)
    with sides(arena) as (here, there):
        for turn in range(2000):
            attempt(
                lambda turn=turn: copying.copy(
                    there, "tmp/t/d/file", here, str(tmp_path / f"bare{turn}")
                )
            )
            if (tmp_path / f"bare{turn}").exists() and (
                tmp_path / f"bare{turn}"
            ).read_text() == "outside":
                return
    pytest.fail("the attack does not work where nothing keeps it off")


def test_what_is_copied_out_makes_nobody_root(arena: Arena, tmp_path: Path) -> None:
    arena.up(pod(**EMPTY_TMP))
    arena.exec(
        "mkdir /tmp/t; cp /bin/true /tmp/t/suid; chmod 4755 /tmp/t/suid; "
        "mknod /tmp/t/null c 1 3; mkfifo /tmp/t/pipe"
    )
    with sides(arena) as (here, there):
        left_out = copying.copy(there, "/tmp/t", here, str(tmp_path / "out"))
    assert stat.S_IMODE((tmp_path / "out/suid").stat().st_mode) == 0o755
    assert sorted(os.listdir(tmp_path / "out")) == ["suid"]
    assert len(left_out) == 2
