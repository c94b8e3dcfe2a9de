"""Names of images, read as docker and containerd read them.  Pure.

A reference is `[domain/]path[:tag][@sha256:hex]`.  The short form `nginx` stands for
`docker.io/library/nginx:latest`.  The grammar is the one of the distribution project's reference
specification; digests are stricter here: sha256 only.  This module refuses anything else and never
guesses a registry.

`host` alone is not a reference: it names the reserved image made of the machine's own files.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from kubelite.node.image.errors import BadReference, quoted

HOST = "host"
DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
LONGEST_NAME = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"sha256:[0-9a-f]{64}"


class Reference(NamedTuple):
    """A normalised image name.

    `tag` is empty only where a digest was given without one.
    """

    domain: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """Domain and path: `docker.io/library/nginx`."""
        return f"{self.domain}/{self.path}"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_host(name: str) -> bool:
    """Whether the name is the reserved one of the machine's own root file system."""
    return name == HOST


def is_digest(text: str) -> bool:
    """Whether the text is exactly `sha256:` and 64 lower-case hexadecimal digits."""
    return re.fullmatch(_DIGEST, text) is not None


def parse(name: str) -> Reference:
    """Read an image name and fill in what it leaves out.

    Raises BadReference for a name outside the grammar and for the reserved name `host`.
    """
    if is_host(name):
        raise BadReference('"host" is reserved for the machine\'s own root file system')
    rest, digest = _cut_digest(name)
    domain, remainder = _cut_domain(rest)
    match = re.fullmatch(rf"({_PATH})(?::({_TAG}))?", remainder)
    if match is None or re.fullmatch(_DOMAIN, domain) is None:
        raise BadReference(f"image name {quoted(name)} is not valid: {_why(name, remainder)}")
    path = match[1]
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    if len(domain) + 1 + len(path) > LONGEST_NAME:
        raise BadReference(f"image name {quoted(name)} is longer than {LONGEST_NAME} characters")
    return Reference(domain, path, match[2] or ("" if digest else DEFAULT_TAG), digest)


def familiar(reference: Reference) -> str:
    """The short form people type: `nginx:1.29` for `docker.io/library/nginx:1.29`."""
    text = str(reference)
    if reference.domain != DEFAULT_DOMAIN:
        return text
    text = text[len(DEFAULT_DOMAIN) + 1 :]
    short = reference.path.removeprefix(OFFICIAL)
    # `library/a/b` must keep its prefix, or it would read back as another repository.
    return text.removeprefix(OFFICIAL) if "/" not in short else text


def _cut_digest(name: str) -> tuple[str, str]:
    rest, mark, digest = name.partition("@")
    if mark and not is_digest(digest):
        raise BadReference(
            f'image name {quoted(name)} is not valid: after "@" comes sha256: and 64 digits'
        )
    if re.fullmatch(r"[0-9a-f]{64}", rest):
        raise BadReference(f"image name {quoted(name)} is not valid: it looks like an image id")
    return rest, digest


def _cut_domain(rest: str) -> tuple[str, str]:
    """Split off the registry; the first part is one if it cannot be a plain path part."""
    first, slash, remainder = rest.partition("/")
    is_domain = "." in first or ":" in first or first == "localhost" or first != first.lower()
    if not slash or not is_domain:
        return DEFAULT_DOMAIN, rest
    return (DEFAULT_DOMAIN if first == LEGACY_DOMAIN else first), remainder


def _why(name: str, remainder: str) -> str:
    if not name:
        return "it is empty"
    if name != name.strip() or any(not c.isprintable() or c.isspace() for c in name):
        return "it holds blanks or control characters"
    if remainder.partition(":")[0] != remainder.partition(":")[0].lower():
        return "the repository must be in lower case"
    return "expected [registry/]repository[:tag][@sha256:…]"
