"""A module that calls itself pure knows no clock, file, socket, process, task or randomness, and
imports only pure ones.
"""

from __future__ import annotations

import pytest

from tests.architecture.house import Module, modules

IMPURE = {
    "aiohttp", "asyncio", "cffi", "ctypes", "fcntl", "glob", "grpc", "http", "logging", "mmap",
    "multiprocessing", "os",
    "pathlib", "pty", "pwd", "queue", "random", "resource", "secrets", "select", "selectors",
    "shutil", "signal",
    "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "termios", "threading", "time",
    "tty", "urllib", "uuid",
}  # fmt: skip
ALLOWED = {
    "kubelite.core.errors": {"os"},
    "kubelite.client.resources": {"urllib"},
    "kubelite.control.api.kinds.common.client_config": {"urllib"},
    "kubelite.control.api.schema.cel_functions": {"urllib"},
}
"""Impure modules of which a pure module uses a harmless name: ``os.strerror`` is a table,
``urllib.parse`` handles text.
"""

PURE = [module for module in modules().values() if module.is_pure]


@pytest.mark.parametrize("module", PURE, ids=lambda m: m.name)
def test_a_pure_module_touches_nothing(module: Module) -> None:
    foreign = {t for t in module.imports if not t.startswith("kubelite")}
    touched = {t.split(".")[0] for t in foreign} & IMPURE
    assert touched - ALLOWED.get(module.name, set()) == set()


def test_no_allowance_is_left_over() -> None:
    for name, allowed in ALLOWED.items():
        used = {t.split(".")[0] for t in modules()[name].imports}
        assert allowed <= used, name


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
