"""Tests of the page's server may be coroutines; those of the page share a cluster and a browser."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Iterator

import pytest

from tests.ui.shop import Shop, open_shop


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**wanted), 300))
    return True


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One for all tests of a file: booting a cluster takes longer than most of them."""
    if os.geteuid() != 0:
        pytest.skip("pods need root")
    with open_shop(tmp_path_factory.mktemp("ui") / "root") as opened:
        yield opened
