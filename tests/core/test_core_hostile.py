"""A shim that is sent rubbish over its socket: it answers or hangs up, and serves the next caller
as before.

KUBELITE_FUZZ_SECONDS makes it longer; with KUBELITE_SHIM it is done to a build with sanitizers. The
seed is in every failure.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from kubelite.core import native, protocol
from kubelite.core import shim as shims
from kubelite.core.errors import NativeError
from kubelite.core.plan import IdMap, Mount, MountKind, Namespace, Plan, encode
from kubelite.core.protocol import Message, Role, StartFlag
from tests.core.shimworld import LOG, PAUSE, SHARED, World, new_id

SECONDS = float(os.environ.get("KUBELITE_FUZZ_SECONDS", "3"))


def seeds(world: World, chance: random.Random) -> list[bytes]:
    """Sound packets about processes that are there, and about ones that are not."""
    ids = [world.pause_id, new_id(), "0" * 64]
    id = chance.choice(ids)
    return [
        protocol.pack(Message.HELLO, 1, protocol.hello()),
        protocol.pack(
            Message.START,
            2,
            protocol.start(
                new_id(), Role.CONTAINER, StartFlag.LOG | StartFlag.STDIN, attempt=1, log=LOG
            ),
        ),
        protocol.pack(
            Message.START, 3, protocol.start(new_id(), Role.EXEC, StartFlag.ATTACH, target=id)
        ),
        protocol.pack(Message.START, 4, protocol.start(world.pause_id, Role.PAUSE, StartFlag.NONE)),
        protocol.pack(Message.SIGNAL, 5, protocol.signal(id, chance.choice([0, 15, 65, -1]))),
        protocol.pack(Message.STATE, 6),
        protocol.pack(Message.WAIT, 7, protocol.identity(id)),
        protocol.pack(Message.ACK, 8, protocol.identity(id)),
        protocol.pack(Message.ATTACH, 9, protocol.attach(id, chance.randrange(16))),
        protocol.pack(Message.DATA, 10, chance.randbytes(chance.randrange(200))),
        protocol.pack(Message.RESIZE, 11, protocol.window(24, 80)),
        *(
            protocol.pack(type, 12)
            for type in (Message.END, Message.DETACH, Message.STARTED, Message.OK, Message.ERROR)
        ),
    ]


def spoiled(packet: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, a piece cut off or added, or nothing; never an order to end the pod or
    to kill pause.
    """
    data = bytearray(packet)
    for _ in range(chance.choice([0, 0, 1, 2, 8])):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    cut = chance.choice([len(data)] * 4 + [chance.randrange(len(data) + 1)])
    data = data[:cut] + chance.randbytes(chance.choice([0, 0, 0, 1, 70]))
    if data[:2] in (b"\x0c\x00", b"\x03\x00"):
        data[:2] = b"\x04\x00"
    return bytes(data)


def luggage(plan: int, chance: random.Random) -> Iterator[int]:
    """Descriptors to send along: the plan, something else, or far too many."""
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        yield from chance.choice(
            [[], [plan], [plan, null], [null], [null, plan, plan], [null] * 250]
        )
    finally:
        os.close(null)


def test_a_shim_survives_what_it_does_not_understand(world: World) -> None:
    world.pause()
    seed = int(os.environ.get("KUBELITE_FUZZ_SEED") or time.time_ns() % (1 << 32))
    chance, sent = random.Random(seed), 0
    plan = shims.sealed(encode(world.plan("/bin/true", mounts=(), join_ns=SHARED)))
    pause = shims.sealed(encode(PAUSE))
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(f"/proc/self/fd/{world.directory}/shim.sock")
        sock.settimeout(2)
        with sock, suppress(OSError):
            for _ in range(chance.randrange(1, 12)):
                packet = spoiled(chance.choice(seeds(world, chance)), chance)
                socket.send_fds(
                    sock, [packet or b"\0"], list(luggage(chance.choice([plan, pause]), chance))
                )
                sent += 1
            sock.setblocking(False)
            while chance.random() < 0.7 and sock.recv(1 << 16):
                pass
        assert not world.gone(), f"the shim has ended: KUBELITE_FUZZ_SEED={seed}, packet {sent}"
        if chance.random() < 0.05:
            with world.connect() as shim:
                assert shim.processes(), f"KUBELITE_FUZZ_SEED={seed}"
    os.close(plan)
    os.close(pause)
    assert sent > 20


# -- more than sixteen bits count (CVE-2021-43784) -------------------------------------------------

MANY = 70_000


def test_seventy_thousand_mounts_are_read_one_by_one() -> None:
    bind = Mount(MountKind.BIND, "/mnt", "/mnt")
    whole = Plan(mounts=tuple(Mount(MountKind.BIND, f"/m{n}", "/mnt") for n in range(MANY)))
    lines = [
        line for line in native.plan_text(encode(whole)).splitlines() if line.startswith("mount ")
    ]
    assert len(lines) == MANY
    assert lines[-1].split()[5] == f"/m{MANY - 1}"
    with pytest.raises(NativeError, match="mounts"):
        native.plan_check(encode(Plan(mounts=(bind,) * 100_001)), 0)


def test_a_megabyte_of_environment_arrives(world: World) -> None:
    env = tuple(f"V{n}={n % 10}" + "x" * 65_000 for n in range(16))
    id = world.start(
        world.plan("sh", "-c", "env | grep -c '^V'; env | wc -c", env=("PATH=/usr/bin:/bin", *env))
    )
    assert world.exit(id).code == 0
    count, size = (int(record.text) for record in world.log())
    assert count == 16
    assert size > 1_000_000


def test_more_maps_than_the_kernel_takes_are_refused() -> None:
    for count in (341, 65_537, MANY):
        maps = tuple(IdMap(n, n, 1) for n in range(count))
        with pytest.raises(NativeError, match="uid_map"):
            native.plan_check(encode(Plan(new_ns=Namespace.USER, uid_map=maps, gid_map=maps)), 0)
