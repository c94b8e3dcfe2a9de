"""Which room may know which: imports point down only, the wings never see each other."""

from __future__ import annotations

import pytest

from tests.architecture.house import inner_room, modules, room

BELOW = {
    "cli": {"up", "web", "control", "node", "client", "core", "objects", "lib"},
    "up": {"web", "control", "node", "client", "core", "objects", "lib"},
    "web": {"client", "core", "objects", "lib"},
    "control": {"client", "core", "objects", "lib"},
    "node": {"client", "core", "objects", "lib"},
    "client": {"core", "objects", "lib"},
    "core": {"lib"},
    "objects": {"lib"},
    "lib": set(),
    "testing": {"up", "web", "control", "node", "client", "core", "objects", "lib"},
}
"""What each room stands on; ``testing`` is shipped but only tests import it."""

INSIDE = {
    "node.kubelet": {"node.runtime", "node.image", "node.volume", "node.network", "node.cgroup"},
    "node.runtime": {"node.image", "node.volume", "node.network", "node.cgroup"},
    "node.proxy": set(),
    "node.image": set(),
    "node.volume": set(),
    "node.network": set(),
    "node.cgroup": set(),
    "control.api": {"control.store"},
    "control.store": set(),
    "control.scheduler": set(),
    "control.controllers": set(),
}
"""What the rooms within a wing may know of each other."""


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_imports_point_down(module) -> None:
    here = room(module.name)
    if here in ("", "__main__"):
        return
    assert here in BELOW, f"{module.name} lies in a room that the house does not have"
    wrong = [
        target
        for target in module.imports
        if target.startswith("kubelite.") and room(target) not in BELOW[here] | {here}
    ]
    assert wrong == [], f"{module.name} looks up, or into the other wing"


@pytest.mark.parametrize("module", modules().values(), ids=lambda m: m.name)
def test_rooms_of_a_wing_know_only_those_below(module) -> None:
    here = inner_room(module.name)
    if here not in INSIDE:
        return
    wing = room(module.name)
    wrong = [
        target
        for target in module.imports
        if target.startswith(f"kubelite.{wing}.")
        and inner_room(target) not in INSIDE[here] | {here}
    ]
    assert wrong == []


def test_there_is_no_cycle() -> None:
    ours = {name: {t for t in m.at_top if t in modules()} for name, m in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, f"a circle of imports: {' > '.join((*path, name))}"
        if name in done:
            return
        for target in ours[name]:
            if not name.startswith(
                f"{target}."
            ):  # a package's own __init__ is imported with every module of it
                visit(target, (*path, name))
        done.add(name)

    for name in ours:
        visit(name, ())
    assert done == set(ours)


def test_one_module_alone_imports_the_compiled_one() -> None:
    importers = [
        m.name for m in modules().values() if any(t.endswith("._native") for t in m.imports)
    ]
    assert importers == ["kubelite.core.native"]


def test_nobody_outside_the_doors_imports_the_command_line_or_testing() -> None:
    for module in modules().values():
        if room(module.name) not in ("cli", "testing", "", "__main__"):
            assert not [
                t for t in module.imports if t.startswith(("kubelite.cli", "kubelite.testing"))
            ], module.name
