"""Coverage-guided fuzzing of what Python reads from others, with atheris:

    python tests/fuzz/fuzz_python.py records|manifest|archive FOLDER [libFuzzer options]

FOLDER is emptied and used as scratch.

records    any bytes are a valid record of their type, encoded again alike, or a RecordError
manifest   any text is a manifest or is refused with diagnostics
archive    any layer is unpacked below its directory or refused, and any archive loaded or refused
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kubelite"]):
    from kubelite.cli.common import manifest
    from kubelite.cli.common.diagnostic import CliError
    from kubelite.lib import files
    from kubelite.node.image.errors import ImageError
    from kubelite.node.image.model import ImageRecord, LayerRecord, NameRecord
    from kubelite.node.image.oci import this_platform
    from kubelite.node.image.store import ImageStore
    from kubelite.node.image.unpack import unpack_tar
    from kubelite.node.image.unpack_limits import Limits
    from kubelite.node.network.leases import LeaseRecord
    from kubelite.node.runtime import records

LIMITS = Limits(floor=1 << 20, ceiling=1 << 20, entries=1000)
SCRATCH = Path(sys.argv[2]).resolve()
RECORDS = (
    records.PodRecord,
    records.SandboxRecord,
    records.ContainerRecord,
    records.HistoryRecord,
    records.ConditionsRecord,
    records.ExitRecord,
    LeaseRecord,
    ImageRecord,
    LayerRecord,
    NameRecord,
)
EXAMPLE = (
    "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\nspec:\n"
    "  volumes: [{name: v, emptyDir: {medium: Memory}}]\n  containers:\n  - name: c\n"
    "    image: host\n    command: [sh, -c, sleep 1]\n    resources: {limits: {memory: 1.5Gi}}\n"
    "    ports: [{containerPort: 80, hostPort: 8080}]\n"
    "    volumeMounts: [{name: v, mountPath: /v}]\n"
)


def fuzz_records(data: bytes) -> None:
    """The first byte chooses the type, its highest bit whether the checksum is put right."""
    if not data:
        return
    kind, line = RECORDS[data[0] % 0x7F % len(RECORDS)], data[1:]
    text = b"%s\ncrc32:%08x\n" % (line, zlib.crc32(line)) if data[0] & 0x80 else line
    try:
        record = files.decode_record(text, kind, "fuzzed")
    except files.RecordError:
        return
    assert files.decode_record(files.encode_record(record), kind, "again") == record


def fuzz_manifest(data: bytes) -> None:
    path = SCRATCH / "pod.yaml"
    path.write_bytes(data)
    try:
        manifest.load(str(path))
    except CliError as error:
        assert error.diagnostics


def fuzz_archive(data: bytes) -> None:
    """The first byte says what the rest is: a layer as it is, or the layer of an archive."""
    if not data:
        return
    place = SCRATCH / "place"
    before = set(os.listdir(SCRATCH))
    try:
        if data[0] & 1:
            place.mkdir()
            unpack_tar(io.BytesIO(data[1:]), place, LIMITS, size_limit=1 << 20)
        else:
            archive = SCRATCH / "archive.tar"
            archive.write_bytes(image(data[1:]) if data[0] & 2 else data[1:])
            ImageStore(place, LIMITS).load(archive)
    except ImageError as error:
        assert error.message
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert set(os.listdir(SCRATCH)) - before <= {"archive.tar"}, "written outside"


def image(layer: bytes) -> bytes:
    """A docker archive with one layer."""
    digest = "sha256:" + hashlib.sha256(layer).hexdigest()
    architecture = this_platform(os.uname().machine).architecture
    rootfs = {"type": "layers", "diff_ids": [digest]}
    config = {"architecture": architecture, "os": "linux", "rootfs": rootfs}
    entry = {"Config": "config.json", "RepoTags": ["fuzz:1"], "Layers": ["layer.tar"]}
    parts = {
        "config.json": json.dumps(config).encode(),
        "layer.tar": layer,
        "manifest.json": json.dumps([entry]).encode(),
    }
    return tar(parts.items())


def tar(parts: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in parts:  # type: ignore[attr-defined]
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def seeds(target: str) -> list[bytes]:
    if target == "manifest":
        return [EXAMPLE.encode(), b"a: &x [1, *x]", b"{}", b"---\n---\n"]
    if target == "archive":
        layer = tar([("a/b", b"text"), ("a/.wh.c", b""), ("x" * 120, b"long")])
        return [b"\1" + layer, b"\0" + image(layer), b"\2" + layer]
    blank = [b'{"version":1}', b'{"version":1,"owner":"default/web","ports":[]}']
    return [bytes([0x80 | number]) + line for number in range(len(RECORDS)) for line in blank]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "records": fuzz_records,
    "manifest": fuzz_manifest,
    "archive": fuzz_archive,
}


def main(target: str, options: list[str]) -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)
    corpus = SCRATCH / "seeds"
    corpus.mkdir(parents=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / str(number)).write_bytes(seed)
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3:])
