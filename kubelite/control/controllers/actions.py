"""What a plan may ask for, as plain values. Pure.

A plan is a sequence of actions and steps. They are carried out in order; an action that fails ends
the plan, and its key is planned again after a back-off. A :class:`Step` groups actions whose
outcome decides what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from kubelite.client.resources import GroupVersionResource
from kubelite.control.controllers.shared.meta import Obj

PatchType = Literal["strategic", "merge", "json"]


class Create(NamedTuple):
    """Creates an object; its namespace is that in its metadata."""

    resource: GroupVersionResource
    body: Obj


class Update(NamedTuple):
    """Replaces an object, or with ``sub`` a part of it. The ``resourceVersion`` in the body is the
    condition: when the object has changed since, the plan is made again.
    """

    resource: GroupVersionResource
    body: Obj
    sub: str = ""


class Patch(NamedTuple):
    """Patches an object. One that is gone counts as done."""

    resource: GroupVersionResource
    namespace: str
    name: str
    body: Any
    type: PatchType = "strategic"
    sub: str = ""


class Delete(NamedTuple):
    """Deletes an object, if it is still that with this ``uid`` (and revision, where one is given).

    One that is gone counts as done. ``propagation`` is "" for the default of the kind, ``grace`` is
    in seconds, None for what the object says.
    """

    resource: GroupVersionResource
    namespace: str
    name: str
    uid: str = ""
    resource_version: str = ""
    propagation: Literal["", "Background", "Foreground", "Orphan"] = ""
    grace: int | None = None


class Post(NamedTuple):
    """Sends a body to a sub-resource: an eviction, a binding."""

    resource: GroupVersionResource
    namespace: str
    name: str
    sub: str
    body: Obj


class Confirm(NamedTuple):
    """Asks the server, not the view, whether an object is still there with this uid and, unless it
    ``may_be_deleting``, is not being deleted. Fails with code 404 where it is not.
    """

    resource: GroupVersionResource
    namespace: str
    name: str
    uid: str
    may_be_deleting: bool = False


class Read(NamedTuple):
    """Asks the server for what no view has: a sub-resource, a resource that cannot be watched. The
    result is the object, or ``{"items": [...]}`` where no name is given.
    """

    resource: GroupVersionResource
    namespace: str
    name: str = ""
    sub: str = ""
    label_selector: str = ""


class Clear(NamedTuple):
    """Deletes everything in a namespace, of built-in and custom kinds; ``only`` names the resources
    where not all are meant. The result tells what is left::

        {"remaining": {"pods.": 2}, "finalizers": {"example.com/x": 1}, "failures": ["..."]}
    """

    namespace: str
    only: tuple[GroupVersionResource, ...] = ()


class Emit(NamedTuple):
    """Records an Event about an object. Never fails."""

    regarding: Obj
    type: Literal["Normal", "Warning"]
    reason: str
    message: str


Action = Create | Update | Patch | Delete | Post | Confirm | Read | Clear | Emit
Write = Create | Update | Patch | Delete | Post


class Refusal(NamedTuple):
    """Why the server did not do something: HTTP code, reason and message of its Status."""

    code: int
    reason: str
    message: str
    causes: tuple[str, ...] = ()

    @property
    def is_namespace_ending(self) -> bool:
        """Whether the namespace is being deleted: nothing can be created there any more."""
        return "NamespaceTerminating" in self.causes

    @property
    def is_exists(self) -> bool:
        """Whether an object of that name is there already."""
        return self.reason == "AlreadyExists"


class Outcome(NamedTuple):
    """How an action went: the object as the server answered, or the refusal."""

    action: Action
    result: Obj | None = None
    refusal: Refusal | None = None


Follow = Callable[[tuple[Outcome, ...]], "tuple[Action | Step, ...]"]


class Step(NamedTuple):
    """Actions that belong together, and what follows from their outcomes.

    ``then`` is pure. ``order``: one after the other until one fails, all at once, or in batches of
    1, 2, 4 ... until a batch has a failure (the rest is left out, and has no outcome). With
    ``tolerant`` the plan goes on after a failure; otherwise it ends after what ``then`` returned.
    """

    actions: tuple[Action, ...]
    then: Follow | None = None
    order: Literal["serial", "parallel", "slow start"] = "serial"
    tolerant: bool = False


class Plan(NamedTuple):
    """What is to be done now, and when (in seconds since 1970) to look again, None for when
    something changes.
    """

    steps: tuple[Action | Step, ...] = ()
    wake_at: float | None = None


NOTHING = Plan()


def refusals(outcomes: tuple[Outcome, ...]) -> list[Refusal]:
    """The refusals among outcomes."""
    return [outcome.refusal for outcome in outcomes if outcome.refusal is not None]


def earliest(*times: float | None) -> float | None:
    """The earliest of times that are set."""
    return min((time for time in times if time is not None), default=None)
