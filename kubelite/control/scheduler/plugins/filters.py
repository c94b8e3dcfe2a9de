"""The filters of the default profile, one function each. Pure.

A filter returns a set of nodes per reason where pods make no difference to its answer (taints, node
affinity), and otherwise a program for the C core, which knows how many pods are where (resources,
ports, spread). The core reports every reason against every node; a user sees only that of the first
filter in profile order, :func:`rejection`. The sentence is put together in
:mod:`kubelite.control.scheduler.plugins.message`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from kubelite.control.scheduler.facts.resources import is_extended
from kubelite.control.scheduler.facts.taints import UNSCHEDULABLE, is_repelled, is_tolerated
from kubelite.control.scheduler.facts.traits import Constraint, Disk, Port, Traits
from kubelite.control.scheduler.plugins import volume_binding
from kubelite.control.scheduler.plugins.arguments import DefaultConstraint, Fit
from kubelite.control.scheduler.plugins.class_program import Column, Flag, Program
from kubelite.control.scheduler.plugins.profile import Profile
from kubelite.control.scheduler.plugins.reasons import TEXTS, TOGETHER, Reason, bits, shortage
from kubelite.control.scheduler.snapshot import claims
from kubelite.control.scheduler.snapshot.counts import (
    EACH_NODE,
    WHOLE_CLUSTER,
    Attached,
    Carriers,
    ClaimUsers,
    Count,
    DiskUsers,
    PortUsers,
    Selected,
    Spread,
)
from kubelite.control.scheduler.snapshot.nodes import Nodes
from kubelite.control.scheduler.snapshot.world import Carried, World


class Board(Protocol):
    """Where filters and scores look up numbers of the core, which makes them when they are new."""

    world: World
    profile: Profile

    def count(self, count: Count) -> int:
        """The number of a counter."""

    def key(self, key: str) -> int:
        """The number of a topology key."""

    def resource(self, name: str) -> int:
        """The number of a resource."""

    def carried(self, traits: Traits) -> list[Carried]:
        """The terms of other pods that select this one."""

    def used(self, kind: type[PortUsers] | type[DiskUsers]) -> list[Port | Disk]:
        """The ports or disks that any pod has."""


def apply(traits: Traits, board: Board, program: Program) -> str:
    """Writes the filters of the board's profile into the program. Returns what keeps the pod from
    every node, or "".
    """
    for name in board.profile.filters:
        if name in _FIXED:
            for reason, nodes in _FIXED[name](traits, board):
                program.columns.append((Column.REASONS, nodes, 1 << reason))
        if name in _COUNTED:
            _COUNTED[name](traits, board, program)
    verdict = volume_binding.judge(
        traits, board.world.storage, board.world.nodes, board.profile.filters
    )
    program.columns += [(Column.REASONS, nodes, 1 << reason) for reason, nodes in verdict.fixed]
    if verdict.waiting:
        program.flags |= Flag.STOP
    if verdict.problem:
        program.columns.append((Column.REASONS, board.world.nodes.all, 1 << Reason.WHOLE_POD))
    program.rank = [(rank,) for rank in ranks(board.profile)]
    return verdict.problem


def _unschedulable(traits: Traits, board: Board) -> Iterator[tuple[Reason, int]]:
    if not is_tolerated(UNSCHEDULABLE, traits.tolerations):
        yield Reason.UNSCHEDULABLE, board.world.nodes.unschedulable()


def _node_name(traits: Traits, board: Board) -> Iterator[tuple[Reason, int]]:
    if traits.node_name:
        number = board.world.nodes.index.get(traits.node_name)
        yield Reason.NODE_NAME, board.world.nodes.all & ~(0 if number is None else 1 << number)


def _taints(traits: Traits, board: Board) -> Iterator[tuple[Reason, int]]:
    for taints, nodes in board.world.nodes.taints().items():
        if is_repelled(taints, traits.tolerations):
            yield Reason.TAINT, nodes


def _node_affinity(traits: Traits, board: Board) -> Iterator[tuple[Reason, int]]:
    nodes = board.world.nodes
    yield Reason.NODE_AFFINITY, nodes.all & ~wanted_nodes(traits, nodes)
    added = board.profile.arguments.affinity.required
    if added is not None:
        yield Reason.ADDED_AFFINITY, nodes.all & ~nodes.any_term(added)


def wanted_nodes(traits: Traits, nodes: Nodes) -> int:
    """The nodes that the pod's own node selector and required node affinity allow."""
    mask = nodes.all
    for requirement in traits.node_selector:
        mask &= nodes.matching(requirement)
    return mask if traits.required_nodes is None else mask & nodes.any_term(traits.required_nodes)


def _ports(traits: Traits, board: Board, program: Program) -> None:
    """Every port in use that clashes: same protocol and number, and same address or one of them all
    addresses.
    """
    if not traits.ports:
        return
    for used in board.used(PortUsers):
        if isinstance(used, Port) and any(_clash(used, mine) for mine in traits.ports):
            program.forbids.append((board.count(Count(PortUsers(used), EACH_NODE)), Reason.PORTS))


def _clash(a: Port, b: Port) -> bool:
    if (a.protocol, a.port) != (b.protocol, b.port):
        return False
    return a.address == b.address or "0.0.0.0" in (a.address, b.address)


def _resources(traits: Traits, board: Board, program: Program) -> None:
    fit = board.profile.arguments.fit
    checked = {
        board.resource(name) for name, _ in traits.requests.amounts if not _ignored(name, fit)
    }
    checked.add(board.resource("pods"))
    program.requests = [
        (number, amount, number in checked) for number, amount, _ in program.requests
    ]


def _ignored(name: str, fit: Fit) -> bool:
    return is_extended(name) and (
        name in fit.ignored or name.partition("/")[0] in fit.ignored_groups
    )


def _restrictions(traits: Traits, board: Board, program: Program) -> None:
    """One pod at a time on a ReadWriteOncePod claim, anywhere; old disks under their conditions,
    per node.
    """
    for claim in claims.single_pod_claims(traits, board.world.storage):
        program.forbids.append(
            (board.count(Count(ClaimUsers(claim), WHOLE_CLUSTER)), Reason.SINGLE_POD_CLAIM)
        )
    for used in board.used(DiskUsers) if traits.disks else ():
        if isinstance(used, Disk) and any(
            volume_binding.conflict(mine, used) for mine in traits.disks
        ):
            program.forbids.append((board.count(Count(DiskUsers(used), EACH_NODE)), Reason.DISK))


def attach(traits: Traits, board: Board, program: Program) -> None:
    """The volumes that a node attaches; needed of pods that run as well as of those that come."""
    for driver, volume in claims.attachments(traits, board.world.storage):
        counter = board.count(Count(Attached(driver, volume), EACH_NODE))
        program.volumes.append((counter, board.resource(f"attach:{driver}")))


def _spread(traits: Traits, board: Board, program: Program) -> None:
    hard = [constraint for constraint in constraints(traits, board) if constraint.hard]
    keyed = having_all(hard, board.world.nodes)
    for constraint in hard:
        nodes = keyed & counted_nodes(constraint, traits, board.world.nodes)
        counter = board.count(
            Count(Spread(traits.namespace, constraint.selector), constraint.key, nodes)
        )
        itself = constraint.selector.matches(dict(traits.labels))
        program.hard.append((counter, constraint.max_skew, constraint.min_domains, itself))


def constraints(traits: Traits, board: Board) -> list[Constraint]:
    """The pod's spread constraints, or the profile's for pods that have none and that something
    selects.
    """
    defaults: tuple[DefaultConstraint, ...] = (
        () if traits.spread else board.profile.arguments.spread.constraints
    )
    chosen = board.world.default_selector(traits) if defaults else None
    if chosen is None or not chosen.requirements:
        return list(traits.spread)
    return [
        Constraint(default.max_skew, default.key, default.hard, chosen, 1, True, False)
        for default in defaults
    ]


def having_all(required: Sequence[Constraint], nodes: Nodes) -> int:
    """The nodes that have the labels of all constraints."""
    mask = nodes.all
    for constraint in required:
        mask &= nodes.having(constraint.key)
    return mask


def counted_nodes(constraint: Constraint, traits: Traits, nodes: Nodes) -> int:
    """The nodes that a constraint's inclusion policies count (KEP-3094)."""
    mask = wanted_nodes(traits, nodes) if constraint.honor_affinity else nodes.all
    if constraint.honor_taints:
        for taints, members in nodes.taints().items():
            if is_repelled(taints, traits.tolerations):
                mask &= ~members
    return mask


def _pod_affinity(traits: Traits, board: Board, program: Program) -> None:
    labels = dict(traits.labels)
    for term in traits.affinity:
        program.requires.append((board.count(Count(Selected(traits.affinity), term.key)),))
    if all(board.world.admits(term, traits.namespace, labels) for term in traits.affinity):
        program.flags |= Flag.SELF_AFFINITY
    for term in traits.anti_affinity:
        program.forbids.append(
            (board.count(Count(Selected((term,)), term.key)), Reason.POD_ANTI_AFFINITY)
        )
    for carried in board.carried(traits):
        if carried.kind == "anti":
            counter = board.count(Count(Carriers(carried), carried.term.key))
            program.forbids.append((counter, Reason.EXISTING_ANTI_AFFINITY))


_FIXED: dict[str, Callable[[Traits, Board], Iterator[tuple[Reason, int]]]] = {
    "NodeUnschedulable": _unschedulable,
    "NodeName": _node_name,
    "TaintToleration": _taints,
    "NodeAffinity": _node_affinity,
}
_COUNTED: dict[str, Callable[[Traits, Board, Program], None]] = {
    "NodePorts": _ports,
    "NodeResourcesFit": _resources,
    "VolumeRestrictions": _restrictions,
    "NodeVolumeLimits": attach,
    "PodTopologySpread": _spread,
    "InterPodAffinity": _pod_affinity,
}


class Rejection(NamedTuple):
    """What the first rejecting filter says of a node. ``unresolvable``: evicting pods cannot
    help.
    """

    texts: tuple[str, ...]
    unresolvable: bool
    plugin: str


def ranks(profile: Profile) -> list[int]:
    """Where the filter of each reason stands in the profile."""
    places = {name: number for number, name in enumerate(profile.filters)}
    return [
        places.get(TEXTS[Reason(bit)].plugin, 0) if bit in list(TEXTS) else 0 for bit in range(32)
    ]


def rejection(verdict: int, lacks: int, requests: Sequence[str], profile: Profile) -> Rejection:
    """The rejection in a verdict that is not 0, without what own plug-ins and whole-pod problems
    have to say.

    ``requests`` names the resource of each bit of ``lacks``.
    """
    reasons = [reason for reason in bits(verdict) if reason in TEXTS]
    order = {name: number for number, name in enumerate(profile.filters)}
    first = min(reasons, key=lambda reason: (order.get(TEXTS[reason].plugin, 0), reason))
    if first == Reason.SHORT:
        texts = tuple(shortage(name) for number, name in enumerate(requests) if lacks >> number & 1)
        return Rejection(texts, Reason.SHORT_FOR_GOOD in bits(verdict), TEXTS[first].plugin)
    if first in TOGETHER:
        return Rejection(
            tuple(TEXTS[reason].text for reason in TOGETHER if reason in reasons),
            True,
            TEXTS[first].plugin,
        )
    return Rejection((TEXTS[first].text,), not TEXTS[first].resolvable, TEXTS[first].plugin)
