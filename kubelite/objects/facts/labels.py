"""Label selectors and field selectors: read, matched, printed. Pure.

Three ways to write a label selector become one :class:`Selector`: kubectl's ``-l`` text,
``matchLabels`` with ``matchExpressions``, and a plain map. As everywhere in Kubernetes an absent
selector selects nothing and an empty one selects everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kubelite.objects.facts import names

if TYPE_CHECKING:
    from kubelite.objects.pod.meta import LabelSelector

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SIGNS: dict[str, Operator] = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
_WORDS: dict[str, Operator] = {"in": "In", "notin": "NotIn"}
_PUNCTUATION = frozenset("=!(),<>") | {"==", "!="}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


class SelectorError(ValueError):
    """A selector that cannot be read; the message is one sentence."""


class Requirement(NamedTuple):
    """A condition on one key. ``values`` is empty for Exists and DoesNotExist, one number for Gt
    and Lt.
    """

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil the condition; a label that is not there fulfils NotIn and
        DoesNotExist.
        """
        found = labels.get(self.key)
        if self.operator == "In":
            return found in self.values
        if self.operator == "NotIn":
            return found not in self.values
        if self.operator == "Exists":
            return found is not None
        if self.operator == "DoesNotExist":
            return found is None
        return found is not None and self._orders(found)

    def _orders(self, found: str) -> bool:
        (limit,) = self.values
        if not (_INTEGER.fullmatch(found) and _INTEGER.fullmatch(limit)):
            return False
        return int(found) > int(limit) if self.operator == "Gt" else int(found) < int(limit)

    def __str__(self) -> str:
        if self.operator == "Exists":
            return self.key
        if self.operator == "DoesNotExist":
            return f"!{self.key}"
        if len(self.values) == 1:
            sign = {"In": "=", "NotIn": "!=", "Gt": ">", "Lt": "<"}[self.operator]
            return f"{self.key}{sign}{next(iter(self.values))}"
        return f"{self.key} {self.operator.lower()} ({','.join(sorted(self.values))})"


class Selector(NamedTuple):
    """All requirements together. ``nothing`` marks the selector that was absent: it matches no
    object at all.
    """

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return not self.nothing and all(
            requirement.matches(labels) for requirement in self.requirements
        )

    def __str__(self) -> str:
        return "<none>" if self.nothing else ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def of_map(labels: Mapping[str, str]) -> Selector:
    """The selector for exactly these labels, as in a Service or in ``nodeSelector``."""
    return Selector(
        tuple(Requirement(key, "In", frozenset((labels[key],))) for key in sorted(labels))
    )


def of_object(selector: LabelSelector | None) -> Selector:
    """The selector of a ``labelSelector`` field. Raises SelectorError for values that do not fit
    their operator.
    """
    if selector is None:
        return NOTHING
    asked = (
        requirement(each.key, each.operator, each.values) for each in selector.match_expressions
    )
    return Selector((*of_map(selector.match_labels).requirements, *asked))


def of_document(selector: Mapping[str, Any] | None) -> Selector:
    """The selector of a ``labelSelector`` in a plain document. Raises SelectorError for values that
    do not fit their operator.
    """
    if selector is None:
        return NOTHING
    expressions = (
        requirement(entry["key"], entry["operator"], entry.get("values") or ())
        for entry in selector.get("matchExpressions") or ()
    )
    return Selector((*of_map(selector.get("matchLabels") or {}).requirements, *expressions))


def requirement(key: str, operator: str, values: Iterable[str] = ()) -> Requirement:
    """A requirement as ``matchExpressions`` write it. Raises SelectorError."""
    given = frozenset(values)
    if operator in ("In", "NotIn") and not given:
        raise SelectorError(f'"{key}" with operator {operator} needs at least one value')
    if operator in ("Exists", "DoesNotExist") and given:
        raise SelectorError(f'"{key}" with operator {operator} takes no values')
    if operator in ("Gt", "Lt") and not (len(given) == 1 and _INTEGER.fullmatch(next(iter(given)))):
        raise SelectorError(f'"{key}" with operator {operator} needs one whole number')
    if operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        raise SelectorError(
            f'"{operator}" is no operator: In, NotIn, Exists, DoesNotExist, Gt and Lt are'
        )
    return Requirement(key, operator, given)  # type: ignore[arg-type]  # one of the six, as checked above


def parse(text: str) -> Selector:
    """The selector of kubectl's ``-l``: ``app=web,tier!=db,env in (a,b),x notin
    (y),has,!hasnot,n>3``.

    An empty text selects everything. Raises SelectorError.
    """
    tokens = _Tokens(text)
    found: list[Requirement] = []
    while tokens.peek():
        found.append(_requirement(tokens))
        if tokens.peek() and (tokens.take() != "," or not tokens.peek()):
            raise tokens.error("a ',' and another requirement")
    return Selector(tuple(found))


class _Tokens:
    """The words and signs of a selector, one after the other; "" at the end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def word(self) -> str:
        """The next token where it is no sign, else "", and nothing is taken."""
        return self.take() if self.peek() and self.peek() not in _PUNCTUATION else ""

    def error(self, expected: str) -> SelectorError:
        at = f'before "{self.peek()}"' if self.peek() else "at its end"
        return SelectorError(f'selector "{self._text}": {expected} expected {at}')


def _requirement(tokens: _Tokens) -> Requirement:
    negated = tokens.peek() == "!" and bool(tokens.take())
    key = _key(tokens)
    if negated:
        return Requirement(key, "DoesNotExist")
    sign = tokens.peek()
    if sign in ("", ","):
        return Requirement(key, "Exists")
    if sign in _SIGNS:
        tokens.take()
        return _checked(requirement(key, _SIGNS[sign], (tokens.word(),)))
    if sign in _WORDS:
        tokens.take()
        return _checked(requirement(key, _WORDS[sign], _listed(tokens)))
    raise tokens.error("one of = == != in notin < >")


def _key(tokens: _Tokens) -> str:
    key = tokens.word()
    if not key:
        raise tokens.error("a key")
    wrong = names.qualified(key)
    if wrong:
        raise SelectorError(f'"{key}" is no key of a label: {wrong[0]}')
    return key


def _listed(tokens: _Tokens) -> list[str]:
    if tokens.take() != "(":
        raise tokens.error("'('")
    if tokens.peek() == ")":
        tokens.take()
        return []
    values = [tokens.word()]
    while (sign := tokens.take()) == ",":
        values.append(tokens.word())
    if sign != ")":
        raise tokens.error("')'")
    return values


def _checked(made: Requirement) -> Requirement:
    for value in made.values:
        wrong = names.label_value(value)
        if wrong:
            raise SelectorError(f'"{value}" is no value of a label: {wrong[0]}')
    return made


class FieldSelector(NamedTuple):
    """Conditions on fields of an object: (path, value, whether it must be equal)."""

    terms: tuple[tuple[str, str, bool], ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether an object with these fields is selected; one that is not there counts as empty."""
        return all((fields.get(path, "") == value) is equal for path, value, equal in self.terms)

    def __str__(self) -> str:
        return ",".join(
            f"{path}{'=' if equal else '!='}{_escaped(value)}" for path, value, equal in self.terms
        )


def _escaped(text: str) -> str:
    return re.sub(r"([\\,=])", r"\\\1", text)


_FIELD_TERM = re.compile(r"((?:[^\\,=!]|\\.|!(?!=))+?)(==|!=|=)((?:[^\\,=]|\\[\\,=])*)", re.DOTALL)


def parse_fields(text: str) -> FieldSelector:
    r"""kubectl's ``--field-selector``: ``status.phase=Running,spec.nodeName!=a``; ``\`` protects
    ``, = \`` in a value.

    Raises SelectorError.
    """
    terms: list[tuple[str, str, bool]] = []
    for term in re.findall(r"(?:\\.|[^\\,])+", text, re.DOTALL):
        match = _FIELD_TERM.fullmatch(term)
        if match is None:
            raise SelectorError(
                f'field selector "{text}": "{term}" is not of the form path=value or path!=value'
            )
        terms.append((match[1].strip(), re.sub(r"\\(.)", r"\1", match[3]), match[2] != "!="))
    return FieldSelector(tuple(terms))
