"""The options that every command has, and where they may stand on the command line. Pure.

As with kubectl they may stand anywhere before ``--``; :func:`hoist` moves them to the front, where
the parser looks for them.
"""

from __future__ import annotations

from typing import NamedTuple

_VALUES = ("--root", "-n", "--namespace", "--color")
_FLAGS = ("--debug", "-q", "--quiet", "-v", "-vv", "-vvv", "--verbose")


class Settings(NamedTuple):
    """What was said before and around the verb. ``root`` and ``namespace`` are None where nothing
    was said.
    """

    root: str | None = None
    namespace: str | None = None
    color: str = "auto"
    debug: bool = False
    quiet: bool = False
    verbose: int = 0

    @property
    def space(self) -> str:
        """The namespace to work in."""
        return self.namespace or "default"


def hoist(args: list[str]) -> tuple[list[str], list[str]]:
    """The global options of a command line, and the rest in its order. What follows ``--`` is left
    alone.
    """
    front: list[str] = []
    rest: list[str] = []
    position = 0
    while position < len(args):
        word = args[position]
        if word == "--":
            return front, rest + args[position:]
        if word in _VALUES:
            front += args[position : position + 2]
            position += 2
            continue
        target = front if word in _FLAGS or _joined(word) else rest
        target.append(word)
        position += 1
    return front, rest


def _joined(word: str) -> bool:
    """Whether the word is a global option with its value: ``--root=/x`` or ``-nkube-system``."""
    name, equals, _ = word.partition("=")
    return bool(equals and name in _VALUES) or (word.startswith("-n") and not word.startswith("--"))
