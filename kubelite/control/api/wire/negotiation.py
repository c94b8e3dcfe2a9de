"""In which form a client wants an answer: the Accept header and the query ``pretty``. Pure.

Media types are JSON, YAML and protobuf; ``as=`` asks for a Table or for metadata only (apiserver,
``endpoints/handlers/negotiation``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.wire.status import StatusError, not_acceptable
from kubelite.lib.text_cache import remember_short_calls

if TYPE_CHECKING:
    from kubelite.control.api.wire.resource import Resource

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)
CUSTOM_MEDIA_TYPES = (JSON, YAML)  # custom kinds have no protobuf form
_TRANSFORMS = {
    "Table": "table",
    "PartialObjectMetadata": "partial",
    "PartialObjectMetadataList": "partial",
}
_BROWSERS = ("curl", "Wget", "Mozilla/5.0")  # people who look at bare JSON


class Form(NamedTuple):
    """The form of an answer: ``name`` is ``plain``, ``table`` or ``partial``.

    ``kind`` is what ``as=`` says.
    """

    name: str = "plain"
    media_type: str = JSON
    kind: str = ""
    pretty: bool = False


PLAIN = Form()


def is_plain(accept: str) -> bool:
    """Whether an Accept header asks for nothing but JSON, as almost all do."""
    return accept in ("", "*/*", JSON)


def negotiate(
    accept: str,
    pretty: str = "",
    agent: str = "",
    media_types: tuple[str, ...] = MEDIA_TYPES,
    *,
    has_tables: bool = True,
) -> Form:
    """The form that an Accept header asks for, of those that there are. Raises StatusError 406."""
    form = PLAIN if is_plain(accept) else _chosen(accept, media_types, has_tables)
    if pretty:
        wants = pretty in ("1", "t", "T", "true", "TRUE", "True")
    else:
        wants = agent.startswith(_BROWSERS)
    return form._replace(pretty=True) if wants else form


@remember_short_calls(256)
def _chosen(accept: str, media_types: tuple[str, ...], has_tables: bool) -> Form:
    for media_range in _by_quality(accept):
        media, *parameters = [part.strip() for part in media_range.split(";")]
        media_type = _media_type(media.lower(), media_types)
        values = dict(part.partition("=")[::2] for part in parameters)
        kind = values.get("as", "")
        if not media_type or not _is_known(kind, values):
            continue
        if kind == "Table" and (media_type == PROTOBUF or not has_tables):
            continue  # a Table has no protobuf form, and an answer to a question is no Table
        return Form(_TRANSFORMS.get(kind, "plain"), media_type, kind)
    raise not_acceptable(media_types)


def _is_known(kind: str, values: dict[str, str]) -> bool:
    """Whether ``as=`` is absent or one of those that are served."""
    if not kind:
        return True
    return (
        kind in _TRANSFORMS
        and values.get("g") == "meta.k8s.io"
        and values.get("v") in ("v1", "v1beta1")
    )


def _media_type(media: str, media_types: tuple[str, ...]) -> str:
    """The served media type that a range means; "" for none."""
    if media == "*/*":
        return JSON
    return media if media in media_types else ""


def _by_quality(accept: str) -> list[str]:
    """The media ranges, those with the highest ``q`` first."""
    return sorted((part for part in accept.split(",") if part.strip()), key=_quality)


def _quality(media_range: str) -> float:
    for part in media_range.split(";")[1:]:
        name, _, value = part.strip().partition("=")
        if name == "q":
            try:
                return -float(value)
            except ValueError:
                return 0.0
    return -1.0


def check_transform(form: Form, res: Resource, *, is_list: bool) -> None:
    """Whether the metadata that is asked for fits: of an object, or of a list. Raises StatusError
    406.
    """
    if form.kind == "PartialObjectMetadata" and is_list:
        raise _misfit(form, f"is a list ({res.go_type}List)")
    if form.kind == "PartialObjectMetadataList" and not is_list:
        raise _misfit(form, f"is not a list ({res.go_type})")


def _misfit(form: Form, why: str) -> StatusError:
    text = f"you requested {form.kind}, but the requested object {why}"
    return StatusError(406, "NotAcceptable", text)
