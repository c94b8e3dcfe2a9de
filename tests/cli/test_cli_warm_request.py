"""The launcher's requests: read as they were packed, and refused where something is odd."""

from __future__ import annotations

import pytest

from kubelite.cli.warm.request import HEAD, MAX_REQUEST, VERSION, is_served, parse, size_of


def packed(
    arguments: list[bytes], variables: list[bytes], *, version: int = VERSION, ignored: int = 0
) -> bytes:
    texts = b"".join(text + b"\0" for text in (*arguments, *variables))
    size = HEAD.size + len(texts)
    head = (version, size, len(arguments), len(variables), ignored, 1 << 14, 0o27, 0)
    return HEAD.pack(*head) + texts


def test_a_request_is_read_as_it_was_packed() -> None:
    message = packed([b"kubelite", b"pod", b"", b"\xff"], [b"A=1=2", b"B="], ignored=0b11)
    assert size_of(message) == len(message)
    request = parse(message)
    assert request.arguments == ["kubelite", "pod", "", "\udcff"]
    assert request.environment == {b"A": b"1=2", b"B": b""}
    assert (request.ignored, request.blocked) == ({1, 2}, {15})
    assert request.umask == 0o27


@pytest.mark.parametrize(
    "message",
    [
        packed([], []),
        packed([b"kubelite"], [])[:-1],
        packed([b"kubelite"], []) + b"more",
        HEAD.pack(VERSION, HEAD.size, 3, 0, 0, 0, 0, 0),
    ],
    ids=["no program", "no end", "more than announced", "fewer than announced"],
)
def test_a_request_that_does_not_hold_what_it_says_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="does not hold"):
        parse(message)


@pytest.mark.parametrize(
    ("version", "size"), [(VERSION + 1, 100), (VERSION, HEAD.size - 1), (VERSION, MAX_REQUEST + 1)]
)
def test_a_head_of_another_version_or_size_is_refused(version: int, size: int) -> None:
    with pytest.raises(ValueError, match="another version"):
        size_of(HEAD.pack(version, size, 0, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("words", "variables", "served"),
    [
        (b"pod ls", b"", True),
        (b"--root /x -n b image ls", b"", True),
        (b"server", b"", False),
        (b"up", b"", False),
        (b"node run", b"", False),
        (b"", b"", False),
        (b"pod ls", b"PYTHONUTF8=1", False),
        (b"pod ls", b"LC_ALL=de_DE", False),
        (b"pod ls", b"LC_CTYPE=C.UTF-8", True),
        (b"pod ls", b"LC_ALL= LANG=C", True),
        (b"pod ls", b"TZ=Asia/Tokyo", True),
    ],
)
def test_what_a_warm_process_serves(words: bytes, variables: bytes, served: bool) -> None:
    request = parse(packed([b"kubelite", *words.split()], [b"HOME=/", *variables.split()]))
    assert is_served(request, {b"HOME": b"/root"}) is served
