"""The image store: unpacked layers, image records and names below one directory.

    layers/<16 hex>/       an unpacked layer, used directly as a lower directory of overlays
    layers/<16 hex>.json   its record
    blobs/sha256/<64 hex>  layers, manifests and configurations as they came, or as they leave
    images/<64 hex>.json   an image: configuration and layer ids
    names/<32 hex>.json    one name, in a file named by its hash
    steps/<64 hex>.json    what a step of a build gave
    lock                   held by whoever changes the store

Everything is flushed to disk before it counts.  Readers take no lock: each record is replaced
whole.  An import killed half-way leaves nothing that counts, and the next import clears it away.
The store itself speaks to no registry (`registry.pull` does), and it does not know which containers
run: callers say what is in use.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import FileLock, RecordError, read_record, write_record
from kubelite.node.image.errors import (
    BadArchive,
    BadReference,
    ImageError,
    ImageInUse,
    ImageNotFound,
    quoted,
)
from kubelite.node.image.model import (
    DEFAULT_PATH,
    Image,
    ImageConfig,
    ImageRecord,
    LayerRecord,
    LoadedImage,
    NameRecord,
    Removal,
    StepRecord,
    layer_id,
)
from kubelite.node.image.reference import HOST, Reference, familiar, is_digest, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from kubelite.node.image.archive import Files, FoundImage
    from kubelite.node.image.content.package import Package
    from kubelite.node.image.layers import Layers
    from kubelite.node.image.tree import Parts
    from kubelite.node.image.unpack_limits import Limits

SHORTEST_ID = 12
RECORDS = ("layers", "images", "names", "steps")
HOW_TO_GET = "bring it in with: kubelite image load ARCHIVE, or kubelite image import NAME ROOTFS"

T = TypeVar("T", bound=msgspec.Struct)


class ImageStore:
    """The store below `home`, an absolute path; made on the first import."""

    def __init__(self, home: Path, limits: Limits | None = None) -> None:
        self._home = home
        self._limits = limits

    def get(self, name: str) -> Image:
        """The image of a name, `repository@digest`, image id or at least 12 digits of one.

        `names` holds the one name found, or none for an id.  Raises BadReference for a name outside
        the grammar, ImageNotFound, and ImageError where the record is damaged.
        """
        match = self._find(name)
        if isinstance(match, NameRecord):
            return self._image(self._record(match.image_id, name), (match.name,))
        return self._image(self._record(match, name), ())

    def import_rootfs(self, name: str, source: Path) -> LoadedImage:
        """Make an image of a root file system: a tar, a tar.gz or a directory.

        A name that exists moves to the new image.  Raises BadReference, BadArchive, UnpackRefused.
        """
        reference = _keepable(name)
        with self._changing() as layers:
            record = _rootfs_record(layers, self._rootfs(layers, source))
            return self._keep(record, (str(reference),), ())

    def load(
        self, source: Path, name: str | None = None, *, replace: bool = False
    ) -> list[LoadedImage]:
        """Bring in every image of an OCI layout (directory or tar) or docker archive.

        `name` replaces the archive's names and needs an archive of one image.  A name that the
        archive brings moves from another image only with `replace`: an archive does not decide by
        itself what an existing name means.  Raises BadReference, BadArchive, UnpackRefused.
        """
        from kubelite.node.image import archive, oci

        platform = oci.this_platform(os.uname().machine)
        given = (str(_keepable(name)),) if name is not None else ()
        with self._changing() as layers, archive.opened(source, self._home, layers.limits) as files:
            images = archive.find_images(files, platform)
            if given and len(images) > 1:
                raise BadArchive(f"{source} holds {len(images)} images, but only one name is given")
            plans = [(image, given or self._names_for(image, replace)) for image in images]
            return [self._load(layers, image, names) for image, names in plans]

    def missing_layers(self, diff_ids: Sequence[str]) -> frozenset[int]:
        """Which layers of an image, numbered from the lowest, the store does not have yet."""
        return self._layers().missing(diff_ids)

    def is_pulled(self, name: str) -> bool:
        """Whether a name in the store came from a registry; one that is loaded or built here did
        not.
        """
        record = self._find(name)
        return isinstance(record, NameRecord) and record.pulled

    def access(self, name: str) -> tuple[str, ...]:
        """The keys of the credentials with which a name was pulled; none for an image that came
        otherwise, or before keys were recorded.
        """
        record = self._find(name)
        return record.access if isinstance(record, NameRecord) else ()

    def pull_directory(self, digest: str) -> str:
        """Where a pull keeps what has arrived of the image with this top digest."""
        directory = self._home / "pulls"
        directory.mkdir(0o700, parents=True, exist_ok=True)
        return str(directory / digest.removeprefix("sha256:"))

    def load_pulled(self, files: Files, reference: Reference, keys: Sequence[str]) -> LoadedImage:
        """Bring in the one image of a pulled layout under the name it was pulled by; `keys` are
        those of the credentials that it took.

        Raises BadArchive, UnpackRefused.
        """
        from kubelite.node.image import archive, oci

        with self._changing() as layers:
            (image,) = archive.find_images(files, oci.this_platform(os.uname().machine))
            name = str(reference._replace(tag="") if reference.digest else reference)
            return self._load(layers, image, (name,), keys)

    def package(self, image: Image) -> Package:
        """What a registry or an archive gets of an image: with the digests that it came with, as
        long as its bytes are there.

        Raises ImageNotFound, BadArchive for a file that no layer of an archive can hold.
        """
        from kubelite.node.image.content.package import packaged

        with self._changing() as layers:
            record = self._record(image.id, image.id)
            package = packaged(record, layers)
            fresh = msgspec.structs.replace(record, manifest=package.manifest.digest)
            if package.config.digest == record.id and fresh != record:
                write_record(str(self._image_path(record.id)), fresh, durable=True)
            return package

    def configuration(self, image: Image) -> bytes:
        """The configuration document of an image, composed where it came with none."""
        from kubelite.node.image.content.documents import config_document
        from kubelite.node.image.oci import this_platform

        layers = self._layers()
        document = layers.blobs.document(image.id)
        if document is not None:
            return document
        diff_ids = [layers.needed(identity).diff_id for identity in image.layer_ids]
        platform = this_platform(os.uname().machine)
        return config_document(image.config, diff_ids, platform, created=image.created)

    def commit(
        self,
        base: Image | None,
        changes: Path | None,
        describe: Callable[[Sequence[str]], bytes],
        name: str | None = None,
    ) -> LoadedImage:
        """Make an image of another and a directory of changes as overlayfs writes them.

        `describe` gives the configuration for the diff_ids of all layers.  A name that exists moves
        to the new image.  Raises BadReference, BadArchive for files that change meanwhile or cannot
        be in a layer, ImageNotFound where the other image is gone.
        """
        names = (str(_keepable(name)),) if name is not None else ()
        with self._changing() as layers:
            below = self._record(base.id, base.id).layer_ids if base else ()
            chain = [layers.needed(identity) for identity in below]
            if changes is not None:
                chain.append(layers.add_changes(changes))
            return self._keep(_described(layers, chain, describe), names, ())

    def assemble(
        self,
        layer_ids: Sequence[str],
        describe: Callable[[Sequence[str]], bytes],
        name: str | None = None,
        key: str = "",
    ) -> LoadedImage:
        """Make an image of layers that are here, as `commit` does; `host` stands for the machine's
        own files, and such an image can only run here.

        With a `key`, an image that was made under it before and is still here is the outcome.
        """
        names = (str(_keepable(name)),) if name is not None else ()
        with self._changing() as layers:
            cached = self.step(key) if key else None
            if cached is not None and self._image_path(cached.image_id).exists():
                return self._keep(self._record(cached.image_id, cached.image_id), names, ())
            chain = [layers.needed(identity) for identity in layer_ids if identity != HOST]
            record = _described(layers, chain, describe)
            record = msgspec.structs.replace(record, layer_ids=tuple(layer_ids))
            kept = self._keep(record, names, ())
            if key:
                step = StepRecord(image_id=record.id)
                write_record(str(self._step_path(key)), step, durable=True)
            return kept

    def step(self, key: str) -> StepRecord | None:
        """What a step of a build gave before; None if it was not done or its layer is gone."""
        try:
            step = read_record(str(self._step_path(key)), StepRecord)
        except (FileNotFoundError, RecordError):
            return None
        here = not step.layer_id or (self._home / "layers" / f"{step.layer_id}.json").exists()
        return step if here else None

    def keep_step(
        self,
        key: str,
        changes: Path,
        below: Sequence[str],
        implicit: frozenset[Parts] = frozenset(),
        latest: int | None = None,
    ) -> StepRecord:
        """Keep what a step has changed: a directory of changes, which is moved into the store.

        `below`, `implicit` and `latest` are those of `Layers.adopt`.
        """
        with self._changing() as layers:
            identity = ""
            if os.listdir(changes):
                layer = layers.adopt(changes, below, implicit, latest)
                identity = layer_id(layer.key)
            step = StepRecord(layer_id=identity)
            write_record(str(self._step_path(key)), step, durable=True)
            return step

    def forget_steps(self) -> int:
        """Forget all steps of builds, the caches of their mounts, and the layers that no image
        uses; the bytes of layers freed.

        Raises ImageError while a build is at work.
        """
        import shutil  # with its compressors it is too much for what only looks at images

        with self._changing() as layers:
            if any(map(_is_held, (self._home / "builds").glob("*.lock"))):
                raise ImageError("a build is at work, whose steps cannot be forgotten")
            shutil.rmtree(self._home / "caches", ignore_errors=True)
            for path in (self._home / "steps").glob("*.json"):
                path.unlink()
            return self._sweep(layers)

    def cache_directory(self, name: str) -> Path:
        """Where the steps of builds keep what is to stay, made by the first one."""
        path = self._home / "caches"
        path.mkdir(0o700, parents=True, exist_ok=True)
        return path / name

    def layer_path(self, identity: str) -> Path:
        """The directory of a layer; that of `host` is the root of this machine."""
        return Path("/") if identity == HOST else self._home / "layers" / identity

    def work_directory(self) -> Path:
        """Where builds keep what is not finished, on the file system of the store."""
        path = self._home / "builds"
        path.mkdir(0o700, parents=True, exist_ok=True)
        return path

    def forget_pulls(self) -> None:
        """Remove what has arrived in pulls that were killed and are not going on."""
        import shutil

        for directory in (self._home / "pulls").glob("*"):
            if directory.suffix == ".lock":
                continue
            lock = FileLock(f"{directory}.lock", timeout=0)
            try:
                lock.acquire()
            except TimeoutError:
                continue
            try:
                shutil.rmtree(directory, ignore_errors=True)
                lock.remove()
            finally:
                lock.release()

    def _step_path(self, key: str) -> Path:
        return self._home / "steps" / f"{key}.json"

    def layer_sizes(self, image: Image) -> list[int]:
        """The bytes of the files in each layer of an image, lowest first."""
        layers = self._layers()
        return [layers.needed(identity).size for identity in image.layer_ids]

    def blob_digests(self, image: Image) -> Sequence[str]:
        """The blobs of an image's layers, of those that have one."""
        layers = self._layers()
        records = filter(None, map(layers.record, image.layer_ids))
        return [record.blob for record in records if record.blob]

    def tag(self, name: str, new_name: str) -> Image:
        """Give an image a further name; one that exists moves. Raises BadReference,
        ImageNotFound.
        """
        reference = _keepable(new_name)
        with self._changing():
            match = self._find(name)
            image_id = match.image_id if isinstance(match, NameRecord) else match
            record = self._record(image_id, name)
            return self._keep(record, (str(reference),), ()).image

    def remove(self, name: str, in_use: Collection[str] = frozenset()) -> Removal:
        """Take a name away, and with its last name the image and the layers that no other needs.

        An image id takes all names away.  `in_use` are the ids of images that containers run from;
        raises ImageInUse rather than remove one of them, and ImageNotFound.
        """
        with self._changing() as layers:
            match = self._find(name)
            image_id = match.image_id if isinstance(match, NameRecord) else match
            all_names = [r.name for r in self._names() if r.image_id == image_id]
            gone = [match.name] if isinstance(match, NameRecord) else all_names
            whole = len(gone) == len(all_names)
            if whole and image_id in in_use:
                raise ImageInUse(
                    f"image {quoted(name)} is in use by a container, or mounted",
                    hint="see kubelite pod ls; a mount is taken away by kubelite image unmount",
                )
            for name_gone in gone:
                self._name_path(name_gone).unlink()
            freed = self._drop(layers, image_id) if whole else 0
            return Removal(tuple(gone), image_id if whole else "", freed)

    def _drop(self, layers: Layers, image_id: str) -> int:
        """Remove an image, whose record need not be readable; the bytes freed."""
        self._image_path(image_id).unlink(missing_ok=True)
        return self._sweep(layers)

    def _layers(self) -> Layers:
        from kubelite.node.image.layers import Layers  # not for who only looks an image up

        return Layers(self._home, self._limits)

    @contextmanager
    def _changing(self) -> Iterator[Layers]:
        """The store's lock, its directories, and a store free of what a killed import left.

        What fails inside leaves nothing either; failures of the system become ImageError.
        """
        layers = self._layers()
        try:
            with self._locked(), self._swept(layers):
                yield layers
        except OSError as error:
            if isinstance(error, FileNotFoundError) and error.filename is None:
                raise  # the caller's directory is gone, not one of the store
            where = error.filename or self._home
            raise ImageError(f"image store: {where}: {error.strerror}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        for directory in (self._home, *(self._home / name for name in RECORDS)):
            directory.mkdir(0o700, parents=True, exist_ok=True)
        with FileLock(str(self._home / "lock")):
            yield

    @contextmanager
    def _swept(self, layers: Layers) -> Iterator[None]:
        self._sweep(layers)
        try:
            yield
        except BaseException:
            self._sweep(layers)
            raise

    def _sweep(self, layers: Layers) -> int:
        for torn in self._home.glob("*/*.tmp"):
            torn.unlink()
        records = self._image_records()
        if records is None:
            return 0
        used = {identity for record in records for identity in record.layer_ids} - {HOST}
        used |= {step.layer_id for step in self._readable("steps", StepRecord) if step.layer_id}
        return layers.sweep(used, {d for record in records for d in (record.id, record.manifest)})

    def _rootfs(self, layers: Layers, source: Path) -> LayerRecord:
        if not source.is_dir():
            return layers.add_tar(source)
        if self._home.resolve().is_relative_to(source.resolve()):
            raise BadArchive(f"{source} holds the image store itself and cannot be copied into it")
        return layers.add_directory(source)

    def _load(
        self, layers: Layers, image: FoundImage, names: tuple[str, ...], keys: Sequence[str] = ()
    ) -> LoadedImage:
        chain = layers.chain(image.layers)
        layers.blobs.add(image.document)
        record = ImageRecord(
            id=image.id,
            layer_ids=tuple(layer_id(layer.key) for layer in chain),
            config=image.config.running,
            size=sum(layer.size for layer in chain),
            created=image.config.created,
            manifest=layers.blobs.add(image.manifest) if image.manifest else "",
        )
        return self._keep(record, names, image.digests, keys)

    def _names_for(self, image: FoundImage, replace: bool) -> tuple[str, ...]:
        """The archive's own names, if it has any and may use them."""
        if not image.names:
            raise BadArchive("the archive names no image", hint="give it one: --name NAME")
        for name in image.names:
            reference = parse(name)
            if reference.digest and reference.digest not in image.digests:
                raise BadArchive(f"the archive brings another image by the name {quoted(name)}")
            old = self._name_record(name)
            if old is not None and old.image_id != image.id and not replace:
                raise BadArchive(
                    f"the archive would move the name {familiar(reference)} to another image",
                    hint=f"to allow it: --name {familiar(reference)}",
                )
        return image.names

    def _keep(
        self,
        record: ImageRecord,
        names: tuple[str, ...],
        digests: tuple[str, ...],
        keys: Sequence[str] = (),
    ) -> LoadedImage:
        """Write the image, then the names that make it reachable. `keys` are those of a pull's
        credentials; the ones that worked for the same image before stay.
        """
        write_record(str(self._image_path(record.id)), record, durable=True)
        replaced = {}
        for name in names:
            old = self._name_record(name)
            if old is not None and old.image_id != record.id:
                replaced[name] = old.image_id
            known = old.access if old is not None and old.image_id == record.id else ()
            access = tuple(dict.fromkeys((*known, *keys))) if keys else ()
            fresh = NameRecord(
                name=name, image_id=record.id, digests=digests, pulled=bool(keys), access=access
            )
            write_record(str(self._name_path(name)), fresh, durable=True)
        return LoadedImage(self._image(record, names), replaced)

    def _find(self, name: str) -> NameRecord | str:
        """The record of a name, or the image id that it abbreviates."""
        by_id = self._by_id(name)
        if by_id is not None:
            return by_id
        reference = parse(name)
        record = (
            self._by_digest(reference) if reference.digest else self._name_record(str(reference))
        )
        if record is None:
            raise self._not_found(name)
        return record

    def _by_id(self, text: str) -> str | None:
        digits = text.removeprefix("sha256:")
        if not is_digest("sha256:" + digits.ljust(64, "0")) or len(digits) < SHORTEST_ID:
            return None
        ids = ["sha256:" + path.stem for path in (self._home / "images").glob(digits + "*.json")]
        if len(ids) > 1:
            raise ImageNotFound(f"image id {quoted(text)} fits {len(ids)} images")
        if not ids and text.startswith("sha256:"):
            raise ImageNotFound(f"no image with id {quoted(text)}", hint=HOW_TO_GET)
        return ids[0] if ids else None

    def _by_digest(self, reference: Reference) -> NameRecord | None:
        """With a digest the tag says nothing, as in docker and containerd."""
        for record in self._names():
            same = reference.digest in record.digests
            if same and parse(record.name).repository == reference.repository:
                return record
        return None

    def _not_found(self, name: str) -> ImageNotFound:
        import difflib

        names = [familiar(parse(record.name)) for record in self._names()]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]}? Otherwise {HOW_TO_GET}" if near else HOW_TO_GET
        return ImageNotFound(f"no image {quoted(name)} in the store", hint=hint)

    def _record(self, image_id: str, name: str) -> ImageRecord:
        try:
            return read_record(str(self._image_path(image_id)), ImageRecord)
        except FileNotFoundError:
            raise ImageNotFound(
                f"image {quoted(name)} has lost its record", hint=HOW_TO_GET
            ) from None
        except RecordError as error:
            raise ImageError(f"image {quoted(name)}: {error}", hint=HOW_TO_GET) from error

    def _name_record(self, name: str) -> NameRecord | None:
        """The record of a name; a damaged one counts as none, and the next import replaces it."""
        try:
            return read_record(str(self._name_path(name)), NameRecord)
        except (FileNotFoundError, RecordError):
            return None

    def _names(self) -> Iterator[NameRecord]:
        return self._readable("names", NameRecord)

    def _readable(self, folder: str, kind: type[T]) -> Iterator[T]:
        for path in sorted((self._home / folder).glob("*.json")):
            try:
                yield read_record(str(path), kind)
            except (FileNotFoundError, RecordError):
                continue

    def _image_records(self) -> list[ImageRecord] | None:
        """All images; None where a damaged record leaves unknown what they need."""
        try:
            paths = (self._home / "images").glob("*.json")
            return [read_record(str(path), ImageRecord) for path in paths]
        except RecordError:
            return None

    def _image(self, record: ImageRecord, names: tuple[str, ...]) -> Image:
        return Image(
            id=record.id,
            names=names,
            layers=tuple(self.layer_path(i) for i in dict.fromkeys(record.layer_ids[::-1]))[::-1],
            layer_ids=record.layer_ids,
            config=record.config,
            size=record.size,
            created=record.created,
        )

    def _image_path(self, image_id: str) -> Path:
        return self._home / "images" / f"{image_id.removeprefix('sha256:')}.json"

    def _name_path(self, name: str) -> Path:
        # A name holds slashes and may be longer than a file name; its hash never is.
        return self._home / "names" / f"{hexdigest(name.encode())[:32]}.json"

    def list(self) -> list[Image]:
        """Every image with all its names, sorted by name; damaged records are left out."""
        names: dict[str, list[str]] = {}
        for record in self._names():
            names.setdefault(record.image_id, []).append(record.name)
        images = [
            self._image(record, tuple(sorted(names.get(record.id, ()))))
            for record in self._readable("images", ImageRecord)
        ]
        return sorted(images, key=lambda image: (image.names, image.id))


def _described(
    layers: Layers, chain: Sequence[LayerRecord], describe: Callable[[Sequence[str]], bytes]
) -> ImageRecord:
    """An image of layers and of the configuration that is given for their diff_ids."""
    from kubelite.node.image import oci

    document = describe([record.diff_id for record in chain])
    config = oci.parse_config(document, len(chain), "the configuration")
    return ImageRecord(
        id=layers.blobs.add(document),
        layer_ids=tuple(layer_id(layer.key) for layer in chain),
        config=config.running,
        size=sum(layer.size for layer in chain),
        created=config.created,
    )


def _is_held(lock: Path) -> bool:
    """Whether somebody holds a lock."""
    try:
        FileLock(str(lock), timeout=0).acquire().release()
    except (OSError, TimeoutError):
        return True
    return False


def _keepable(name: str) -> Reference:
    """A name that a caller gives to an image: digests follow from content and cannot be given."""
    reference = parse(name)
    if reference.digest:
        raise BadReference(f"image name {quoted(name)} cannot be given with a digest")
    return reference


def _rootfs_record(layers: Layers, layer: LayerRecord) -> ImageRecord:
    """A plain root file system as an image; the same files give the same id."""
    from kubelite.node.image.content.documents import History, config_document
    from kubelite.node.image.oci import this_platform

    config = ImageConfig(env=(DEFAULT_PATH,))
    platform = this_platform(os.uname().machine)
    history = [History(created_by="kubelite image import")]
    document = config_document(config, [layer.diff_id], platform, history=history)
    return ImageRecord(
        id=layers.blobs.add(document),
        layer_ids=(layer_id(layer.key),),
        config=config,
        size=layer.size,
        created="",
    )
