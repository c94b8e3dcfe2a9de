"""Which names Kubernetes allows where. Pure.

Each function returns what is wrong with a text, one clause per problem that can follow "Invalid
value: ..."; an empty list means the text is fine. Rules: RFC 1123 and RFC 1035 labels, RFC 6335
service names, and apimachinery's qualified names.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

MAX_LABEL = 63
MAX_SUBDOMAIN = 253
MAX_PORT_NAME = 15

# Sets and not patterns: compiling seven patterns would take longer than all the names of a
# manifest.
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_SMALL = _LETTERS | frozenset("0123456789")
_ANY = _SMALL | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")

_ENDS = "beginning and ending with a letter or digit"
_NOT_LABEL = f"must consist of lower-case letters, digits and '-', {_ENDS} (as in my-name)"
_NO_DOTS = "must not contain dots"
_NOT_LABEL_1035 = "must consist of lower-case letters, digits and '-', beginning with a letter and not ending with '-' (as in my-name)"
_NOT_SUBDOMAIN = f"must consist of lower-case letters, digits, '-' and '.', each part {_ENDS} (as in example.com)"
_NOT_QUALIFIED = f"must consist of letters, digits, '-', '_' and '.', {_ENDS} (as in my.name)"
_NOT_ENV = "must consist of printable ASCII characters other than '='"


def _made_of(text: str, ends: frozenset[str], between: str) -> bool:
    """Whether a text begins and ends with one of ``ends`` and has only those and ``between``
    inside.
    """
    return (
        bool(text)
        and text[0] in ends
        and text[-1] in ends
        and ends.issuperset(text.translate({ord(c): None for c in between}))
    )


def _is_label(text: str) -> bool:
    return _made_of(text, _SMALL, "-")


def _is_label_1035(text: str) -> bool:
    return _is_label(text) and text[0] in _LETTERS


def _is_subdomain(text: str) -> bool:
    return all(map(_is_label, text.split(".")))


def _is_qualified(text: str) -> bool:
    return _made_of(text, _ANY, "-_.")


def _too_long(limit: int) -> str:
    return f"must be no more than {limit} characters"


def _checked(text: str, good: Callable[[str], bool], limit: int, clause: str) -> list[str]:
    found = [_too_long(limit)] if len(text) > limit else []
    if not good(text):
        found.append(clause)
    return found


def label(text: str) -> list[str]:
    """A DNS label (RFC 1123): names of containers, volumes, namespaces."""
    found = _checked(text, _is_label, MAX_LABEL, _NOT_LABEL)
    return [_NO_DOTS if each is _NOT_LABEL and _is_subdomain(text) else each for each in found]


def label_1035(text: str) -> list[str]:
    """A DNS label that begins with a letter (RFC 1035): names of services."""
    return _checked(text, _is_label_1035, MAX_LABEL, _NOT_LABEL_1035)


def subdomain(text: str) -> list[str]:
    """A DNS subdomain (RFC 1123): names of pods and of most other objects."""
    return _checked(text, _is_subdomain, MAX_SUBDOMAIN, _NOT_SUBDOMAIN)


@lru_cache(4096)
def _qualified(text: str) -> tuple[str, ...]:
    prefix, slash, name = text.rpartition("/")
    found = []
    if slash and not prefix:
        found.append("prefix part must not be empty")
    elif "/" in prefix:
        return (
            "must be a name with at most one '/', before which a DNS subdomain stands (as in example.com/name)",
        )
    elif slash:
        found += [f"prefix part {clause}" for clause in subdomain(prefix)]
    if not name:
        return (*found, "name part must not be empty")
    return (
        *found,
        *(
            f"name part {clause}"
            for clause in _checked(name, _is_qualified, MAX_LABEL, _NOT_QUALIFIED)
        ),
    )


def qualified(text: str) -> list[str]:
    """A name with an optional DNS subdomain before a slash: keys of labels, names of resources,
    taints.
    """
    return list(_qualified(text))


def annotation(text: str) -> list[str]:
    """A key of an annotation: a qualified name that may be written in capitals."""
    return qualified(text.lower())


@lru_cache(4096)
def _label_value(text: str) -> tuple[str, ...]:
    return (
        tuple(_checked(text, _is_qualified, MAX_LABEL, f"{_NOT_QUALIFIED}, or be empty"))
        if text
        else ()
    )


def label_value(text: str) -> list[str]:
    """The value of a label; it may be empty."""
    return list(_label_value(text))


def env_name(text: str) -> list[str]:
    """The name of an environment variable, as Kubernetes 1.34 and later have it: anything a program
    can be given.
    """
    good = bool(text) and text.isascii() and text.isprintable() and "=" not in text
    return [] if good else [_NOT_ENV]


def port_name(text: str) -> list[str]:
    """The name of a container's port (RFC 6335): short, with a letter in it."""
    found = [_too_long(MAX_PORT_NAME)] if len(text) > MAX_PORT_NAME else []
    if not (text and _SMALL.issuperset(text.replace("-", ""))):
        found.append("must consist of lower-case letters, digits and '-'")
    elif not _LETTERS.intersection(text):
        found.append("must contain at least one letter")
    if "--" in text:
        found.append("must not contain two '-' in a row")
    if text[:1] == "-" or text[-1:] == "-":
        found.append("must not begin or end with '-'")
    return found


def suggested(text: str) -> str:
    """A DNS subdomain that looks like the text, "" where nothing of it is left: for hints."""
    kept = "".join(c if c in _SMALL or c in "-." else "-" for c in text.lower())
    parts = (part.strip("-") for part in kept[:MAX_SUBDOMAIN].split("."))
    return ".".join(part for part in parts if part)


def path_segment(text: str) -> list[str]:
    """A name that is only one part of a path: RBAC's names may hold colons and more."""
    problems = [f"may not be '{text}'"] if text in (".", "..") else []
    return problems + [f"may not contain '{character}'" for character in "/%" if character in text]
