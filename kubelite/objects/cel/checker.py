"""The type of a CEL expression, and what is wrong with it. Pure.

Sentences and their places are those of cel-go, which clients see in refusals and in the status of
policies. What is ``dyn`` is not looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.objects.cel import types
from kubelite.objects.cel.syntax import UnreadableExpression, parse
from kubelite.objects.cel.types import BOOL, DYN, ERROR, INT, Type

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kubelite.objects.cel.syntax import Node

_PREDICATES = ("all", "exists", "exists_one", "existsOne", "filter")
_TRANSFORMS = ("map", "transformList", "transformMap", "transformMapEntry")
_OPTIONAL_TRANSFORMS = ("optMap", "optFlatMap")
_MESSAGES = ("Object", "JSONPatch")


class Problem(NamedTuple):
    """What is wrong at a place of an expression."""

    at: int
    message: str


class Checked(NamedTuple):
    """What became of a check; the type is ``!error!`` where there are problems."""

    type: Type
    problems: tuple[Problem, ...]


def check(expression: str, variables: Mapping[str, Type]) -> Checked:
    """The type of an expression that may name these variables. Raises UnreadableExpression."""
    checker = _Checker(variables)
    result = checker.type_of(parse(expression))
    problems = tuple(sorted(set(checker.problems)))
    return Checked(ERROR if problems else result, problems)


def type_of(expression: str, variables: Mapping[str, Type]) -> Type:
    """The type of an expression; ``dyn`` where it cannot be known."""
    try:
        result = check(expression, variables).type
    except UnreadableExpression:
        return DYN
    return DYN if result == ERROR else result


def report(expression: str, problems: Iterable[Problem]) -> str:
    """Problems as cel-go prints them: the place, the sentence, the line and a mark below it."""
    return "\n".join(_printed(expression, problem) for problem in problems)


def _printed(expression: str, problem: Problem) -> str:
    before = expression[: problem.at]
    column = len(before) - (before.rfind("\n") + 1)
    number = before.count("\n")
    line = expression.split("\n")[number]
    head = f"ERROR: <input>:{number + 1}:{column + 1}: {problem.message}"
    return f"{head}\n | {line}\n | {'.' * column}^"


class _Checker:
    def __init__(self, variables: Mapping[str, Type]) -> None:
        self._variables = dict(variables)
        self.problems: list[Problem] = []

    def _wrong(self, position: int, message: str) -> Type:
        self.problems.append(Problem(position, message))
        return ERROR

    def type_of(self, node: Node) -> Type:
        """The type of a part; ``!error!`` after a problem was noted."""
        match node.kind:
            case "literal":
                return types.LITERALS[node.name]
            case "name":
                return self._name(node)
            case "select":
                return self._select(node)
            case "list":
                return types.list_of(self._common(node.parts))
            case "map":
                keys, values = node.parts[::2], node.parts[1::2]
                return types.map_of(self._common(keys), self._common(values))
            case "message":
                return self._message(node)
        return self._call(node)

    def _name(self, node: Node) -> Type:
        if node.name in self._variables:
            return self._variables[node.name]
        if node.name in types.TYPE_NAMES:
            return Type("type")
        return self._undeclared(node.at, node.name)

    def _undeclared(self, position: int, name: str) -> Type:
        return self._wrong(position, f"undeclared reference to '{name}' (in container '')")

    def _select(self, node: Node) -> Type:
        assert node.target is not None
        holder = self.type_of(node.target)
        is_optional = node.optional or holder.name == "optional_type"
        if holder.name == "optional_type":
            holder = holder.parts[0]
        selected = self._field(node, holder)
        return types.optional_of(selected) if is_optional and selected is not ERROR else selected

    def _field(self, node: Node, holder: Type) -> Type:
        if holder in (DYN, ERROR):
            return holder
        if holder.name == "map":
            return holder.parts[1]
        if holder.field is None:
            return self._wrong(node.at, f"type '{holder}' does not support field selection")
        field = holder.field(node.name)
        return self._wrong(node.at, f"undefined field '{node.name}'") if field is None else field

    def _common(self, nodes: Sequence[Node]) -> Type:
        """The one type of items; ``dyn`` where they differ."""
        common: Type | None = None
        for node in nodes:
            own = self.type_of(node)
            if node.optional and own.name == "optional_type":
                own = own.parts[0]
            if common is None:
                common = own
            elif not types.fits(own, common, {}):
                common = DYN
        return common or DYN

    def _message(self, node: Node) -> Type:
        for value in node.parts[1::2]:
            self.type_of(value)
        first = node.name.split(".")[0]
        if first not in _MESSAGES:
            return self._undeclared(node.at, node.name)
        return Type(node.name, (), lambda _: DYN)

    def _call(self, node: Node) -> Type:
        if node.target is None:
            if node.name == "has" and len(node.parts) == 1:
                return self._has(node.parts[0])
            return self._overloaded(node, node.name, node.parts)
        if node.target.kind == "name" and node.target.name not in self._variables:
            qualified = f"{node.target.name}.{node.name}"
            if qualified in types.functions():
                return self._overloaded(node, qualified, node.parts)
        if self._is_loop(node):
            return self._loop(node)
        return self._overloaded(node, node.name, node.parts, node.target)

    def _has(self, given: Node) -> Type:
        if given.kind != "select":
            return self._wrong(given.at, "invalid argument to has() macro")
        holder = self.type_of(given)
        return ERROR if holder is ERROR else BOOL

    def _is_loop(self, node: Node) -> bool:
        loops = (*_PREDICATES, *_TRANSFORMS, *_OPTIONAL_TRANSFORMS)
        return node.name in loops and len(node.parts) >= 2 and node.parts[0].kind == "name"

    def _loop(self, node: Node) -> Type:
        """``all``, ``map`` and their like: the first parts name what stands for an item."""
        assert node.target is not None
        given = self.type_of(node.target)
        if node.name in _OPTIONAL_TRANSFORMS:
            inside = given.parts[0] if given.name == "optional_type" else DYN
            body = self._inside({node.parts[0].name: inside}, node.parts[1])
            return body if node.name == "optFlatMap" else types.optional_of(body)
        if given.name not in ("list", "map", "dyn", "!error!"):
            why = "(must be list, map, or dynamic)"
            return self._wrong(
                node.target.at,
                f"expression of type '{given}' cannot be range of a comprehension {why}",
            )
        is_double = node.name in _TRANSFORMS[1:] or (
            node.name in _PREDICATES and len(node.parts) == 3
        )
        names = [part.name for part in node.parts[: 2 if is_double else 1]]
        results = [
            self._inside(dict(zip(names, _items(given, len(names)), strict=True)), part)
            for part in node.parts[len(names) :]
        ]
        return self._loop_result(node, given, results)

    def _loop_result(self, node: Node, given: Type, results: list[Type]) -> Type:
        predicates = results if node.name in _PREDICATES else results[:-1]
        for predicate in predicates:
            if not types.fits(predicate, BOOL, {}):
                text = f"found no matching overload for '_&&_' applied to '(bool, {predicate})'"
                return self._wrong(node.at, text)
        if node.name == "filter":
            return given if given.name != "map" else types.list_of(given.parts[0])
        if node.name in ("map", "transformList"):
            return types.list_of(results[-1])
        return DYN if node.name in _TRANSFORMS else BOOL

    def _inside(self, variables: dict[str, Type], node: Node) -> Type:
        """The type of a part in which more names are known."""
        outside = self._variables
        self._variables = {**outside, **variables}
        try:
            return self.type_of(node)
        finally:
            self._variables = outside

    def _overloaded(
        self, node: Node, name: str, parts: Sequence[Node], target: Node | None = None
    ) -> Type:
        overloads = types.functions().get(name, ())
        takes = tuple(map(self.type_of, parts if target is None else (target, *parts)))
        if not overloads:
            return self._undeclared(node.at, name)
        if ERROR in takes:
            return ERROR
        matching = []
        for overload in overloads:
            bound: dict[str, Type] = {}
            if (
                overload.is_member == (target is not None)
                and len(overload.takes) == len(takes)
                and all(
                    types.fits(*pair, bound) for pair in zip(takes, overload.takes, strict=True)
                )
            ):
                matching.append(types.resolved(overload.gives, bound))
        if not matching:
            return self._wrong(
                node.at,
                f"found no matching overload for '{name}' applied to '{_shown(takes, target)}'",
            )
        return matching[0] if all(candidate == matching[0] for candidate in matching) else DYN


def _shown(takes: Sequence[Type], target: Node | None) -> str:
    rest = takes if target is None else takes[1:]
    listed = "(" + ", ".join(map(str, rest)) + ")"
    return listed if target is None else f"{takes[0]}.{listed}"


def _items(given: Type, count: int) -> tuple[Type, ...]:
    """What a loop gives of a list or a map: an item or a key, or place and item, key and value."""
    if given.name == "list":
        return given.parts if count == 1 else (INT, given.parts[0])
    return given.parts[:count] if given.name == "map" else (DYN,) * count
