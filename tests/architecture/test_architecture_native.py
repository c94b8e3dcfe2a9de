"""The boundary to C: one module imports the compiled one, nobody uses ctypes or select, and
enumerations that stand on both sides agree by name.
"""

from __future__ import annotations

import re
from enum import IntEnum

import pytest

from kubelite.control.scheduler.plugins import class_program, reasons
from kubelite.core import plan, protocol
from tests.architecture.house import ROOT, modules

ENUM = re.compile(r"\benum(?:\s+(\w+))?\s*\{(.*?)\}", re.DOTALL)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def enumerators(header: str, name: str = "") -> dict[str, int]:
    """The names and values of a C enumeration; ``name`` is empty for one without a tag."""
    text = COMMENT.sub("", (ROOT / "csrc" / header).read_text())
    (body,) = (body for tag, body in ENUM.findall(text) if tag == name)
    values: dict[str, int] = {}
    following = 0
    for item in filter(None, (part.strip() for part in body.split(","))):
        key, _, expression = (part.strip() for part in item.partition("="))
        if expression:
            plain = re.sub(r"\b(\d+)u\b", r"\1", expression)
            following = eval(plain, {"KL_SCHED_SCORES": 0}, dict(values))
        values[key] = following
        following += 1
    return values


def without_prefix(values: dict[str, int], prefix: str, *sentinels: str) -> dict[str, int]:
    return {
        key.removeprefix(prefix): value for key, value in values.items() if key not in sentinels
    }


def members(kind: type[IntEnum]) -> dict[str, int]:
    return {name: int(member) for name, member in kind.__members__.items() if name != "NONE"}


def snake(camel: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", camel).upper()


@pytest.mark.parametrize(
    ("header", "name", "prefix", "sentinels", "kind"),
    [
        ("plan.h", "plan_flag", "PLAN_", ["PLAN_ALL_FLAGS"], plan.Flag),
        ("plan.h", "plan_root", "PLAN_ROOT_", [], plan.Root),
        ("plan.h", "plan_mount_kind", "PLAN_", ["PLAN_MOUNT_KINDS"], plan.MountKind),
        ("plan.h", "plan_mount_flag", "PLAN_MOUNT_", ["PLAN_MOUNT_ALL_FLAGS"], plan.MountFlag),
        ("plan.h", "plan_module", "PLAN_", ["PLAN_MODULES"], plan.Module),
        ("shim/protocol.h", "msg_type", "MSG_", [], protocol.Message),
        ("shim/protocol.h", "start_flag", "START_", ["START_ALL_FLAGS"], protocol.StartFlag),
        ("shim/protocol.h", "process_state", "PROCESS_", [], protocol.ProcessState),
        ("container/spawn.h", "spawn_role", "SPAWN_", [], protocol.Role),
        ("sched/sched.h", "class_flag", "FLAG_", [], class_program.Flag),
    ],
)
def test_an_enumeration_is_the_same_on_both_sides(header, name, prefix, sentinels, kind) -> None:
    assert without_prefix(enumerators(header, name), prefix, *sentinels) == members(kind)


def test_reasons_of_the_core_have_the_numbers_of_their_texts() -> None:
    core = without_prefix(enumerators("sched/sched.h", "reason"), "REASON_")
    assert core.items() <= members(reasons.Reason).items()


def test_scores_and_strategies_stand_in_the_same_order() -> None:
    scores = without_prefix(enumerators("kubelite.h"), "KL_SCHED_", "KL_SCHED_SCORES")
    assert scores == {snake(name): number for number, name in enumerate(class_program.SCORES)}
    strategies = without_prefix(enumerators("sched/sched.h", "fit_strategy"), "FIT_", "FIT_NONE")
    assert strategies == {snake(name): number for name, number in class_program.STRATEGIES.items()}


def test_the_program_of_a_class_is_laid_out_alike() -> None:
    scalars = without_prefix(
        enumerators("sched/sched.h", "class_scalar"), "CLASS_", "CLASS_WEIGHTS", "CLASS_SCALARS"
    )
    assert list(scalars) == [name.upper() for name in class_program.SCALARS]
    parts = without_prefix(enumerators("sched/sched.h", "class_section"), "PART_", "CLASS_PARTS")
    assert list(parts) == [name.upper() for name in class_program.PARTS]


def test_only_one_module_imports_the_compiled_one() -> None:
    importers = {
        name
        for name, module in modules().items()
        if any(target.split(".")[0] == "cffi" or "_native" in target for target in module.imports)
    }
    assert importers == {"kubelite.core.native"}


def test_nobody_uses_ctypes() -> None:
    users = [
        name
        for name, module in modules().items()
        if any(target.split(".")[0] == "ctypes" for target in module.imports)
    ]
    assert users == []


def test_nobody_uses_select() -> None:
    """It supports no descriptor above 1023, and an agent has many; poll does."""
    users = [
        str(path.relative_to(ROOT))
        for pattern, call in (
            ("kubelite/**/*.py", r"select\.select\("),
            ("csrc/**/*.c", r"\bselect\("),
        )
        for path in ROOT.glob(pattern)
        if re.search(call, path.read_text())
    ]
    assert users == []
