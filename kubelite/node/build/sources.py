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
        if _WILD.isdisjoint(part):
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


def name_of(pattern: str, path: Parts) -> str:
    """The name under which a source is copied into a directory: that of a link, not of its end."""
    name = posixpath.basename(posixpath.normpath(pattern))
    return name if _WILD.isdisjoint(name) else path[-1]


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
