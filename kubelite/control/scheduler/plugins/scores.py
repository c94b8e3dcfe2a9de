"""How good a node is: the scores of the default profile, one function each. Pure.

Like filters, they say what no pod can change as a number per set of nodes, and the rest in rows for
the C core, which computes, normalises and adds up. A score that does not apply to a pod is left
out, as Kubernetes' Skip does.
"""

from __future__ import annotations

from collections.abc import Callable

from kubelite.control.scheduler.facts.resources import is_scalar
from kubelite.control.scheduler.facts.taints import count_untolerated
from kubelite.control.scheduler.facts.traits import Traits
from kubelite.control.scheduler.plugins.arguments import HOSTNAME
from kubelite.control.scheduler.plugins.class_program import STRATEGIES, Column, Flag, Program
from kubelite.control.scheduler.plugins.filters import Board, constraints, counted_nodes, having_all
from kubelite.control.scheduler.snapshot.counts import EACH_NODE, Carriers, Count, Selected, Spread

SMALLEST_IMAGE, LARGEST_IMAGE = (
    23 << 20,
    1000 << 20,
)  # what images of a container are thought to weigh


def apply(traits: Traits, board: Board, program: Program) -> None:
    """Writes the scores of the board's profile into the program."""
    for name, weight in board.profile.scores.items():
        if name in _SCORES and _SCORES[name](traits, board, program):
            program.weights[name] = weight


def _taints(traits: Traits, board: Board, program: Program) -> bool:
    for taints, nodes in board.world.nodes.taints().items():
        if count := count_untolerated(taints, traits.tolerations):
            program.columns.append((Column.TAINTS, nodes, count))
    return True


def _node_affinity(traits: Traits, board: Board, program: Program) -> bool:
    preferences = (*traits.preferred_nodes, *board.profile.arguments.affinity.preferred)
    for weight, term in preferences:
        if weight and (nodes := board.world.nodes.term(term)):
            program.columns.append((Column.PREFER, nodes, weight))
    return bool(preferences)


def _fit(traits: Traits, board: Board, program: Program) -> bool:
    fit, requests = board.profile.arguments.fit, traits.requests
    filled = {"cpu": requests.nonzero_cpu, "memory": requests.nonzero_memory}
    for name, weight in fit.resources:
        amount = filled.get(name, requests.of(name))
        if amount or not is_scalar(name):
            program.fit.append((board.resource(name), weight, amount))
    program.strategy = STRATEGIES[fit.strategy]
    program.shape = list(fit.shape)
    return True


def _balanced(traits: Traits, board: Board, program: Program) -> bool:
    """Not for pods that ask for none of the resources: they would all be drawn to the same node."""
    names = board.profile.arguments.balanced.resources
    amounts = {name: traits.requests.of(name) for name in names}
    if not any(amounts.values()):
        return False
    for name in names:
        if amounts[name] or not is_scalar(name):
            program.balanced.append((board.resource(name), amounts[name]))
    if board.profile.arguments.balanced.formula == "change":
        program.flags |= Flag.CHANGE
    return True


def _spread(traits: Traits, board: Board, program: Program) -> bool:
    """Pods per domain; by host name simply those on the node itself, whatever the inclusion
    policies say.
    """
    soft = [constraint for constraint in constraints(traits, board) if not constraint.hard]
    all_keys = bool(traits.spread) or not board.profile.arguments.spread.system
    nodes = board.world.nodes
    keyed = having_all(soft, nodes) if all_keys else nodes.all
    if all_keys:
        program.flags |= Flag.ALL_KEYS
    for constraint in soft:
        pods = Spread(traits.namespace, constraint.selector)
        by_host = constraint.key == HOSTNAME
        counted = None if by_host else keyed & counted_nodes(constraint, traits, nodes)
        counter = board.count(Count(pods, EACH_NODE if by_host else constraint.key, counted))
        program.soft.append((counter, constraint.max_skew, board.key(constraint.key), by_host))
    return bool(soft)


def _pod_affinity(traits: Traits, board: Board, program: Program) -> bool:
    args = board.profile.arguments.interpod
    for weight, term in traits.preferred_affinity:
        program.affinity.append((board.count(Count(Selected((term,)), term.key)), weight))
    if args.ignore_existing and not traits.preferred_affinity:
        return False
    weights = {"anti": 0, "required": args.hard_weight}
    for carried in board.carried(traits):
        if weight := weights.get(carried.kind, carried.weight):
            program.affinity.append(
                (board.count(Count(Carriers(carried), carried.term.key)), weight)
            )
    return bool(program.affinity)


def _images(traits: Traits, board: Board, program: Program) -> bool:
    """The share of the images that is there, an image that few nodes have counting less."""
    images, nodes = board.world.nodes.images(), board.world.nodes
    sizes: dict[int, int] = {}
    for name in traits.images:
        if name in images:
            size, having = images[name]
            part = int(size * (having.bit_count() / nodes.count))
            sizes = _summed(sizes, having, part)
    largest = LARGEST_IMAGE * len(traits.images)
    for having, total in sizes.items():
        score = (
            100
            * (max(SMALLEST_IMAGE, min(total, largest)) - SMALLEST_IMAGE)
            // (largest - SMALLEST_IMAGE)
        )
        if score:
            program.columns.append((Column.IMAGE, having, score))
    return True


def _summed(sizes: dict[int, int], having: int, part: int) -> dict[int, int]:
    """Sets of nodes that have the same images so far, with the sum of what these weigh."""
    summed: dict[int, int] = {}
    for nodes, total in sizes.items():
        for piece, more in ((nodes & having, part), (nodes & ~having, 0)):
            if piece:
                summed[piece] = total + more
        having &= ~nodes
    if having:
        summed[having] = part
    return summed


_SCORES: dict[str, Callable[[Traits, Board, Program], bool]] = {
    "TaintToleration": _taints,
    "NodeAffinity": _node_affinity,
    "NodeResourcesFit": _fit,
    "NodeResourcesBalancedAllocation": _balanced,
    "PodTopologySpread": _spread,
    "InterPodAffinity": _pod_affinity,
    "ImageLocality": _images,
}
