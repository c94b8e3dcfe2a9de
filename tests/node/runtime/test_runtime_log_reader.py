"""Reading logs while they are written and rotated: each line once, in order, whatever happens in
between.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kubelite.node.runtime import log_reader

TIME = "2026-01-02T03:04:05.{:09d}Z"


class Writer:
    """What the shim does to a log's files, one step at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.live = directory / "0.log"
        self.count = self.rotations = 0

    def write(self, lines: int) -> None:
        with self.live.open("a") as file:
            for _ in range(lines):
                file.write(f"{TIME.format(self.count)} stdout F line {self.count}\n")
                self.count += 1

    def rename(self) -> None:
        self.live.rename(f"{self.live}.20260102-030405.{self.rotations:09d}")
        self.rotations += 1

    def remove_oldest(self) -> None:
        os.unlink(log_reader.files(str(self.directory), 0)[0])


def numbers(lines: list[log_reader.LogLine]) -> list[int]:
    return [int(line.text.split()[1]) for line in lines]


def everything(directory: Path, tail: int | None = None, since: str | None = None) -> list[int]:
    return numbers(list(log_reader.read(str(directory), 0, tail=tail, since=since, more=None)))


def test_rotated_files_come_first(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for _ in range(3):
        writer.write(5)
        writer.rename()
    writer.write(2)
    assert everything(tmp_path) == list(range(17))
    assert everything(tmp_path, tail=4) == [13, 14, 15, 16]
    assert everything(tmp_path, since=TIME.format(11)) == list(range(11, 17))


def test_no_log_and_no_live_file(tmp_path: Path) -> None:
    assert everything(tmp_path) == []
    assert everything(tmp_path / "missing") == []
    writer = Writer(tmp_path)
    writer.write(3)
    writer.rename()
    assert everything(tmp_path) == [0, 1, 2]


def test_an_unfinished_line_is_not_read_and_not_lost(tmp_path: Path) -> None:
    live = tmp_path / "0.log"
    live.write_text(f"{TIME.format(0)} stdout F line 0\n{TIME.format(1)} std")
    asked = []

    def more() -> bool:
        with live.open("a") as file:
            file.write("out F line 1\n" if not asked else "")
        asked.append(1)
        return len(asked) < 2

    assert numbers(list(log_reader.read(str(tmp_path), 0, tail=None, since=None, more=more))) == [
        0,
        1,
    ]


def follow(writer: Writer, steps: list[str]) -> list[int]:
    """Reads with -f; between two reads the writer carries out a step."""
    left = list(steps)

    def more() -> bool:
        if left:
            for word in left.pop(0).split():
                if word == "rotate":
                    writer.rename()
                elif word == "remove":
                    writer.remove_oldest()
                else:
                    writer.write(int(word))
        return bool(left)

    return numbers(
        list(log_reader.read(str(writer.directory), 0, tail=None, since=None, more=more))
    )


@pytest.mark.parametrize(
    "steps",
    [
        ["3", "2", "1"],
        ["3 rotate", "2", "rotate 4"],
        ["3", "2 rotate 4", "1"],
        ["3", "2 rotate 4 rotate 5 rotate", "1"],
        ["rotate", "2", "rotate 1 rotate 1 rotate 1", "0"],
    ],
)
def test_following_sees_each_line_once(tmp_path: Path, steps: list[str]) -> None:
    writer = Writer(tmp_path)
    writer.write(1)
    assert follow(writer, steps) == list(range(writer.count))


def test_following_from_before_the_first_line(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    assert follow(writer, ["0", "2 rotate 3", "1"]) == list(range(6))


def test_a_file_removed_under_the_reader_costs_nothing_that_is_still_there(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    writer.write(2)
    assert follow(writer, ["1", "1 rotate 1 rotate remove 3", "1"]) == list(range(9))


def test_a_line_written_between_the_last_look_and_the_rotation_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment that matters: the reader has seen the end, then come a line and the rotation."""
    writer = Writer(tmp_path)
    writer.write(2)
    listing = log_reader.files
    calls = []

    def late(directory: str, attempt: int) -> list[str]:
        calls.append(1)
        if len(calls) == 2:  # the reader stands at the end of the live file
            writer.write(3)
            writer.rename()
            writer.write(1)
        return listing(directory, attempt)

    monkeypatch.setattr(log_reader, "files", late)
    assert everything(tmp_path) == list(range(6))


def whole_text(directory: Path, tail: int | None = None) -> bytes:
    return b"".join(log_reader.read_text(str(directory), 0, tail=tail))


def test_any_tail_is_the_end_of_everything_in_all_files(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for lines in (1, 4000, 0, 3):  # more than a block, none, and fewer than most tails
        writer.write(lines)
        writer.rename()
    writer.write(2)
    for count in (0, 1, 2, 3, 5, 6, 4005, 4006, 5000):
        last = list(range(writer.count))[-count:] if count else []
        assert everything(tmp_path, tail=count) == last
        assert whole_text(tmp_path, tail=count) == b"".join(b"line %d\n" % n for n in last)


def test_the_text_is_that_of_the_lines_whatever_they_contain(tmp_path: Path) -> None:
    stamp = TIME.format(0).encode()
    records = [
        stamp + b" stdout F whole\n",
        stamp + b" stdout P piece ",
        stamp + b" stderr F an error\n",
        b"no record at all\n",
        stamp + b" stdout F Z stdout F looks like a record\n",
        stamp + b" stdout F \n",
    ]
    records[1] += b"\n"
    for number in range(len(records) + 1):
        (tmp_path / "0.log").write_bytes(b"".join(records[:number]))
        lines = log_reader.read(str(tmp_path), 0, tail=None, since=None, more=None)
        assert whole_text(tmp_path) == b"".join(line.text for line in lines)
