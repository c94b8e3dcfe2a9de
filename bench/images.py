"""How fast images come in and are built: kubelite beside skopeo with umoci, podman and buildah.

    python bench/images.py [--runs 3] [--json FILE]

The image is a file system of this machine's programs and libraries in two gzip-compressed layers.
*unpack* takes it from an OCI archive, *pull* from Debian's docker-registry on loopback, until a
container could run from it; *build* is a Containerfile of twenty steps, each a RUN or a COPY, first
with no cache and then again with nothing changed; *first start* runs ``true`` from the image, which
no container has run from yet, and takes the container away. *size* is what the store takes on the
disk with the image unpacked in it. Medians of runs in turns, by the clock and in processor time;
each run begins with an empty store. podman and buildah keep images with the overlay driver where it
works here, else vfs; their containers have no network, and buildah's no namespaces either, ours are
whole pods.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from startup.site import compile_c

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
BYTES = 160_000_000
LAUNCHER = Path(sys.executable).with_name("kubelite")
STEPS = 20
REGISTRY = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {place}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
RUNS_ON_V1 = ("unshare", "-m", "sh", "-c", 'umount -l /sys/fs/cgroup/unified; exec "$@"', "sh")
"""crun refuses to run where both kinds of cgroups are mounted."""


class Cost(NamedTuple):
    """Seconds by the clock, and of the processors."""

    wall: float
    cpu: float

    def __add__(self, other: Any) -> Cost:
        return Cost(self.wall + other.wall, self.cpu + other.cpu)


Costs = dict[str, Cost]


class Taken(NamedTuple):
    """What a subject took in one run: its work, and the megabytes of its store."""

    costs: Costs
    size: float


class Inputs(NamedTuple):
    """What every subject is given."""

    archive: Path
    reference: str
    context: Path
    containerfile: Path
    base: Path
    runtime: Path


def run(*command: str | Path, env: dict[str, str] | None = None) -> Cost:
    """What a command takes; its output is shown if it fails."""
    with tempfile.TemporaryFile() as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cost = Cost(time.monotonic() - began, usage.ru_utime + usage.ru_stime)
        if process.returncode:
            output.seek(0)
            sys.exit(f"{' '.join(map(str, command))}:\n{output.read().decode()}")
    return cost


def megabytes(place: Path) -> float:
    """What a directory takes on the disk; a file of several names counts once."""
    done = subprocess.run(["du", "-s", "-B1", place], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[0]) / 1e6


# -- the inputs -----------------------------------------------------------------------------------


def make_inputs(place: Path, reference: str) -> Inputs:
    """An archive of two layers, the same in the registry, a base for builds, and what to build."""
    home, root, programs = place / "maker", place / "rootfs", place / "programs"
    fill(root)
    add_program("/usr/bin/true", root)
    for program in ("/bin/sh", "/bin/cat"):
        add_program(program, programs)
    large = place / "large"
    large.write_text("FROM scratch\nCOPY rootfs /\nCOPY rootfs/usr/bin /copied\n")
    kl(home, "image", "build", "-f", str(large), "-t", reference, str(place))
    kl(home, "image", "import", "base", str(programs))
    archive, base = place / "image.tar", place / "base.tar"
    kl(home, "image", "save", reference, "-o", str(archive))
    kl(home, "image", "save", "base", "-o", str(base))
    kl(home, "image", "push", reference)
    context, containerfile = place / "context", place / "Containerfile"
    context.mkdir()
    steps = []
    for number in range(STEPS // 2):
        (context / f"file{number}").write_bytes(os.urandom(100_000))
        steps += [f"COPY file{number} /app/", f"RUN cat /app/file{number} > /out{number}"]
    containerfile.write_text("\n".join(["FROM base", *steps, ""]))
    runtime = place / "bin" / "crun"
    runtime.parent.mkdir()
    compile_c(runtime, ["nolimits.c"], f'-DREAL_RUNTIME="{shutil.which("crun")}"')
    return Inputs(archive, reference, context, containerfile, base, runtime)


def add_program(program: str, root: Path) -> None:
    """A program with the libraries that it needs, at the places where they are here."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    for source in (program, *re.findall(r"(/\S+) \(0x", listed.stdout)):
        target = root / source.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def fill(root: Path) -> None:
    """Programs and libraries of this machine, as many as make a usual image."""
    total = 0
    for source in filter(os.path.isdir, SOURCES):
        for path in sorted(Path(source).rglob("*")):
            if total < BYTES and path.is_file() and not path.is_symlink():
                target = root / path.relative_to("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(path, target)
                total += path.stat().st_size


@contextlib.contextmanager
def registry(place: Path) -> Iterator[str]:
    """Debian's registry; its host and port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    place.mkdir()
    (place / "config.yml").write_text(REGISTRY.format(place=place, port=port))
    process = subprocess.Popen(
        ["docker-registry", "serve", place / "config.yml"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def forgetting(home: Path) -> Iterator[None]:
    """Resets a state root in the end."""
    try:
        yield
    finally:
        kl(home, "system", "reset", "--yes")


# -- the subjects ---------------------------------------------------------------------------------


def kl(home: Path, *words: str) -> Cost:
    """What it costs: ``kubelite WORDS`` over a state root."""
    env = {**os.environ, "KUBELITE_ROOT": str(home), "PYTHONPATH": str(ROOT)}
    return run(sys.executable, "-m", "kubelite", *words, env=env)


def typed(home: Path, *words: str) -> float:
    """Seconds by the clock of the installed command, which a warm process serves."""
    env = {**os.environ, "KUBELITE_ROOT": str(home), "KUBELITE_WARM_SECONDS": "30"}
    return run(LAUNCHER, *words, env=env).wall


def wait_for_warm_process(home: Path) -> None:
    """The first command about pods that is typed finds none, and starts it."""
    info = LAUNCHER.stat()
    socket_path = Path("/run/kubelite-warm", f"{info.st_dev}-{info.st_ino}")
    typed(home, "pod", "ls")
    for _ in range(3000):
        if socket_path.exists():
            return
        time.sleep(0.01)
    sys.exit("no warm process after 30 seconds")


def ours(place: Path, inputs: Inputs) -> Taken:
    """kubelite, over a new state root, whose network the first start makes. That is typed, as after
    other commands; its processor time is that of another one in a Python of its own, since nobody
    can wait for what a warm process has forked.
    """
    home = place / "root"
    build = ("image", "build", "-f", str(inputs.containerfile), "-t", "built", str(inputs.context))
    with forgetting(home):
        unpack = kl(home, "image", "load", str(inputs.archive))
        size = megabytes(home / "images")
        once = ("pod", "run", "--rm", inputs.reference, "--", "/usr/bin/true")
        wait_for_warm_process(home)
        start = Cost(typed(home, *once), kl(home, *once).cpu)
        kl(home, "image", "rm", inputs.reference)
        pull = kl(home, "image", "pull", inputs.reference)
        kl(home, "image", "load", str(inputs.base))
        cold, cached = kl(home, *build), kl(home, *build)
    costs = {"unpack": unpack, "first start": start, "pull": pull, "build": cold}
    return Taken(costs | {"build again": cached}, size)


def skopeo_and_umoci(place: Path, inputs: Inputs) -> Taken:
    """Two programs, one after the other; they neither build nor run."""

    def bring(source: str, layout: Path, *options: str) -> Cost:
        copy = run("skopeo", "--insecure-policy", "copy", *options, source, f"oci:{layout}:1")
        return copy + run("umoci", "unpack", "--image", f"{layout}:1", f"{layout}.bundle")

    unpack = bring(f"oci-archive:{inputs.archive}", place / "one")
    size = megabytes(place)
    pull = bring(f"docker://{inputs.reference}", place / "two", "--src-tls-verify=false")
    return Taken({"unpack": unpack, "pull": pull}, size)


def engine(name: str) -> Callable[[Path, Inputs], Taken]:
    """podman or buildah, over new stores."""

    def measured(place: Path, inputs: Inputs) -> Taken:
        driver = ("--storage-driver", storage_driver(name, place))
        words = (name, "--root", str(place / "g"), "--runroot", str(place / "r"), *driver)
        build = (
            *words, "build", "--isolation", "chroot", "--layers", "--pull=never",
            "-f", str(inputs.containerfile), "-t", "built", str(inputs.context),
        )  # fmt: skip
        unpack = run(*words, "pull", f"oci-archive:{inputs.archive}")
        size = megabytes(place / "g")
        start = first_start(words, inputs)
        run(*words, "rmi", "--all", "--force")
        pull = run(*words, "pull", "--tls-verify=false", inputs.reference)
        run(*words, "pull", f"oci-archive:{inputs.base}")
        run(*words, "tag", "docker.io/library/base:latest", "localhost/base:latest")
        cold, cached = run(*build), run(*build)
        run(*words, "rmi", "--all", "--force")
        costs = {"unpack": unpack, "first start": start, "pull": pull, "build": cold}
        return Taken(costs | {"build again": cached}, size)

    return measured


def first_start(words: tuple[str, ...], inputs: Inputs) -> Cost:
    """podman or buildah runs a container once, and takes it away."""
    if words[0] == "podman":
        options = ("run", "--rm", "--network", "none", "--cgroups", "disabled")
        program = (*words, "--runtime", inputs.runtime, *options, inputs.reference, "/usr/bin/true")
        is_hybrid = os.path.ismount("/sys/fs/cgroup/unified")
        return run(*(RUNS_ON_V1 if is_hybrid else ()), *program)
    creation = run(*words, "from", "--pull=never", "--name", "bench", inputs.reference)
    execution = run(*words, "run", "--isolation", "chroot", "bench", "--", "/usr/bin/true")
    return creation + execution + run(*words, "rm", "bench")


def storage_driver(name: str, place: Path) -> str:
    """Overlay where it works, which is what they use by default."""
    probe = ("--root", str(place / "p"), "--runroot", str(place / "q"))
    done = subprocess.run(
        [name, *probe, "--storage-driver", "overlay", "info"], capture_output=True
    )
    return "overlay" if done.returncode == 0 else "vfs"


SUBJECTS: dict[str, tuple[str, Callable[[Path, Inputs], Taken]]] = {
    "kubelite": ("sh", ours),
    "skopeo+umoci": ("umoci", skopeo_and_umoci),
    "podman": ("podman", engine("podman")),
    "buildah": ("buildah", engine("buildah")),
}
COLUMNS = ("unpack", "first start", "pull", "build", "build again")


def report(medians: dict[str, Taken], compressed: int) -> str:
    """For the clock and for the processors a row of each subject, and how much faster kubelite is
    than the fastest of the others; the sizes of the stores.
    """
    lines = []
    for kind in Cost._fields:
        lines.append(f"{kind:14}" + "".join(f"{column:>14}" for column in COLUMNS))
        for name, taken in medians.items():
            cells = [taken.costs.get(column) for column in COLUMNS]
            shown = [f"{getattr(c, kind):12.2f} s" if c else f"{'-':>14}" for c in cells]
            lines.append(f"{name:14}" + "".join(shown))
        factors = [f"{factor(medians, column, kind):13.1f}x" for column in COLUMNS]
        lines += [f"{'faster by':14}" + "".join(factors), ""]
    sizes = [f"{name} {taken.size:.0f} MB" for name, taken in medians.items()]
    lines.append(f"size of the store: {', '.join(sizes)}")
    costs = medians["kubelite"].costs
    rates = [f"{c} {compressed / 1e6 / costs[c].wall:.0f} MB/s" for c in ("unpack", "pull")]
    lines.append(f"kubelite: {', '.join(rates)} of compressed layers")
    return "\n".join(lines)


def factor(medians: dict[str, Taken], column: str, kind: str) -> float:
    """How many times what kubelite takes the best of the others takes."""
    others = [
        getattr(taken.costs[column], kind)
        for name, taken in medians.items()
        if name != "kubelite" and column in taken.costs
    ]
    least: float = min(others, default=float("nan"))
    return least / float(getattr(medians["kubelite"].costs[column], kind))


def median(runs: list[Taken]) -> Taken:
    """Each figure's, by itself."""
    costs = {
        column: Cost(*(statistics.median(kind) for kind in zip(*several, strict=True)))
        for column in runs[0].costs
        if (several := [taken.costs[column] for taken in runs])
    }
    return Taken(costs, statistics.median(taken.size for taken in runs))


def documents(medians: dict[str, Taken]) -> dict[str, Any]:
    """The figures as JSON has them."""
    return {
        name: {column: cost._asdict() for column, cost in taken.costs.items()}
        | {"size": taken.size}
        for name, taken in medians.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    present = {name: once for name, (tool, once) in SUBJECTS.items() if shutil.which(tool)}
    taken: dict[str, list[Taken]] = {name: [] for name in present}
    # podman and buildah take no long paths.
    with tempfile.TemporaryDirectory(prefix="kubelite-bench-") as directory:
        place = Path(directory)
        # An installed kubelite is compiled; a checkout need not be.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(place / "compiled")
        with registry(place / "registry") as host, forgetting(place / "maker"):
            inputs = make_inputs(place, f"{host}/bench:1")
            for number in range(given.runs):
                for name, once in present.items():
                    own = place / f"{name[:3]}{number}"
                    own.mkdir()
                    taken[name].append(once(own, inputs))
                    shutil.rmtree(own)
        size = inputs.archive.stat().st_size
    medians = {name: median(runs) for name, runs in taken.items()}
    print(report(medians, size))
    if given.json:
        given.json.write_text(json.dumps(documents(medians), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
