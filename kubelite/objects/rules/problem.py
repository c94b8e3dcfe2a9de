"""What is wrong with an object, and where: the common form of what decoding, validation and support
say. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

Path = tuple[str | int, ...]

UNKNOWN_FIELD = "KL104"
WRONG_TYPE = "KL105"
BAD_QUANTITY = "KL106"
REQUIRED = "KL107"
INVALID = "KL108"
BAD_NAME = "KL109"
DUPLICATE = "KL110"
NOT_FOUND = "KL111"
UNSUPPORTED_KIND = "KL112"
UNSUPPORTED_FIELD = "KL113"
NO_EFFECT = "KL114"


class Problem(NamedTuple):
    """One finding. ``path`` leads to the value, or, where ``at_key``, to its key; ``hint`` says
    what helps, or is "".

    ``meant`` is the path of a field that was probably meant in place of an unknown one.
    """

    path: Path
    message: str
    code: str
    hint: str = ""
    at_key: bool = False
    meant: Path = ()


def leaf(path: Path) -> str:
    """What a sentence calls the value at a path: its field, ``image``, or its field and position,
    ``args[0]``.
    """
    words = [f"[{part}]" if isinstance(part, int) else part for part in path[-2:]]
    if not words:
        return "object"
    return "".join(words) if isinstance(path[-1], int) else words[-1]


def json_path(path: Path) -> str:
    """A path as Kubernetes writes it: ``spec.containers[0].env[1].name``,
    ``metadata.labels["a.b/c"]``.
    """
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.isascii() and part.isidentifier():
            text += f".{part}"
        else:
            text += f'["{part}"]'
    return text.removeprefix(".")
