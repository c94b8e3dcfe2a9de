"""Runs one command on copies of a store, killed at one of its changes to the file system at a
time.

``python -m tests.node.image.kill_steps STORE WORK MOST COMMAND...``: the command is ``load
LAYOUT``, ``pull NAME``, ``build DIRECTORY`` or ``prune``. It is killed before its first change, its
second and so on, at MOST places spread evenly. After each kill the store has to be whole, the
command has to succeed when it is run again, and the store has to hold then what it holds without
any kill. What is not so is printed. A forked child does the work: nothing is imported again.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubelite.cli import main as cli
from kubelite.node.image.content.checking import problems
from kubelite.node.image.registry import connection
from kubelite.node.image.store import ImageStore

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR


def main(store: str, work: str, most: str, *command: str) -> int:
    connection.FIRST_DELAY = 0.01
    os.environ["SOURCE_DATE_EPOCH"] = "1"  # the same build gives the same image
    pristine, place = Path(store), Path(work)

    def fresh() -> Path:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(pristine, place, symlinks=True)
        return place

    total = _count(fresh(), command)
    whole = _content(place)
    failures = 0
    for number in sorted({1 + total * index // int(most) for index in range(int(most))}):
        fresh()
        _, status = _forked(lambda number=number: _killed(place, command, number))
        faults = list(problems(place / "images"))
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            faults.append("it was not killed")
        _, status = _forked(lambda: _run(place, command))
        if status:
            faults.append("it does not succeed afterwards")
        faults += problems(place / "images")
        if _content(place) != whole:
            faults.append(f"the store differs: {_content(place) ^ whole}")
        for fault in faults:
            failures += 1
            print(f"{' '.join(command)}, killed at {number} of {total}: {fault}")
    print(f"{total} changes")
    return int(failures > 0)


def _count(place: Path, command: tuple[str, ...]) -> int:
    read, write = os.pipe()

    def counted() -> None:
        seen = [0]
        _on_change(lambda: seen.__setitem__(0, seen[0] + 1))
        _run(place, command)
        os.write(write, str(seen[0]).encode())

    _, status = _forked(counted)
    assert status == 0, "the command fails without a kill"
    return int(os.read(read, 20))


def _killed(place: Path, command: tuple[str, ...], number: int) -> None:
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    _on_change(step)
    _run(place, command)


def _on_change(step: Callable[[], None]) -> None:
    """Calls ``step`` before each change that Python makes to the file system, in any thread."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and int(arguments[2] or 0) & WRITES):
            step()

    sys.addaudithook(hook)


def _run(place: Path, command: tuple[str, ...]) -> None:
    match command:
        case ("load", layout):
            ImageStore(place / "images").load(Path(layout), "new:1")
        case _:
            words = {
                "pull": ["image", "pull", *command[1:]],
                "build": ["image", "build", "-t", "built:1", *command[1:]],
                "prune": ["image", "prune", "--all", "--yes"],
            }[command[0]]
            sys.argv = ["kubelite", "--root", str(place), *words]
            assert cli.main() == 0


def _forked(act: Callable[[], None]) -> tuple[int, int]:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001 - a child must not return
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitpid(pid, 0)


def _content(place: Path) -> set[str]:
    """What counts in a store: its records, blobs and layers; and what must not stay."""
    images = place / "images"
    return {str(path.relative_to(images)) for path in images.glob("*/*")} | {
        str(path.relative_to(images)) for path in images.glob("blobs/*/*")
    }


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
