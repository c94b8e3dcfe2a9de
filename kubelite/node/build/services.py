"""What the stages of a build share: the store, the context, the results of each other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from kubelite.lib.digest import hexdigest
from kubelite.node.build import ignore, sources, stages
from kubelite.node.build.metadata import StageState
from kubelite.node.build.stages import SCRATCH, Plan
from kubelite.node.image.content.documents import History, config_document, next_config
from kubelite.node.image.content.merged import MergedTree
from kubelite.node.image.errors import ImageNotFound
from kubelite.node.image.model import ImageConfig
from kubelite.node.image.oci import this_platform
from kubelite.node.image.reference import HOST, is_host
from kubelite.node.image.source import ImageSource, PullPolicy

if TYPE_CHECKING:
    from kubelite.node.image.store import ImageStore
    from kubelite.node.kubelet.pods.pods import Pods

IGNORE_FILES = (".containerignore", ".dockerignore")


class Options(NamedTuple):
    """What a build is given.  `created` is RFC 3339, `latest` the SOURCE_DATE_EPOCH in seconds; the
    context is without what the file at `ignore_file` names, if there is one.
    """

    context: Path
    ignore_file: Path | None = None
    arguments: Mapping[str, str] = {}
    secrets: Mapping[str, Path] = {}
    target: str = ""
    use_cache: bool = True
    always_pull: bool = False
    host_network: bool = False
    created: str = ""
    latest: int | None = None


class Base(NamedTuple):
    """What a stage begins with."""

    layer_ids: tuple[str, ...]
    document: bytes


class StageResult(NamedTuple):
    """What a stage has become: layers, configuration, and how each step came about."""

    base: Base
    layer_ids: tuple[str, ...]
    state: StageState
    history: tuple[History, ...]


class Services:
    """One build. `report` is told each step, and what its commands print; `work` is a directory for
    what is not finished.
    """

    def __init__(
        self,
        store: ImageStore,
        open_pods: Callable[[], Pods],
        plan: Plan,
        options: Options,
        report: Callable[[str], None],
        work: Path,
    ) -> None:
        self.store, self.open_pods, self.options, self.report = store, open_pods, options, report
        self.plan, self.work = plan, work
        self.results: dict[int, Future[StageResult]] = {}
        self._images: set[str] = set()
        self._ignored = _ignored(options)
        (work / "empty").mkdir()

    def base(self, name: str, line: int) -> Base:
        """What FROM means."""
        number = stages.find(name, list(self.plan.stages.values())) if name != SCRATCH else None
        if number is not None:
            result = self.results[number].result()
            return Base(result.layer_ids, described(result, (), self.options.created))
        platform = this_platform(os.uname().machine)
        if name == SCRATCH:
            return Base((), config_document(ImageConfig(), [], platform))
        policy: PullPolicy = "Always" if self.options.always_pull else "IfNotPresent"
        image = ImageSource(self.store).resolve(name, policy)
        if is_host(name):
            return Base((HOST,), config_document(image.config, [], platform))
        return Base(image.layer_ids, self.store.configuration(image))

    def image_of(self, base: Base, layer_ids: Sequence[str], config: dict[str, Any]) -> str:
        """The id of an image for a step to run from, which goes away with the build."""
        mark = History(created_by=f"kubelite image build {self.work.name}", empty_layer=True)
        assembled = self.store.assemble(
            layer_ids, lambda diff_ids: next_config(base.document, diff_ids, [mark], "", config)
        )
        self._images.add(assembled.image.id)
        return assembled.image.id

    def remove_images(self) -> None:
        """Remove the images that only steps have run from."""
        for image_id in self._images:
            with suppress(ImageNotFound):
                self.store.remove(image_id)

    def scratch(self) -> Path:
        """A new name in the directory for what is not finished."""
        return self.work / os.urandom(8).hex()

    @contextmanager
    def tree(self, name: str) -> Iterator[sources.Tree]:
        """The files that `--from` means, those of the context for ""."""
        if not name:
            with MergedTree([self.options.context]) as files:
                yield sources.Tree(files, keeps=self._keeps)
            return
        layer_ids = self.base(name, 0).layer_ids
        with MergedTree(self.paths(layer_ids)) as files:
            yield sources.Tree(files, ",".join(layer_ids) or "nothing", has_owners=True)

    def paths(self, layer_ids: Sequence[str]) -> list[Path]:
        """The directories of layers; an empty one where there is none."""
        return [self.store.layer_path(identity) for identity in layer_ids] or [self.work / "empty"]

    def _keeps(self, path: str) -> bool:
        return not ignore.is_ignored(path, self._ignored)


def described(result: StageResult, diff_ids: Sequence[str], created: str) -> bytes:
    """The configuration of an image as a stage leaves it."""
    state = result.state
    history = [msgspec.structs.replace(entry, created=created) for entry in result.history]
    return next_config(result.base.document, diff_ids, history, created, state.config, state.author)


def key_of(*parts: Any) -> str:
    """A hash of everything that the outcome of a step depends on."""
    return hexdigest(msgspec.json.encode(parts, order="sorted"))


def _ignored(options: Options) -> tuple[ignore.Pattern, ...]:
    own = [options.ignore_file] if options.ignore_file else []
    for path in (*own, *(options.context / name for name in IGNORE_FILES)):
        try:
            return ignore.parse(path.read_text("utf-8-sig"))
        except FileNotFoundError:
            continue
    return ()
