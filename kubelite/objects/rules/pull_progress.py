"""What a waiting container says of the image that is being pulled for it. Pure.

Kubernetes says nothing there: reason ``ContainerCreating`` or ``PodInitializing``, without a
message. The reason stays; the message is ours, and STATUS shows how far the pull is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubelite.lib.json import Object

_MESSAGE = re.compile(r'Pulling image ".*": ([0-9]+)% ')


def message(image: str, percent: int, shown: str) -> str:
    """The sentence; ``shown`` are the bytes and the rate."""
    return f'Pulling image "{image}": {percent}% ({shown})'


def status_word(status: Object) -> str:
    """What STATUS shows of a pod whose images come: ``Pulling 45%``; "" for one that waits for
    none.
    """
    for waiting in _waiting(status):
        match = _MESSAGE.match(waiting.get("message") or "")
        if match is not None:
            return f"Pulling {match[1]}%"
    return ""


def _waiting(status: Object) -> Iterator[Object]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = (container.get("state") or {}).get("waiting")
            if waiting and waiting.get("reason") in ("ContainerCreating", "PodInitializing"):
                yield waiting
