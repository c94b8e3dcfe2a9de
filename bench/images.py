"""How fast images come in and are built: kubelite beside skopeo with umoci, podman and buildah.

    python bench/images.py [--runs 3] [--json FILE]

The image is a file system of this machine's programs and libraries in two gzip-compressed layers.
*unpack* takes it from an OCI archive, *pull* from Debian's docker-registry on loopback, until a
container could run from it; *build* is a Containerfile of twenty steps, each a RUN or a COPY, first
with no cache and then again with nothing changed. Medians of runs in turns; each run begins with an
empty store. podman and buildah keep images with the overlay driver where it works here, else vfs.
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
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu")
BYTES = 160_000_000
STEPS = 20
REGISTRY = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {place}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""
Seconds = dict[str, float]


class Inputs(NamedTuple):
    """What every subject is given."""

    archive: Path
    reference: str
    context: Path
    containerfile: Path
    base: Path


def run(*command: str | Path, env: dict[str, str] | None = None) -> float:
    """Seconds that a command takes; its output is shown if it fails."""
    began = time.monotonic()
    done = subprocess.run([str(word) for word in command], capture_output=True, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stderr.decode()}")
    return time.monotonic() - began


# -- the inputs -----------------------------------------------------------------------------------


def make_inputs(place: Path, reference: str) -> Inputs:
    """An archive of two layers, the same in the registry, a base for builds, and what to build."""
    home, root, programs = place / "maker", place / "rootfs", place / "programs"
    fill(root)
    for name in ("sh", "cat"):
        said = subprocess.run(["ldd", f"/bin/{name}"], capture_output=True, text=True, check=True)
        for source in (f"/bin/{name}", *re.findall(r"(/\S+) \(0x", said.stdout)):
            target = programs / source.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
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
    return Inputs(archive, reference, context, containerfile, base)


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


def kl(home: Path, *words: str) -> float:
    """Seconds of ``kubelite WORDS`` over a state root."""
    env = {**os.environ, "KUBELITE_ROOT": str(home), "PYTHONPATH": str(ROOT)}
    return run(sys.executable, "-m", "kubelite", *words, env=env)


def ours(place: Path, inputs: Inputs) -> Seconds:
    """kubelite, over a new state root."""
    home = place / "root"
    build = ("image", "build", "-f", str(inputs.containerfile), "-t", "built", str(inputs.context))
    with forgetting(home):
        unpack = kl(home, "image", "load", str(inputs.archive))
        kl(home, "image", "rm", inputs.reference)
        pull = kl(home, "image", "pull", inputs.reference)
        kl(home, "image", "load", str(inputs.base))
        cold, cached = kl(home, *build), kl(home, *build)
    return {"unpack": unpack, "pull": pull, "build": cold, "build again": cached}


def skopeo_and_umoci(place: Path, inputs: Inputs) -> Seconds:
    """Two programs, one after the other; they do not build."""

    def bring(source: str, layout: Path, *options: str) -> float:
        copy = run("skopeo", "--insecure-policy", "copy", *options, source, f"oci:{layout}:1")
        return copy + run("umoci", "unpack", "--image", f"{layout}:1", f"{layout}.bundle")

    return {
        "unpack": bring(f"oci-archive:{inputs.archive}", place / "one"),
        "pull": bring(f"docker://{inputs.reference}", place / "two", "--src-tls-verify=false"),
    }


def engine(name: str) -> Callable[[Path, Inputs], Seconds]:
    """podman or buildah, over new stores."""

    def measured(place: Path, inputs: Inputs) -> Seconds:
        driver = ("--storage-driver", storage_driver(name, place))
        words = (name, "--root", str(place / "g"), "--runroot", str(place / "r"), *driver)
        build = (
            *words, "build", "--isolation", "chroot", "--layers", "--pull=never",
            "-f", str(inputs.containerfile), "-t", "built", str(inputs.context),
        )  # fmt: skip
        unpack = run(*words, "pull", f"oci-archive:{inputs.archive}")
        run(*words, "rmi", "--all", "--force")
        pull = run(*words, "pull", "--tls-verify=false", inputs.reference)
        run(*words, "pull", f"oci-archive:{inputs.base}")
        run(*words, "tag", "docker.io/library/base:latest", "localhost/base:latest")
        cold, cached = run(*build), run(*build)
        run(*words, "rmi", "--all", "--force")
        return {"unpack": unpack, "pull": pull, "build": cold, "build again": cached}

    return measured


def storage_driver(name: str, place: Path) -> str:
    """Overlay where it works, which is what they use by default."""
    probe = ("--root", str(place / "p"), "--runroot", str(place / "q"))
    done = subprocess.run(
        [name, *probe, "--storage-driver", "overlay", "info"], capture_output=True
    )
    return "overlay" if done.returncode == 0 else "vfs"


SUBJECTS: dict[str, tuple[str, Callable[[Path, Inputs], Seconds]]] = {
    "kubelite": ("sh", ours),
    "skopeo+umoci": ("umoci", skopeo_and_umoci),
    "podman": ("podman", engine("podman")),
    "buildah": ("buildah", engine("buildah")),
}


def report(medians: dict[str, Seconds], size: int) -> str:
    """A row for each subject, and how much faster kubelite is than the fastest of the others."""
    columns = ("unpack", "pull", "build", "build again")
    lines = [f"{'':14}" + "".join(f"{column:>14}" for column in columns)]
    for name, seconds in medians.items():
        cells = [f"{seconds[c]:12.2f} s" if c in seconds else f"{'-':>14}" for c in columns]
        lines.append(f"{name:14}" + "".join(cells))
    ours_, others = medians["kubelite"], [s for n, s in medians.items() if n != "kubelite"]
    factors = [
        min((s[c] for s in others if c in s), default=float("nan")) / ours_[c] for c in columns
    ]
    lines.append(f"{'faster by':14}" + "".join(f"{factor:13.1f}x" for factor in factors))
    rates = [f"{c} {size / 1e6 / ours_[c]:.0f} MB/s" for c in columns[:2]]
    lines.append(f"kubelite: {', '.join(rates)} of compressed layers")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    present = {name: once for name, (tool, once) in SUBJECTS.items() if shutil.which(tool)}
    taken: dict[str, list[Seconds]] = {name: [] for name in present}
    # podman and buildah take no long paths.
    with tempfile.TemporaryDirectory(prefix="kubelite-bench-") as directory:
        place = Path(directory)
        with registry(place / "registry") as host, forgetting(place / "maker"):
            inputs = make_inputs(place, f"{host}/bench:1")
            for number in range(given.runs):
                for name, once in present.items():
                    own = place / f"{name[:3]}{number}"
                    own.mkdir()
                    taken[name].append(once(own, inputs))
                    shutil.rmtree(own)
        size = inputs.archive.stat().st_size
    medians = {
        name: {c: statistics.median(run_[c] for run_ in runs) for c in runs[0]}
        for name, runs in taken.items()
    }
    print(report(medians, size))
    if given.json:
        given.json.write_text(json.dumps(medians, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
