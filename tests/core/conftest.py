"""Worlds for the shim's tests. KUBELITE_SHIM names another build of the shim to test, such as one
with sanitizers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelite.core import shim as shims
from tests.core.shimworld import World

if "KUBELITE_SHIM" in os.environ:
    shims._PROGRAM = os.environ["KUBELITE_SHIM"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A shim whose pause runs."""
    with World(str(tmp_path)) as made:
        made.pause()
        yield made
