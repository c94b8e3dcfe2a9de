"""The files of the page, read once: what is not among them is not served."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from kubelite.lib.digest import hexdigest

DIRECTORY = os.path.join(os.path.dirname(__file__), "static")
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_PACKED = (".css", ".html", ".js", ".svg", ".txt")
_INDEX = "index.html"
_REFERENCE = re.compile(rb' (?:href|src)="')


class Asset(NamedTuple):
    """One file. ``packed`` is its gzip form, empty where that is no gain."""

    content_type: str
    content: bytes
    packed: bytes
    etag: str


def read_assets(base: str, directory: str = DIRECTORY) -> Mapping[str, Asset]:
    """The files by their paths in the URL. ``base`` is that of index.html; all others lie below it
    in a directory that is named after their contents, so that browsers may keep them for ever.
    Raises OSError.
    """
    contents = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            if os.path.splitext(name)[1] in CONTENT_TYPES:
                path = os.path.join(folder, name)
                with open(path, "rb") as file:
                    contents[os.path.relpath(path, directory)] = file.read()
    version = _version(contents)
    index = _REFERENCE.sub(rb"\g<0>" + version.encode() + b"/", contents.pop(_INDEX))
    below = {f"{base}{version}/{name}": _asset(name, one) for name, one in contents.items()}
    return {base: _asset(_INDEX, index), **below}


def _version(contents: Mapping[str, bytes]) -> str:
    digests = [name + hexdigest(content) for name, content in sorted(contents.items())]
    return hexdigest("\n".join(digests).encode())[:16]


def _asset(name: str, content: bytes) -> Asset:
    extension = os.path.splitext(name)[1]
    packed = gzip.compress(content, mtime=0) if extension in _PACKED else b""
    packed = packed if len(packed) < len(content) else b""
    return Asset(CONTENT_TYPES[extension], content, packed, f'"{hexdigest(content)[:32]}"')
