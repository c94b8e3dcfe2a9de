"""Label and field selectors: text to a question about an object. Pure.

Grammar and messages are apimachinery's ``labels.Parse`` and ``fields.ParseSelector``; which fields
may be selected stands in the rules of each kind.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.status import StatusError, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Container

_TOKEN = re.compile(r"\s*(==|!=|[=!<>(),]|[^\s=!<>(),]+)")
_NAME = re.compile(
    r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


class Requirement(NamedTuple):
    """One term: ``operator`` is in, notin, exists, !, gt or lt."""

    key: str
    operator: str
    values: tuple[str, ...]

    def matches(self, labels: dict[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None or not value.lstrip("-").isdigit():
            return False
        return (
            int(value) > int(self.values[0])
            if self.operator == "gt"
            else int(value) < int(self.values[0])
        )


@lru_cache(maxsize=512)
def parse_labels(text: str) -> tuple[Requirement, ...]:
    """The terms of a label selector; all must hold. Raises StatusError 400."""
    tokens = _tokens(text)
    terms: list[Requirement] = []
    while tokens:
        terms.append(_term(tokens, text))
        if tokens and tokens.pop(0) != ",":
            raise _unparsable(text)
        if terms and not tokens and text.rstrip().endswith(","):
            raise _unparsable(text)
    return tuple(terms)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while text[position:].strip():
        found = _TOKEN.match(text, position)
        if found is None:
            raise _unparsable(text)
        tokens.append(found[1])
        position = found.end()
    return tokens


def _term(tokens: list[str], text: str) -> Requirement:
    first = tokens.pop(0)
    if first == "!":
        return Requirement(_key(tokens.pop(0) if tokens else "", text), "!", ())
    key = _key(first, text)
    if not tokens or tokens[0] == ",":
        return Requirement(key, "exists", ())
    operator = tokens.pop(0)
    if operator in ("in", "notin"):
        return Requirement(key, operator, _set(tokens, text))
    value = tokens.pop(0) if tokens and tokens[0] != "," else ""
    if operator in (">", "<"):
        if not value.lstrip("-").isdigit():
            raise _unparsable(text)
        return Requirement(key, "gt" if operator == ">" else "lt", (value,))
    if operator not in ("=", "==", "!=") or not _VALUE.fullmatch(value):
        raise _unparsable(text)
    return Requirement(key, "notin" if operator == "!=" else "in", (value,))


def _set(tokens: list[str], text: str) -> tuple[str, ...]:
    if not tokens or tokens.pop(0) != "(" or ")" not in tokens:
        raise _unparsable(text)
    end = tokens.index(")")
    inside, tokens[: end + 1] = tokens[:end], []
    values = [""]
    for each in inside:
        if each == ",":
            values.append("")
        elif values[-1]:
            raise _unparsable(text)
        else:
            values[-1] = each
    if not all(_VALUE.fullmatch(each) for each in values):
        raise _unparsable(text)
    return tuple(values)


def _key(word: str, text: str) -> str:
    if not _NAME.fullmatch(word) or len(word) > 317:
        raise _unparsable(text)
    return word


def _unparsable(text: str) -> Exception:
    return bad_request(f'unable to parse requirement: found "{text}", expected a label selector')


class Field(NamedTuple):
    """One term of a field selector: the field, whether it must be equal or must differ, and the
    value.
    """

    name: str
    equal: bool
    value: str


EVERYWHERE = ("metadata.name", "metadata.namespace")
_FALSE_WHEN_ABSENT = ("spec.unschedulable", "spec.hostNetwork")
_ZERO_WHEN_ABSENT = ("status.replicas", "status.successful")


@lru_cache(maxsize=512)
def parse_fields(text: str) -> tuple[Field, ...]:
    """The terms of a field selector, ``a=b,c!=d``. Raises StatusError 400."""
    return tuple(_field(part) for part in re.split(r"(?<!\\),", text) if part.strip())


def _field(part: str) -> Field:
    found = re.fullmatch(r"\s*([^=!]+?)\s*(!=|==|=)(.*)", part)
    if found is None:
        raise bad_request(f"invalid field selector: {part}")
    return Field(found[1], found[2] != "!=", re.sub(r"\\([\\,=])", r"\1", found[3]))


def pinned(text: str) -> dict[str, str]:
    """The fields that a selector pins to one value each; none of a selector that cannot be read."""
    try:
        return {term.name: term.value for term in parse_fields(text) if term.equal}
    except StatusError:
        return {}


def field_value(obj: dict[str, Any], path: str) -> str:
    """A field as a selector sees it: text, empty where absent."""
    if path == "status.podIPs":
        path = "status.podIP"
    if path == "source":
        return str(obj.get("source", {}).get("component") or obj.get("reportingComponent", ""))
    at: Any = obj
    for part in path.split("."):
        at = at.get(part) if isinstance(at, dict) else None
    if at is None or at is False:
        absent = "false" if path in _FALSE_WHEN_ABSENT else "0" if path in _ZERO_WHEN_ABSENT else ""
        return "false" if at is False else absent
    return "true" if at is True else str(at)


class Selector(NamedTuple):
    """What a list or a watch wants to see. Equal texts give equal selectors, so that watchers can
    share answers.
    """

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Field, ...] = ()

    def matches(self, obj: dict[str, Any]) -> bool:
        found = obj.get("metadata", {}).get("labels") or {}
        return all(term.matches(found) for term in self.labels) and all(
            (field_value(obj, term.name) == term.value) == term.equal for term in self.fields
        )

    def only_name(self) -> str | None:
        """The one name that can match, if the selector says so."""
        for term in self.fields:
            if term.name == "metadata.name" and term.equal:
                return term.value
        return None


EVERYTHING = Selector()


def parse(labels: str, fields: str, allowed: Container[str] = EVERYWHERE) -> Selector:
    """The selector of a request, whose fields must be ``allowed``. Raises StatusError 400 for what
    cannot be read or selected.
    """
    if not labels and not fields:
        return EVERYTHING
    terms = parse_fields(fields)
    for term in terms:
        if term.name not in allowed:
            raise bad_request(f"field label not supported: {term.name}")
    return Selector(parse_labels(labels), terms)


def matcher(selector: dict[str, Any] | None) -> Callable[[dict[str, str]], bool]:
    """A LabelSelector object as a question about labels; None matches nothing, an empty one
    everything.
    """
    if selector is None:
        return lambda labels: False
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    terms = [
        Requirement(key, "in", (value,))
        for key, value in (selector.get("matchLabels") or {}).items()
    ]
    terms += [
        Requirement(each["key"], operators[each["operator"]], tuple(each.get("values") or ()))
        for each in selector.get("matchExpressions") or ()
    ]
    return lambda labels: all(term.matches(labels) for term in terms)
