"""The shim's own little C library against Python's idea of the same functions."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

BASE = Path(__file__).resolve().parents[2] / "csrc" / "base"
texts = st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=40).map(str.encode)
areas = st.binary(max_size=100)
bytes_ = st.integers(0, 255)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Its functions that need no kernel, in a library of their own that calls none but its own."""
    target = tmp_path_factory.mktemp("base") / "base.so"
    command = [
        "gcc",
        "-std=gnu11",
        "-D_GNU_SOURCE",
        "-O2",
        "-fno-builtin",
        "-fno-tree-loop-distribute-patterns",
    ]
    files = [str(BASE / name) for name in ("string.c", "print.c", "memory.c")]
    subprocess.run(
        [*command, "-shared", "-fPIC", "-Wl,-Bsymbolic", *files, "-o", str(target)], check=True
    )
    library = ctypes.CDLL(str(target))
    for name in (
        "malloc",
        "calloc",
        "memchr",
        "memrchr",
        "strchr",
        "strrchr",
        "strstr",
        "mempcpy",
        "stpcpy",
    ):
        getattr(library, name).restype = ctypes.c_void_p
    for name in ("strlen", "strnlen", "strspn", "strcspn"):
        getattr(library, name).restype = ctypes.c_size_t
    library.free.argtypes = [ctypes.c_void_p]
    return library


def printed(base: ctypes.CDLL, room: int, form: bytes, *args: object) -> tuple[int, bytes]:
    out = ctypes.create_string_buffer(b"#" * 300, 300)
    size = base.snprintf(out, ctypes.c_size_t(room), form, *args)
    assert out.raw[room:] == (b"#" * 300)[room:], "written past the end"
    return size, out.value if room else b""


@given(
    text=texts,
    number=st.integers(-(2**31), 2**31 - 1),
    wide=st.integers(0, 2**64 - 1),
    room=st.integers(0, 250),
)
def test_messages_are_formatted_as_everywhere(
    base: ctypes.CDLL, text: bytes, number: int, wide: int, room: int
) -> None:
    form = b"%s|%.3s|%d|%u|%#x|%08x|%02x|%llu|%zu|%#llx|%lld."
    low = number & 0xFFFFFFFF
    signed = wide - (1 << 64) if wide >> 63 else wide
    hexadecimal = [b"0x%x" % n if n else b"0" for n in (low, wide)]
    expected = b"%s|%s|%d|%d|%s|%08x|%02x|%d|%d|%s|%d." % (
        text, text[:3], number, low, hexadecimal[0], low, low, wide, wide, hexadecimal[1], signed,
    )  # fmt: skip
    c_int, c_wide = ctypes.c_int(number), ctypes.c_uint64(wide)
    args = (text, text, c_int, c_int, c_int, c_int, c_int, c_wide, c_wide, c_wide, c_wide)
    assert printed(base, room, form, *args) == (len(expected), expected[: max(room - 1, 0)])


def test_widths_and_precision_from_an_argument(base: ctypes.CDLL) -> None:
    two, number = ctypes.c_int(2), ctypes.c_int(-42)
    assert printed(base, 100, b"[%.*s][%5d]", two, b"abcdef", number) == (11, b"[ab][  -42]")
    assert printed(base, 100, b"%05d", number) == (5, b"-0042")


@given(area=areas, byte=bytes_)
def test_searches_in_areas(base: ctypes.CDLL, area: bytes, byte: int) -> None:
    buffer = ctypes.create_string_buffer(area, len(area) + 1)
    start, size = ctypes.addressof(buffer), ctypes.c_size_t(len(area))

    def place(found: int | None) -> int:
        return -1 if found is None else found - start

    assert place(base.memchr(buffer, byte, size)) == area.find(byte)
    assert place(base.memrchr(buffer, byte, size)) == area.rfind(byte)


@given(text=texts, other=texts, most=st.integers(0, 50))
def test_strings(base: ctypes.CDLL, text: bytes, other: bytes, most: int) -> None:
    buffer = ctypes.create_string_buffer(text)
    start, limit = ctypes.addressof(buffer), ctypes.c_size_t(most)

    def place(found: int | None) -> int:
        return -1 if found is None else found - start

    def sign(number: int) -> int:
        return (number > 0) - (number < 0)

    assert base.strlen(buffer) == len(text)
    assert base.strnlen(buffer, limit) == min(len(text), most)
    assert base.strspn(buffer, other) == len(text) - len(text.lstrip(other) if other else text)
    assert base.strcspn(buffer, other) == min(
        (text.find(b) for b in other if b in text), default=len(text)
    )
    assert place(base.strstr(buffer, other)) == text.find(other)
    assert sign(base.strcmp(buffer, other)) == (text > other) - (text < other)
    assert sign(base.strncmp(buffer, other, limit)) == (text[:most] > other[:most]) - (
        text[:most] < other[:most]
    )
    for byte in {*other[:2], 0}:
        found = len(text) if byte == 0 else text.find(byte)
        assert place(base.strchr(buffer, byte)) == found
        assert place(base.strrchr(buffer, byte)) == (len(text) if byte == 0 else text.rfind(byte))


@given(area=st.binary(min_size=1, max_size=100), cut=st.data())
def test_copies_may_overlap_where_they_may(
    base: ctypes.CDLL, area: bytes, cut: st.DataObject
) -> None:
    size = cut.draw(st.integers(0, len(area)))
    source, target = (cut.draw(st.integers(0, len(area) - size)) for _ in range(2))
    buffer = ctypes.create_string_buffer(area, len(area))
    start = ctypes.addressof(buffer)
    moved = bytearray(area)
    moved[target : target + size] = area[source : source + size]
    base.memmove(
        ctypes.c_void_p(start + target), ctypes.c_void_p(start + source), ctypes.c_size_t(size)
    )
    assert buffer.raw == moved
    out = ctypes.create_string_buffer(b"#" * 120, 120)
    end = base.mempcpy(out, area, ctypes.c_size_t(size))
    assert end - ctypes.addressof(out) == size
    assert out.raw == area[:size] + b"#" * (120 - size)


@settings(max_examples=40)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 70_000)), max_size=120))
def test_memory_is_aligned_ones_own_and_reused(
    base: ctypes.CDLL, steps: list[tuple[bool, int]]
) -> None:
    held: list[tuple[int, int, int]] = []
    for number, (release, size) in enumerate(steps):
        if release and held:
            address, length, mark = held.pop(size % len(held))
            assert ctypes.string_at(address, length) == bytes([mark]) * length
            base.free(address)
            continue
        address = base.calloc(ctypes.c_size_t(1), ctypes.c_size_t(size))
        assert address and address % 16 == 0
        assert ctypes.string_at(address, size) == bytes(size)
        ctypes.memset(address, number % 251 + 1, size)
        held.append((address, size, number % 251 + 1))
    for address, length, mark in held:
        assert ctypes.string_at(address, length) == bytes([mark]) * length
        base.free(address)


def test_impossible_sizes_are_refused(base: ctypes.CDLL) -> None:
    for count, size in ((1, 2**64 - 1), (2**33, 2**33), (1, 2**63)):
        assert base.calloc(ctypes.c_size_t(count), ctypes.c_size_t(size)) is None
    base.free(None)


def test_the_shim_has_no_other_library_in_it() -> None:
    program = Path(__file__).resolve().parents[2] / "kubelite" / "bin" / "kubelite-shim"
    assert b"GLIBC" not in program.read_bytes()
    assert program.stat().st_size < 100_000
