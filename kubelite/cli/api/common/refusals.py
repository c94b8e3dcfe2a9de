"""Refusals of an API server in kubectl's words. Pure."""

from __future__ import annotations

from kubelite.client.errors import ApiError, Invalid, Unauthorized


def sentence(error: ApiError, doing: str = "") -> str:
    """What is shown for a refusal. ``doing`` is what was tried with a file, as ``error when
    creating "web.yaml"``.
    """
    if isinstance(error, Unauthorized):
        return f"error: You must be logged in to the server ({error.message})"
    if isinstance(error, Invalid) and error.reason == "Invalid":
        return _invalid(error)
    reason = f" ({error.reason})" if error.reason else ""
    return f"Error from server{reason}: {f'{doing}: ' if doing else ''}{error.message}"


def _invalid(error: Invalid) -> str:
    details = error.status.get("details") or {}
    subject = f'The {details["kind"]} "{details["name"]}"' if details.get("kind") else "The request"
    causes = [
        f"{cause['field']}: {cause['message']}" if cause.get("field") else str(cause["message"])
        for cause in error.causes
    ]
    head = f"{subject} is invalid"
    if not causes:
        return f"{head}: {error.message}"
    return f"{head}: {causes[0]}" if len(causes) == 1 else "\n* ".join([f"{head}: ", *causes])
