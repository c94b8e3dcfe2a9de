"""What the mounts of a RUN show: copies of files, caches that stay, secrets."""

from __future__ import annotations

import os
import posixpath
import shutil
from contextlib import ExitStack, closing
from pathlib import Path

from kubelite.lib.digest import hexdigest
from kubelite.lib.files import FileLock
from kubelite.node.build import sources
from kubelite.node.build.copying import Copier, Target
from kubelite.node.build.errors import BuildError
from kubelite.node.build.mounts import MountRequest
from kubelite.node.build.running import Mount
from kubelite.node.build.services import Services
from kubelite.node.image.content.merged import MergedTree


class MountSources:
    """Prepares mounts for one step."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def identity(self, request: MountRequest) -> str:
        """What the content of a mount depends on; that of caches and secrets does not count."""
        if request.kind != "bind":
            return ""
        with self._services.tree(request.option("from")) as tree:
            return sources.digest(tree, tree.files.resolve(request.option("source", "src")))

    def mount(self, request: MountRequest, stack: ExitStack) -> Mount:
        """The mount for as long as the stack is open. Raises BuildError."""
        if request.kind == "tmpfs":
            return Mount(request.target, size=request.option("size"))
        make = {"bind": self._bind, "cache": self._cache, "secret": self._secret}
        source = make[request.kind](request, stack)
        return Mount(request.target, str(source), request.read_only)

    def script(self, target: str, text: str) -> Mount:
        """A program that is a text."""
        file = self._services.scratch()
        file.write_text(text)
        file.chmod(0o755)
        return Mount(target, str(file), True)

    def _bind(self, request: MountRequest, stack: ExitStack) -> Path:
        """A copy of a part of the context or of other files: what is written there is lost."""
        tree = stack.enter_context(self._services.tree(request.option("from")))
        path = tree.files.resolve(request.option("source", "src"))
        if tree.files.find(path) is None:
            raise BuildError(f"there is no {'/'.join(path)} to mount")
        place = self._services.scratch()
        place.mkdir()
        empty = stack.enter_context(MergedTree([self._services.work / "empty"]))
        with closing(Copier(Target(empty, place, ("mounted",), False))) as copier:
            copier.copy(tree, path, "mounted")
            copier.finish()
        return place / "mounted"

    def _cache(self, request: MountRequest, stack: ExitStack) -> Path:
        """A directory that stays; one step at a time has it."""
        identity = request.option("id", default=request.target)
        path = self._services.store.cache_directory(hexdigest(identity.encode())[:32])
        stack.enter_context(FileLock(f"{path}.lock"))
        if not path.exists():
            path.mkdir()
            _own(path, request, "0755")
        return path

    def _secret(self, request: MountRequest, stack: ExitStack) -> Path:
        """A copy of a secret with the owner and mode that are asked for, gone after the step."""
        name = request.option("id", default=posixpath.basename(request.target))
        given = self._services.options.secrets.get(name)
        if given is None and request.is_on("required"):
            hint = f"give it: --secret id={name},src=FILE"
            raise BuildError(f"secret {name} is not given", hint=hint)
        directory = self._services.scratch()
        directory.mkdir(0o700)
        stack.callback(shutil.rmtree, directory)
        place = directory / "secret"
        place.write_bytes(given.read_bytes() if given is not None else b"")
        _own(place, request, "0400")
        return place


def _own(path: Path, request: MountRequest, mode: str) -> None:
    os.chown(path, int(request.option("uid", default="0")), int(request.option("gid", default="0")))
    path.chmod(int(request.option("mode", default=mode), 8))
