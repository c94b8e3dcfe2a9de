"""What the operands of a verb mean: ``TYPE``, ``TYPE NAME...``, ``TYPE/NAME...``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from kubelite.cli.api.common.discovery import ApiResource, Resources


class OperandError(ValueError):
    """The operands mean nothing; the message is one sentence."""


class Operand(NamedTuple):
    """A resource, and the name of one object of it; "" for all."""

    resource: ApiResource
    name: str = ""


def parse(words: Sequence[str], resources: Resources) -> list[Operand]:
    """The objects that words mean, in their order. Raises OperandError, UnknownType."""
    if not words:
        return []
    if any("/" in word for word in words):
        return [_pair(word, resources) for word in words]
    types = [row for word in words[0].split(",") if word for row in _types(word, resources)]
    if not types:
        raise OperandError("name a type: pods, deployments, services ...")
    names = words[1:]
    return [Operand(row, name) for row in types for name in names or ("",)]


def _types(word: str, resources: Resources) -> list[ApiResource]:
    return resources.of_category(word) or [resources.named(word)]


def _pair(word: str, resources: Resources) -> Operand:
    kind, slash, name = word.partition("/")
    if not slash:
        raise OperandError(
            "there is no need to specify a resource type as a separate argument when passing"
            " arguments in resource/name form"
        )
    if not kind or not name or "/" in name:
        raise OperandError(f"arguments in resource/name form must have a single resource: {word}")
    return Operand(resources.named(kind), name)


def changes(words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """The operands among the words of ``label``, and what is changed: ``KEY=VALUE`` sets, ``KEY-``
    removes (None).
    """
    operands = [word for word in words if "=" not in word and not word.endswith("-")]
    wanted: dict[str, str | None] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            wanted[key] = value
        elif word.endswith("-"):
            wanted[word[:-1]] = None
    return operands, wanted
