"""Each controller with a fault planted in it is found out: the properties and rule tests can fail.

``make faults`` also says after how many random sequences the property finds each
(KUBELITE_FAULT_SEQUENCES).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from importlib.util import find_spec, module_from_spec
from typing import Any

import pytest

from kubelite.control.controllers.registry import ROWS
from tests.control.convergence.faults import FAULTS, Fault, planted
from tests.control.convergence.steps import Sequence
from tests.control.convergence.test_convergence import converges

CALM = Sequence((), (20,) * 20, 1)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("pki"))


def cases(test: Any) -> Iterator[dict[str, Any]]:
    """The arguments of each case of a parametrized test."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    if not marks:
        yield {}
        return
    (mark,) = marks
    names, values = mark.args
    names = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
    for value in values:
        yield dict(zip(names, value if len(names) > 1 else (value,), strict=True))


def run_rule_test(place: str) -> None:
    """A test of plain values, as pytest would run it: its module is read with the fault in place,
    since some values of its cases are made then.
    """
    module, _, name = place.partition(":")
    spec = find_spec(f"tests.control.{module}")
    assert spec is not None and spec.loader is not None
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    test = getattr(fresh, name)
    assert not inspect.iscoroutinefunction(test)
    for arguments in cases(test):
        test(**arguments)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.sequence])
def test_the_property_finds(name: str, keys: str) -> None:
    fault = FAULTS[name]
    with planted(fault), pytest.raises(AssertionError):
        asyncio.run(converges(keys, CALM._replace(steps=fault.sequence)))


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.sequence])
def test_without_its_fault_it_converges(name: str, keys: str) -> None:
    asyncio.run(converges(keys, CALM._replace(steps=FAULTS[name].sequence)))


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault.rule_test])
def test_a_rule_test_finds(name: str) -> None:
    fault: Fault = FAULTS[name]
    run_rule_test(fault.rule_test)
    with planted(fault), pytest.raises((AssertionError, LookupError)):
        run_rule_test(fault.rule_test)


def test_every_controller_has_a_fault() -> None:
    modules = {
        fault.where.partition(":")[0].removeprefix("controllers.") for fault in FAULTS.values()
    }
    modules.add("autoscaling.horizontal")  # its decisions are in modules beside it
    assert [row.name for row in ROWS if row.module not in modules] == []
