"""The type of JSON objects. Pure."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
"""A decoded JSON object, such as a Kubernetes object as a document."""
