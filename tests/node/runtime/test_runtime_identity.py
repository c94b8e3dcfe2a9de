"""Users, groups and capabilities worked out from texts of an image."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.runtime.identity import (
    ALL_CAPABILITIES,
    DEFAULT_CAPABILITIES,
    IdentityError,
    capabilities,
    resolve_user,
)

PASSWD = (
    "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/false\nbroken line\nodd:x:+0:0::/:\n"
)
GROUP = "root:x:0:\nwebs:x:34:\nlogs:x:50:web,other\n"
EVERY = (1 << 41) - 1


@pytest.mark.parametrize(
    ("image_user", "user", "group", "expected"),
    [
        ("", None, None, (0, 0, (0,), "/root")),
        ("web", None, None, (33, 34, (34, 50), "/srv")),
        ("33", None, None, (33, 34, (34, 50), "/srv")),
        ("web:logs", None, None, (33, 50, (50,), "/srv")),
        ("1000", None, None, (1000, 0, (0,), "/")),
        ("web", 1000, None, (1000, 0, (0,), "/")),
        ("web", 33, 99, (33, 99, (99, 50), "/srv")),
        ("1000:1001", None, None, (1000, 1001, (1001,), "/")),
    ],
)
def test_users(
    image_user: str, user: int | None, group: int | None, expected: tuple[object, ...]
) -> None:
    found = resolve_user(image_user, user, group, (), PASSWD, GROUP)
    assert (found.uid, found.gid, found.groups, found.home) == expected


@pytest.mark.parametrize(
    "name", ["nobody", "+0", "0x0", " 0", "4294967295", "99999999999", "-1", "odd"]
)
def test_what_is_no_user_never_turns_out_to_be_root(name: str) -> None:
    with pytest.raises(IdentityError):
        resolve_user(name, None, None, (), PASSWD, GROUP)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_of_an_image_makes_it_fail_otherwise(passwd: str, group: str) -> None:
    assert resolve_user("7", None, None, (9,), passwd, group).uid == 7


@given(
    st.lists(st.sampled_from([*ALL_CAPABILITIES, "ALL"]), max_size=4),
    st.lists(st.sampled_from([*ALL_CAPABILITIES, "ALL"]), max_size=4),
    st.integers(0, EVERY),
)
def test_capabilities_are_within_what_the_machine_has_and_never_inherited(
    add: list[str], drop: list[str], available: int
) -> None:
    found = capabilities(add, drop, False, available)
    assert found.permitted & ~available == 0
    assert found.permitted == found.effective == found.bounding
    assert found.inheritable == found.ambient == 0
    for name in add:
        if name != "ALL" and available >> ALL_CAPABILITIES.index(name) & 1:
            assert found.permitted >> ALL_CAPABILITIES.index(name) & 1


def test_default_dropped_all_and_privileged_sets() -> None:
    assert capabilities([], [], False, EVERY).permitted == sum(
        1 << ALL_CAPABILITIES.index(n) for n in DEFAULT_CAPABILITIES
    )
    assert capabilities([], ["ALL"], False, EVERY).permitted == 0
    assert capabilities(["cap_net_admin"], ["ALL"], False, EVERY).permitted == 1 << 12
    assert capabilities([], [], True, EVERY).permitted == EVERY
    with pytest.raises(IdentityError, match="FLY"):
        capabilities(["FLY"], [], False, EVERY)
