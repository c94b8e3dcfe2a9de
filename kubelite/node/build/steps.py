"""The instructions of one stage, one after the other."""

from __future__ import annotations

import os
import posixpath
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from kubelite.lib.digest import hexdigest
from kubelite.node.build import ignore, modes, mounts, sources
from kubelite.node.build.containerfile import Instruction, instruction_of
from kubelite.node.build.copying import Copier, Target
from kubelite.node.build.errors import BuildError, at
from kubelite.node.build.metadata import StageState
from kubelite.node.build.mount_sources import MountSources
from kubelite.node.build.running import Run, changes_of, remove_stubs
from kubelite.node.build.services import Base, Services, StageResult, key_of
from kubelite.node.build.stages import Stage
from kubelite.node.build.words import expand
from kubelite.node.image.content.documents import History
from kubelite.node.image.content.merged import MergedTree
from kubelite.node.image.lookup import read_etc
from kubelite.node.image.reference import HOST
from kubelite.node.image.tree import Parts
from kubelite.node.runtime.identity import IdentityError, resolve_user

_COPY_FLAGS = {"from", "chown", "chmod", "link", "exclude", "parents"}
_ADD_FLAGS = {"chown", "chmod", "link", "exclude", "checksum"}
_RUN_FLAGS = {"mount", "network", "security"}
_SCRIPT = "/run/kubelite-script"
DOWNLOAD_SECONDS = 300


class StageBuilder:
    """Builds one stage."""

    def __init__(self, services: Services, stage: Stage, escape: str) -> None:
        self._services, self._stage, self._escape = services, stage, escape
        self._layers: list[str] = []
        self._history: list[History] = []
        self._base = Base((), b"")
        self._done = 0

    def run(self) -> StageResult:
        """Carry out all instructions. Raises BuildError with the line of the one that fails."""
        base = self._services.base(self._stage.base, self._stage.line)
        self._base, self._layers = base, list(base.layer_ids)
        config = dict(msgspec.json.decode(base.document).get("config") or {})
        triggers = config.pop("OnBuild", None) or ()
        given = self._services.options.arguments
        self._state = StageState(config, self._services.plan.arguments, given, self._escape)
        instructions = [instruction_of(self._stage.line, text) for text in triggers]
        for instruction in (*instructions, *self._stage.instructions):
            self._carry_out(instruction)
        return StageResult(base, tuple(self._layers), self._state, tuple(self._history))

    def _carry_out(self, instruction: Instruction) -> None:
        self._done += 1
        count = len(self._stage.instructions)
        place = f"[{self._stage.shown} {self._done}/{count}]"
        self._services.report(f"{place} {instruction.shown}")
        before = list(self._layers)
        try:
            if instruction.name == "RUN":
                self._run(instruction)
            elif instruction.name in ("COPY", "ADD"):
                self._copy(instruction)
            else:
                self._state.apply(instruction)
                if instruction.name == "WORKDIR":
                    self._make_directory()
        except BuildError as error:
            if error.message.startswith("line "):
                raise
            raise at(instruction.line, f"{instruction.name}: {error}", hint=error.hint) from error
        self._tell(instruction, is_empty=self._layers == before)

    def _tell(self, instruction: Instruction, *, is_empty: bool) -> None:
        text = instruction.shown
        if instruction.name == "RUN" and instruction.items is None:
            text = f"RUN {' '.join((*self._state.shell, instruction.text))}"
        self._history.append(History(created_by=text, empty_layer=is_empty))

    def _step(self, key: str, make: Callable[[Path], frozenset[Parts]]) -> None:
        """Add what a step changes: as it was before, or as `make` writes it into a directory."""
        options, store = self._services.options, self._services.store
        step = store.step(key) if options.use_cache else None
        on_host = self._layers[:1] == [HOST]
        if step is None:
            place = self._services.scratch()
            place.mkdir(0o755)
            for layer in self._layers[1:] if on_host else ():
                subprocess.run(["cp", "-a", f"{store.layer_path(layer)}/.", place], check=True)
            implicit = make(place)
            step = store.keep_step(key, place, self._layers, implicit, options.latest)
        if step.layer_id:
            # On the machine's own files, one layer holds the changes of all steps.
            self._layers = [*(self._layers[:1] if on_host else self._layers), step.layer_id]

    def _key(self, *parts: Any) -> str:
        return key_of(self._layers, self._services.options.latest, *parts)

    @contextmanager
    def _files(self) -> Iterator[MergedTree]:
        """The files of the stage as it stands."""
        with MergedTree(self._services.paths(self._layers)) as files:
            yield files

    # -- WORKDIR, COPY, ADD ------------------------------------------------------------------------

    def _make_directory(self) -> None:
        with self._files() as files:
            path = files.resolve(self._state.directory)
            if files.find(path) is not None:
                return
            owner = self._owner(self._state.config.get("User", ""))

            def make(place: Path) -> frozenset[Parts]:
                with closing(Copier(Target(files, place, path, True, owner))) as copier:
                    copier.directory()
                    return copier.finish()

            self._step(self._key("WORKDIR", path, owner), make)

    def _copy(self, instruction: Instruction) -> None:
        known = _COPY_FLAGS if instruction.name == "COPY" else _ADD_FLAGS
        _check_flags(instruction, known)
        given, destination = self._operands(instruction)
        with ExitStack() as stack:
            files = stack.enter_context(self._files())
            copies = [copy for text in given for copy in self._found(instruction, text, stack)]
            path = files.resolve(posixpath.join(self._state.directory, destination))
            several = len(copies) > 1 or destination.endswith(("/", "/.")) or destination == "."
            owner = self._owner(self._state.expand(instruction.flag("chown")))
            mode = self._state.expand(instruction.flag("chmod"))
            if mode:
                modes.check(mode)

            def make(place: Path) -> frozenset[Parts]:
                target = Target(files, place, path, several, owner, mode)
                with closing(Copier(target)) as copier:
                    for copy in copies:
                        if not (copy.unpacks and copier.extract(copy.tree, copy.path)):
                            copier.copy(copy.tree, copy.path, copy.name)
                    return copier.finish()

            contents = [[sources.digest(c.tree, c.path), c.name, c.unpacks] for c in copies]
            filters = [self._excluded(instruction), instruction.is_on("parents") and given]
            self._step(self._key("COPY", path, several, owner, mode, contents, filters), make)

    def _operands(self, instruction: Instruction) -> tuple[list[str], str]:
        """Sources and destination, with variables replaced."""
        if instruction.items is not None:
            given = [self._state.expand(item) for item in instruction.items]
        else:
            given = self._state.expanded_words(instruction.text)
        if len(given) < 2:
            raise BuildError("expected SOURCE... DESTINATION")
        return given[:-1], given[-1]

    def _found(self, instruction: Instruction, text: str, stack: ExitStack) -> Iterator[_Copy]:
        """The files that one source means."""
        if heredoc := next((h for h in instruction.heredocs if text.endswith(f"<<{h.name}")), None):
            content = heredoc.content
            if heredoc.expands:
                content = expand(content, self._state.variables, self._escape, quotes=False)
            yield self._single(heredoc.name, content.encode(), 0o644, stack)
            return
        if instruction.name == "ADD" and text.startswith(("http://", "https://")):
            name = posixpath.basename(urlsplit(text).path) or "index.html"
            yield self._single(name, _download(text, instruction), 0o600, stack)
            return
        tree = stack.enter_context(self._services.tree(instruction.flag("from")))
        if instruction.is_on("parents"):
            tree, paths = sources.with_parents(tree, text)
        else:
            paths = sources.expand(tree, text)
        if not paths and not sources.is_wild(text):
            raise BuildError(f"there is no {text} to copy")
        excluded = ignore.parse(self._excluded(instruction))
        for path in paths:
            rest = sources.without(tree, path, excluded) if excluded else tree
            yield _Copy(rest, path, sources.name_of(text, path), instruction.name == "ADD")

    def _excluded(self, instruction: Instruction) -> str:
        """The patterns of `--exclude`, one a line."""
        given = (value for key, value in instruction.flags if key == "exclude")
        return "\n".join(map(self._state.expand, given))

    def _single(self, name: str, data: bytes, mode: int, stack: ExitStack) -> _Copy:
        """A file that comes from nowhere else, as a tree."""
        directory = self._services.scratch()
        directory.mkdir()
        file = directory / "file"
        file.write_bytes(data)
        file.chmod(mode)
        os.utime(file, (0, 0))
        files = stack.enter_context(MergedTree([directory]))
        return _Copy(sources.Tree(files), ("file",), name, False)

    def _owner(self, text: str) -> tuple[int, int] | None:
        """What a user, with or without a group, means in the files of the stage."""
        if not text:
            return None
        paths = self._services.paths(self._layers)
        try:
            user = resolve_user(
                text, None, None, (), read_etc(paths, "passwd"), read_etc(paths, "group")
            )
        except IdentityError as error:
            raise BuildError(f"the user {text}: {error}") from error
        is_number = text.isdecimal()
        return (user.uid, user.uid if is_number else user.gid)

    # -- RUN ---------------------------------------------------------------------------------------

    def _run(self, instruction: Instruction) -> None:
        _check_flags(instruction, _RUN_FLAGS)
        flags = tuple((key, self._state.expand(value)) for key, value in instruction.flags)
        instruction = instruction._replace(flags=flags)
        network = instruction.flag("network", "default")
        if network not in ("default", "host"):
            raise BuildError(f"--network={network} is not supported: it is default or host")
        requests = mounts.requests(instruction, self._state.directory)
        given = MountSources(self._services)
        command, script = self._command(instruction)
        options = self._services.options
        host_network = options.host_network or network == "host"
        mounted = [[r.kind, r.target, r.options, given.identity(r)] for r in requests]
        state = self._state
        settings = [state.config.get("User"), state.directory, sorted(state.variables.items())]
        key = self._key("RUN", command, script, settings, mounted, host_network)

        def make(place: Path) -> frozenset[Parts]:
            with ExitStack() as stack, self._files() as files:
                prepared = [given.mount(request, stack) for request in requests]
                if script:
                    prepared.append(given.script(_SCRIPT, script))
                image_id = self._services.image_of(self._base, self._layers, state.config)
                run = Run(image_id, command, state.step_variables, prepared, host_network)
                pods = self._services.open_pods()
                with changes_of(pods, run, self._print) as changes:
                    remove_stubs(changes, files, prepared)
                    shutil.rmtree(place)
                    changes.rename(place)
            return frozenset()

        self._step(key, make)

    def _command(self, instruction: Instruction) -> tuple[list[str], str]:
        """The arguments, and the text of a script that has to be there as a file."""
        documents = instruction.heredocs
        if not documents or instruction.items is not None:
            return self._state.command(instruction), ""
        if instruction.text.split() == [instruction.text] and len(documents) == 1:
            content = documents[0].content
            if content.startswith("#!"):
                return [_SCRIPT], content
            return [*self._state.shell, content], ""
        bodies = "".join(f"{document.content}{document.name}\n" for document in documents)
        return [*self._state.shell, f"{instruction.text}\n{bodies}"], ""

    def _print(self, text: bytes) -> None:
        self._services.report(text.decode("utf-8", "replace").rstrip("\n"))


class _Copy(NamedTuple):
    """One thing to copy: where it is, and its name in a directory; `unpacks` an archive."""

    tree: sources.Tree
    path: Parts
    name: str
    unpacks: bool


def _check_flags(instruction: Instruction, known: set[str]) -> None:
    for name, _ in instruction.flags:
        if name not in known:
            raise BuildError(f"--{name} is not supported")


def _download(url: str, instruction: Instruction) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:
            data: bytes = answer.read()
    except (OSError, urllib.error.URLError) as error:
        raise BuildError(f"{url} cannot be fetched: {error}") from error
    wanted = instruction.flag("checksum")
    if wanted and wanted != (actual := f"sha256:{hexdigest(data)}"):
        raise BuildError(f"{url} does not match its checksum: it is {actual}")
    return data
