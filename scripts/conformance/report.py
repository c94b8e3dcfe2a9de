"""What the conformance tests gave, as a page."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

LONGEST_REASON = 300


class Outcome(NamedTuple):
    """One test: its full name, `passed`, `failed` or `skipped`, the seconds it took, and why it did
    not pass.
    """

    name: str
    result: str
    seconds: float
    message: str = ""


def read_exceptions(path: Path) -> dict[str, str]:
    """Tests that cannot pass and why: lines of name, tabulator, reason."""
    lines = path.read_text().splitlines()
    return dict(line.split("\t", 1) for line in lines if line and not line.startswith("#"))


def remembered(path: Path, outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """What every test gave last, by name, with these outcomes as the latest; kept in a file."""
    earlier = json.loads(path.read_text()) if path.exists() else []
    known = {outcome[0]: Outcome(*outcome) for outcome in earlier}
    known |= {outcome.name: outcome for outcome in outcomes}
    path.write_text(json.dumps(list(known.values())))
    return known


def area(name: str) -> str:
    """The special interest group of a test, as its name says it first."""
    named = re.search(r"\[(sig-[a-z-]+)\]", name)
    return named[1] if named else "sig-node"  # what is marked [k8s.io] only moved there in 1.21


def unexpected(outcomes: Sequence[Outcome], exceptions: Mapping[str, str]) -> list[Outcome]:
    """Tests that did not pass without being an exception."""
    return [o for o in outcomes if o.result != "passed" and o.name not in exceptions]


def counts(outcomes: Sequence[Outcome], exceptions: Mapping[str, str]) -> Counter[str]:
    """How many tests passed, did not pass, and are exceptions that did not pass."""
    return Counter(
        "passed" if o.result == "passed" else "exception" if o.name in exceptions else "failed"
        for o in outcomes
    )


def page(outcomes: Sequence[Outcome], exceptions: Mapping[str, str], about: str) -> str:
    """The page in Markdown; `about` is the sentence on versions and the date."""
    lines = [
        "# Conformance",
        "",
        about,
        "",
        "| group | passed | failed | exceptions |",
        "|---|---|---|---|",
    ]
    groups = sorted({area(o.name) for o in outcomes})
    for group in [*groups, "all"]:
        number = counts([o for o in outcomes if group in ("all", area(o.name))], exceptions)
        lines.append(
            f"| {group} | {number['passed']} | {number['failed']} | {number['exception']} |"
        )
    failed = unexpected(outcomes, exceptions)
    missing = [o for o in outcomes if o.result != "passed" and o.name in exceptions]
    if failed:
        lines += ["", "## Failed", "", "| test | reason |", "|---|---|"]
        lines += [row(o.name, reason(o)) for o in failed]
    if missing:
        lines += [
            "",
            "## Exceptions",
            "",
            "Tests of 1.20 that no later Kubernetes passes, or that this cluster cannot pass.",
            "",
            "| test | reason |",
            "|---|---|",
        ]
        lines += [row(o.name, exceptions[o.name]) for o in missing]
    lines += ["", "## Passed", ""]
    lines += [f"- {cell(o.name)}" for o in sorted(outcomes) if o.result == "passed"]
    return "\n".join(lines) + "\n"


def reason(outcome: Outcome) -> str:
    """Why a test did not pass, in its own words without times and places of its source."""
    return re.sub(r"\S+\.go:\d+|\w{3} +\d+ [\d:.]+: ", "", outcome.message) or outcome.result


def row(name: str, reason: str) -> str:
    """A line of a table."""
    return f"| {cell(name)} | {cell(reason)} |"


def cell(text: str) -> str:
    """Text on one line in which Markdown sees no marks."""
    line = " ".join(text.split())[:LONGEST_REASON]
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", line)
