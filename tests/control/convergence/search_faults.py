"""python tests/control/convergence/search_faults.py [--sequences N] [--seed N] [NAME ...]: how
many random sequences it takes until the convergence property finds each planted fault.

Sequences are those of test_convergence.py; the same ones for each fault. Faults that only a rule
test can show are listed with it. A fault that is not found is no failure: chance decides.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import tempfile

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.control.convergence.faults import FAULTS, Fault, planted
from tests.control.convergence.steps import SEQUENCES, Sequence
from tests.control.convergence.test_convergence import converges


def drawn(count: int, number: int) -> list[Sequence]:
    """Random sequences, the same for the same number."""
    sequences: list[Sequence] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(SEQUENCES)
    def draw(sequence: Sequence) -> None:
        sequences.append(sequence)

    draw()
    return sequences


def search(fault: Fault, sequences: list[Sequence], keys: str) -> tuple[int, str]:
    """How many sequences it took (0: none shows it), and what was wrong."""
    with planted(fault):
        for number, sequence in enumerate(sequences, 1):
            try:
                asyncio.run(converges(keys, sequence))
            except AssertionError as error:
                return number, str(error).partition("\n")[0]
    return 0, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--sequences", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", default=list(FAULTS))
    given_ = parser.parse_args()
    logging.disable()
    sequences = drawn(given_.sequences, given_.seed)
    with tempfile.TemporaryDirectory() as keys:
        for name in given_.names:
            fault = FAULTS[name]
            if fault.rule_test:
                print(f"{name} | rule test | {fault.rule_test.rpartition(':')[2]}", flush=True)
                continue
            number, problem = search(fault, sequences, keys)
            count = str(number) if number else f"not in {len(sequences)}"
            print(f"{name} | {count} | {problem[:100]}", flush=True)


if __name__ == "__main__":
    main()
