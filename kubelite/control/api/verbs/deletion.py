"""What a deletion makes of an object: an object that waits for its end, or nothing. Pure.

Pods get time to end, and are removed by their node with a grace of zero. Everything else goes at
once unless a finalizer holds it; the propagation policy is written down as a finalizer for the
garbage collector (apiserver, ``registry/rest/delete.go`` and
``registry/generic/registry/store.go``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from kubelite.control.api.strategy import strategy
from kubelite.lib.json import Object
from kubelite.objects.rules.pods.defaults import GRACE_SECONDS

if TYPE_CHECKING:
    from kubelite.control.api.verbs.delete_options import DeleteOptions
    from kubelite.control.api.wire.resource import Resource

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
_UNCOLLECTED = ("events",)  # kinds of which the garbage collector knows nothing


class Deletion(NamedTuple):
    """The object as the deletion leaves it, which is also the answer; ``removes``: it is gone."""

    obj: Object
    removes: bool


def begin(res: Resource, old: Object, options: DeleteOptions, now: datetime) -> Deletion:
    """What a DELETE makes of ``old``. ``obj`` is ``old`` itself where nothing changes."""
    if res.prefix == "namespaces":
        return _namespace(res, old, options, now)
    if res.prefix != "pods":
        return _at_once(res, old, options, now)
    metadata = old["metadata"]
    granted = metadata.get("deletionGracePeriodSeconds")
    if not metadata.get("deletionTimestamp"):
        return _gracefully(res, old, options, now, _grace(old, options.grace))
    if granted is None:
        return _at_once(res, old, options, now)
    if options.grace is None or options.grace >= granted:
        return Deletion(old, False)  # a grace period can only be shortened
    begun = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=granted)
    return _gracefully(res, old, options, begun, options.grace)


def _grace(pod: Object, requested: int | None) -> int:
    """Seconds that a pod gets to end; none for one that cannot be running."""
    spec, phase = pod.get("spec", {}), pod.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if requested is None:
        requested = int(spec.get("terminationGracePeriodSeconds", GRACE_SECONDS))
    return requested if requested >= 0 else 1


def _gracefully(
    res: Resource, old: Object, options: DeleteOptions, now: datetime, grace: int
) -> Deletion:
    metadata = _with_finalizers(old["metadata"], _finalizers(res, old, options))
    if not metadata.get("deletionTimestamp") and metadata.get("generation"):
        metadata["generation"] += 1
    metadata["deletionTimestamp"] = _stamp(now + timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    return Deletion({**old, "metadata": metadata}, not metadata.get("finalizers") and grace == 0)


def _at_once(res: Resource, old: Object, options: DeleteOptions, now: datetime) -> Deletion:
    finalizers = _finalizers(res, old, options)
    if not finalizers:
        return Deletion(old, True)
    metadata = _with_finalizers(old["metadata"], finalizers)
    if not metadata.get("deletionTimestamp"):
        if metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = _stamp(now)
    metadata["deletionGracePeriodSeconds"] = 0
    unchanged = metadata == old["metadata"]
    return Deletion(old if unchanged else {**old, "metadata": metadata}, False)


def _namespace(res: Resource, old: Object, options: DeleteOptions, now: datetime) -> Deletion:
    """A namespace is first marked; it goes when nothing is in it any more (``spec.finalizers``)."""
    if not old["metadata"].get("deletionTimestamp"):
        metadata = _with_finalizers(old["metadata"], _finalizers(res, old, options))
        metadata["deletionTimestamp"] = _stamp(now)
        status = {**old.get("status", {}), "phase": "Terminating"}
        return Deletion({**old, "metadata": metadata, "status": status}, False)
    if old.get("spec", {}).get("finalizers"):
        return Deletion(old, False)
    return _at_once(res, old, options, now)


def _finalizers(res: Resource, obj: Object, options: DeleteOptions) -> list[str]:
    """The finalizers of an object with the one that stands for the propagation policy."""
    present = list(obj["metadata"].get("finalizers") or ())
    policy = _policy_finalizer(res, present, options)
    kept = [finalizer for finalizer in present if finalizer not in (ORPHAN, FOREGROUND)]
    wanted = [*kept, policy] if policy else kept
    return present if set(present) == set(wanted) else wanted


def _policy_finalizer(res: Resource, present: list[str], options: DeleteOptions) -> str:
    if res.plural in _UNCOLLECTED:
        return ""
    if options.orphan is not None:
        return ORPHAN if options.orphan else ""
    if options.policy:
        return {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(options.policy, "")
    for finalizer in present:  # an earlier deletion, or the creator, has said it
        if finalizer in (ORPHAN, FOREGROUND):
            return finalizer
    return ORPHAN if strategy.default_propagation(res) == "Orphan" else ""


def _with_finalizers(metadata: Object, finalizers: list[str]) -> Object:
    """A copy of the metadata with these finalizers."""
    rest = {key: value for key, value in metadata.items() if key != "finalizers"}
    if not finalizers:
        return rest
    return {
        **{key: metadata[key] for key in metadata if key != "finalizers"},
        "finalizers": finalizers,
    }


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
