"""Whatever happens to a cluster, it comes to what Kubernetes' rules demand, breaks no rule on the
way, and is still when it is there.

``make convergence`` tries many more sequences (KUBELITE_SEQUENCES) than every run of the tests.
"""

from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import HealthCheck, given, settings

from tests.control.convergence.rest import problems
from tests.control.convergence.steps import SEQUENCES, Sequence, play
from tests.control.convergence.world import world_of

COUNT = int(os.environ.get("KUBELITE_SEQUENCES", "12"))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where all servers of this module have their keys: making them takes longer than a test."""
    return str(tmp_path_factory.mktemp("pki"))


async def converges(keys: str, sequence: Sequence) -> None:
    """Plays a sequence; everything that is wrong fails it."""
    async with world_of(keys, sequence.seed) as world:
        await play(world, sequence)
        assert not world.ledger.violations, world.ledger.violations
        assert not (wrong := problems(world.ledger)), wrong
        before = world.ledger.writes, world.plans
        await world.turns(500)
        assert (world.ledger.writes, world.plans) == before, "at rest nothing is written or planned"


@settings(
    max_examples=COUNT,
    derandomize="KUBELITE_SEQUENCES" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(SEQUENCES)
def test_every_sequence_converges(keys: str, sequence: Sequence) -> None:
    asyncio.run(converges(keys, sequence))
