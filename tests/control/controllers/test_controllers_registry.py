"""Which controllers ``--controllers`` selects."""

from __future__ import annotations

import pytest

from kubelite.control.api.server.controller_roles import controllers
from kubelite.control.controllers.registry import ROWS, UnknownController, select


def names(*words: str) -> set[str]:
    return {row.name for row in select(words)}


def test_words_select() -> None:
    every = {row.name for row in ROWS}
    assert names("*") == {row.name for row in ROWS if row.is_on}
    assert names("-*") == names() == set()
    assert names("replicaset-controller") == {"replicaset-controller"}
    assert names("replicaset") == {"replicaset-controller"}
    assert names("*", "-deployment-controller") == names("*") - {"deployment-controller"}
    assert names("-deployment", "*") == names("*") - {"deployment-controller"}
    assert names("*") <= every


def test_a_controller_that_does_not_exist() -> None:
    with pytest.raises(UnknownController, match=r'"replicaste" is no controller; there are .*repl'):
        select(["*", "-replicaste"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_loads_and_has_a_role(row) -> None:
    controller = row.load()
    assert controller.name == row.name
    accounts = {name for name, _, _ in controllers()}
    assert controller.account in {*accounts, ""}, "as the controllers' own user"
