"""From the text of a CEL expression to its tree. Pure.

After the language definition of CEL (https://github.com/google/cel-spec). Operators are calls with
the names that messages have for them: ``_>_``, ``_[_]``, ``@in``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from kubelite.lib.text_cache import LONGEST_EXPRESSION, remember_short

MAX_DEPTH = 100
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<bytes>[bB][rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<string>[rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<uint>(?:0[xX][0-9a-fA-F]+|\d+)[uU])
    |(?P<int>0[xX][0-9a-fA-F]+|\d+)
    |(?P<name>[A-Za-z_]\w*|`[\w.\-/ ]+`)
    |(?P<sign>\.\?|\[\?|==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_RESERVED = frozenset(
    "as break const continue else for function if import let loop package namespace return var "
    "void while".split()
)
_CONSTANTS = {"true": ("bool", True), "false": ("bool", False), "null": ("null", None)}
_LEVELS = ("||", "&&", "< <= > >= == != in", "+ -", "* / %")
_LEVEL = {sign: level for level, signs in enumerate(_LEVELS) for sign in signs.split()}


class UnreadableExpression(ValueError):
    """The text is no expression."""


class Node(NamedTuple):
    """A part of an expression. ``kind`` is literal, name, select, call, list, map or message.

    ``name`` is the type of a literal, an identifier, a field, a function or a message; ``at`` the
    place in the text that messages point to; ``target`` what stands before the dot; ``parts`` the
    arguments, the items, or keys and values in turn. ``optional``: it was written with a ``?``.
    """

    kind: str
    at: int
    name: str = ""
    target: Node | None = None
    parts: tuple[Node, ...] = ()
    value: Any = None
    optional: bool = False


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@remember_short(256, LONGEST_EXPRESSION)
def parse(text: str) -> Node:
    """The tree of an expression. Raises UnreadableExpression."""
    reader = _Reader(_tokens(text))
    tree = reader.expression()
    if reader.next.kind != "end":
        raise reader.unexpected()
    return tree


def _tokens(text: str) -> list[_Token]:
    tokens, position = [], 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise UnreadableExpression(
                f"token recognition error at {text[position]!r} ({position})"
            )
        if token.lastgroup != "space":
            tokens.append(_Token(token.lastgroup or "", token[0], position))
        position = token.end()
    return [*tokens, _Token("end", "", len(text))]


class _Reader:
    """Tokens, read from the left, with one to look at."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._position, self._depth = tokens, 0, 0

    @property
    def next(self) -> _Token:
        return self._tokens[self._position]

    def unexpected(self) -> UnreadableExpression:
        token = self.next
        return UnreadableExpression(f"unexpected {token.text or 'end'!r} at {token.at}")

    def _take(self) -> _Token:
        self._position += 1
        return self._tokens[self._position - 1]

    def _is(self, *signs: str) -> bool:
        return self.next.text in signs and self.next.kind in ("sign", "name")

    def _expect(self, sign: str) -> _Token:
        if not self._is(sign):
            raise self.unexpected()
        return self._take()

    def expression(self) -> Node:
        """``a ? b : c``, or anything below."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableExpression(f"expression is nested deeper than {MAX_DEPTH}")
        condition = self._binary(0)
        if self._is("?"):
            position = self._take().at
            then = self._binary(0)
            self._expect(":")
            condition = Node("call", position, "_?_:_", None, (condition, then, self.expression()))
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> Node:
        """Operators that bind at least as closely as a level, and what stands between them."""
        tree = self._unary()
        while self.next.kind in ("sign", "name") and _LEVEL.get(self.next.text, -1) >= level:
            sign = self._take()
            name = "@in" if sign.text == "in" else f"_{sign.text}_"
            right = self._binary(_LEVEL[sign.text] + 1)
            tree = Node("call", sign.at, name, None, (tree, right))
        return tree

    def _unary(self) -> Node:
        if not self._is("!", "-"):
            return self._member()
        sign = self._take()
        if sign.text == "-" and self.next.kind in ("int", "double"):
            operand = self._member()
            if operand.kind == "literal":
                return operand._replace(at=sign.at, value=-operand.value)
            return Node("call", sign.at, "-_", None, (operand,))
        return Node("call", sign.at, f"{sign.text}_", None, (self._unary(),))

    def _member(self) -> Node:
        tree = self._primary()
        while self._is(".", ".?", "[", "[?"):
            sign = self._take()
            if sign.text[0] == "[":
                parts, name = (tree, self.expression()), "_[_]" if sign.text == "[" else "_[?_]"
                self._expect("]")
                tree = Node("call", sign.at, name, None, parts)
                continue
            if self.next.kind != "name":
                raise self.unexpected()
            name = self._take().text.strip("`")
            if self._is("("):
                position = self._take().at
                tree = Node("call", position, name, tree, self._listed(")"))
            elif self._is("{"):
                tree = self._message(f"{_dotted(tree)}.{name}")
            else:
                tree = Node("select", sign.at, name, tree, optional=sign.text == ".?")
        return tree

    def _primary(self) -> Node:
        token = self.next
        if token.kind in ("int", "uint", "double", "string", "bytes"):
            self._take()
            return Node("literal", token.at, token.kind, value=_value(token))
        if self._is("("):
            self._take()
            inner = self.expression()
            self._expect(")")
            return inner
        if self._is("[", "[?"):
            return Node("list", token.at, parts=self._items())
        if self._is("{"):
            self._take()
            return Node("map", token.at, parts=self._entries())
        if self._is("."):
            self._take()
        return self._named()

    def _named(self) -> Node:
        token = self.next
        if token.kind != "name" or token.text[0] == "`" or token.text in _RESERVED:
            raise self.unexpected()
        self._take()
        if token.text in _CONSTANTS:
            kind, value = _CONSTANTS[token.text]
            return Node("literal", token.at, kind, value=value)
        if self._is("("):
            position = self._take().at
            return Node("call", position, token.text, None, self._listed(")"))
        if self._is("{"):
            return self._message(token.text)
        return Node("name", token.at, token.text)

    def _message(self, name: str) -> Node:
        position = self._expect("{").at
        return Node("message", position, name, parts=self._entries(fields=True))

    def _items(self) -> tuple[Node, ...]:
        if self._take().text == "[?":
            first = self.expression()._replace(optional=True)
            rest = self._listed("]") if self._is(",") and self._take() else ()
            if not rest:
                self._expect("]")
            return (first, *rest)
        return self._listed("]")

    def _listed(self, end: str) -> tuple[Node, ...]:
        """Expressions up to a closing bracket, which is taken too."""
        items = []
        while not self._is(end):
            is_optional = end == "]" and self._is("?") and bool(self._take())
            items.append(self.expression()._replace(optional=is_optional))
            if not self._is(end):
                self._expect(",")
        self._take()
        return tuple(items)

    def _entries(self, *, fields: bool = False) -> tuple[Node, ...]:
        entries: list[Node] = []
        while not self._is("}"):
            is_optional = self._is("?") and bool(self._take())
            if fields:
                token = self._take()
                if token.kind != "name":
                    raise UnreadableExpression(f"unexpected {token.text!r} at {token.at}")
                key = Node("literal", token.at, "string", value=token.text.strip("`"))
            else:
                key = self.expression()
            self._expect(":")
            entries += [key, self.expression()._replace(optional=is_optional)]
            if not self._is("}"):
                self._expect(",")
        self._take()
        return tuple(entries)


def _dotted(node: Node) -> str:
    """A qualified name that was read as fields. Raises UnreadableExpression."""
    if node.kind == "name":
        return node.name
    if node.kind == "select" and node.target is not None:
        return f"{_dotted(node.target)}.{node.name}"
    raise UnreadableExpression(f"no name of a message at {node.at}")


def _value(token: _Token) -> Any:
    """The value of a number; of texts only that they are some matters here."""
    if token.kind in ("int", "uint"):
        return (
            int(token.text.rstrip("uU"), 0)
            if "x" in token.text.lower()
            else int(token.text.rstrip("uU"))
        )
    return float(token.text) if token.kind == "double" else token.text
