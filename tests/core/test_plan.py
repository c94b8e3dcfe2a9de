"""The launch plan: what Python encodes C decodes, and no mutation of the bytes gets past the check
unnoticed or crashes it.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.core import native
from kubelite.core.errors import NativeError
from kubelite.core.plan import (
    NO_FD,
    Attr,
    Caps,
    Device,
    Flag,
    IdMap,
    Module,
    Mount,
    MountFlag,
    MountKind,
    Namespace,
    Plan,
    Rlimit,
    Root,
    encode,
)

DESCRIPTORS = 6
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
paths = texts.map(lambda text: "/" + text)
ids = st.integers(0, 0xFFFFFFFE)
u64 = st.integers(0, 2**64 - 1)
fds = st.integers(0, DESCRIPTORS - 1)
attrs = st.integers(0, 31).map(Attr)
binds = st.builds(
    Mount,
    kind=st.just(MountKind.BIND),
    target=paths,
    source=paths,
    options=texts,
    attr=attrs,
    flags=st.integers(0, 7).map(MountFlag),
    name=texts,
)
descriptor_binds = st.builds(
    Mount,
    kind=st.just(MountKind.BIND_FD),
    target=paths,
    source=fds,
    options=texts,
    attr=attrs,
    flags=st.sampled_from([MountFlag.NONE, MountFlag.FILE]),
    name=texts,
)
systems = st.builds(
    Mount,
    kind=st.sampled_from([k for k in MountKind if MountKind.BIND_FD < k < MountKind.LAYERS]),
    source=st.just(""),
    target=paths,
    options=texts,
    attr=attrs,
    flags=st.just(MountFlag.NONE),
    name=texts,
)
layers = st.builds(
    Mount,
    kind=st.just(MountKind.LAYERS),
    source=paths,
    target=paths,
    options=texts,
    attr=attrs,
    flags=st.just(MountFlag.NONE),
    name=texts,
)
devices = st.builds(
    Device,
    path=paths,
    mode=st.sampled_from([0o020666, 0o060600]),
    major=st.integers(0, 4095),
    minor=st.integers(0, 4095),
    uid=ids,
    gid=ids,
)
rlimits = st.tuples(st.integers(0, 15), u64, u64).map(lambda t: Rlimit(t[0], *sorted(t[1:])))
sysctls = st.tuples(
    st.from_regex(r"[a-z][a-z_/0-9]{0,30}", fullmatch=True),
    texts.map(lambda t: t.replace("\n", " ")),
)
labels = st.tuples(st.sampled_from(Module), texts.map(lambda t: "u" + t.replace("\n", " ")))
maps = st.lists(
    st.builds(
        IdMap,
        inside=st.integers(0, 1000),
        outside=st.integers(0, 2**31),
        size=st.integers(1, 65536),
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    user, joins = draw(st.sampled_from([(False, False), (True, False), (False, True)]))
    namespaces = list(Namespace)
    new = Namespace.MOUNT
    join = Namespace.USER if joins else Namespace(0)
    for space in namespaces:
        if space not in (Namespace.USER, Namespace.MOUNT):
            choice = draw(st.integers(0, 2))
            new |= space if choice == 1 else Namespace(0)
            join |= space if choice == 2 else Namespace(0)
    flags = draw(st.integers(0, 255).map(Flag)) & ~Flag.SECCOMP
    filter = draw(st.binary(max_size=5).map(lambda b: b * 8))
    return Plan(
        args=draw(st.lists(texts, max_size=5).map(tuple)),
        env=draw(st.lists(texts, max_size=5).map(tuple)),
        cwd=draw(st.one_of(st.just(""), paths)),
        flags=flags | (Flag.SECCOMP if filter else Flag.NONE),
        new_ns=new | (Namespace.USER if user else Namespace(0)),
        join_ns=join,
        uid=draw(ids),
        gid=draw(ids),
        groups=draw(st.lists(ids, max_size=4).map(tuple)),
        umask=draw(st.integers(0, 0o777)),
        oom_score_adj=draw(st.integers(-1000, 1000)),
        root=draw(st.sampled_from([each for each in Root if joins or each is not Root.IDMAPPED])),
        root_fd=draw(fds),
        root_base=draw(paths),
        root_options=draw(texts),
        hostname=draw(texts),
        domainname=draw(texts),
        cgroup_fd=draw(st.one_of(st.just(NO_FD), fds)),
        caps=Caps(*[draw(u64) for _ in range(5)]),
        mounts=draw(
            st.lists(st.one_of(binds, descriptor_binds, systems, layers), max_size=5).map(tuple)
        ),
        masked=draw(st.lists(paths, max_size=3).map(tuple)),
        readonly=draw(st.lists(paths, max_size=3).map(tuple)),
        devices=draw(st.lists(devices, max_size=3).map(tuple)),
        rlimits=draw(st.lists(rlimits, max_size=3).map(tuple)),
        sysctls=draw(st.lists(sysctls, max_size=3).map(tuple)),
        uid_map=draw(maps) if user else (),
        gid_map=draw(maps) if user else (),
        cgroups=draw(st.lists(fds, max_size=4).map(tuple)),
        seccomp=filter,
        labels=draw(st.lists(labels, max_size=2).map(tuple)),
    )


def shown(text: str) -> str:
    return "".join(
        chr(byte) if 0x21 <= byte <= 0x7E and byte != 0x5C else f"\\x{byte:02x}"
        for byte in text.encode()
    )


def expected_text(plan: Plan) -> str:
    """The text of a plan as the C decoder prints it, from the Python values."""
    lines = [
        f"flags {int(plan.flags)}",
        f"new_ns {int(plan.new_ns)}",
        f"join_ns {int(plan.join_ns)}",
        f"uid {plan.uid}",
        f"gid {plan.gid}",
        f"umask {plan.umask}",
        f"oom_score_adj {plan.oom_score_adj + 1000}",
        f"root_kind {int(plan.root)}",
        f"root_fd {plan.root_fd}",
        f"cgroup_fd {plan.cgroup_fd}",
        *(f"{name} {getattr(plan.caps, name)}" for name in Caps._fields),
        f"root_base {shown(plan.root_base) if plan.root in (Root.OVERLAY, Root.IDMAPPED) else ''}",
        f"root_options {shown(plan.root_options)}",
        f"cwd {shown(plan.cwd)}",
        f"hostname {shown(plan.hostname)}",
        f"domainname {shown(plan.domainname)}",
        *(f"arg {shown(a)}" for a in plan.args),
        *(f"env {shown(e)}" for e in plan.env),
        *(f"groups {g}" for g in plan.groups),
        *(f"uid_map {m.inside} {m.outside} {m.size}" for m in plan.uid_map),
        *(f"gid_map {m.inside} {m.outside} {m.size}" for m in plan.gid_map),
    ]
    for m in plan.mounts:
        source = m.source if isinstance(m.source, int) else shown(m.source)
        lines.append(
            f"mount {int(m.kind)} {int(m.flags)} {int(m.attr)} {source} {shown(m.target)} "
            f"{shown(m.options)} {shown(m.name)}"
        )
    lines += [
        f"device {shown(d.path)} {d.mode} {d.major} {d.minor} {d.uid} {d.gid}" for d in plan.devices
    ]
    lines += [f"rlimit {r.resource} {r.soft} {r.hard}" for r in plan.rlimits]
    lines += [f"sysctl {shown(path)} {shown(value)}" for path, value in plan.sysctls]
    lines += [f"label {int(module)} {shown(value)}" for module, value in plan.labels]
    lines += [f"masked {shown(p)}" for p in plan.masked]
    lines += [f"readonly {shown(p)}" for p in plan.readonly]
    lines += [f"cgroups {fd}" for fd in plan.cgroups]
    lines.append(f"filter {len(plan.seccomp)}")
    return "\n".join(lines) + "\n"


@settings(max_examples=300, deadline=None)
@given(plans())
def test_c_decodes_what_python_encodes(plan: Plan) -> None:
    data = encode(plan)
    native.plan_check(data, DESCRIPTORS)
    assert native.plan_text(data) == expected_text(plan)


@settings(max_examples=600, deadline=None)
@given(plans(), st.data())
def test_a_mutated_plan_is_refused_or_reads_as_another_sound_plan(
    plan: Plan, data: st.DataObject
) -> None:
    raw = bytearray(encode(plan))
    for _ in range(data.draw(st.integers(1, 4))):
        where = data.draw(st.integers(0, len(raw) - 1))
        raw[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))
    mutated = bytes(raw[:cut])
    try:
        native.plan_check(mutated, DESCRIPTORS)
    except NativeError as error:
        assert error.step == "decode launch plan"
    else:
        assert native.plan_text(mutated).startswith("flags ")


@pytest.mark.parametrize(
    ("plan", "where"),
    [
        (Plan(uid=0xFFFFFFFF), "identity"),
        (Plan(groups=(0xFFFFFFFF,)), "groups"),
        (Plan(cgroups=(DESCRIPTORS,)), "cgroups"),
        (Plan(cgroup_fd=DESCRIPTORS), "cgroup_fd"),
        (Plan(cwd="relative"), "cwd"),
        (Plan(masked=("proc",)), "masked"),
        (Plan(root=Root.EMPTY), "root without mount namespace"),
        (
            Plan(root=Root.IDMAPPED, new_ns=Namespace.MOUNT, root_base="/"),
            "root without user namespace",
        ),
        (Plan(new_ns=Namespace.NET, join_ns=Namespace.NET), "namespaces"),
        (Plan(new_ns=Namespace.USER), "uid_map"),
        (Plan(uid_map=(IdMap(0, 1, 1),)), "uid_map"),
        (Plan(sysctls=(("net/../kernel/core_pattern", "x"),)), "sysctls"),
        (Plan(sysctls=(("kernel/shm_rmid_forced", "1\nx"),)), "sysctls"),
        (Plan(mounts=(Mount(MountKind.BIND, "/x", "relative"),)), "mounts"),
        (Plan(mounts=(Mount(MountKind.LAYERS, "/x", "relative"),)), "mounts"),
        (Plan(mounts=(Mount(MountKind.BIND_FD, "/x", DESCRIPTORS),)), "mounts"),
        (Plan(devices=(Device("/dev/x", 0o100644, 1, 1),)), "devices"),
        (Plan(rlimits=(Rlimit(7, 2, 1),)), "rlimits"),
        (Plan(seccomp=b"1234567"), "filter"),
        (Plan(labels=((Module.SELINUX, ""),)), "labels"),
        (Plan(labels=((Module.APPARMOR, "exec a\nexec b"),)), "labels"),
        (Plan(labels=((Module.APPARMOR, "exec a"),) * 3), "labels"),
    ],
)
def test_an_unsound_value_is_named(plan: Plan, where: str) -> None:
    with pytest.raises(NativeError) as caught:
        native.plan_check(encode(plan), DESCRIPTORS)
    assert caught.value.object.startswith(where)


def test_a_text_with_nul_is_refused_before_c_is_entered() -> None:
    with pytest.raises(ValueError, match="NUL"):
        encode(Plan(args=("a\0b",)))
