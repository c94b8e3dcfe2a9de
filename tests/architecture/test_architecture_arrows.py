"""Which room may know which: imports point down only, the wings never see each other."""

from __future__ import annotations

import collections

import pytest

from tests.architecture.house import ROOT, Module, cycles, modules, room

BELOW = {
    "cli": {"ui", "up", "control", "node", "client", "core", "objects", "lib"},
    "ui": {"up", "control", "node", "client", "core", "objects", "lib"},
    "up": {"control", "node", "client", "core", "objects", "lib"},
    "control": {"client", "core", "objects", "lib"},
    "node": {"client", "core", "objects", "lib"},
    "client": {"core", "objects", "lib"},
    "core": {"lib"},
    "objects": {"lib"},
    "lib": set(),
    "testing": {"up", "control", "node", "client", "core", "objects", "lib"},
}
"""What each room stands on; ``testing`` is shipped but only tests import it."""

INSIDE = {
    "node.kubelet": {"node.runtime", "node.image", "node.volume", "node.network", "node.cgroup"},
    "node.build": {"node.kubelet", "node.runtime", "node.image"},
    "node.runtime": {"node.image", "node.volume", "node.network", "node.cgroup"},
    "node.proxy": {"node.network"},
    "node.dns": set(),
    "node.ingress": set(),
    "node.image": set(),
    "node.volume": set(),
    "node.network": set(),
    "node.cgroup": set(),
    "control.api": {"control.store"},
    "control.store": set(),
    "control.scheduler": set(),
    "control.controllers": set(),
    "objects.pod": {"objects.rules", "objects.facts"},
    "objects.rules": {"objects.facts"},
    "objects.facts": set(),
    "objects.cel": {"objects.facts"},
}
"""What the rooms within a wing may know of each other."""

_API_FLOORS = [
    ["server"],
    ["aggregation"],
    ["verbs"],
    ["admission", "discovery"],
    ["auth", "patching"],
    ["strategy"],
    ["kinds"],
    ["tables"],
    ["schema"],
    ["wire"],
]
"""The rooms of ``control/api`` from the top down; rooms of one floor do not know each other."""

_SCHEDULER_FLOORS = [["loop"], ["cluster"], ["plugins"], ["snapshot"], ["facts"]]
"""The rooms of ``control/scheduler``, likewise; ``explain`` and ``simulate`` stand above them."""

_KUBELET_FLOORS = [
    ["cluster"],
    ["server", "stats"],
    ["pods"],
    ["agent"],
    ["act"],
    ["probe"],
    ["decide"],
]
"""The rooms of ``node/kubelet``, likewise."""

INNER = {
    f"{outer}.{name}": {f"{outer}.{below}" for floor in floors[number + 1 :] for below in floor}
    for outer, floors in (
        ("control.api", _API_FLOORS),
        ("control.scheduler", _SCHEDULER_FLOORS),
        ("node.kubelet", _KUBELET_FLOORS),
    )
    for number, floor in enumerate(floors)
    for name in floor
}
"""What the inner rooms may know of each other, imports for types included."""

OPEN_CYCLES: set[str] = set()
"""Cycles of modules that are still to be opened; empty is the goal."""

OPEN_TYPE_CYCLES: set[str] = set()
"""The same with ``if TYPE_CHECKING``."""

MAX_FILES = 20


def _is_placed(module: Module) -> bool:
    return room(module.name) not in ("", "__main__")


def test_every_room_of_the_tables_exists() -> None:
    rooms = {room(name, depth) for name in modules() for depth in (1, 2, 3)}
    assert {*BELOW, *INSIDE, *INNER} - rooms == set()


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_imports_point_down(module: Module) -> None:
    here = room(module.name)
    if not _is_placed(module):
        return
    assert here in BELOW, f"{module.name} lies in a room that the house does not have"
    wrong = [t for t in _ours(module) if room(t) not in BELOW[here] | {here, "__init__", ""}]
    assert wrong == [], f"{module.name} looks up, or into the other wing"


def _ours(module: Module, *, types: bool = False) -> list[str]:
    targets = module.imports | (module.for_types if types else frozenset())
    return sorted(t for t in targets if t in modules() and t != "kubelite")


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_rooms_of_a_wing_know_only_those_below(module: Module) -> None:
    here, wing = room(module.name, 2), room(module.name)
    if here not in INSIDE:
        return
    wrong = [
        t
        for t in _ours(module)
        if room(t) == wing and room(t, 2) not in INSIDE[here] | {here, wing}
    ]
    assert wrong == []


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_inner_rooms_know_only_those_below(module: Module) -> None:
    here = room(module.name, 3)
    if here not in INNER:
        return
    outer = here.rpartition(".")[0]
    wrong = [
        t
        for t in _ours(module, types=True)
        if room(t, 2) == outer and room(t, 3) not in INNER[here] | {here, outer}
    ]
    assert wrong == []


def test_no_module_imports_itself_through_others() -> None:
    graph = {name: set(_ours(module)) for name, module in modules().items()}
    assert set(cycles(graph)) - OPEN_CYCLES == set()


def test_no_module_names_itself_through_others_in_types() -> None:
    graph = {name: set(_ours(module, types=True)) for name, module in modules().items()}
    assert set(cycles(graph)) - OPEN_CYCLES - OPEN_TYPE_CYCLES == set()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_no_room_imports_itself_through_others(depth: int) -> None:
    graph: dict[str, set[str]] = collections.defaultdict(set)
    for module in filter(_is_placed, modules().values()):
        here = room(module.name, depth)
        graph[here] |= {
            there
            for target in _ours(module)
            if (there := room(target, depth)) != here and not here.startswith(f"{there}.")
        }
    for there in [target for targets in graph.values() for target in targets]:
        graph[there] |= set()
    assert cycles(graph) == []


def test_no_folder_becomes_a_hall() -> None:
    sizes = collections.Counter(
        str(module.path.parent.relative_to(ROOT))
        for module in modules().values()
        if module.path.name != "__init__.py" and _is_placed(module)
    )
    assert {name for name, size in sizes.items() if size > MAX_FILES} == set()


def test_nobody_outside_the_doors_imports_the_command_line_or_testing() -> None:
    for module in modules().values():
        if room(module.name) not in ("cli", "testing", "", "__main__"):
            assert not [
                t
                for t in module.imports
                if f"{t}.".startswith(("kubelite.cli.", "kubelite.testing."))
            ], module.name
