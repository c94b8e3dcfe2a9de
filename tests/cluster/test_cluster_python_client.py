"""The whole ``e2e_test`` folder of the official Python client against a cluster with a node. The
packages of the client leave the folder out; it is run as it is, with the client of its own version,
from Debian's source package.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

from tests.cluster.world import Cluster
from tests.control.debian import modules_of, source_archive

SECONDS = 300
# The client waits without a limit for some answers: then it says where.
RUN = f"""
import faulthandler, json, sys, unittest
faulthandler.dump_traceback_later({SECONDS}, exit=True)
suite = unittest.defaultTestLoader.discover("kubernetes/e2e_test", top_level_dir=".")
result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(suite)
wrong = {{test.id(): text for test, text in [*result.failures, *result.errors]}}
print(json.dumps({{"ran": result.testsRun, "skipped": len(result.skipped), "wrong": wrong}}))
"""
TESTS = 32
MODULES = "python3-google-auth", "python3-six", "python3-cachetools"
"""What that version needs besides the modules that today's client needs."""

# Stand-ins for the images that the tests name: what of them is used.
CONTAINERFILE = """
FROM scratch AS busybox
COPY bin /bin
RUN ["/bin/busybox", "--install", "-s", "/bin"]
CMD ["sh"]
FROM busybox AS nginx
COPY web /web
CMD ["httpd", "-f", "-p", "80", "-h", "/web"]
FROM busybox AS python
COPY python /
"""


def load_images(cluster: Cluster, context: Path) -> None:
    """Makes the images in the store of the cluster."""
    (context / "bin").mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, context / "bin" / "busybox")
    (context / "web").mkdir()
    (context / "web" / "index.html").write_text("<h1>Welcome to nginx!</h1>")
    copy_python(context / "python")
    (context / "Containerfile").write_text(CONTAINERFILE)
    for name in ("busybox", "nginx", "python"):
        cluster.kl("image", "build", "-t", name, "--target", name, str(context))


def copy_python(root: Path) -> None:
    """This machine's Python, its libraries and its modules, below a directory."""
    program = os.path.realpath(sys.executable)
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for source in re.findall(r"(/\S+) \(0x", said):
        target = root / source.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    place = root / program.removeprefix("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, place)
    (root / "bin").mkdir(exist_ok=True)
    (root / "bin" / "python").symlink_to(program)
    modules = sysconfig.get_path("stdlib")
    unneeded = shutil.ignore_patterns("__pycache__", "*-packages", "test", "lib2to3", "config-*")
    shutil.copytree(modules, root / modules.removeprefix("/"), ignore=unneeded)


def test_they_pass(cluster: Cluster, tmp_path: Path) -> None:
    with tarfile.open(source_archive("trixie", "python-kubernetes")) as archive:
        archive.extractall(tmp_path, filter="data")
    modules = modules_of(*MODULES)
    load_images(cluster, tmp_path / "images")
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=next(tmp_path.glob("python-*")),
        env={**os.environ, "KUBECONFIG": cluster.kubeconfig, "PYTHONPATH": modules},
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-6000:]}"
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["ran"] >= TESTS, done.stderr
    assert (result["skipped"], result["wrong"]) == (0, {}), "\n".join(result["wrong"].values())
