"""Builders of tars, OCI layouts and docker archives, and a watch over what must not change."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kubelite.node.image.oci import this_platform
from tests.node.image.registry import Proxy, Registry

ARCHITECTURE = this_platform(os.uname().machine).architecture
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
KINDS = {
    "file": tarfile.REGTYPE,
    "dir": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hard": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
}

Entry = tuple[tarfile.TarInfo, bytes]


class Blob(NamedTuple):
    """Bytes as stored and the digest of the plain bytes in them."""

    data: bytes
    diff_id: str

    @property
    def digest(self) -> str:
        return sha256(self.data)


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Build:
    """Everything a test needs to make an image by hand."""

    def entry(self, kind: str, name: str, data: bytes = b"", **fields: Any) -> Entry:
        info = tarfile.TarInfo(name)
        info.type = KINDS[kind]
        info.mode = 0o755 if kind == "dir" else 0o644
        info.size = len(data)
        for key, value in fields.items():
            setattr(info, key, value)
        return info, data

    def tar(self, *entries: Entry) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for info, data in entries:
                archive.addfile(info, io.BytesIO(data))
        return out.getvalue()

    def layer(self, *entries: Entry, compress: bool = False) -> Blob:
        plain = self.tar(*entries)
        return Blob(gzip.compress(plain, mtime=0) if compress else plain, sha256(plain))

    def config(self, layers: list[Blob], **config: Any) -> dict[str, Any]:
        return {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": "2024-05-06T07:08:09.123456789Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }

    def layout(self, path: Path, images: list[tuple[dict[str, str], list[Blob]]]) -> Layout:
        layout = Layout(path)
        manifests = [
            {**layout.image(layers, self.config(layers, Cmd=["/bin/true"])), "annotations": notes}
            for notes, layers in images
        ]
        layout.index(manifests)
        return layout

    def docker(self, path: Path, tags: list[str] | None, layers: list[Blob], **config: Any) -> Path:
        document = json.dumps(self.config(layers, **config)).encode()
        config_name = sha256(document)[7:] + ".json"
        names = [f"{n}/layer.tar" for n in range(len(layers))]
        manifest = [{"Config": config_name, "RepoTags": tags, "Layers": names}]
        blobs = zip(names, (layer.data for layer in layers), strict=True)
        files = [*blobs, (config_name, document), ("manifest.json", json.dumps(manifest).encode())]
        path.write_bytes(self.tar(*(self.entry("file", name, data) for name, data in files)))
        return path


class Layout:
    """An OCI image layout on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob_path(self, digest: str) -> Path:
        return self.path / "blobs" / "sha256" / digest[7:]

    def blob(self, data: bytes, media_type: str) -> dict[str, Any]:
        digest = sha256(data)
        self.blob_path(digest).write_bytes(data)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def document(self, document: Any, media_type: str) -> dict[str, Any]:
        return self.blob(json.dumps(document).encode(), media_type)

    def image(self, layers: list[Blob], config: dict[str, Any]) -> dict[str, Any]:
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.document(config, CONFIG_TYPE),
            "layers": [self.blob(layer.data, LAYER_TYPE) for layer in layers],
        }
        return self.document(manifest, MANIFEST_TYPE)

    def index(self, manifests: list[dict[str, Any]]) -> None:
        text = json.dumps({"schemaVersion": 2, "manifests": manifests})
        (self.path / "index.json").write_text(text)

    def pack(self, path: Path) -> Path:
        with tarfile.open(path, "w") as archive:
            archive.add(self.path, arcname=".")
        return path


class Outside:
    """Files that nothing may touch, beside the place that is unpacked into."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "sub").mkdir(parents=True)
        (path / "secret").write_text("secret")
        (path / "sub" / "file").write_text("file")
        (path / "sub").chmod(0o700)
        self.before = self.state()

    def state(self) -> dict[str, tuple[Any, ...]]:
        found = {}
        for path in [self.path.parent, self.path, *sorted(self.path.rglob("*"))]:
            s = path.lstat()
            content = path.read_bytes() if path.is_file() else sorted(os.listdir(path))
            xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path)}
            found[str(path)] = (s.st_mode, s.st_uid, s.st_gid, s.st_nlink, content, xattrs)
        return found

    def check(self) -> None:
        assert self.state() == self.before


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    registry = Registry(tmp_path_factory.mktemp("registry"))
    yield registry
    registry.close()


@pytest.fixture
def proxy(registry: Registry) -> Iterator[Proxy]:
    proxy = Proxy(registry)
    yield proxy
    proxy.close()


@pytest.fixture
def build() -> Build:
    return Build()


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    """`<tmp>/arena/outside`; a target made before the fixture's first state is part of it."""
    (tmp_path / "arena" / "target").mkdir(parents=True)
    return Outside(tmp_path / "arena" / "outside")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return tmp_path / "images"
