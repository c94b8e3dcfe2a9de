"""The table of attacks says what is there: each test and each switch exists, and none is missing
from it.
"""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.attack.arena import TREE
from tests.attack.table import ROWS, Row

SWITCH = re.compile(r'defence_disabled\("(\w+)"\)')
CVE = re.compile(r"CVE-\d{4}-\d{4,}")
FOLDERS = [TREE / name for name in ("csrc", "kubelite", "tests/attack")]
SOURCES = [
    path for folder in FOLDERS for path in folder.rglob("*") if path.suffix in (".c", ".h", ".py")
]


@cache
def functions(file: str) -> dict[str, str]:
    """The test functions of a file below tests/, with their text."""
    text = (TREE / "tests" / f"{file}.py").read_text()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(
            "test_"
        ):
            begin = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found[node.name] = "\n".join(text.splitlines()[begin - 1 : node.end_lineno])
    return found


@pytest.mark.parametrize("name", ROWS)
def test_each_row_has_its_tests_and_its_switch(name: str) -> None:
    row: Row = ROWS[name]
    texts = []
    for each in row.tests:
        file, _, test = each.partition("::")
        assert test in functions(file), each
        texts.append(functions(file)[test])
    assert row.tests or row.off.startswith("there is no")
    assert bool(row.switches) != bool(row.off), "one way to see it succeed"
    for switch in row.switches:
        assert any(f'"{switch}"' in text for text in texts), (
            f"no test of this row leaves out {switch}"
        )


def test_every_switch_is_in_the_table() -> None:
    there = {
        name for path in (TREE / "csrc").rglob("*.c") for name in SWITCH.findall(path.read_text())
    }
    assert there == {switch for row in ROWS.values() for switch in row.switches}


def test_every_lesson_that_the_code_speaks_of_is_in_the_table() -> None:
    spoken = {
        number
        for path in SOURCES
        if path.name != "table.py"
        for number in CVE.findall(path.read_text())
    }
    assert spoken - {number for name in ROWS for number in CVE.findall(name)} == set()
