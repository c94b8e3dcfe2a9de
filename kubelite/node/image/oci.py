"""The JSON documents of images: OCI index, manifest, configuration; docker's manifest.json.  Pure.

Works on exact bytes that somebody else has already measured and hashed.  Sources: OCI image
specification 1.1 (index, manifest, config, annotations) and the format of `docker save`.  It
refuses a document that could be read as manifest and as index at once, digests other than sha256,
and artefacts that are not container images.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from kubelite.node.image.errors import BadArchive, BadReference, quoted
from kubelite.node.image.model import ImageConfig
from kubelite.node.image.reference import is_digest, parse

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
CONFIG_TYPES = (
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.docker.container.image.v1+json",
)
LAYER_TYPES = (
    "application/vnd.oci.image.layer.",
    "application/vnd.docker.image.rootfs.diff.",
    "application/vnd.docker.image.rootfs.foreign.diff.",
)
FULL_NAME = "io.containerd.image.name"
NAME_OR_TAG = "org.opencontainers.image.ref.name"
ATTESTATION = "vnd.docker.reference.type"
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)"
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

T = TypeVar("T")


class Platform(msgspec.Struct, frozen=True):
    """What an image runs on, in the words of Go: `linux` and `amd64`."""

    architecture: str = ""
    os: str = ""

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A pointer to a blob."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None

    def check(self) -> None:
        """Raises BadArchive for a digest that is not sha256 or a negative size."""
        if not is_digest(self.digest):
            raise BadArchive(f"digest {quoted(self.digest)} is not sha256: and 64 hex digits")
        if self.size < 0:
            raise BadArchive(f"blob {self.digest} has a negative size")


class Manifest(msgspec.Struct, frozen=True):
    """What one image is made of."""

    config: Descriptor
    layers: list[Descriptor]


class Index(msgspec.Struct, frozen=True):
    """A list of manifests or of further indexes."""

    manifests: list[Descriptor]


class _Probe(msgspec.Struct, frozen=True, rename="camel"):
    media_type: str = ""
    layers: msgspec.Raw = msgspec.Raw()
    manifests: msgspec.Raw = msgspec.Raw()
    config: msgspec.Raw = msgspec.Raw()


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: list[str]


class _Running(msgspec.Struct, frozen=True, rename="pascal"):
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    env: list[str] | None = None
    working_dir: str | None = None
    user: str | None = None
    stop_signal: str | None = None
    exposed_ports: dict[str, msgspec.Raw] | None = None
    volumes: dict[str, msgspec.Raw] | None = None
    labels: dict[str, str] | None = None


class _Config(msgspec.Struct, frozen=True):
    rootfs: _RootFs
    architecture: str = ""
    os: str = ""
    created: str | None = None
    config: _Running | None = None


class Config(msgspec.Struct, frozen=True):
    """A parsed image configuration document; `diff_ids` lowest layer first."""

    platform: Platform
    diff_ids: tuple[str, ...]
    running: ImageConfig
    created: str


class DockerImage(msgspec.Struct, frozen=True, rename="pascal"):
    """One element of the manifest.json that `docker save` writes; all are paths in the archive."""

    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


def this_platform(machine: str) -> Platform:
    """The platform of a machine named as `uname -m` names it."""
    return Platform(MACHINES.get(machine, machine), "linux")


def parse_document(data: bytes, what: str) -> Manifest | Index:
    """Read a manifest or an index; BadArchive, also for a document that claims to be both."""
    probe = decode(data, _Probe, what)
    if bytes(probe.manifests):
        if bytes(probe.layers) or bytes(probe.config):
            raise BadArchive(f"{what} claims to be a manifest and an index at once")
        index = decode(data, Index, what)
        _check(index.manifests)
        return index
    if probe.media_type in INDEX_TYPES:
        raise BadArchive(f"{what} calls itself an index but lists no manifests")
    manifest = decode(data, Manifest, what)
    _check([manifest.config, *manifest.layers])
    _check_media_types(manifest, what)
    return manifest


def media_type(data: bytes) -> str:
    """What a manifest or index says it is; "" where it says nothing."""
    return decode(data, _Probe, "the manifest").media_type


def parse_docker_manifest(data: bytes) -> list[DockerImage]:
    """Read manifest.json of a docker archive; at least one image, else BadArchive."""
    images = decode(data, list[DockerImage], "manifest.json")
    if not images:
        raise BadArchive("manifest.json lists no image")
    return images


def parse_config(data: bytes, layers: int, what: str) -> Config:
    """Read an image configuration.

    Raises BadArchive where it does not list one diff_id for each of so many layers.
    """
    config = decode(data, _Config, what)
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != layers:
        raise BadArchive(f"{what} lists {len(diff_ids)} diff_ids for {layers} layers")
    for diff_id in diff_ids:
        if not is_digest(diff_id):
            raise BadArchive(f"{what}: diff_id {quoted(diff_id)} is not sha256: and 64 hex digits")
    return Config(
        platform=Platform(config.architecture, config.os),
        diff_ids=tuple(diff_ids),
        running=_running(config.config or _Running(), what),
        created=_created(config.created, what),
    )


def names_in(annotations: dict[str, str] | None) -> list[str]:
    """Image names that a descriptor's annotations give, normalised.

    A bare word in `org.opencontainers.image.ref.name` is a tag without a repository: not a name.
    Raises BadArchive for a name that breaks the grammar.
    """
    notes = annotations or {}
    if FULL_NAME in notes:
        return [archive_name(notes[FULL_NAME])]
    word = notes.get(NAME_OR_TAG, "")
    return [archive_name(word)] if "/" in word or ":" in word else []


def archive_name(text: str) -> str:
    """A name found in an archive, normalised; BadArchive if it is none."""
    try:
        return str(parse(text))
    except BadReference as error:
        raise BadArchive(f"the archive carries a bad name: {error}") from error


def candidates(index: Index) -> list[Descriptor]:
    """The descriptors of an index that can be images: build attestations are left out."""
    return [d for d in index.manifests if ATTESTATION not in (d.annotations or {})]


def choose(descriptors: list[Descriptor], platform: Platform) -> Descriptor:
    """Pick the image for a platform; one without a platform will do if nothing else fits.

    Raises BadArchive with the platforms on offer.
    """
    for descriptor in descriptors:
        built_for = descriptor.platform
        if built_for and (built_for.os, built_for.architecture) == (
            platform.os,
            platform.architecture,
        ):
            return descriptor
    for descriptor in descriptors:
        if descriptor.platform is None:
            return descriptor
    offered = sorted({quoted(str(d.platform)) for d in descriptors})
    raise BadArchive(
        f"no image for {platform} in the archive: it offers {', '.join(offered) or 'none'}"
    )


def check_platform(config: Config, platform: Platform) -> None:
    """Raises BadArchive where the configuration names another platform than this machine's."""
    built_for = config.platform
    if built_for.architecture and (built_for.os or "linux", built_for.architecture) != (
        "linux",
        platform.architecture,
    ):
        raise BadArchive(f"the image is for {quoted(str(built_for))}, this machine is {platform}")


def decode(data: bytes, kind: type[T], what: str) -> T:
    """Read a JSON document; BadArchive where it is none of this kind."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadArchive(f"{what} cannot be read: {error}") from error


def _check(descriptors: list[Descriptor]) -> None:
    for descriptor in descriptors:
        descriptor.check()


def _check_media_types(manifest: Manifest, what: str) -> None:
    kind = manifest.config.media_type
    if kind and kind not in CONFIG_TYPES:
        raise BadArchive(f"{what} is an artefact of type {quoted(kind)}, not a container image")
    for layer in manifest.layers:
        if layer.media_type and not layer.media_type.startswith(LAYER_TYPES):
            raise BadArchive(f"{what} has a layer of unknown type {quoted(layer.media_type)}")


def _created(text: str | None, what: str) -> str:
    if text and not re.fullmatch(RFC3339, text, re.ASCII):
        raise BadArchive(f"{what}: created {quoted(text)} is not an RFC 3339 time")
    return text or ""


def _running(config: _Running, what: str) -> ImageConfig:
    running = ImageConfig(
        entrypoint=tuple(config.entrypoint or ()),
        cmd=tuple(config.cmd or ()),
        env=tuple(config.env or ()),
        working_dir=config.working_dir or "",
        user=config.user or "",
        stop_signal=config.stop_signal or "",
        exposed_ports=tuple(sorted(config.exposed_ports or ())),
        volumes=tuple(sorted(config.volumes or ())),
        labels=config.labels or {},
    )
    words = (*running.entrypoint, *running.cmd, *running.env, running.working_dir, running.user)
    if any("\0" in word for word in words):
        raise BadArchive(f"{what} holds a NUL byte in a command, variable, directory or user")
    return running
