"""Carries out a build: its stages side by side, each step from the cache or by what it takes.

A step is cached under a hash of all that its outcome depends on: the layers below, what it runs or
copies, and what it is given.  Labels and the like are not among that.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kubelite.lib.files import FileLock
from kubelite.node.build import stages
from kubelite.node.build.containerfile import Containerfile
from kubelite.node.build.errors import BuildError
from kubelite.node.build.services import Options, Services, StageResult, described, key_of
from kubelite.node.build.steps import StageBuilder
from kubelite.node.image.oci import this_platform
from kubelite.node.image.reference import HOST

if TYPE_CHECKING:
    from kubelite.node.image.model import LoadedImage
    from kubelite.node.image.store import ImageStore
    from kubelite.node.kubelet.pods.pods import Pods


def build(
    store: ImageStore,
    open_pods: Callable[[], Pods],
    file: Containerfile,
    options: Options,
    name: str | None,
    report: Callable[[str], None],
) -> LoadedImage:
    """Make the image of a Containerfile, and give it a name, if any.

    `report` is told each step and what its commands print. Raises BuildError, PullError,
    ImageError, and what a container's start raises.
    """
    plan = stages.plan(file, options.arguments, _predefined(), options.target)
    with _work_directory(store) as work:
        services = Services(store, open_pods, plan, options, report, work)
        try:
            result = _built(services, file.escape)
        finally:
            services.remove_images()
        return _assembled(store, result, name, options)


def _built(services: Services, escape: str) -> StageResult:
    """The stage that is wanted; those that do not need each other are built side by side."""
    plan = services.plan
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        try:
            for number, stage in plan.stages.items():
                builder = StageBuilder(services, stage, escape)
                services.results[number] = pool.submit(builder.run)
            return services.results[plan.target].result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _assembled(
    store: ImageStore, result: StageResult, name: str | None, options: Options
) -> LoadedImage:
    if HOST in result.layer_ids:
        raise BuildError(
            "an image cannot be made of the machine's own files",
            hint="copy what it needs into a further stage: COPY --from",
        )
    # Built again from the cache, it is the image of the first time, whose time is in it.
    timeless = described(result, result.layer_ids, "")
    key = key_of(timeless.decode(), options.latest) if options.use_cache else ""
    return store.assemble(
        result.layer_ids, lambda diff_ids: described(result, diff_ids, options.created), name, key
    )


@contextmanager
def _work_directory(store: ImageStore) -> Iterator[Path]:
    """A directory for what is not finished; those of killed builds go away."""
    home = store.work_directory()
    for left in home.glob("*.lock"):
        _remove_left(left)
    work = home / os.urandom(8).hex()
    with FileLock(f"{work}.lock") as lock:
        work.mkdir(0o700)
        try:
            yield work
        finally:
            shutil.rmtree(work)
            lock.remove()


def _remove_left(lock_path: Path) -> None:
    try:
        lock = FileLock(str(lock_path), timeout=0).acquire()
    except (OSError, TimeoutError):
        return  # another build is at work there
    shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
    lock.remove()
    lock.release()


def _predefined() -> dict[str, str]:
    """The arguments about platforms that every build has."""
    platform = this_platform(os.uname().machine)
    values = {"PLATFORM": str(platform), "OS": platform.os, "ARCH": platform.architecture}
    ours = {f"{side}{key}": value for side in ("TARGET", "BUILD") for key, value in values.items()}
    return ours | {"TARGETVARIANT": "", "BUILDVARIANT": ""}
