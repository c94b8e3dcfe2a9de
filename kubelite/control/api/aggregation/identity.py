"""How an extension server is told who asks: headers that it believes because of the certificate
over which they come. Pure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.request import User

_NO_TOKEN = re.compile(rb"[^!#$&'*+.^_`|~0-9A-Za-z-]")


def headers_of(user: User) -> Iterator[tuple[str, str]]:
    """The headers that ``extension-apiserver-authentication`` names (client-go,
    ``transport.SetAuthProxyHeaders``).
    """
    yield "X-Remote-User", _written(user.name)
    if user.uid:
        yield "X-Remote-Uid", _written(user.uid)
    for group in user.groups:
        yield "X-Remote-Group", _written(group)
    for key, values in user.extra:
        for value in values:
            yield f"X-Remote-Extra-{_escaped(key)}", _written(value)


def _escaped(key: str) -> str:
    """A key as a header's name can carry it: what is no token (RFC 9110, section 5.6.2) and ``%``
    become percent escapes.
    """
    return _NO_TOKEN.sub(lambda match: b"%%%02X" % match[0][0], key.encode()).decode()


def _written(value: str) -> str:
    """A value without what would end its line. What is no UTF-8 is replaced: left out it would make
    one user of two.
    """
    text = value.encode("utf-8", "replace").decode()
    return "".join(letter for letter in text if letter not in "\r\n\0")
