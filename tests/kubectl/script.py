"""Scripts of kubectl commands and what they must print.

A line ``$ get pods`` runs ``kubectl get pods`` in the script's own namespace and must succeed, ``!
get nothing`` must fail; ``$new`` and ``$old`` (``!new``, ``!old``) run with one kind of kubectl
only. Below it, ``= text`` is a whole line of the output, ``~ regex`` is found somewhere in it, ``-
text`` is not in it. ``{ns}`` stands for the namespace.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Step(NamedTuple):
    """One command and what is expected of it."""

    number: int
    words: list[str]
    succeeds: bool
    which: str
    expected: list[tuple[str, str]]

    def runs_with(self, version: str) -> bool:
        return self.which in ("", version)

    def problems(self, code: int, output: str) -> Iterator[str]:
        """What is wrong with the result of the command."""
        if (code == 0) != self.succeeds:
            yield f"exit code {code}"
        lines = [line.rstrip() for line in output.splitlines()]
        for kind, text in self.expected:
            if kind == "=" and text not in lines:
                yield f"no line {text!r}"
            if kind == "~" and not re.search(text, output, re.MULTILINE):
                yield f"nothing matches {text!r}"
            if kind == "-" and text in output:
                yield f"there should be no {text!r}"


def parse(text: str, namespace: str) -> list[Step]:
    """The steps of a script. Raises ValueError for a line that means nothing."""
    steps: list[Step] = []
    for number, line in enumerate(text.replace("{ns}", namespace).splitlines(), 1):
        word, _, rest = line.strip().partition(" ")
        if not word or word.startswith("#"):
            continue
        if word[0] in "$!":
            steps.append(Step(number, shlex.split(rest), word[0] == "$", word[1:], []))
        elif word in ("=", "~", "-"):
            steps[-1].expected.append((word, rest))
        else:
            raise ValueError(f"line {number} means nothing: {line}")
    return steps
