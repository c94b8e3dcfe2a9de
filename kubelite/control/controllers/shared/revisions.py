"""ControllerRevisions: the history of templates of StatefulSets and DaemonSets. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from kubelite.client.resources import CONTROLLER_REVISIONS, GroupVersionResource
from kubelite.control.controllers.actions import Action, Confirm, Create, Delete, Outcome, Update
from kubelite.control.controllers.shared.hashing import template_hash
from kubelite.control.controllers.shared.meta import (
    Obj,
    annotations_of,
    created_at,
    is_deleting,
    labels_of,
    name_of,
    namespace_of,
    owner_reference,
    spec_of,
    status_of,
    uid_of,
)
from kubelite.control.controllers.shared.ownership import OwnerKind, adopt, is_owned
from kubelite.control.controllers.shared.templates import pruned
from kubelite.control.controllers.view import View, controlled_by, orphans
from kubelite.objects.facts.labels import Selector

HASH_LABEL = "controller-revision-hash"
"""The label of a pod that names its revision."""

MAX_PREFIX = 223


class History(NamedTuple):
    """The revisions of an owner, oldest first, and what makes orphans among them its own."""

    revisions: tuple[Obj, ...]
    actions: tuple[Action, ...]

    def named(self, name: str) -> Obj | None:
        """The revision of that name."""
        return next((revision for revision in self.revisions if name_of(revision) == name), None)


def history_of(view: View, owner: Obj, kind: OwnerKind, selector: Selector) -> History:
    """The revisions that an owner has or adopts."""
    owned = list(controlled_by(view, CONTROLLER_REVISIONS, uid_of(owner)))
    actions: list[Action] = []
    if not is_deleting(owner):
        strays = [
            revision
            for revision in orphans(view, CONTROLLER_REVISIONS, namespace_of(owner))
            if selector.matches(labels_of(revision)) and not is_deleting(revision)
        ]
        if strays:
            where = kind.resource, namespace_of(owner), name_of(owner)
            actions.append(Confirm(*where, uid_of(owner)))
            actions += [adopt(owner, kind, CONTROLLER_REVISIONS, revision) for revision in strays]
            owned += strays
    owned.sort(
        key=lambda revision: (revision_number(revision), created_at(revision), name_of(revision))
    )
    return History(tuple(owned), tuple(actions))


def revision_number(revision: Obj) -> int:
    """The number that orders revisions."""
    return int(revision.get("revision") or 0)


def data_of(owner: Obj) -> dict[str, Any]:
    """What a revision keeps of its owner: the template, as a patch that replaces it."""
    template = deepcopy(dict(spec_of(owner).get("template") or {}))
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Obj) -> dict[str, Any]:
    """The template that a revision keeps."""
    kept = dict(((revision.get("data") or {}).get("spec") or {}).get("template") or {})
    kept.pop("$patch", None)
    return kept


def find_equal(revisions: Sequence[Obj], data: Obj) -> Obj | None:
    """The youngest revision with this data."""
    pruned_data = pruned(data)
    return next(
        (
            revision
            for revision in reversed(revisions)
            if pruned(revision.get("data") or {}) == pruned_data
        ),
        None,
    )


def new_revision(
    owner: Obj, kind: OwnerKind, data: dict[str, Any], number: int, hash_label: str
) -> dict[str, Any]:
    """A revision of an owner's template; its name holds a hash, which also is its label."""
    digest = template_hash(data, int(status_of(owner).get("collisionCount") or 0))
    labels = (spec_of(owner).get("template") or {}).get("metadata", {}).get("labels") or {}
    metadata: dict[str, Any] = {
        "name": f"{name_of(owner)[:MAX_PREFIX]}-{digest}",
        "namespace": namespace_of(owner),
        "labels": {**labels, hash_label: digest},
        "ownerReferences": [owner_reference(owner, kind.api_version, kind.kind)],
    }
    if annotations_of(owner):
        metadata["annotations"] = dict(annotations_of(owner))
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": metadata,
        "data": data,
        "revision": number,
    }


def next_number(revisions: Sequence[Obj]) -> int:
    """One more than the largest number."""
    return revision_number(revisions[-1]) + 1 if revisions else 1


def brought_up(
    owner: Obj, kind: OwnerKind, revisions: Sequence[Obj], hash_label: str
) -> Create | Update | None:
    """What makes the youngest revision that of the owner's template; None where it is: a new
    revision, or a new number for one that had the same template before.
    """
    data = data_of(owner)
    equal = find_equal(revisions, data)
    if equal is None:
        body = new_revision(owner, kind, data, next_number(revisions), hash_label)
        return Create(CONTROLLER_REVISIONS, body)
    if revision_number(equal) == revision_number(revisions[-1]):
        return None
    return Update(CONTROLLER_REVISIONS, {**equal, "revision": next_number(revisions)})


def after_revision(
    view: View, owner: Obj, resource: GroupVersionResource, outcomes: tuple[Outcome, ...]
) -> tuple[Action, ...]:
    """What follows from the attempt to bring a revision up: where another object has its name, the
    owner's status counts a collision, and the next name is another one.
    """
    outcome = outcomes[0]
    if outcome.refusal is None or not outcome.refusal.is_exists:
        return ()
    body = outcome.action.body  # type: ignore[union-attr]  # of a Create
    other = view.get(CONTROLLER_REVISIONS, namespace_of(owner), name_of(body))
    if other is None or (
        is_owned(other, owner) and pruned(other.get("data") or {}) == pruned(body["data"])
    ):
        return ()
    collisions = int(status_of(owner).get("collisionCount") or 0) + 1
    status = {**status_of(owner), "collisionCount": collisions}
    return (Update(resource, {**owner, "status": status}, "status"),)


def truncated(history: Iterable[Obj], used: Iterable[str], limit: int | None) -> tuple[Delete, ...]:
    """Deletions of the oldest revisions beyond ``limit`` that nothing uses."""
    live = set(used)
    old = [revision for revision in history if name_of(revision) not in live]
    surplus = len(old) - (10 if limit is None else limit)
    return tuple(
        Delete(CONTROLLER_REVISIONS, namespace_of(revision), name_of(revision), uid_of(revision))
        for revision in old[: max(0, surplus)]
    )
