"""Columns of tables: their titles, their types, and whether they are shown without being asked for.
Pure.
"""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column. ``type`` is string, integer, boolean or date; a ``wide`` one is shown by ``-o
    wide`` only; ``names`` says that its cells are names of objects.
    """

    title: str
    type: str = "string"
    wide: bool = False
    names: bool = False


def columns(*given: str | Column) -> tuple[Column, ...]:
    """Columns in order; a bare title is a text that is always shown."""
    return tuple(Column(column) if isinstance(column, str) else column for column in given)


def integer(title: str) -> Column:
    """A column of whole numbers."""
    return Column(title, "integer")


def boolean(title: str) -> Column:
    """A column of truth values."""
    return Column(title, "boolean")


def wide(title: str) -> Column:
    """A text that is shown by ``-o wide`` only."""
    return Column(title, wide=True)


def names(title: str) -> Column:
    """A column of names of other objects."""
    return Column(title, names=True)


NAME_AND_AGE = columns("Name", "Age")
NAME_AND_CREATION = columns("Name", Column("Created At", "date"))
