"""Subjects measured in turn, so that noise hits all of them alike."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

Unit = Literal["container", "pod"]
Role = Literal["floor", "peer", "ours"]
Marks = dict[str, int]
"""Nanoseconds from the start to each mark: `exec` and `exit` of a container, `up` of a pod."""


class BenchError(Exception):
    """The run cannot go on: what failed, and what the program said."""


class Unavailable(Exception):
    """This subject cannot run here: why, in a few words."""


def _nothing() -> None:
    return None


class Subject(NamedTuple):
    """One line of the table. `once` is the measured part and returns its marks; what has to be
    undone between two calls it undoes itself, outside the stamps."""

    name: str
    unit: Unit
    role: Role
    once: Callable[[], Marks]
    prepare: Callable[[], None] = _nothing
    cleanup: Callable[[], None] = _nothing
    batch: int = 1
    """Samples per round: more of what is cheap."""


class Outcome(NamedTuple):
    """Samples of each subject in order, and why the others were skipped."""

    samples: dict[str, list[Marks]]
    skipped: dict[str, str]


def run_rounds(
    subjects: Sequence[Subject], rounds: int, progress: Callable[[int], None]
) -> Outcome:
    """Measures every subject `rounds` times `batch`. Each round begins with another subject, so
    that nobody always follows the same neighbour; what gives several samples per round warms up
    with one more, which is dropped.

    Raises BenchError when a subject fails; every prepared subject is cleaned up in any case.
    """
    samples: dict[str, list[Marks]] = {}
    skipped: dict[str, str] = {}
    ready: list[Subject] = []
    try:
        for subject in subjects:
            try:
                ready.append(subject)
                subject.prepare()
                samples[subject.name] = []
            except Unavailable as reason:
                skipped[subject.name] = str(reason)
        able = [subject for subject in ready if subject.name in samples]
        for number in range(rounds):
            progress(number)
            turn = number % len(able)
            for subject in able[turn:] + able[:turn]:
                if subject.batch > 1:
                    subject.once()
                samples[subject.name] += [subject.once() for _ in range(subject.batch)]
    finally:
        _clean(ready)
    return Outcome(samples, skipped)


def _clean(subjects: Sequence[Subject]) -> None:
    """Cleans up all, the last first; the first failure is told after the last attempt."""
    failure: Exception | None = None
    for subject in reversed(subjects):
        try:
            subject.cleanup()
        except (BenchError, OSError) as error:
            failure = failure or error
    if failure is not None:
        raise failure


def run(argv: Sequence[str], env: dict[str, str] | None = None) -> tuple[int, str]:
    """An unmeasured program: its exit code, and what it said. An interruption ends it and its
    children before it is passed on. Raises FileNotFoundError."""
    process = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    )
    try:
        said, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    return process.returncode, said.strip()


def timed_run(argv: Sequence[str], env: dict[str, str], log: Path) -> int:
    """Nanoseconds from posix_spawn to wait4 of a program (absolute path); its output goes to `log`.

    Raises BenchError with the end of the log when it does not leave with 0.
    """
    output = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), output, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    start = time.monotonic_ns()
    pid = os.posix_spawn(argv[0], list(argv), env, file_actions=actions, setpgroup=0)
    try:
        _, status, _ = os.wait4(pid, 0)
    except BaseException:  # an interrupted program must not outlive its clean-up
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    elapsed = time.monotonic_ns() - start
    if status != 0:
        tail = log.read_text(errors="replace")[-800:].strip()
        code = os.waitstatus_to_exitcode(status)
        raise BenchError(f"{' '.join(argv)}: exit code {code}: {tail}")
    return elapsed
