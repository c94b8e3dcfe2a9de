"""The floor as two subjects: the C program of bench/floor, one process per mode, stepped through a
pipe."""

import contextlib
import json
import subprocess

from startup.measure import BenchError, Marks, Subject, Unit
from startup.site import Site

_GRACE_SECONDS = 10


class Floor:
    """One mode of the floor program."""

    def __init__(self, site: Site, mode: Unit) -> None:
        self._site = site
        self._mode = mode
        self._process: subprocess.Popen[str] | None = None
        self.sandbox = 0
        """Process that holds the ready sandbox (container mode)."""
        self.cgroups = ""
        """v1, hybrid or v2."""

    def prepare(self) -> None:
        """Starts the program; its first line says what it found."""
        site = self._site
        work = site.work / f"floor-{self._mode}"
        work.mkdir()
        command = [str(site.floor), self._mode, "--step", "--work", str(work)]
        command += ["--lower", str(site.lower), "--pause", str(site.pause)]
        command += ["--name", site.cgroup(f"floor-{self._mode}")]
        # A group of its own: Ctrl-C is for this process, the floor ends when its input does.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=site.log(f"floor-{self._mode}").open("wb"),
            text=True,
            process_group=0,
        )
        greeting = self._line()
        self.sandbox, self.cgroups = int(greeting["sandbox"]), str(greeting["cgroups"])

    def once(self) -> Marks:
        assert self._process is not None and self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the missing answer says it better
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return {mark: int(value) for mark, value in self._line().items()}

    def _line(self) -> dict[str, int | str]:
        assert self._process is not None and self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchError(self._site.log(f"floor-{self._mode}").read_text().strip())
        answer: dict[str, int | str] = json.loads(line)
        return answer

    def cleanup(self) -> None:
        """Lets the program tear down what it holds."""
        if self._process is None:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=_GRACE_SECONDS)
        self._process.kill()
        if self._process.wait() != 0:
            raise BenchError(self._site.log(f"floor-{self._mode}").read_text().strip())


def floor_subjects(container: Floor, pod: Floor) -> list[Subject]:
    return [
        Subject(
            "floor container",
            "container",
            "floor",
            container.once,
            container.prepare,
            container.cleanup,
            10,
        ),
        Subject("floor pod", "pod", "floor", pod.once, pod.prepare, pod.cleanup, 5),
    ]
