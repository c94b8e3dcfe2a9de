"""Label selectors and field selectors: read, matched, printed. Pure.

Three ways to write a label selector become one :class:`Selector`: kubectl's ``-l`` text,
``matchLabels`` with ``matchExpressions``, and a plain map. As everywhere in Kubernetes an absent
selector selects nothing and an empty one selects everything.

Texts are read, and refused, as apimachinery's ``labels.Parse`` and ``fields.ParseSelector`` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from kubelite.objects.facts import names

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]

_TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
_SIGNS: dict[str, Operator] = {"=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt"}
_WORDS: dict[str, Operator] = {"in": "In", "notin": "NotIn"}
_NO_WORDS = frozenset(("", *"=!(),<>", "==", "!="))
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
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        return value is not None and self._orders(value)

    def _orders(self, value: str) -> bool:
        (limit,) = self.values
        if not (_INTEGER.fullmatch(value) and _INTEGER.fullmatch(limit)):
            return False
        return int(value) > int(limit) if self.operator == "Gt" else int(value) < int(limit)

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
        if self.nothing:
            return False
        for requirement in self.requirements:  # noqa: SIM110  # a generator takes twice as long
            if not requirement.matches(labels):
                return False
        return True

    def __str__(self) -> str:
        return "<none>" if self.nothing else ",".join(map(str, self.requirements))


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def of_map(labels: Mapping[str, str]) -> Selector:
    """The selector for exactly these labels, as in a Service or in ``nodeSelector``."""
    return Selector(
        tuple(Requirement(key, "In", frozenset((labels[key],))) for key in sorted(labels))
    )


def of_document(selector: Mapping[str, Any] | None) -> Selector:
    """The selector of a ``labelSelector`` in a plain document. Raises SelectorError for values that
    do not fit their operator.
    """
    if not selector:
        return NOTHING if selector is None else EVERYTHING
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
    requirements: list[Requirement] = []
    while tokens.next:
        if tokens.next != "!" and not tokens.is_word():
            raise tokens.expected("!, identifier, or 'end of string'")
        try:
            requirements.append(_requirement(tokens))
        except SelectorError as wrong:
            raise SelectorError(f"unable to parse requirement: {wrong}") from None
        if not tokens.next:
            break
        if tokens.next != ",":
            raise tokens.expected("',' or 'end of string'")
        tokens.take()
        if tokens.next != "!" and not tokens.is_word():
            raise tokens.expected("identifier after ','")
    return Selector(tuple(requirements))


class _Tokens:
    """The words and signs of a selector, one after the other; ``next`` is "" at the end."""

    def __init__(self, text: str) -> None:
        self._tokens = [*_TOKEN.findall(text), ""]
        self._at = 0
        self.next = self._tokens[0]

    def take(self) -> str:
        taken: str = self.next
        self._at = min(self._at + 1, len(self._tokens) - 1)
        self.next = self._tokens[self._at]
        return taken

    def is_word(self) -> bool:
        return self.next not in _NO_WORDS

    def word(self) -> str:
        """The next token, which must be a word."""
        if not self.is_word():
            raise self.expected("identifier")
        return self.take()

    def expected(self, what: str) -> SelectorError:
        return SelectorError(f"found '{self.next}', expected: {what}")


def _requirement(tokens: _Tokens) -> Requirement:
    is_negated = tokens.next == "!" and bool(tokens.take())
    key = tokens.word()
    wrong = names.qualified(key)
    if wrong:
        raise SelectorError(f"<nil>: {_invalid(key, wrong)}")
    if tokens.next in ("", ","):
        return Requirement(key, "DoesNotExist" if is_negated else "Exists")
    if is_negated:
        return Requirement(key, "DoesNotExist")
    if tokens.next in _SIGNS:
        operator = _SIGNS[tokens.take()]
        return _checked(key, operator, [_exact(tokens)])
    if tokens.next in _WORDS:
        operator = _WORDS[tokens.take()]
        return _checked(key, operator, _listed(tokens))
    raise tokens.expected("in, notin, =, ==, !=, gt, lt")


def _exact(tokens: _Tokens) -> str:
    return "" if tokens.next in ("", ",") else tokens.word()


def _listed(tokens: _Tokens) -> list[str]:
    if tokens.next != "(":
        raise SelectorError(f"found '{tokens.next}' expected: '('")
    tokens.take()
    if tokens.next == ")":
        tokens.take()
        return []
    values = [_item(tokens)]
    while tokens.next == ",":
        tokens.take()
        values.append(_item(tokens))
    if tokens.next != ")":
        raise tokens.expected("',' or ')'")
    tokens.take()
    return values


def _item(tokens: _Tokens) -> str:
    """One value of a list, which may be empty."""
    if tokens.next in (",", ")"):
        return ""
    if not tokens.is_word():
        raise tokens.expected("',', or identifier")
    return tokens.take()


def _checked(key: str, operator: Operator, values: list[str]) -> Requirement:
    """A requirement as a text writes it. Raises SelectorError with the sentence of Kubernetes."""
    if not values:
        empty = "for 'in', 'notin' operators, values set can't be empty"
        raise SelectorError(f"values: Invalid value: []: {empty}")
    if operator in ("Gt", "Lt") and not _INTEGER.fullmatch(values[0]):
        number = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise SelectorError(f"values[0]: {_invalid(values[0], [number])}")
    for value in values:
        wrong = names.label_value(value)
        if wrong:
            raise SelectorError(f"[{key}]: {_invalid(value, wrong)}")
    return Requirement(key, operator, frozenset(values))


def _invalid(value: str, sentences: Iterable[str]) -> str:
    return f'Invalid value: "{value}": {"; ".join(sentences)}'


class FieldTerm(NamedTuple):
    """One term of a field selector: a field that must be equal to a value, or must differ from
    it.
    """

    path: str
    value: str
    equal: bool

    def __str__(self) -> str:
        value = re.sub(r"([\\,=])", r"\\\1", self.value)
        return f"{self.path}{'=' if self.equal else '!='}{value}"


_FIELD_TERM = re.compile(r"(.*?)(!=|==|=)(.*)", re.DOTALL)
_BAD_ESCAPE = re.compile(r"\\(?![\\,=]).?", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    r"""kubectl's ``--field-selector``: ``status.phase=Running,spec.nodeName!=a``; ``\`` protects
    ``, = \`` in a value.

    Raises SelectorError.
    """
    return tuple(
        _field_term(term, text) for term in re.findall(r"(?:\\.|[^\\,]|\\$)+", text, re.DOTALL)
    )


def _field_term(term: str, text: str) -> FieldTerm:
    match = _FIELD_TERM.fullmatch(term)
    if match is None:
        raise SelectorError(f"invalid selector: '{text}'; can't understand '{term}'")
    bad = _BAD_ESCAPE.search(_ESCAPED.sub(_kept_if_bad, match[3]))
    if bad:
        raise SelectorError(f"invalid field selector, invalid escape sequence: {bad[0]}")
    plain = _ESCAPED.sub("", match[3])
    if "=" in plain:
        raise SelectorError("invalid field selector, unescaped character in value: =")
    return FieldTerm(match[1], _ESCAPED.sub(r"\1", match[3]), match[2] != "!=")


def _kept_if_bad(escape: re.Match[str]) -> str:
    return "" if escape[1] in "\\,=" else escape[0]
