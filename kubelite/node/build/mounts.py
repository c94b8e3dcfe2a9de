"""`RUN --mount=...`: what it asks for.  Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from kubelite.node.build.containerfile import Instruction
from kubelite.node.build.errors import at

_KINDS = {
    "bind": {"from", "source", "src", "readwrite", "rw", "readonly", "ro"},
    "cache": {"id", "sharing", "mode", "uid", "gid", "readonly", "ro"},
    "tmpfs": {"size"},
    "secret": {"id", "required", "mode", "uid", "gid"},
}
_TARGET = ("target", "dst", "destination")


class MountRequest(NamedTuple):
    """One mount: `kind` is bind, cache, tmpfs or secret; `target` is absolute; `options` are as
    they were written.
    """

    kind: str
    target: str
    options: Mapping[str, str]
    line: int

    def option(self, *names: str, default: str = "") -> str:
        """The value of an option by any of its names."""
        return next((self.options[name] for name in names if name in self.options), default)

    def is_on(self, *names: str) -> bool:
        """Whether an option that stands alone is given and not false."""
        value = self.option(*names, default="false")
        return value.lower() in ("", "true", "1")

    @property
    def read_only(self) -> bool:
        """Whether the command may not write there: binds unless they say so."""
        if self.kind == "bind":
            return not self.is_on("readwrite", "rw")
        return self.is_on("readonly", "ro")


def requests(instruction: Instruction, directory: str) -> list[MountRequest]:
    """The mounts of a RUN; `directory` is its working directory. Raises BuildError."""
    return [
        _request(value, instruction.line, directory)
        for key, value in instruction.flags
        if key == "mount"
    ]


def _request(text: str, line: int, directory: str) -> MountRequest:
    options = {key.lower(): value for key, _, value in (p.partition("=") for p in text.split(","))}
    kind = options.pop("type", "bind")
    if kind not in _KINDS:
        raise at(line, f"mounts of type {kind} are not supported")
    unknown = options.keys() - _KINDS[kind] - set(_TARGET)
    if unknown:
        raise at(line, f"a mount of type {kind} has no option {sorted(unknown)[0]}")
    target = next((options[name] for name in _TARGET if name in options), "")
    if kind == "secret" and not target:
        name = posixpath.basename(options.get("id", ""))
        target = f"/run/secrets/{name}" if name else ""
    if not target:
        raise at(line, f"a mount of type {kind} needs a target")
    return MountRequest(kind, posixpath.normpath(posixpath.join(directory, target)), options, line)
