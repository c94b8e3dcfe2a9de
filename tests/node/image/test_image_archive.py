"""OCI layouts and docker archives: what is found in them, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zstandard

from kubelite.node.image.errors import BadArchive
from kubelite.node.image.model import Image, ImageConfig
from kubelite.node.image.store import ImageStore
from kubelite.node.image.unpack_limits import DOCUMENT_BYTES
from tests.node.image.conftest import Blob

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
NAME = "io.containerd.image.name"
REF = "org.opencontainers.image.ref.name"


def content(image: Image, name: str) -> bytes:
    """A file as the overlay would show it: from the topmost layer that has it."""
    for layer in reversed(image.layers):
        if (layer / name).exists():
            return (layer / name).read_bytes()
    raise AssertionError(name)


@pytest.fixture
def layers(build: Any) -> list[Any]:
    return [
        build.layer(build.entry("dir", "etc"), build.entry("file", "etc/base", b"base")),
        build.layer(
            build.entry("dir", "etc"), build.entry("file", "etc/top", b"top"), compress=True
        ),
    ]


@pytest.fixture
def layout(build: Any, layers: list[Any], tmp_path: Path) -> Any:
    return build.layout(tmp_path / "layout", [({NAME: "docker.io/library/app:v1"}, layers)])


def check_refused(images: Path, source: Path, match: str, name: str | None = None) -> None:
    """The load fails and leaves no layer, image, name or scratch directory behind."""
    with pytest.raises(BadArchive, match=match):
        ImageStore(images).load(source, name)
    left = sorted(p.relative_to(images).as_posix() for p in images.rglob("*") if not p.is_dir())
    assert left in ([], ["lock"])
    assert not list((images / "layers").iterdir())


@pytest.mark.parametrize("form", ["directory", "tar", "tar.gz", "pipe"])
def test_oci_layout(form: str, layout: Any, images: Path, tmp_path: Path) -> None:
    source = layout.path
    if form != "directory":
        source = layout.pack(tmp_path / "layout.tar")
    if form == "tar.gz":
        source = tmp_path / "layout.tar.gz"
        source.write_bytes(gzip.compress((tmp_path / "layout.tar").read_bytes()))
    if form == "pipe":
        source = tmp_path / "pipe"
        os.mkfifo(source)
        writer = subprocess.Popen(["cp", str(tmp_path / "layout.tar"), str(source)])
    (loaded,) = ImageStore(images).load(source)
    if form == "pipe":
        assert writer.wait(10) == 0
    image = loaded.image
    assert image.names == ("docker.io/library/app:v1",)
    assert content(image, "etc/base") == b"base" and content(image, "etc/top") == b"top"
    assert image.size == 7 and loaded.replaced == {}
    assert image.created == "2024-05-06T07:08:09.123456789Z"
    assert image.config.cmd == ("/bin/true",)
    assert ImageStore(images).get("app:v1") == image
    assert not list(images.glob("tmp-*"))


def test_layer_ids_are_the_start_of_the_diff_id(layout: Any, layers: Any, images: Path) -> None:
    (loaded,) = ImageStore(images).load(layout.path)
    assert loaded.image.layer_ids == tuple(layer.diff_id[7:23] for layer in layers)
    for layer in loaded.image.layers:
        assert layer.stat().st_mode & 0o7777 == 0o755
    for directory in (images, images / "layers", images / "images", images / "names"):
        assert directory.stat().st_mode & 0o7777 == 0o700


def test_docker_archive(build: Any, layers: list[Any], images: Path, tmp_path: Path) -> None:
    source = build.docker(
        tmp_path / "saved.tar",
        ["app:v1", "other.io/app:v2"],
        layers,
        Entrypoint=["/bin/app"],
        Cmd=None,
        Env=["A=1", "B=x=y"],
        WorkingDir="/srv",
        User="7:8",
        StopSignal="SIGQUIT",
        ExposedPorts={"80/tcp": {}, "53/udp": {}},
        Volumes={"/data": {}},
        Labels={"kubelite.io/run": "rm -rf /"},
    )
    (loaded,) = ImageStore(images).load(source)
    assert loaded.image.names == ("docker.io/library/app:v1", "other.io/app:v2")
    assert loaded.image.config == ImageConfig(
        entrypoint=("/bin/app",),
        env=("A=1", "B=x=y"),
        working_dir="/srv",
        user="7:8",
        stop_signal="SIGQUIT",
        exposed_ports=("53/udp", "80/tcp"),
        volumes=("/data",),
        labels={"kubelite.io/run": "rm -rf /"},
    )
    assert content(loaded.image, "etc/top") == b"top"


def test_layers_of_a_docker_archive_may_be_links(build: Any, images: Path, tmp_path: Path) -> None:
    layer = build.layer(build.entry("file", "x", b"x"))
    config = json.dumps(build.config([layer, layer])).encode()
    manifest = [{"Config": "c.json", "RepoTags": ["app"], "Layers": ["a/layer.tar", "b/layer.tar"]}]
    source = tmp_path / "a.tar"
    source.write_bytes(
        build.tar(
            build.entry("file", "a/layer.tar", layer.data),
            build.entry("link", "b/layer.tar", linkname="../a/layer.tar"),
            build.entry("file", "c.json", config),
            build.entry("file", "manifest.json", json.dumps(manifest).encode()),
        )
    )
    (loaded,) = ImageStore(images).load(source)
    assert len(loaded.image.layer_ids) == 2


def test_the_index_of_this_machine_is_chosen(build: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "many", [])
    manifests = []
    for architecture in ("s390x", "amd64", "arm64", "riscv64"):
        layer = build.layer(build.entry("file", "arch", architecture.encode()))
        config = build.config([layer]) | {"architecture": architecture}
        platform = {"os": "linux", "architecture": architecture}
        manifests.append({**layout.image([layer], config), "platform": platform})
    unknown = {"platform": {"os": "unknown", "architecture": "unknown"}}
    note = {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
    manifests.insert(0, {**manifests[0], **unknown, **note})
    inner = layout.document({"schemaVersion": 2, "manifests": manifests}, INDEX_TYPE)
    layout.index([{**inner, "annotations": {NAME: "app:v1"}}])
    (loaded,) = ImageStore(images).load(layout.path)
    expected = {"x86_64": b"amd64", "aarch64": b"arm64"}[os.uname().machine]
    assert content(loaded.image, "arch") == expected
    by_digest = ImageStore(images).get(f"app@{inner['digest']}")
    assert by_digest.id == loaded.image.id


def test_an_image_for_another_machine_is_refused(build: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "other", [])
    layer = build.layer(build.entry("file", "x"))
    config = build.config([layer]) | {"architecture": "s390x"}
    platform = {"platform": {"os": "linux", "architecture": "s390x"}}
    layout.index([{**layout.image([layer], config), **platform}])
    check_refused(images, layout.path, "no image for linux/", "app")
    layout.index([layout.image([layer], config)])
    check_refused(images, layout.path, "the image is for", "app")


def test_several_images_in_one_archive(build: Any, images: Path, tmp_path: Path) -> None:
    one = build.layer(build.entry("file", "one"))
    two = build.layer(build.entry("file", "two"))
    layout = build.layout(tmp_path / "l", [({NAME: "one"}, [one]), ({NAME: "two"}, [one, two])])
    loaded = ImageStore(images).load(layout.path)
    assert [image.image.names[0] for image in loaded] == [
        "docker.io/library/one:latest",
        "docker.io/library/two:latest",
    ]
    assert loaded[0].image.layers[0] == loaded[1].image.layers[0]
    with pytest.raises(BadArchive, match="holds 2 images"):
        ImageStore(images).load(layout.path, "name")


def test_two_names_of_one_image(build: Any, images: Path, tmp_path: Path) -> None:
    layer = build.layer(build.entry("file", "x"))
    notes = [({NAME: "app:v1"}, [layer]), ({REF: "reg.io/app:v2"}, [layer])]
    (loaded,) = ImageStore(images).load(build.layout(tmp_path / "l", notes).path)
    assert loaded.image.names == ("docker.io/library/app:v1", "reg.io/app:v2")


def test_a_bare_tag_is_no_name(build: Any, layers: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "l", [({REF: "latest"}, layers)])
    check_refused(images, layout.path, "names no image")
    (loaded,) = ImageStore(images).load(layout.path, "app:v3")
    assert loaded.image.names == ("docker.io/library/app:v3",)


@pytest.mark.parametrize(
    "tag",
    [
        "host",
        "../../../etc/passwd",
        "app\nother",
        "App",
        "app:v1 ",
        "\x1b[2Japp",
        "a@sha256:" + "0" * 64,
    ],
)
def test_tag_injection(tag: str, build: Any, layers: Any, images: Path, tmp_path: Path) -> None:
    check_refused(images, build.docker(tmp_path / "d.tar", [tag], layers), "name")


def test_an_archive_does_not_move_a_name_by_itself(
    build: Any, layers: Any, images: Path, tmp_path: Path
) -> None:
    store = ImageStore(images)
    first = store.load(build.docker(tmp_path / "a.tar", ["nginx:1"], layers))[0].image
    evil = build.docker(tmp_path / "b.tar", ["evil", "nginx:1"], layers[:1])
    with pytest.raises(BadArchive, match="would move the name nginx:1"):
        store.load(evil)
    assert [image.names for image in store.list()] == [("docker.io/library/nginx:1",)]
    assert store.load(build.docker(tmp_path / "c.tar", ["nginx:1"], layers))[0].replaced == {}
    for moved in (store.load(evil, replace=True), store.load(tmp_path / "a.tar", "nginx:1")):
        assert list(moved[0].replaced) == ["docker.io/library/nginx:1"]
    assert store.get("nginx:1").id == first.id


def test_any_changed_byte_of_a_blob_is_noticed(layout: Any, images: Path) -> None:
    for blob in sorted((layout.path / "blobs" / "sha256").iterdir()):
        data = blob.read_bytes()
        for position in (0, len(data) // 2, len(data) - 1):
            changed = bytearray(data)
            changed[position] ^= 1
            blob.write_bytes(changed)
            check_refused(images, layout.path, "digest|damaged|cannot be read")
        blob.write_bytes(data)
    assert ImageStore(images).load(layout.path)


def test_a_layer_with_another_diff_id(build: Any, images: Path, tmp_path: Path) -> None:
    honest, other = build.layer(build.entry("file", "a")), build.layer(build.entry("file", "b"))
    layout = build.layout(tmp_path / "l", [])
    layout.index([layout.image([other], build.config([honest]))])
    check_refused(images, layout.path, "has diff_id", "app")
    check_refused(images, swapped(build, tmp_path, honest, other), "has diff_id")


def swapped(build: Any, tmp_path: Path, honest: Any, other: Any) -> Path:
    path: Path = build.docker(
        tmp_path / "d.tar", ["app"], [type(honest)(other.data, honest.diff_id)]
    )
    return path


def test_a_docker_configuration_must_match_its_name(
    build: Any, images: Path, tmp_path: Path
) -> None:
    manifest = [{"Config": "ab" * 32 + ".json", "RepoTags": ["app"], "Layers": []}]
    config = json.dumps(build.config([])).encode()
    source = tmp_path / "d.tar"
    source.write_bytes(
        build.tar(
            build.entry("file", "ab" * 32 + ".json", config),
            build.entry("file", "manifest.json", json.dumps(manifest).encode()),
        )
    )
    check_refused(images, source, "does not match its digest")


def test_a_document_that_is_two_things_is_refused(
    build: Any, layers: Any, images: Path, tmp_path: Path
) -> None:
    layout = build.layout(tmp_path / "l", [])
    manifest = json.loads(
        layout.blob_path(layout.image(layers, build.config(layers))["digest"]).read_text()
    )
    both = manifest | {"manifests": []}
    layout.index([layout.document(both, MANIFEST_TYPE)])
    check_refused(images, layout.path, "manifest and an index at once", "app")
    layout.index([layout.document(manifest, INDEX_TYPE)])
    check_refused(images, layout.path, "not what its media type says", "app")
    inner = layout.document(
        {"manifests": [layout.document(manifest, MANIFEST_TYPE)]}, MANIFEST_TYPE
    )
    layout.index([inner])
    check_refused(images, layout.path, "not what its media type says", "app")


def test_documents_are_bounded(build: Any, layers: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "l", [])
    config = build.config(layers) | {"padding": " " * DOCUMENT_BYTES}
    layout.index([layout.image(layers, config)])
    check_refused(images, layout.path, "is larger than", "app")
    (layout.path / "index.json").write_bytes(b" " * (DOCUMENT_BYTES + 1))
    check_refused(images, layout.path, "is larger than", "app")


def test_nested_indexes_are_bounded(build: Any, layers: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "l", [])
    descriptor = layout.image(layers, build.config(layers))
    for _ in range(5):
        descriptor = layout.document({"manifests": [descriptor]}, INDEX_TYPE)
    layout.index([descriptor])
    check_refused(images, layout.path, "nested more than", "app")


@pytest.mark.parametrize(
    "digest",
    ["sha256:../../../../etc/passwd", "sha512:" + "0" * 128, "sha256:" + "A" * 64, "", "0" * 64],
)
def test_digests_are_strict(digest: str, build: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "l", [])
    layout.index([{"mediaType": MANIFEST_TYPE, "digest": digest, "size": 3}])
    check_refused(images, layout.path, "is not sha256", "app")


def test_a_layer_of_zstd_is_unpacked_and_a_damaged_one_refused(
    build: Any, images: Path, tmp_path: Path
) -> None:
    plain = build.layer(build.entry("file", "x", b"x" * 5000))
    halves = plain.data[:700], plain.data[700:]
    packed = b"".join(map(zstandard.compress, halves))
    layout = build.layout(tmp_path / "l", [({NAME: "app"}, [Blob(packed, plain.diff_id)])])
    ((loaded, _),) = ImageStore(images).load(layout.path)
    assert (loaded.layers[0] / "x").read_bytes() == b"x" * 5000
    for broken in (packed[:-9], packed[:4] + b"\xff" * 40):
        bad = build.layout(
            tmp_path / f"{len(broken)}", [({NAME: "b"}, [Blob(broken, "sha256:" + "0" * 64)])]
        )
        check_refused(tmp_path / "other", bad.path, "damaged|ends in the middle")


@pytest.mark.parametrize("kind", ["oci", "docker"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress])
def test_archives_of_every_kind_and_compression(
    kind: str, compress: Any, build: Any, layers: list[Any], images: Path, tmp_path: Path
) -> None:
    packed = tmp_path / "packed.tar"
    if kind == "oci":
        build.layout(tmp_path / "l", [({NAME: "app"}, layers)]).pack(packed)
    else:
        build.docker(packed, ["app"], layers)
    packed.write_bytes(compress(packed.read_bytes()))
    ((loaded, _),) = ImageStore(images).load(packed)
    assert content(loaded, "etc/base") == b"base" and content(loaded, "etc/top") == b"top"


def test_artefacts_are_named(build: Any, images: Path, tmp_path: Path) -> None:
    layout = build.layout(tmp_path / "l", [])
    chart = layout.blob(b"{}", "application/vnd.cncf.helm.config.v1+json")
    layout.index([layout.document({"config": chart, "layers": []}, MANIFEST_TYPE)])
    check_refused(images, layout.path, "artefact", "app")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"manifests": 3}',
        '{"manifests": []}',
        "[" * 100_000,
        '{"manifests":[null]}',
        "\xff",
    ],
)
def test_a_bad_index(text: str, images: Path, tmp_path: Path) -> None:
    (tmp_path / "l").mkdir()
    (tmp_path / "l" / "index.json").write_text(text, "latin-1")
    check_refused(images, tmp_path / "l", "index.json", "app")


def test_what_is_no_archive(build: Any, images: Path, tmp_path: Path) -> None:
    plain = tmp_path / "rootfs.tar"
    plain.write_bytes(build.tar(build.entry("file", "bin/sh")))
    check_refused(images, plain, "neither index.json")
    (tmp_path / "junk").write_bytes(os.urandom(5000))
    check_refused(images, tmp_path / "junk", "cannot be read")
    (tmp_path / "empty").mkdir()
    check_refused(images, tmp_path / "empty", "neither index.json")
    check_refused(images, tmp_path / "missing", "cannot open")
    (tmp_path / "cut").write_bytes(b"\x1f\x8b\x08\x00")
    check_refused(images, tmp_path / "cut", "damaged")


def test_an_index_that_is_a_fifo_does_not_block(images: Path, tmp_path: Path) -> None:
    (tmp_path / "l").mkdir()
    os.mkfifo(tmp_path / "l" / "index.json")
    check_refused(images, tmp_path / "l", "not a regular file", "app")


def test_a_layer_without_directories_takes_them_from_below(
    build: Any, images: Path, tmp_path: Path
) -> None:
    base = build.layer(build.entry("dir", "tmp", mode=0o1777, uid=3))
    other = build.layer(build.entry("dir", "tmp", mode=0o700, uid=4))
    top = build.layer(build.entry("file", "tmp/x", b"x"))
    notes = [({NAME: "one"}, [base, top]), ({NAME: "two"}, [other, top]), ({NAME: "top"}, [top])]
    loaded = ImageStore(images).load(build.layout(tmp_path / "l", notes).path)
    seen = [(i.image.layers[-1] / "tmp").stat() for i in loaded]
    assert [(s.st_mode & 0o7777, s.st_uid) for s in seen] == [(0o1777, 3), (0o700, 4), (0o755, 0)]
    assert loaded[2].image.layer_ids[0] == top.diff_id[7:23]
    chain = hashlib.sha256(f"{base.diff_id} {top.diff_id}".encode()).hexdigest()
    assert loaded[0].image.layer_ids[1] == chain[:16]


def test_a_hidden_directory_below_gives_nothing(build: Any, images: Path, tmp_path: Path) -> None:
    base = build.layer(build.entry("dir", "a"), build.entry("dir", "a/b", mode=0o700))
    gone = build.layer(build.entry("dir", "a"), build.entry("file", "a/.wh..wh..opq"))
    top = build.layer(build.entry("file", "a/b/x", b"x"))
    layout = build.layout(tmp_path / "l", [({NAME: "app"}, [base, gone, top])])
    (loaded,) = ImageStore(images).load(layout.path)
    assert (loaded.image.layers[-1] / "a/b").stat().st_mode & 0o7777 == 0o755
