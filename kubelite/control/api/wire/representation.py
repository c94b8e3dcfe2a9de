"""The last step of an answer: JSON becomes what Accept asks for. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from kubelite.control.api.wire import protobuf_encoding
from kubelite.control.api.wire.negotiation import JSON, PROTOBUF, YAML

if TYPE_CHECKING:
    from kubelite.control.api.wire.answer import Answer
    from kubelite.control.api.wire.negotiation import Form


def represent(answer: Answer, form: Form) -> Answer:
    """An answer in the form that was asked for. One that has no such form stays JSON, as a Status
    of an error does.
    """
    if answer.content_type != JSON or (form.media_type == JSON and not form.pretty):
        return answer
    value = msgspec.json.decode(answer.body)
    if form.media_type == PROTOBUF:
        return _as_protobuf(answer, value)
    if form.media_type == YAML:
        return answer._replace(body=_yaml(value), content_type=YAML)
    return answer._replace(body=(json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def _as_protobuf(answer: Answer, value: Any) -> Answer:
    try:
        body = protobuf_encoding.encode(value)
    except protobuf_encoding.Unencodable:
        return answer
    return answer._replace(body=body, content_type=PROTOBUF)


def _yaml(value: Any) -> bytes:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, allow_unicode=True, default_flow_style=False)
    return text.encode()
