"""Images that stand in for those that the suite names: Debian's programs, and the suite's own from
its source, below the names and with the configuration that the tests expect.

One docker archive holds all of them; `kubelite image load` takes it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

DEBIAN = Path(__file__).resolve().parents[1] / "debian"
SUITE = "bookworm"
UNNEEDED = ("doc", "man", "locale", "info", "lintian", "bug")

# What the Dockerfiles of test/images and the tests' own commands ask for.
TOOLS = "bash busybox-static libc-bin curl bind9-dnsutils netcat-openbsd iproute2 iperf".split()
HTTPD_CONFIGURATION = """ServerRoot /usr/local/apache2
ServerName localhost
Listen 80
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
DirectoryIndex index.html
DocumentRoot /usr/local/apache2/htdocs
PidFile /tmp/httpd.pid
ErrorLog /dev/stderr
"""
NGINX_CONFIGURATION = """user root;
pid /tmp/nginx.pid;
events {}
http {
    access_log /dev/stdout;
    server {
        listen 80;
        root /usr/share/nginx/html;
    }
}
"""


class Image(NamedTuple):
    """Names of an image, its layers from the lowest up, and its configuration as OCI has it."""

    names: tuple[str, ...]
    layers: tuple[str, ...]
    config: dict[str, Any]


class Built(NamedTuple):
    """The folder with the programs that were built, and the tree of Kubernetes they come from."""

    programs: Path
    source: Path


AGNHOST = {"Entrypoint": ["/agnhost"], "Cmd": ["pause"]}
WEB = {"Cmd": ["test-webserver"]}
E2E = "gcr.io/kubernetes-e2e-test-images"
IMAGES = (
    Image(("k8s.gcr.io/e2e-test-images/agnhost:2.21",), ("tools", "agnhost"), AGNHOST),
    Image((f"{E2E}/jessie-dnsutils:1.0",), ("tools",), {"Cmd": ["/bin/sh"]}),
    Image((f"{E2E}/nautilus:1.0",), ("tools", "agnhost", "nautilus"), AGNHOST | WEB),
    Image((f"{E2E}/kitten:1.0",), ("tools", "agnhost", "kitten"), AGNHOST | WEB),
    Image((f"{E2E}/nonroot:1.0",), ("busybox",), {"Cmd": ["sh"], "User": "1234"}),
    Image((f"{E2E}/nonewprivs:1.0",), ("busybox", "nonewprivs"), {"Cmd": ["nnp"]}),
    Image(
        (f"{E2E}/sample-apiserver:1.17",),
        ("sample-apiserver",),
        {"Entrypoint": ["/sample-apiserver"]},
    ),
    Image(("k8s.gcr.io/etcd:3.4.13-0",), ("etcd",), {"Cmd": ["/usr/local/bin/etcd"]}),
    Image(("k8s.gcr.io/pause:3.2",), ("pause",), {"Entrypoint": ["/pause"]}),
    Image(("docker.io/library/busybox:1.29",), ("busybox",), {"Cmd": ["sh"]}),
    Image(
        ("docker.io/library/httpd:2.4.38-alpine", "docker.io/library/httpd:2.4.39-alpine"),
        ("busybox", "httpd"),
        {
            "Cmd": ["/usr/sbin/apache2", "-DFOREGROUND", "-f", "/etc/httpd.conf"],
            "StopSignal": "SIGWINCH",
        },
    ),
    Image(
        ("docker.io/library/nginx:1.14-alpine", "docker.io/library/nginx:1.15-alpine"),
        ("busybox", "nginx"),
        {"Cmd": ["/usr/sbin/nginx", "-g", "daemon off; error_log stderr;"]},
    ),
)
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def make_archive(built: Built, folder: Path) -> Path:
    """The archive with all images, made once below a folder."""
    archive = folder / "images.tar"
    if archive.exists():
        return archive
    layers = {}
    for name, make in LAYERS.items():
        make(folder / name, built)
        layers[name] = pack(folder / name)
    unfinished = folder / "images.tar.new"
    with tarfile.open(unfinished, "w") as tar:
        manifest = []
        for number, image in enumerate(IMAGES):
            add_file(tar, f"{number}.json", configuration(image, layers))
            names = [layers[layer].name for layer in image.layers]
            manifest.append(
                {"Config": f"{number}.json", "RepoTags": list(image.names), "Layers": names}
            )
        for layer in layers.values():
            tar.add(layer, layer.name)
        add_file(tar, "manifest.json", json.dumps(manifest).encode())
    unfinished.rename(archive)
    return archive


def configuration(image: Image, layers: dict[str, Path]) -> bytes:
    """The configuration of an image in OCI's form."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": [PATH], **image.config},
        "rootfs": {"type": "layers", "diff_ids": [digest(layers[name]) for name in image.layers]},
    }
    return json.dumps(document).encode()


def digest(path: Path) -> str:
    """A file's digest, as OCI writes it."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def add_file(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    """Adds a file to an archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def pack(root: Path) -> Path:
    """The layer of what is below a folder, all of it owned by root."""

    def owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    layer = root.with_name(f"{root.name}.tar")
    with tarfile.open(layer, "w") as tar:
        for path in sorted(root.iterdir()):
            tar.add(path, path.name, filter=owned_by_root)
    return layer


def unpack(root: Path, *packages: str) -> None:
    """Debian packages with all that they depend on, without what only people read."""
    subprocess.run([DEBIAN, "--closed", SUITE, root, *packages], check=True)
    for name in UNNEEDED:
        shutil.rmtree(root / "usr/share" / name, ignore_errors=True)


def add_applets(root: Path) -> None:
    """Gives busybox' programs their names where no other program has the name, and what they expect
    in /etc and /tmp.
    """
    busybox = root / "bin/busybox"
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True)
    for name in listed.stdout.split():
        folders = (root / folder / name for folder in ("bin", "sbin", "usr/bin", "usr/sbin"))
        if not any(path.is_symlink() or path.exists() for path in folders):
            (root / "bin" / name).symlink_to("busybox")
    for folder, mode in (("tmp", 0o1777), ("etc", 0o755), ("root", 0o700)):
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(mode)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")


def make_tools(root: Path, _: Built) -> None:
    """The programs that the suite's images have beside their own."""
    unpack(root, *TOOLS)
    (root / "bin/nc").symlink_to("nc.openbsd")
    (root / "bin/sh").symlink_to("bash")  # busybox' own shell prefers its own nc and ip
    add_applets(root)


def make_busybox(root: Path, _: Built) -> None:
    """A shell and small tools."""
    unpack(root, "busybox-static")
    add_applets(root)


def make_agnhost(root: Path, built: Built) -> None:
    """The suite's own program for nearly everything."""
    (root / "uploads").mkdir(parents=True)
    shutil.copy(built.programs / "agnhost", root / "agnhost")
    (root / "agnhost-2").symlink_to("agnhost")
    for name in ("localhost.crt", "localhost.key"):
        shutil.copy(built.source / "test/images/agnhost/porter" / name, root / name)


def make_pet(root: Path, built: Built) -> None:
    """The picture of an animal, and a document that names it."""
    shutil.copytree(built.source / "test/images" / root.name / "html", root)


def make_nonewprivs(root: Path, built: Built) -> None:
    """A program that takes root's id and says which it got."""
    (root / "usr/local/bin").mkdir(parents=True)
    shutil.copy(built.programs / "nnp", root / "usr/local/bin/nnp")
    (root / "usr/local/bin/nnp").chmod(0o6755)


def make_program(root: Path, built: Built) -> None:
    """One program that needs nothing beside itself."""
    root.mkdir(parents=True)
    shutil.copy(built.programs / root.name, root / root.name)


def make_etcd(root: Path, _: Built) -> None:
    """Debian's etcd where the suite expects it."""
    unpack(root, "etcd-server")
    (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
    (root / "usr/local/bin/etcd").symlink_to("/usr/bin/etcd")
    (root / "tmp").mkdir(exist_ok=True)


def make_httpd(root: Path, _: Built) -> None:
    """Debian's Apache with one page, which the tests move away and back."""
    unpack(root, "apache2-bin")
    (root / "usr/local/apache2/htdocs").mkdir(parents=True)
    (root / "usr/local/apache2/htdocs/index.html").write_text("<h1>It works!</h1>\n")
    (root / "etc/httpd.conf").write_text(HTTPD_CONFIGURATION)


def make_nginx(root: Path, _: Built) -> None:
    """Debian's nginx with its own first page."""
    unpack(root, "nginx-light")
    for name in ("var/log/nginx", "var/lib/nginx", "run"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "etc/nginx/nginx.conf").write_text(NGINX_CONFIGURATION)


LAYERS = {
    "tools": make_tools,
    "busybox": make_busybox,
    "agnhost": make_agnhost,
    "nautilus": make_pet,
    "kitten": make_pet,
    "nonewprivs": make_nonewprivs,
    "sample-apiserver": make_program,
    "pause": make_program,
    "etcd": make_etcd,
    "httpd": make_httpd,
    "nginx": make_nginx,
}
