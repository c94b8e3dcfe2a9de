"""A text of YAML as the objects in it. Pure.

The page reads no YAML itself: where an object is created depends on its kind and namespace.
"""

from __future__ import annotations

from kubelite.control.api.wire.status import bad_request
from kubelite.lib import manifest_yaml
from kubelite.lib.json import Object


def read_documents(text: bytes) -> Object:
    """``{"documents": [{"line": n, "object": {...}}]}``, without those that are empty; lines count
    from 1. Raises StatusError for what is no YAML, or no object.
    """
    try:
        documents = manifest_yaml.documents(text)
    except manifest_yaml.YamlError as error:
        where = f"line {error.place.line}: " if error.place else ""
        raise bad_request(f"{where}{error}") from error
    read = []
    for document in documents:
        if document.value is None:
            continue
        line = document.place(()).line
        if not isinstance(document.value, dict):
            raise bad_request(f"line {line}: this is no object: it has no fields")
        read.append({"line": line, "object": document.value})
    return {"documents": read}
