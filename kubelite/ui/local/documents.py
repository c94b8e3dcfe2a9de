"""Pods and events of the engine as objects of the API. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kubelite.lib.digest import hexdigest
from kubelite.lib.json import Object
from kubelite.node.kubelet.decide.container_status import rfc3339

if TYPE_CHECKING:
    from kubelite.node.kubelet.act.pod_events import Event

_ENDING = ("deletionTimestamp", "deletionGracePeriodSeconds")


def shown_pod(pod: Object, stored: Mapping[str, Any] | None) -> Object:
    """The pod to store in place of ``stored``. What was asked of the API, that it end, is kept
    until the engine says so itself.
    """
    before = (stored or {}).get("metadata") or {}
    ending = {key: before[key] for key in _ENDING if key in before}
    return {**pod, "metadata": ending | pod["metadata"]}


def events(pod: Mapping[str, Any], listed: Sequence[Event], node: str) -> Iterator[Object]:
    """Core Events about a pod, named after what they say: a repeated one is the same object."""
    metadata = pod["metadata"]
    subject = {
        "kind": "Pod",
        "apiVersion": "v1",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    for event in listed:
        words = f"{metadata['uid']} {event.reason} {event.object} {event.message}"
        digest = hexdigest(words.encode())
        first, last = event.first or event.time, event.time
        yield {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {
                "name": f"{metadata['name']}.{digest[:16]}",
                "namespace": metadata["namespace"],
                "uid": _uid(digest),
                "creationTimestamp": rfc3339(first),
            },
            "involvedObject": subject | ({"fieldPath": event.object} if event.object else {}),
            "reason": event.reason,
            "message": event.message,
            "type": event.type,
            "count": event.count,
            "firstTimestamp": rfc3339(first),
            "lastTimestamp": rfc3339(last),
            "eventTime": None,
            "source": {"component": "kubelet", "host": node},
            "reportingComponent": "kubelet",
            "reportingInstance": node,
        }


def _uid(digest: str) -> str:
    """Digits in the form of a UUID (RFC 9562, version 8: of one's own making)."""
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
