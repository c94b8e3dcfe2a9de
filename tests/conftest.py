"""What all tests have: a network namespace of their own, and the rule that a skip needs an excuse.

With KUBELITE_STRICT=1 a skip fails its test unless its reason is among those of
``allowed_skips.txt``: regular expressions, one a line, for what a machine may truly lack.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# What a property shows does not depend on how busy the machine is: timings belong to bench/.
settings.register_profile("kubelite", deadline=None)
settings.load_profile("kubelite")

pytest_plugins = ["kubelite.testing.plugin"]
# Helpers of tests say what they compared, as tests do.
pytest.register_assert_rewrite(
    "tests.cluster.world", "tests.crash.crashworld", "tests.e2e.world", "tests.testing"
)

ALLOWED = [
    re.compile(line)
    for line in (Path(__file__).parent / "allowed_skips.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
STRICT = os.environ.get("KUBELITE_STRICT") == "1"


def refuse_skip(report: Any) -> None:
    """Turns a skip without an excuse into a failure; expected failures are no skips."""
    if not STRICT or not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if not any(allowed.search(reason) for allowed in ALLOWED):
        report.outcome = "failed"
        report.longrepr = (
            f"KUBELITE_STRICT: skipped, and tests/allowed_skips.txt does not know why: {reason}"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    refuse_skip(report)
    return report
