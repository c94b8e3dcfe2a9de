"""The audit log: a line of JSON for every request that the policy wants written, when its answer is
known.
"""

from __future__ import annotations

import errno
import os
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kubelite.control.api.auth.audit_policy import rule_for
from kubelite.control.api.wire import codec
from kubelite.control.api.wire.answer import Answer
from kubelite.control.api.wire.documents import encode
from kubelite.control.api.wire.request import user_info
from kubelite.control.api.wire.status import StatusError
from kubelite.lib.json import Object
from kubelite.lib.trusted_paths import file_problem

if TYPE_CHECKING:
    from kubelite.control.api.wire.answer import Stream
    from kubelite.control.api.wire.attributes import AuditAttributes
    from kubelite.control.api.wire.raw_request import AuditTrace, RawRequest

MOST_BYTES = 100 << 20


class Audit:
    """Writes to a file. When it has grown too large it becomes ``FILE.1``, and a new one begins.

    Raises OSError for a file that cannot be written, or that others could read or write.
    """

    def __init__(self, path: str, rules: list[Object]) -> None:
        if problem := file_problem(path):
            raise OSError(errno.EINVAL, f"{problem}: an audit log is for its owner only", path)
        self._path = path
        self._rules = rules
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(
        self,
        attributes: AuditAttributes,
        raw: RawRequest,
        trace: AuditTrace,
        answer: Answer | Stream,
        since: datetime,
    ) -> None:
        """One request and its answer. Raises OSError."""
        rule = rule_for(self._rules, attributes)
        stage = "ResponseComplete" if isinstance(answer, Answer) else "ResponseStarted"
        if rule["level"] == "None" or stage in rule.get("omitStages", ()):
            return
        line = encode(event(attributes, rule, stage, raw, trace, answer, since)) + b"\n"
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
    attributes: AuditAttributes,
    rule: Object,
    stage: str,
    raw: RawRequest,
    trace: AuditTrace,
    answer: Answer | Stream,
    since: datetime,
) -> Object:
    """An Event of ``audit.k8s.io/v1``."""
    wanted, headers = str(rule["level"]), raw.headers
    written: Object = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": wanted,
        "auditID": str(uuid.uuid4()),
        "stage": stage,
        "requestURI": f"{raw.path}?{raw.query}" if raw.query else raw.path,
        "verb": attributes.verb,
        "user": user_info(attributes.user),
        **(
            {"impersonatedUser": user_info(attributes.impersonated)}
            if attributes.impersonated is not None
            else {}
        ),
        **({"sourceIPs": [raw.peer]} if raw.peer else {}),
        "userAgent": headers.get("User-Agent", ""),
    }
    if attributes.resource:
        names = {
            "resource": attributes.resource,
            "namespace": attributes.namespace,
            "name": attributes.name,
            "apiGroup": attributes.group,
        }
        reference = {**names, "subresource": attributes.sub}
        written["objectRef"] = {key: value for key, value in reference.items() if value}
    written["responseStatus"] = _status(answer)
    written |= _bodies(rule, trace.body, headers.get("Content-Type", ""), answer)
    written |= {
        "requestReceivedTimestamp": _moment(since),
        "stageTimestamp": _moment(datetime.now(UTC)),
    }
    return {**written, "annotations": trace.annotations} if trace.annotations else written


def _status(answer: Answer | Stream) -> Object:
    """The code of an answer, and of a refusal why."""
    if not isinstance(answer, Answer):
        return {"metadata": {}, "code": 200}
    if answer.code < 400 or not isinstance(status := _object(answer.body, ""), dict):
        return {"metadata": {}, "code": answer.code}
    kept = {key: status[key] for key in ("status", "message", "reason", "details") if key in status}
    return {"metadata": {}, **kept, "code": answer.code}


def _bodies(rule: Object, sent: bytes, content_type: str, answer: Answer | Stream) -> Object:
    """The objects of request and answer, as far as the rule's level wants them."""
    bodies: Object = {}
    if rule["level"] in ("Request", "RequestResponse"):
        bodies["requestObject"] = _object(sent, content_type)
    if rule["level"] == "RequestResponse" and isinstance(answer, Answer):
        bodies["responseObject"] = _object(answer.body, "")
    if rule.get("omitManagedFields"):
        for body in bodies.values():
            if isinstance(body, dict) and isinstance(body.get("metadata"), dict):
                body["metadata"].pop("managedFields", None)
    return {key: body for key, body in bodies.items() if body is not None}


def _object(data: bytes, content_type: str) -> Any:
    """The object in a body; None where it is none."""
    try:
        if content_type.startswith(codec.PROTOBUF):
            return codec.decode(data, content_type).value
        return codec.read_json_or_yaml(data) if data.strip() else None
    except StatusError:
        return None


def _moment(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
