"""The files of the page, read once: what is not among them is not served."""

from __future__ import annotations

import gzip
import os
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


class Asset(NamedTuple):
    """One file. ``packed`` is its gzip form, empty where that is no gain."""

    content_type: str
    content: bytes
    packed: bytes
    etag: str


def read_assets(base: str, directory: str = DIRECTORY) -> Mapping[str, Asset]:
    """The files by their paths below ``base`` in the URL, which is that of index.html. Raises
    OSError.
    """
    assets = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            extension = os.path.splitext(name)[1]
            if extension in CONTENT_TYPES:
                path = os.path.join(folder, name)
                assets[base + os.path.relpath(path, directory)] = _asset(path, extension)
    assets[base] = assets.pop(base + _INDEX)
    return assets


def _asset(path: str, extension: str) -> Asset:
    with open(path, "rb") as file:
        content = file.read()
    packed = gzip.compress(content, mtime=0) if extension in _PACKED else b""
    packed = packed if len(packed) < len(content) else b""
    return Asset(CONTENT_TYPES[extension], content, packed, f'"{hexdigest(content)[:32]}"')
