"""The words of the image store: images, their configuration, their records.  Pure.

Records are what lies on disk; `Image` is what callers get.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from pathlib import Path

EVERYBODY = "*"
"""In place of the key of credentials: none were needed, or those of the machine."""
LAYER_ID_DIGITS = 16
# What docker and containerd give a container whose image sets no PATH.
DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of the OCI image configuration that running a container needs.

    `env` holds `NAME=value` strings.  `labels` are data: nothing in kubelite acts on one, so that
    an image cannot steer the program that runs it.
    """

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: dict[str, str] = {}


class Image(NamedTuple):
    """An image that is ready to run.

    `id` is `sha256:` and the digest of its configuration.  `layers` are absolute directories,
    lowest first, ready to be lower directories of an overlay: each once, since the topmost of
    equal layers hides all that the others hold, and overlay refuses a directory twice.  `size` is
    the bytes of all regular files in them.  `created` is RFC 3339 or empty.
    """

    id: str
    names: tuple[str, ...]
    layers: tuple[Path, ...]
    layer_ids: tuple[str, ...]
    config: ImageConfig
    size: int
    created: str

    @property
    def is_on_host(self) -> bool:
        """Whether the machine's own files lie below all others."""
        return bool(self.layers) and str(self.layers[0]) == "/"


class LoadedImage(NamedTuple):
    """One image brought into the store, and for each name the image id it named before, if any."""

    image: Image
    replaced: dict[str, str]


class Removal(NamedTuple):
    """What a removal did: names taken away, and the image id and bytes freed (or "" and 0)."""

    names: tuple[str, ...]
    image_id: str
    freed: int


class LayerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`layers/<id>.json`.

    `key` is the digest that the id abbreviates.  It is the layer's diff_id, or its chain id where
    the layer names files without their directories: those take owner and mode from the layers
    below, so that the result is only good on top of these.  `blob` is the digest of the bytes
    it came as; "" for one that came as a directory and has not been packed.
    """

    key: str
    diff_id: str
    size: int
    self_contained: bool
    blob: str = ""
    version: int = 1


class ImageRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`images/<hex of the id>.json`.

    The blob of `id` is the configuration, that of `manifest` the manifest it came with, "" if none.
    """

    id: str
    layer_ids: tuple[str, ...]
    config: ImageConfig
    size: int
    created: str
    manifest: str = ""
    version: int = 1


class StepRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`steps/<key>.json`: what a step of a build gave, a layer or, with "", no change.  The key is
    a hash of all that the step depends on.  `image_id` is that of a whole build.
    """

    layer_id: str = ""
    image_id: str = ""
    version: int = 1


class NameRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`names/<hash of the name>.json`; `digests` are the manifests it was loaded from, `pulled`
    tells that they came from the registry of the name, `access` with which credentials, by their
    keys.
    """

    name: str
    image_id: str
    digests: tuple[str, ...] = ()
    pulled: bool = False
    access: tuple[str, ...] = ()
    version: int = 1


def layer_id(key: str) -> str:
    """The directory name of a layer: the first 16 hexadecimal digits of `sha256:<hex>`."""
    return key.removeprefix("sha256:")[:LAYER_ID_DIGITS]
