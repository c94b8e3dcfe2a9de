"""What a controller consists of. Pure: shapes only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from kubelite.client.resources import GroupVersionResource
from kubelite.control.controllers.actions import Plan
from kubelite.control.controllers.shared.address_pool import AddressPool
from kubelite.control.controllers.shared.meta import Key, Obj, key_of
from kubelite.control.controllers.view import View

Planner = Callable[[View, Key, float], Plan]
"""``plan(view, key, now)``: pure and total; the key's object may be gone, ``now`` is in seconds
since 1970.
"""

Concerned = Callable[[View, Obj | None, Obj | None], Iterable[Key]]
"""``concerned(view, old, new)``: the keys to plan again after a change; ``old`` is None for what is
new, ``new`` for what is gone.
"""


class Settings(NamedTuple):
    """What controllers are told from outside of the cluster: the addresses of load balancers."""

    load_balancer_pool: AddressPool = AddressPool()


DEFAULTS = Settings()


class Controller(NamedTuple):
    """A controller: what it plans, and what it looks at.

    ``name`` is that of ``--controllers``, ``account`` the service account in kube-system that it
    acts as ("": the user that runs the controllers), ``component`` what its Events say. ``watches``
    holds every resource that its plans read; ``custom`` tells of those that come and go with
    CustomResourceDefinitions, of whose objects only the metadata is read.
    """

    name: str
    account: str
    component: str
    watches: Mapping[GroupVersionResource, Concerned]
    plan: Planner
    workers: int = 5
    needs_all: bool = True
    custom: Callable[[View], Mapping[GroupVersionResource, Concerned]] | None = None


def own_key(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """The key of the object itself."""
    del view
    obj = new if new is not None else old
    return [key_of(obj)] if obj is not None else []


def nobody(view: View, old: Obj | None, new: Obj | None) -> Iterable[Key]:
    """Objects that are only read: a change concerns no key."""
    del view, old, new
    return []
