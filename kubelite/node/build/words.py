"""Words of an instruction: split, quotes taken away, variables replaced.  Pure.

The rules are those of Dockerfiles, which are a part of the shell's: `$NAME`, `${NAME}`, and with
`:-`, `-`, `:+`, `+`, `:?`, `?`, `#`, `##`, `%`, `%%`, `/`, `//`; nothing is split after a
replacement, and patterns know `*` and `?` alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from kubelite.node.build.errors import BuildError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_MODIFIER = re.compile(r":[-+?]|##?|%%?|//?|[-+?]")


def split(text: str, escape: str = "\\") -> list[str]:
    """The words of a text; blanks in quotes or after an escape do not separate."""
    words, word, quote, position = [], "", "", 0
    while position < len(text):
        char = text[position]
        if char == escape and quote != "'" and position + 1 < len(text):
            word += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            if word:
                words.append(word)
            word = ""
            position += 1
            continue
        word += char
        position += 1
    return [*words, word] if word else words


def expand(
    text: str, variables: Mapping[str, str], escape: str = "\\", *, quotes: bool = True
) -> str:
    """A text without its quotes and escapes, variables replaced by their values.

    With `quotes` off, as in a here-document, quotes are ordinary characters.  Raises BuildError for
    a replacement without an end, and where `${NAME:?message}` asks for it.
    """
    return _Expansion(text, variables, escape, quotes).run()


class _Expansion:
    def __init__(self, text: str, variables: Mapping[str, str], escape: str, quotes: bool) -> None:
        self._text, self._variables = text, variables
        self._escape, self._quotes = escape, quotes
        self._at = 0

    def run(self) -> str:
        result, quote = "", ""
        while self._at < len(self._text):
            char = self._text[self._at]
            following = self._text[self._at + 1 : self._at + 2]
            if self._quotes and char == "'" and quote != '"':
                quote = "" if quote else "'"
                self._at += 1
            elif quote == "'":
                result += char
                self._at += 1
            elif self._quotes and char == '"':
                quote = "" if quote else '"'
                self._at += 1
            elif char == self._escape and following:
                is_special = not (quote or not self._quotes) or following in f'"${self._escape}'
                result += following if is_special else char + following
                self._at += 2
            elif char == "$":
                self._at += 1
                result += self._variable()
            else:
                result += char
                self._at += 1
        return result

    def _variable(self) -> str:
        if self._text.startswith("{", self._at):
            return self._braced()
        match = _NAME.match(self._text, self._at)
        if match is None:
            return "$"
        self._at = match.end()
        return self._variables.get(match[0], "")

    def _braced(self) -> str:
        match = _NAME.match(self._text, self._at + 1)
        end = self._closing()
        if match is None or end < 0:
            raise BuildError(f"${{ without a name or an end in {self._text!r}")
        modified = self._text[match.end() : end]
        self._at = end + 1
        value = self._variables.get(match[0])
        if not modified:
            return value or ""
        modifier = _MODIFIER.match(modified)
        if modifier is None:
            raise BuildError(f"${{{match[0]}{modified}}} is not supported")
        word = modified[modifier.end() :]
        if modifier[0].startswith("/"):
            pattern, replacement = self._halves(word)
            return _replaced(
                value or "", modifier[0], self._pattern(pattern), self._word(replacement)
            )
        if modifier[0][0] in "#%":
            return _trimmed(value or "", modifier[0], self._pattern(word))
        return _modified(match[0], value, modifier[0], self._word(word))

    def _halves(self, text: str) -> tuple[str, str]:
        """A pattern and what replaces it, which a slash that is not escaped separates."""
        match = re.match(rf"((?:{re.escape(self._escape)}.|[^/])*)/?(.*)", text, re.DOTALL)
        assert match is not None
        return match[1], match[2]

    def _word(self, text: str) -> str:
        return expand(text, self._variables, self._escape)

    def _pattern(self, text: str) -> str:
        """The regular expression of a pattern, in which an escaped `*` or `?` is itself."""
        escape, wild = self._escape, {"*": ".*", "?": "."}
        for sign in wild:
            text = text.replace(escape + sign, escape + escape + sign)
        parts = re.findall(f"{re.escape(escape)}?.", self._word(text), re.DOTALL)
        return "".join(wild.get(p) or re.escape(p.removeprefix(escape) or p) for p in parts)

    def _closing(self) -> int:
        """Where the brace ends that is open here; -1 for nowhere."""
        depth = 0
        for position in range(self._at, len(self._text)):
            depth += {"{": 1, "}": -1}.get(self._text[position], 0)
            if depth == 0:
                return position
        return -1


def _modified(name: str, value: str | None, modifier: str, word: str) -> str:
    is_set = bool(value) if modifier.startswith(":") else value is not None
    kind = modifier[-1]
    if kind == "-":
        return (value or "") if is_set else word
    if kind == "+":
        return word if is_set else ""
    if not is_set:
        raise BuildError(f"{name}: {word or 'is not set'}")
    return value or ""


def _replaced(value: str, modifier: str, pattern: str, replacement: str) -> str:
    """With the first match, or with `//` each, replaced; what matches is as long as can be."""
    count = 0 if modifier == "//" else 1
    return re.sub(pattern, lambda _: replacement, value, count=count, flags=re.DOTALL)


def _trimmed(value: str, modifier: str, pattern: str) -> str:
    """Without the shortest (`#`, `%`) or longest beginning or end that a pattern matches."""
    cuts = range(len(value) + 1)
    from_start = modifier.startswith("#")
    is_longest = len(modifier) == 2
    for cut in reversed(cuts) if from_start == is_longest else cuts:
        removed, kept = (value[:cut], value[cut:]) if from_start else (value[cut:], value[:cut])
        if re.fullmatch(pattern, removed, re.DOTALL):
            return kept
    return value


def pairs(text: str, variables: Mapping[str, str], escape: str = "\\") -> list[tuple[str, str]]:
    """`NAME=value ...` of ENV and LABEL, or the old form `NAME value`. Raises BuildError."""
    words = split(text, escape)
    if "=" not in words[0]:
        name, *rest = text.split(maxsplit=1)
        if not rest:
            raise BuildError(f"{text}: expected NAME=value")
        return [(expand(name, variables, escape), expand(rest[0].rstrip(), variables, escape))]
    for word in words:
        if "=" not in word:
            raise BuildError(f"{word}: expected NAME=value")
    parts = (word.partition("=") for word in words)
    return [
        (expand(name, variables, escape), expand(value, variables, escape))
        for name, _, value in parts
    ]
