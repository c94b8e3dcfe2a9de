"""A module that calls itself pure knows no clock, file, socket, process, task or randomness, and
imports only pure ones.
"""

from __future__ import annotations

import pytest

from tests.architecture.house import Module, modules

IMPURE = {
    "asyncio", "ctypes", "fcntl", "multiprocessing", "pathlib", "random", "secrets", "select", "selectors", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "termios", "threading", "time", "urllib", "aiohttp", "queue",
}  # fmt: skip
ALLOWED = {"kubelite.core.errors": {"os"}}
"""Where a name of an impure module is harmless: ``os.strerror`` is a table."""

PURE = [module for module in modules().values() if module.is_pure]


@pytest.mark.parametrize("module", PURE, ids=lambda m: m.name)
def test_a_pure_module_touches_nothing(module: Module) -> None:
    touched = {t.split(".")[0] for t in module.at_top if not t.startswith("kubelite")} & IMPURE
    assert touched == set()


@pytest.mark.parametrize("module", PURE, ids=lambda m: m.name)
def test_a_pure_module_imports_only_pure_ones(module: Module) -> None:
    ours = {t for t in module.at_top if t in modules() and not module.name.startswith(f"{t}.")}
    leaks = sorted(
        t for t in ours if not modules()[t].is_pure and modules()[t].path.name != "__init__.py"
    )
    assert leaks == []


def test_at_least_a_third_of_the_modules_is_pure() -> None:
    counted = [m for m in modules().values() if m.path.name != "__init__.py"]
    assert len([m for m in counted if m.is_pure]) >= len(counted) / 3


def test_every_module_says_what_it_is_for() -> None:
    assert [m.name for m in modules().values() if not m.docstring] == []
