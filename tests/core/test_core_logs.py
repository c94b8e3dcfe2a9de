"""The shim's logs: the CRI format, pieces of lines, rotation, and a disk without room."""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path

import pytest

from kubelite.lib.files import read_record
from kubelite.node.runtime.records import ExitRecord
from tests.core.shimworld import World, records, until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
PIECE = 16384


def run(world: World, script: str, **options: int) -> None:
    assert world.exit(world.shell(script, **options), 60).code == 0


def test_lines_are_cri_records(world: World) -> None:
    run(world, "echo out; sleep 0.05; echo err >&2; sleep 0.05; echo; printf 'tab\\there\\r\\n'")
    log = world.log()
    assert [r[1:] for r in log] == [
        ("stdout", "F", b"out"),
        ("stderr", "F", b"err"),
        ("stdout", "F", b""),
        ("stdout", "F", b"tab\there\r"),
    ]
    assert all(TIME.fullmatch(r.time) for r in log)
    assert [r.time for r in log] == sorted(r.time for r in log)
    assert os.stat(f"{world.root}/logs/0.log").st_mode & 0o777 == 0o640


def test_a_line_that_comes_in_parts_is_one_record(world: World) -> None:
    run(world, "printf one; sleep 0.1; printf ' two'; sleep 0.1; echo ' three'")
    assert [(r.tag, r.text) for r in world.log()] == [("F", b"one two three")]


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 100_000])
def test_long_lines_come_in_pieces(world: World, size: int) -> None:
    run(world, f"head -c {size} /dev/zero | tr '\\0' x; echo; echo next")
    *pieces, last = world.log()
    assert last.text == b"next"
    assert b"".join(r.text for r in pieces) == b"x" * size
    assert [r.tag for r in pieces] == ["P"] * (len(pieces) - 1) + ["F"]
    assert {len(r.text) for r in pieces[:-1]} <= {PIECE}
    assert len(pieces) == -(-size // PIECE)


def test_an_unfinished_last_line_is_kept_as_it_was(world: World) -> None:
    run(world, "echo whole; printf open")
    assert [(r.tag, r.text) for r in world.log()] == [("F", b"whole"), ("P", b"open")]


def test_both_streams_keep_their_own_unfinished_lines(world: World) -> None:
    run(world, "printf a; sleep 0.05; printf A >&2; sleep 0.05; echo b; sleep 0.05; echo B >&2")
    assert [(r.stream, r.text) for r in world.log()] == [("stdout", b"ab"), ("stderr", b"AB")]


def test_output_is_in_the_log_before_the_exit_is_told(world: World) -> None:
    for n in range(1, 21):
        run(world, f"seq {n}000 {n}999")
        assert world.log()[-1].text == b"%d999" % n


def test_a_grandchild_that_keeps_the_pipe_does_not_keep_the_exit(world: World) -> None:
    from kubelite.core.plan import Namespace

    # In the host's pid namespace, where it outlives its parent.
    script = "(trap '' TERM; sleep 0.5; echo late) & echo early"
    world.exit(world.start(world.plan("sh", "-c", script, new_ns=Namespace.MOUNT)), 10)
    assert [r.text for r in world.log()] == [b"early"]
    until(lambda: [r.text for r in world.log()] == [b"early", b"late"])


def test_rotation_loses_and_splits_nothing(world: World) -> None:
    limit = 64 << 10
    run(world, "seq 1 100000", log_bytes=limit, log_files=100_000)
    files = world.log_files()
    assert len(files) > 50
    assert all(os.path.getsize(path) <= limit for path in files)
    lines = [r.text for path in files for r in records(path)]
    assert lines == [b"%d" % n for n in range(1, 100_001)]


def test_rotation_keeps_so_many_files_and_the_newest_lines(world: World) -> None:
    run(world, "seq 1 50000", log_bytes=64 << 10, log_files=3)
    files = world.log_files()
    assert len(files) == 3
    assert all(
        re.fullmatch(r"0\.log(\.\d{8}-\d{6}\.\d{9})?", os.path.basename(path)) for path in files
    )
    lines = [int(r.text) for path in files for r in records(path)]
    assert lines == list(range(lines[0], 50001))
    assert len(lines) > 2000


def test_lines_longer_than_the_limit_still_get_a_file(world: World) -> None:
    run(
        world,
        "for i in 1 2 3; do head -c 9000 /dev/zero | tr '\\0' $i; echo; done",
        log_bytes=4096,
        log_files=9,
    )
    assert [records(path)[0].text[:1] for path in world.log_files()] == [b"1", b"2", b"3"]


def test_a_full_disk_costs_records_but_no_container(tmp_path: Path) -> None:
    """A file size limit stands for the full disk, lifting it for space that returns."""
    limit = 200_000
    with World(str(tmp_path)) as world:
        world.pause()
        before = resource.prlimit(world.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(world.pid, resource.RLIMIT_FSIZE, (limit, before[1]))
        id = world.shell(
            "seq 1 20000; trap 'echo after; exit 3' USR1; while :; do sleep 0.01; done"
        )
        other = world.start(world.plan("sh", "-c", "sleep 0.1; exit 4"))
        log = tmp_path / "logs" / "0.log"
        until(lambda: limit - 16384 < log.stat().st_size <= limit)
        assert world.exit(other, 10).code == 4
        resource.prlimit(world.pid, resource.RLIMIT_FSIZE, before)
        world.shim.signal(id, signal.SIGUSR1)
        assert world.exit(id, 10).code == 3
    *lines, gap, after = world.log()
    assert after.text == b"after"
    kept = [int(r.text) for r in lines]
    assert kept == list(range(1, len(kept) + 1))
    found = re.fullmatch(
        rb"kubelite: (\d+) records \((\d+) bytes\) could not be written here", gap.text
    )
    assert found and int(found[1]) == 20000 - len(kept)
    assert gap.stream == "stderr"


def test_an_exit_that_found_no_room_is_told_and_recorded_later(world: World) -> None:
    before = resource.prlimit(world.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.pid, resource.RLIMIT_FSIZE, (100, before[1]))
    id = world.shell("exit 3")
    assert world.exit(id, 10).code == 3
    exits = Path(world.root) / "exits"
    until(lambda: os.listdir(exits) == [])  # what a try has begun to write is removed again
    resource.prlimit(world.pid, resource.RLIMIT_FSIZE, before)
    other = world.shell("exit 4")
    assert world.exit(other, 10).code == 4
    until(lambda: sorted(os.listdir(exits)) == sorted([id, other]))
    assert read_record(f"{exits}/{id}", ExitRecord).code == 3
