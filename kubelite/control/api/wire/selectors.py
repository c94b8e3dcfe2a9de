"""The selectors of lists and watches: which fields may be selected, and what a request asks for.
Pure.

How selectors are read stands in ``objects/facts/labels``; here what cannot be read becomes a
Status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from kubelite.control.api.wire.status import bad_request
from kubelite.lib.text_cache import remember_short
from kubelite.objects.facts import labels as facts
from kubelite.objects.facts.labels import SelectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from kubelite.objects.facts.labels import FieldTerm

EVERYWHERE = ("metadata.name", "metadata.namespace")
OF_CLUSTER = ("metadata.name",)
FIELD_NOT_SUPPORTED = "field label not supported: {path}"
NOT_SELECTABLE = (
    '"{path}" is not a known field selector: only "metadata.name", "metadata.namespace"'
)
_FALSE_WHEN_ABSENT = ("spec.unschedulable", "spec.hostNetwork")
_ZERO_WHEN_ABSENT = ("status.replicas", "status.successful")


@remember_short(512)
def parse_labels(text: str) -> facts.Selector:
    """A label selector. Raises StatusError 400."""
    try:
        return facts.parse(text)
    except SelectorError as wrong:
        raise bad_request(str(wrong)) from None


@remember_short(512)
def parse_fields(text: str) -> tuple[FieldTerm, ...]:
    """The terms of a field selector. Raises StatusError 400."""
    try:
        return facts.parse_fields(text)
    except SelectorError as wrong:
        raise bad_request(str(wrong)) from None


def pinned(text: str) -> dict[str, str]:
    """The fields that a selector pins to one value each; none of a selector that cannot be read."""
    try:
        return {term.path: term.value for term in facts.parse_fields(text) if term.equal}
    except SelectorError:
        return {}


def field_value(obj: dict[str, Any], path: str) -> str:
    """A field as a selector sees it: text, empty where absent."""
    if path == "status.podIPs":
        path = "status.podIP"
    if path == "source":
        return str(obj.get("source", {}).get("component") or obj.get("reportingComponent", ""))
    value: Any = obj
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None or value is False:
        absent = "false" if path in _FALSE_WHEN_ABSENT else "0" if path in _ZERO_WHEN_ABSENT else ""
        return "false" if value is False else absent
    return "true" if value is True else str(value)


class Selector(NamedTuple):
    """What a list or a watch wants to see. Equal texts give equal selectors, so that watchers can
    share answers.
    """

    labels: facts.Selector = facts.EVERYTHING
    fields: tuple[FieldTerm, ...] = ()

    @property
    def work(self) -> int:
        """What it takes to match one object, as if it were bytes of JSON to read (wire/aside)."""
        return len(self.labels.requirements) + 8 * len(self.fields)

    def matches(self, obj: dict[str, Any]) -> bool:
        labels = obj.get("metadata", {}).get("labels") or {}
        return self.labels.matches(labels) and all(
            (field_value(obj, term.path) == term.value) == term.equal for term in self.fields
        )

    def only_name(self) -> str | None:
        """The one name that can match, if the selector says so."""
        for term in self.fields:
            if term.path == "metadata.name" and term.equal:
                return term.value
        return None


EVERYTHING = Selector()


def parse(
    labels: str,
    fields: str,
    allowed: Container[str] = EVERYWHERE,
    refusal: str = FIELD_NOT_SUPPORTED,
) -> Selector:
    """The selector of a request, whose fields must be ``allowed``. Raises StatusError 400 for what
    cannot be read or selected; ``refusal`` is the sentence about another field, with ``{path}``.
    """
    if not labels and not fields:
        return EVERYTHING
    terms = parse_fields(fields)
    for term in terms:
        if term.path not in allowed:
            raise bad_request(refusal.replace("{path}", term.path))
    return Selector(parse_labels(labels), terms)


def matcher(selector: dict[str, Any] | None) -> Callable[[Mapping[str, str]], bool]:
    """A LabelSelector object as a question about labels; None matches nothing, an empty one
    everything.
    """
    try:
        return facts.of_document(selector).matches
    except SelectorError:
        return facts.NOTHING.matches
