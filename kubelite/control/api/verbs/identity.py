"""What makes an object this one and no other: name, namespace, uid and times. Pure but for the
name, uid and time of a new object.

The server sets these fields at creation; an update keeps them, and is refused where it changes
those that cannot change (apiserver, ``registry/rest/create.go`` and ``update.go``).
"""

from __future__ import annotations

import secrets
import uuid
from typing import TYPE_CHECKING

from kubelite.control.api.patching import managed_fields
from kubelite.control.api.wire import causes
from kubelite.control.api.wire.status import bad_request
from kubelite.control.api.wire.timestamp import timestamp
from kubelite.lib.json import Object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubelite.control.api.wire.request import Request
    from kubelite.control.api.wire.status import Cause

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SET_BY_SERVER = (
    "selfLink",
    "resourceVersion",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_IMMUTABLE = ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")


def give_identity(request: Request, obj: Object) -> None:
    """Gives a new object its name, namespace, uid and time of creation, in place. Raises
    StatusError 400.
    """
    metadata = obj.setdefault("metadata", {})
    settle_namespace(request, metadata)
    if metadata.get("resourceVersion"):
        raise bad_request("resourceVersion should not be set on objects to be created")
    managed_fields.check(metadata.get("managedFields"))
    for name in _SET_BY_SERVER:
        metadata.pop(name, None)
    if not metadata.get("name") and metadata.get("generateName"):
        suffix = "".join(secrets.choice(_SUFFIX) for _ in range(5))
        metadata["name"] = metadata["generateName"][:58] + suffix
    metadata["uid"] = str(uuid.uuid4())
    metadata["creationTimestamp"] = timestamp()


def check_name(request: Request, metadata: Object) -> None:
    """Raises StatusError 400 where an object's name is not that of the path."""
    name = metadata.get("name")
    if not name:
        why = "was undeterminable: name must be provided"
        raise bad_request(f"the name of the object ({request.name} based on URL) {why}")
    if name != request.name:
        raise bad_request(
            f"the name of the object ({name}) does not match the name on the URL ({request.name})"
        )


def settle_namespace(request: Request, metadata: Object) -> None:
    """Fills in the namespace of the path; an object of the cluster has none. In place. Raises
    StatusError 400 where the object names another.
    """
    namespace = request.namespace if request.resource.namespaced else ""
    if not namespace:
        metadata.pop("namespace", None)
        return
    if metadata.get("namespace") not in (None, "", namespace):
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    metadata["namespace"] = namespace


def keep_identity(old: Object, new: Object) -> list[Cause]:
    """Puts what no update can change back in place; the causes where an update tries to."""
    before, after = old["metadata"], new["metadata"]
    problems = list(_changes(before, after))
    for name in ("creationTimestamp", "resourceVersion", *_IMMUTABLE):
        if name in before:
            after[name] = before[name]
        else:
            after.pop(name, None)
    after.pop("selfLink", None)
    return problems


def _changes(before: Object, after: Object) -> Iterator[Cause]:
    for name in _IMMUTABLE:
        value = after.get(name)
        # Once an object is being deleted, what an update says of the time is ignored.
        ignored = name == "deletionTimestamp" and before.get(name)
        if value is not None and value != "" and value != before.get(name) and not ignored:
            yield causes.invalid(f"metadata.{name}", value, "field is immutable")
