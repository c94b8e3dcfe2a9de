"""References to images: ``registry.example.com:5000/team/web:1.25@sha256:...``. Pure.

Only what the rules of pods need: whether a text is a reference, and its tag. Grammar: that of the
distribution project's ``reference`` package.
"""

from __future__ import annotations

MAX_TAG = 128
_SMALL = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALPHANUMERIC = _SMALL | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEX = frozenset("0123456789abcdefABCDEF")


def is_latest(image: str) -> bool:
    """Whether the image is the latest of its name: by its tag, or without tag and digest. False
    for what is no reference at all.
    """
    name, at, digest = image.partition("@")
    repository, tag = _split_tag(name)
    if not _is_repository(repository) or (at and not _is_digest(digest)):
        return False
    if tag is None:
        return not at
    return tag == "latest"


def _split_tag(name: str) -> tuple[str, str | None]:
    """The repository and the tag; a colon before a slash belongs to a port."""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        return name, None
    return repository, tag


def _is_repository(text: str) -> bool:
    domain, slash, path = text.partition("/")
    if not slash or not _names_registry(domain):
        path = text
    elif not _is_domain(domain):
        return False
    is_identifier = len(path) == 64 and _HEX.issuperset(path) and path == path.lower()
    return not is_identifier and all(map(_is_component, path.split("/")))


def _names_registry(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _is_domain(text: str) -> bool:
    host, colon, port = text.partition(":") if not text.startswith("[") else (text, "", "")
    if colon and not port.isdecimal():
        return False
    return bool(host) and all(
        part and part[0] in _ALPHANUMERIC and part[-1] in _ALPHANUMERIC
        for part in host.strip("[]").replace(":", "0").split(".")
    )


def _is_component(text: str) -> bool:
    """Small letters and digits, with ``.``, ``_``, ``__`` or dashes between them."""
    if not text or text[0] not in _SMALL or text[-1] not in _SMALL:
        return False
    separators = "".join(" " if sign in _SMALL else sign for sign in text).split()
    return all(part in (".", "_", "__") or not part.strip("-") for part in separators)


def _is_digest(text: str) -> bool:
    algorithm, colon, value = text.partition(":")
    return bool(algorithm and colon) and len(value) >= 32 and _HEX.issuperset(value)
