"""What unpacking a layer means, restated slowly over plain values: no file system, no
descriptors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

MAX_LINKS = 40


class Refused(Exception):
    """The archive breaks a rule."""


class Entry(NamedTuple):
    """One entry; ``text`` is a file's content or a link's target."""

    kind: str
    name: str
    text: str = ""
    mode: int = 0o644


@dataclass
class Node:
    """A file of the tree; ``names`` only of directories."""

    kind: str
    mode: int = 0o755
    text: str = ""
    names: dict[str, Node] = field(default_factory=dict)
    is_opaque: bool = False


def cleaned(name: str) -> list[str]:
    """The parts of a name from the root on."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == ".." and not parts:
            raise Refused("above the root")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


class Model:
    """A tree that entries are applied to."""

    def __init__(self) -> None:
        self.root = Node("dir")

    def apply(self, entry: Entry) -> None:
        parts = cleaned(entry.name)
        if not parts:
            if entry.kind != "dir":
                raise Refused("the root is a directory")
            self.root.mode = entry.mode
            return
        if entry.kind == "hard" and not parts[-1].startswith(".wh."):
            self._hard_link(parts, entry)
            return
        place, name = self._walk(parts[:-1]), parts[-1]
        if name.startswith(".wh."):
            self._whiteout(place, name)
        elif entry.kind == "dir":
            self._directory(place, name, entry)
        else:
            place.names[name] = Node(entry.kind, entry.mode, entry.text)

    def _directory(self, place: Node, name: str, entry: Entry) -> None:
        existing = place.names.get(name)
        if existing is None or existing.kind != "dir":
            hides = existing is not None and existing.kind == "whiteout"
            place.names[name] = Node("dir", is_opaque=hides)
        place.names[name].mode = entry.mode

    def _whiteout(self, place: Node, name: str) -> None:
        if name == ".wh..wh..opq":
            place.is_opaque = True
            return
        if name.startswith(".wh..wh."):
            return
        hidden = name.removeprefix(".wh.")
        if hidden in ("", ".", ".."):
            raise Refused("no single file")
        existing = place.names.setdefault(hidden, Node("whiteout"))
        if existing.kind == "dir":
            existing.is_opaque = True

    def _hard_link(self, parts: list[str], entry: Entry) -> None:
        target = cleaned(entry.text)
        if not target or target == parts:
            raise Refused("the root or itself")
        above = self._walk(target[:-1])
        linked = above.names.get(target[-1])
        if linked is None or linked.kind in ("dir", "whiteout"):
            raise Refused("no such file, or not one to link")
        place = self._walk(parts[:-1])
        removed = place.names.pop(parts[-1], None)
        if removed is linked or (removed is not None and holds(removed, above)):
            raise Refused("the link has removed what it links")
        place.names[parts[-1]] = linked

    def _walk(self, parts: list[str]) -> Node:
        """The directory at a path, made where it is missing; links lead from the root of the
        tree.
        """
        way, todo, links = [self.root], list(parts), 0
        while todo:
            part = todo.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                way = way[:-1] or way
                continue
            node = way[-1].names.setdefault(part, Node("dir"))
            if node.kind == "link":
                links += 1
                if links > MAX_LINKS:
                    raise Refused("too many links")
                way = [self.root] if node.text.startswith("/") else way
                todo = [*node.text.split("/"), *todo]
            elif node.kind == "dir":
                way.append(node)
            else:
                raise Refused("not a directory")
        return way[-1]

    def listing(self) -> dict[str, tuple[Any, ...]]:
        """Everything in the tree; ``same`` tells which names are one file."""
        found: dict[str, tuple[Any, ...]] = {}
        same: dict[int, str] = {}

        def visit(node: Node, path: str) -> None:
            first = same.setdefault(id(node), path)
            mode = node.mode if node.kind in ("dir", "file") else 0
            found[path] = (node.kind, mode, node.text, node.is_opaque, first)
            for name, inner in sorted(node.names.items()):
                visit(inner, f"{path}/{name}")

        visit(self.root, "")
        return found


def holds(node: Node, other: Node) -> bool:
    """Whether a directory is another, or lies above it."""
    return node is other or any(holds(inner, other) for inner in node.names.values())
