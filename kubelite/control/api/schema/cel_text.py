"""What the text of a CEL rule tells without running it: which names it binds, and how deep its
loops are nested. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_LOOPS = ("all", "exists", "exists_one", "existsOne", "map", "filter")
_TOKEN = re.compile(
    r"""[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|//[^\n]*|(?P<loop>\.\s*(?P<macro>[A-Za-z_]\w*)\s*\(\s*(?P<name>[A-Za-z_]\w*)\s*,)|(?P<bracket>[()])""",
    re.DOTALL,
)


class Loops(NamedTuple):
    """``depth``: 2 for a loop in a loop. ``names`` are those of the items."""

    depth: int
    names: frozenset[str]


def loops(rule: str) -> Loops:
    """The loops of a rule: ``all``, ``exists``, ``exists_one``, ``map``, ``filter``."""
    names: set[str] = set()
    inside: list[bool] = []
    depth = 0
    for token in _TOKEN.finditer(rule):
        if token["loop"]:
            is_loop = token["macro"] in _LOOPS
            inside.append(is_loop)
            names |= {token["name"]} if is_loop else set()
            depth = max(depth, sum(inside))
        elif token["bracket"] == "(":
            inside.append(False)
        elif token["bracket"] and inside:
            inside.pop()
    return Loops(depth, frozenset(names))
