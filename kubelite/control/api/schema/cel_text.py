"""What the text of a CEL rule tells without running it: its loops, and what each of them goes over.
Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short

_LOOPS = ("all", "exists", "exists_one", "existsOne", "map", "filter")
_BUILDERS = ("map", "filter")
_TOKEN = re.compile(
    r"""[rRbB]{0,2}(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|//[^\n]*|(?P<loop>\.\s*(?P<macro>[A-Za-z_]\w*)\s*\(\s*(?P<name>[A-Za-z_]\w*)\s*,)|(?P<bracket>[()])""",
    re.DOTALL,
)
_STEP = re.compile(r"\s*\.?\??\s*(?P<name>[A-Za-z_]\w*)\s*(?P<call>\()?|\s*(?P<index>\[)")
_MENTION = re.compile(r"(?<![\w.])[A-Za-z_]\w*+(?!\s*\()(?:\s*\.\??\s*[A-Za-z_]\w*+(?!\s*\())*")
_NAME = re.compile(r"[A-Za-z_]\w*")
_OPENERS = {")": "(", "]": "["}


class Step(NamedTuple):
    """One step of a path: a field, a call (``split()``), or an item (``[]``)."""

    kind: str
    name: str = ""


class Loop(NamedTuple):
    """A loop over what ``path`` leads to; ``variable`` stands for an item in ``inside``.

    ``mentions`` are the paths of fields that each round reads; ``builds``: it makes a list.
    """

    path: tuple[Step, ...]
    variable: str
    inside: tuple[Loop, ...]
    mentions: tuple[tuple[Step, ...], ...] = ()
    builds: bool = False


class _Open(NamedTuple):
    """A loop whose closing bracket has not come yet, and where its body begins."""

    path: tuple[Step, ...]
    variable: str
    inside: list[Loop]
    builds: bool
    begin: int


@remember_short(256, LONGEST_EXPRESSION)
def loops(rule: str) -> tuple[Loop, ...]:
    """The outermost loops of a rule: ``all``, ``exists``, ``exists_one``, ``map``, ``filter``."""
    stack: list[_Open | None] = []  # for each open bracket
    outermost: list[Loop] = []

    def close(end: int) -> None:
        closed = stack.pop()
        if closed is not None:
            mentions = _mentions(rule[closed.begin : end])
            loop = Loop(closed.path, closed.variable, tuple(closed.inside), mentions, closed.builds)
            around = next((entry for entry in reversed(stack) if entry is not None), None)
            (outermost if around is None else around.inside).append(loop)

    for token in _TOKEN.finditer(rule):
        if token["loop"]:
            is_loop = token["macro"] in _LOOPS
            path = _path(_receiver(rule, token.start())) if is_loop else ()
            builds = token["macro"] in _BUILDERS
            opened = _Open(path, token["name"], [], builds, token.end())
            stack.append(opened if is_loop else None)
        elif token["bracket"] == "(":
            stack.append(None)
        elif token["bracket"] and stack:
            close(token.start())
    while stack:
        close(len(rule))
    return tuple(outermost)


def _mentions(body: str) -> tuple[tuple[Step, ...], ...]:
    """The paths of fields in an expression, up to a call or an index; words in texts too."""
    paths = (_NAME.findall(path) for path in _MENTION.findall(body))
    return tuple({tuple(Step("field", name) for name in names) for names in paths})


def variables(nested: tuple[Loop, ...]) -> frozenset[str]:
    """The names of the items of loops."""
    names = {loop.variable for loop in nested}
    return frozenset(names.union(*(variables(loop.inside) for loop in nested)))


def _receiver(rule: str, end: int) -> str:
    """The expression that ends before a position: ``self.spec.items`` of
    ``self.spec.items.all``.
    """
    start = end
    while start:
        here = start - 1
        while here >= 0 and rule[here].isspace():
            here -= 1
        if here < 0:
            break
        if rule[here] in _OPENERS:
            start = _opened(rule, here)
        elif rule[here] == "_" or rule[here].isalnum():
            while here >= 0 and (rule[here] == "_" or rule[here].isalnum()):
                here -= 1
            start = here + 1
            while here >= 0 and rule[here].isspace():
                here -= 1
            if here < 0 or rule[here] != ".":
                break
        elif rule[here] in ".?":
            start = here
        else:
            break
    return rule[start:end]


def _opened(rule: str, closing: int) -> int:
    """Where the bracket stands that one at a position closes."""
    depth = 0
    for here in range(closing, -1, -1):
        if rule[here] in _OPENERS:
            depth += 1
        elif rule[here] in _OPENERS.values():
            depth -= 1
            if not depth:
                return here
    return 0


def _path(receiver: str) -> tuple[Step, ...]:
    """The steps of a receiver; empty where it is no path (a list that is written out, a sum)."""
    steps: list[Step] = []
    position = 0
    while position < len(receiver):
        match = _STEP.match(receiver, position)
        if match is None:
            return ()
        position = match.end()
        if match["index"] or match["call"]:
            position = _closed(receiver, position - 1) + 1
        kind = "item" if match["index"] else "call" if match["call"] else "field"
        steps.append(Step(kind, match["name"] or ""))
    return tuple(steps)


def _closed(text: str, opening: int) -> int:
    depth = 0
    for here in range(opening, len(text)):
        depth += (text[here] in "([") - (text[here] in ")]")
        if not depth:
            return here
    return len(text)
