"""The audit log: a line of JSON for every request that the policy wants written, when its answer is known."""

from __future__ import annotations

import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.answer import Answer
from kubelite.control.api.auditpolicy import Seen, level
from kubelite.control.api.documents import encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kubelite.control.api.answer import Stream

Object = dict[str, Any]
MOST_BYTES = 100 << 20


class Audit:
    """Writes to a file. When it has grown too large it becomes ``FILE.1``, and a new one begins."""

    def __init__(self, path: str, rules: list[Object]) -> None:
        self._path = path
        self._rules = rules
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(
        self, seen: Seen, uri: str, headers: Mapping[str, str], sent: bytes, answer: Answer | Stream, since: datetime
    ) -> None:
        """One request and its answer. Raises OSError."""
        wanted = level(self._rules, seen)
        if wanted == "None":
            return
        line = encode(event(seen, wanted, uri, headers, sent, answer, since)) + b"\n"
        os.write(self._fd, line)
        if os.fstat(self._fd).st_size > MOST_BYTES:
            self._turn()

    def _turn(self) -> None:
        os.rename(self._path, self._path + ".1")
        os.close(self._fd)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Gives the file back."""
        os.close(self._fd)


def event(
    seen: Seen, wanted: str, uri: str, headers: Mapping[str, str], sent: bytes, answer: Answer | Stream, since: datetime
) -> Object:
    """An Event of ``audit.k8s.io/v1``."""
    user = {"username": seen.user.name, "groups": list(seen.user.groups)}
    written: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": wanted,
        "auditID": str(uuid.uuid4()),
        "stage": "ResponseComplete" if isinstance(answer, Answer) else "ResponseStarted",
        "requestURI": uri,
        "verb": seen.verb,
        "user": {**user, "uid": seen.user.uid} if seen.user.uid else user,
        "userAgent": headers.get("User-Agent", ""),
    }
    if seen.resource:
        names = {"resource": seen.resource, "namespace": seen.namespace, "name": seen.name, "apiGroup": seen.group}
        reference = {**names, "subresource": seen.sub}
        written["objectRef"] = {key: value for key, value in reference.items() if value}
    code = answer.code if isinstance(answer, Answer) else 200
    written["responseStatus"] = {"metadata": {}, "code": code}
    if wanted in ("Request", "RequestResponse") and (body := _object(sent)) is not None:
        written["requestObject"] = body
    if wanted == "RequestResponse" and isinstance(answer, Answer) and (body := _object(answer.body)) is not None:
        written["responseObject"] = body
    now = datetime.now(UTC)
    return {**written, "requestReceivedTimestamp": _moment(since), "stageTimestamp": _moment(now)}


def _object(data: bytes) -> Any:
    """The JSON in a body; None where it is none."""
    try:
        return msgspec.json.decode(data) if data.strip() else None
    except msgspec.DecodeError:
        return None


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
