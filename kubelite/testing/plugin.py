"""The pytest plug-in: ``pytest_plugins = ["kubelite.testing.plugin"]``.

The whole test process gets a network namespace of its own, with a loopback that is up, so that
nothing a test does reaches the machine's network; with pytest-xdist every worker has one. Without
the right to make one the tests stay where they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kubelite.testing.netns import NetworkNamespace


@pytest.fixture(scope="session", autouse=True)
def own_network() -> Iterator[None]:
    """Moves the test process into a network namespace of its own, for the length of the session."""
    if os.geteuid() != 0:
        yield
        return
    with NetworkNamespace() as host, host.inside():
        yield


@pytest.fixture(scope="session", autouse=True)
def own_registry(tmp_path_factory: pytest.TempPathFactory) -> None:
    """State roots of tests are registered in a directory of the session's own."""
    os.environ["KUBELITE_REGISTRY"] = str(tmp_path_factory.mktemp("registry"))
