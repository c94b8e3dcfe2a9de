"""Completion indexes of a Job, written as ``0,2-4``. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kubelite.control.controllers.shared.meta import Obj, annotations_of

INDEX_ANNOTATION = "batch.kubernetes.io/job-completion-index"
UNKNOWN = -1


def parse(text: str | None, completions: int) -> frozenset[int]:
    """The indexes of a text that are smaller than ``completions``; parts that cannot be read count
    for nothing.
    """
    result: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        last = last or first
        if first.isdecimal() and last.isdecimal():
            result.update(range(int(first), min(int(last) + 1, completions)))
    return frozenset(index for index in result if index < completions)


def written(indexes: Iterable[int]) -> str:
    """The text of indexes: two neighbours with a comma, more of them with a dash."""
    runs: list[list[int]] = []
    for index in sorted(set(indexes)):
        if runs and runs[-1][1] == index - 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(map(_run, runs))


def _run(run: list[int]) -> str:
    first, last = run
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def index_of(pod: Obj) -> int:
    """The completion index of a pod; -1 where it has none."""
    text = annotations_of(pod).get(INDEX_ANNOTATION, "")
    return int(text) if text.isdecimal() and text.isascii() else UNKNOWN


def pending(taken: Iterable[int], completions: int, count: int) -> list[int]:
    """The first ``count`` indexes that are not taken."""
    used = set(taken)
    result: list[int] = []
    index = 0
    while len(result) < count and index < completions:
        if index not in used:
            result.append(index)
        index += 1
    return result
