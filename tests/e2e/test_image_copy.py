"""Images of this machine's podman, over the socket that docker has as well."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.world import World, eventually, pod


class Podman:
    """podman with a store of its own, which listens on ``socket``."""

    def __init__(self, place: Path) -> None:
        places = ["--root", str(place / "g"), "--runroot", str(place / "r")]
        self.command = ["podman", *places, "--storage-driver", "vfs"]
        self.socket = place / "podman.sock"
        serve = [*self.command, "system", "service", "--time", "0", f"unix://{self.socket}"]
        self.process = subprocess.Popen(serve, stderr=subprocess.DEVNULL)
        eventually(self.socket.is_socket, "podman listens", 60)

    def run(self, *words: str) -> str:
        done = subprocess.run([*self.command, *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.run("rmi", "--all", "--force")


@pytest.fixture
def podman() -> Iterator[Podman]:
    if shutil.which("podman") is None:
        pytest.skip("no podman on this machine")
    # podman takes no long paths.
    with tempfile.TemporaryDirectory(prefix="kubelite-") as directory:
        podman = Podman(Path(directory))
        try:
            yield podman
        finally:
            podman.close()


def test_an_image_of_podman_is_copied_and_runs(
    world: World, root: Path, podman: Podman, tmp_path: Path
) -> None:
    (root / "said").write_text("of podman\n")
    world.kl("image", "import", "made:1", str(root))
    world.kl("image", "save", "made:1", "-o", str(tmp_path / "made.tar"))
    world.kl("image", "rm", "made:1")
    podman.run("pull", f"docker-archive:{tmp_path / 'made.tar'}")
    world.env["DOCKER_HOST"] = f"unix://{podman.socket}"
    world.kl("image", "copy", "docker-daemon:made:1")
    shell = shutil.which("sh")
    wanted = pod(image="made:1", imagePullPolicy="Never", command=[shell, "-c", "cat /said"])
    assert world.output(wanted) == "of podman\n"

    podman.run("tag", "made:1", "localhost/other:2")
    copied = world.kl("image", "copy", "docker-daemon:made:1", "docker-daemon:localhost/other:2")
    assert [line.split()[1] for line in copied.stdout.splitlines()] == [
        "docker.io/library/made:1",
        "localhost/other:2",
    ]


def test_what_cannot_be_copied_is_one_sentence(
    world: World, podman: Podman, tmp_path: Path
) -> None:
    def refused(*words: str, host: Path | str) -> str:
        world.env["DOCKER_HOST"] = str(host)
        done = world.kl("image", "copy", *words, check=False)
        assert done.returncode, done.stdout
        assert "Traceback" not in done.stderr
        return f"{done.returncode} {done.stderr}"

    there, nowhere = f"unix://{podman.socket}", f"unix://{tmp_path / 'none.sock'}"
    assert 'no daemon gives the image "none:1"' in refused("docker-daemon:none:1", host=there)
    assert "No such file or directory" in refused("docker-daemon:none:1", host=nowhere)
    assert "is not the socket of a daemon here" in refused(
        "docker-daemon:a", host="ssh://elsewhere"
    )
    assert refused("a", host=there).startswith("2 ")
    assert not list(world.root.glob("images/layers/*"))
