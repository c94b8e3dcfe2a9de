"""Types random command lines and looks for tracebacks, hangs and undocumented exit codes.

    python -m tests.cli.fuzz_commands SECONDS [SEED]

Each one runs in a forked process with a state root of its own below a temporary directory. Needs
root; what was created is removed at the end.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from kubelite.cli.common.command import Option, load, parameters
from kubelite.cli.main import COMMANDS, main
from tests.cli.forked import preload

LIMIT_SECONDS = 2
POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: host, command: [sleep, "60"]}]
"""
NEVER = ("up", "server", "node run", "controllers", "ui", "scheduler run", "system agent")
"""Commands that run, or leave something that runs, until they are stopped: only their help and
failures are typed.
"""
WORDS = [
    *(
        (
            "web pod/web default/web nothing a:b web:/etc/hostname ./x - -- sh true host web.yaml"
        ).split()
    ),
    *(
        (
            "bad.yaml missing.yaml . rootfs 0 -1 1 99999999999999999999 1h30m app=web app!= KL104"
        ).split()
    ),
    *(
        (
            "json yaml wide name xml always never --help -h --version -n -A -f -l -o -c -it -q -v"
        ).split()
    ),
    "",
    " ",
    "a" * 300,
    "\udcff",
    "ünïcödé",
    "$(id)",
    "\x1b[31m",
    "\n",
    "%s%n",
    "../../..",
    "--root",
    "--color=blue",
    "--=",
    "-",
    "---",
]
HABITS = "get apply ps rm run logs describe delete images pull build help down kubectl".split()


def command_line(chance: random.Random) -> list[str]:
    """A command with some of its options, words that fit and words that do not."""
    if chance.random() < 0.1:
        return [chance.choice([*HABITS, *WORDS]) for _ in range(chance.randint(0, 5))]
    name = chance.choice(list(COMMANDS))
    words = name.split()
    declared = parameters(load(COMMANDS[name]))
    for _ in range(chance.randint(0, 5)):
        option = chance.choice(declared).declaration if declared else None
        if isinstance(option, Option) and chance.random() < 0.6:
            words.append(chance.choice(option.names.replace("/", " ").split()))
        if chance.random() < 0.8:
            words.append(chance.choice(WORDS))
    if chance.random() < 0.1:
        chance.shuffle(words)
    if name in NEVER:
        words += ["--what", "--what"]  # one may be the value of an option
    return words


def run(words: list[str], directory: Path) -> tuple[int, bytes]:
    """Runs one command line in a child; its wait status and what it printed. 99 for a hang."""
    output = directory / "output"
    child = os.fork()
    if child == 0:
        os.setsid()
        os.chdir(directory / "work")
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        sys.argv = ["kubelite", *words]
        os._exit(main())
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), output.read_bytes()
        time.sleep(0.005)
    os.killpg(child, signal.SIGTERM)
    time.sleep(0.3)
    if not os.waitpid(child, os.WNOHANG)[0]:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 99, output.read_bytes()
    return 0, output.read_bytes()


def is_fine(code: int, printed: bytes) -> bool:
    """Whether an end is one that the documentation knows."""
    if b"Traceback" in printed or b"this is a bug" in printed:
        return False
    return 0 <= code <= 2 or code in (3, 7, 124, 125, 126, 127, 130, 141, 143)


def prepare(directory: Path) -> None:
    work = directory / "work"
    (work / "rootfs").mkdir(parents=True)
    (work / "web.yaml").write_text(POD)
    (work / "bad.yaml").write_text(POD.replace("image:", "imag:"))
    preload()
    os.environ["KUBELITE_ROOT"] = str(directory / "root")
    os.environ["KUBECONFIG"] = str(directory / "no-cluster")


def fuzz(seconds: float, seed: int) -> int:
    """Runs for a time; prints each command line that ended badly, and returns how many did."""
    chance = random.Random(seed)
    count = bad = 0
    with tempfile.TemporaryDirectory(prefix="kubelite-fuzz-") as name:
        directory = Path(name)
        prepare(directory)
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                words = command_line(chance)
                if any("\0" in word for word in words):
                    continue
                code, printed = run(words, directory)
                count += 1
                if not is_fine(code, printed):
                    bad += 1
                    print(f"{words!r}: {code}\n{printed.decode(errors='replace')[-1500:]}\n")
        finally:
            run(["system", "reset", "--yes"], directory)
    print(f"{count} command lines, {bad} ended badly (seed {seed})")
    return bad


if __name__ == "__main__":
    limit = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    sys.exit(
        bool(fuzz(limit, int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 30)))
    )
