"""Where COPY and ADD take files from: a tree, paths in it, and what they are.

Wildcards match as in docker: `*` and `?` within a name, hidden files too.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kubelite.node.build import ignore
from kubelite.node.image.content.merged import MergedTree
from kubelite.node.image.tree import Parts
from kubelite.node.image.unpack_limits import CHUNK

_WILD = frozenset("*?[")


class Tree(NamedTuple):
    """Files to copy from.  `key` identifies all of them, or is empty where contents have to be
    read for that; `keeps` tells whether a path is not ignored.  `has_owners` is off for a build
    context: whose files they are there says nothing.
    """

    files: MergedTree
    key: str = ""
    keeps: Callable[[str], bool] = lambda path: True
    has_owners: bool = False


class Found(NamedTuple):
    """One file to copy, by its place below the source, with its status and path in the tree."""

    below: Parts
    path: Parts
    status: os.stat_result


def expand(tree: Tree, pattern: str) -> list[Parts]:
    """The paths that a source means; none where nothing matches."""
    paths: list[Parts] = [()]
    for part in pattern.split("/"):
        if part in ("", "."):
            continue
        if not is_wild(part):
            paths = [tree.files.resolve("/".join((*parts, part))) for parts in paths]
            continue
        matches = ignore.translate(part)
        paths = [
            tree.files.resolve("/".join((*parts, name)))
            for parts in paths
            for name in tree.files.names(parts)
            if matches.fullmatch(name)
        ]
    return [p for p in paths if tree.files.find(p) is not None and (not p or _keeps(tree, p))]


def is_wild(pattern: str) -> bool:
    """Whether a source is a wildcard, which may match nothing."""
    return not _WILD.isdisjoint(pattern)


def with_parents(tree: Tree, pattern: str) -> tuple[Tree, list[Parts]]:
    """What `--parents` copies: a tree that keeps what a pattern matches with the directories above,
    and the directory in it that they are below: what is before `/./`, else the root; none where
    nothing matches. `**` matches across directories.
    """
    start, pivot, rest = pattern.lstrip("/").removeprefix("./").partition("/./")
    base = tree.files.resolve(start) if pivot else ()
    matches = ignore.translate(posixpath.normpath(rest if pivot else start))
    below = ("/".join(file.below) for file in walk(tree, base) if file.below)
    kept = {path for path in below if matches.fullmatch(path)}
    above = {path[:end] for path in kept for end in range(len(path)) if path[end] == "/"}

    def keeps(path: str) -> bool:
        inside = "/".join(path.split("/")[len(base) :])
        parts = inside.split("/")
        is_below = any("/".join(parts[:count]) in kept for count in range(1, len(parts) + 1))
        return tree.keeps(path) and (is_below or inside in above)

    return tree._replace(keeps=keeps), [base] if kept else []


def without(tree: Tree, source: Parts, patterns: tuple[ignore.Pattern, ...]) -> Tree:
    """The tree as `--exclude` leaves it: patterns are for what lies below a source that is a
    directory, and for the name of a file.
    """
    entry = tree.files.find(source)
    is_directory = entry is not None and stat.S_ISDIR(entry.status.st_mode)
    skipped = len(source) if is_directory else len(source) - 1

    def keeps(path: str) -> bool:
        inside = "/".join(path.split("/")[skipped:])
        return tree.keeps(path) and not (inside and ignore.is_ignored(inside, patterns))

    return tree._replace(keeps=keeps)


def name_of(pattern: str, path: Parts) -> str:
    """The name under which a source is copied into a directory: that of a link, not of its end."""
    name = posixpath.basename(posixpath.normpath(pattern))
    return "".join(path[-1:]) if is_wild(name) else name


def walk(tree: Tree, source: Parts) -> Iterator[Found]:
    """A source and all that lies below it, directories before what they hold."""
    todo: list[Parts] = [()]
    while todo:
        below = todo.pop()
        path = (*source, *below)
        entry = tree.files.find(path)
        if entry is None:
            continue
        if not path or _keeps(tree, path):
            yield Found(below, path, entry.status)
        if stat.S_ISDIR(entry.status.st_mode):
            todo += [(*below, name) for name in reversed(tree.files.names(path))]


def digest(tree: Tree, source: Parts) -> str:
    """Identifies a source with names, kinds, modes and contents; times do not count."""
    if tree.key:
        return f"{tree.key}:{'/'.join(source)}"
    result = hashlib.sha256()
    for file in walk(tree, source):
        mode = file.status.st_mode
        result.update(f"{'/'.join(file.below)}\0{mode:o}\0".encode("utf-8", "surrogateescape"))
        if stat.S_ISLNK(mode):
            result.update(os.fsencode(tree.files.target(file.path)))
        elif stat.S_ISREG(mode):
            result.update(_content_digest(tree, file.path))
    return result.hexdigest()


def _content_digest(tree: Tree, path: Parts) -> bytes:
    result = hashlib.sha256()
    descriptor = tree.files.open(path)
    try:
        while data := os.read(descriptor, CHUNK):
            result.update(data)
    finally:
        os.close(descriptor)
    return result.digest()


def _keeps(tree: Tree, path: Parts) -> bool:
    return tree.keeps("/".join(path))
