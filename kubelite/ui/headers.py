"""What every answer tells the browser about its safety. Pure."""

from __future__ import annotations

from collections.abc import Mapping

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Of the page: nothing is loaded from elsewhere, nothing runs that stands in the document."""

_CONTENT_POLICY_OF_DATA = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Of what comes from the cluster, should a browser take it for a document."""

_EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}

PAGE: Mapping[str, str] = {
    **_EVERYWHERE,
    "Content-Security-Policy": CONTENT_POLICY,
    "Cache-Control": "no-cache",
}
"""Headers of the page's document, which a browser asks for again by its ETag."""

PART: Mapping[str, str] = {**PAGE, "Cache-Control": "max-age=31536000, immutable"}
"""Headers of what the document loads: it lies at another path when it is another."""

DATA: Mapping[str, str] = {
    **_EVERYWHERE,
    "Content-Security-Policy": _CONTENT_POLICY_OF_DATA,
    "Cache-Control": "no-store",
}
"""Headers of all other answers."""

_DATA_TYPES = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
    "text/plain",
)


def data_type(content_type: str) -> str:
    """The content type under which an answer of the API is handed on: a server behind it may call
    its answer a page or a script.
    """
    essence = content_type.partition(";")[0].strip().lower()
    return content_type if essence in _DATA_TYPES else "application/octet-stream"
