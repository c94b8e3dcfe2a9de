"""conmon and containerd-shim, each above a container that sleeps, started as podman and containerd
start them.

Their containers have a plain directory as root and namespaces of their own, so that no image,
storage driver or network plugin counts. All of it lives in the peers' namespaces of a :class:`Site`
and is gone when the block is left.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from startup.measure import BenchError, Unavailable
from startup.oci import bundle_config, mount
from startup.site import Site, make_root

SECONDS = 20.0
_CONTAINERD = """version = 2
root = "{place}/root"
state = "{place}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{place}/containerd.sock"
"""


@contextmanager
def conmons(site: Site, count: int) -> Iterator[list[int]]:
    """The process ids of ``count`` conmons. Raises Unavailable where conmon or crun is not
    installed, BenchError.
    """
    place = site.work / "conmon"
    names = [f"c{number}" for number in range(count)]
    with site.isolation.peers():
        try:
            for name in names:
                _conmon(site, _bundle(site, place / name, "conmon"))
                _run([*_crun(place), "start", name])
            yield [_parent(_number(place / name / "pid")) for name in names]
        finally:
            for name in names:
                _run([*_crun(place), "delete", "--force", name], check=False)


def flooded(site: Site, script: str) -> float:
    """Seconds from the start of a shell script below conmon until its end is recorded and every
    line is in its file. Raises Unavailable, BenchError."""
    folder = site.work / "flood/c"
    with site.isolation.peers():
        try:
            _conmon(site, _bundle(site, folder, "conmon", script))
            began = time.monotonic()
            _run([*_crun(folder.parent), "start", folder.name])
            _wait(
                (folder / "exit" / folder.name).exists,
                "the container below conmon did not end",
                300,
            )
            return time.monotonic() - began
        finally:
            _run([*_crun(folder.parent), "delete", "--force", folder.name], check=False)
            shutil.rmtree(folder)


def _conmon(site: Site, folder: Path) -> None:
    """A conmon with the container of a bundle, which is not started yet; both are called like the
    folder.
    """
    (crun, *state), name = _crun(folder.parent), folder.name
    words = [
        _program("conmon"),
        "--full-attach",
        "-c",
        name,
        "-u",
        name,
        "-r",
        crun,
        "--runtime-arg",
        "=".join(state),
    ]
    words += [
        "-b",
        str(folder),
        "-p",
        f"{folder}/pid",
        "--exit-dir",
        f"{folder}/exit",
        "-l",
        f"k8s-file:{folder}/log",
    ]
    (folder / "exit").mkdir()
    _run(words)
    _wait(lambda: _number(folder / "pid") > 0, f"conmon made no container in {folder}")


def _crun(place: Path) -> list[str]:
    return [_program("crun"), "--root", f"{place}/state"]


@contextmanager
def shims(site: Site, count: int) -> Iterator[list[int]]:
    """The process ids of ``count`` containerd shims. Raises Unavailable where containerd or runc is
    not installed, BenchError.
    """
    for program in ("containerd-shim-runc-v2", "runc"):
        _program(program)
    place = site.work / "containerd"
    place.mkdir()
    (place / "config.toml").write_text(_CONTAINERD.format(place=place))
    ctr = [_program("ctr"), "--address", f"{place}/containerd.sock"]
    names = [f"s{number}" for number in range(count)]
    with site.isolation.peers(), (place / "log").open("wb") as log:
        daemon = subprocess.Popen(
            [_program("containerd"), "--config", f"{place}/config.toml"], stdout=log, stderr=log
        )
        try:
            _wait(
                (place / "containerd.sock").exists,
                f"containerd did not start: {(place / 'log').read_text()[-300:]}",
            )
            for name in names:
                folder = _bundle(site, place / name, "containerd")
                _run(
                    [
                        *ctr,
                        "run",
                        "--detach",
                        "--pid-file",
                        f"{folder}/pid",
                        "--config",
                        f"{folder}/config.json",
                        name,
                    ]
                )
            yield [_parent(_number(place / name / "pid")) for name in names]
        finally:
            for name in names:
                _run([*ctr, "task", "delete", "--force", name], check=False)
            daemon.terminate()
            daemon.wait()


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not installed")
    return path


def _bundle(site: Site, folder: Path, peer: str, script: str = "") -> Path:
    """A bundle of a container that pauses or runs a script with the machine's shell, in a cgroup of
    this run.
    """
    make_root(folder / "rootfs")
    shutil.copy2(site.pause, folder / "rootfs/pause")
    config = bundle_config(
        None, f"/{site.cgroup(peer)}/{folder.name}", str(site.volume), "/dev/shm"
    )
    config["root"]["path"] = f"{folder}/rootfs"
    config["process"]["args"] = ["/bin/sh", "-c", script] if script else ["/pause"]
    if script:
        programs = (name for name in ("/usr", "/bin", "/lib", "/lib64") if Path(name).exists())
        config["mounts"] += [mount(name, "bind", name, "rbind", "ro") for name in programs]
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _run(words: list[str], check: bool = True) -> None:
    """Runs a tool that may leave a child behind: nobody waits for its output to end."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=SECONDS,
    )
    if check and done.returncode != 0:
        raise BenchError(f"exit code {done.returncode} of: {' '.join(words)}")


def _wait(ready: Callable[[], bool], otherwise: str, seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise BenchError(otherwise)
        time.sleep(0.01)


def _number(file: Path) -> int:
    """The number in a file; 0 where it is not written yet."""
    return int(file.read_text().strip() or 0) if file.exists() else 0


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("PPid:")[2].split()[0])
