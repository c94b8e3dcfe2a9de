"""The files of volumes made of objects, and how they are replaced."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelite.node.volume import atomic
from kubelite.node.volume.errors import SourceNotReady, VolumeError
from kubelite.node.volume.payload import (
    File,
    is_made_of_objects,
    is_secret,
    payload,
)
from kubelite.objects.pod.volumes import Volume


class Objects:
    def config_map(self, name):
        return {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AAE="}} if name == "cm" else None

    def secret(self, name):
        return {"data": {"key": "czNjcjN0"}} if name == "s" else None

    def token(self, audience, seconds):
        return f"token for {audience or 'the API server'} {seconds}"

    def trust_bundle(self, name, signer, selector):
        return "-----BEGIN" if name == "ca" else None


def volume(**source):
    return msgspec.convert({"name": "v", **source}, Volume)


def files(**source):
    made = payload(volume(**source), Objects(), lambda item: f"value of {item.path}")
    return {path: (file.data, file.mode) for path, file in made.items()}


def test_a_config_map_gives_every_key_or_the_items_asked_for():
    assert files(configMap={"name": "cm"}) == {
        "a": (b"1", 0o644),
        "b": (b"2", 0o644),
        "c": (b"\0\1", 0o644),
    }
    items = [{"key": "a", "path": "conf/x"}, {"key": "b", "path": "y", "mode": 0o600}]
    assert files(configMap={"name": "cm", "items": items, "defaultMode": 0o400}) == {
        "conf/x": (b"1", 0o400),
        "y": (b"2", 0o600),
    }


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent secret key: z",
        ),
    ],
)
def test_what_is_missing_keeps_the_pod_waiting_unless_it_is_optional(source, sentence):
    with pytest.raises(SourceNotReady, match=sentence):
        files(**source)
    ((kind, fields),) = source.items()
    assert files(**{kind: fields | {"optional": True}}) == {}


def test_a_projected_volume_has_all_its_sources():
    sources = [
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "a"}]}},
        {"secret": {"name": "s", "items": [{"key": "key", "path": "my/key", "mode": 0o400}]}},
        {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "x"}}]}},
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 7200}},
        {"clusterTrustBundle": {"path": "ca.crt", "name": "ca"}},
    ]
    assert files(projected={"sources": sources, "defaultMode": 0o640}) == {
        "a": (b"1", 0o640),
        "my/key": (b"s3cr3t", 0o400),
        "labels": (b"value of labels", 0o640),
        "token": (b"token for the API server 7200", 0o640),
        "ca.crt": (b"-----BEGIN", 0o640),
    }


def test_which_volumes_are_made_of_objects_and_which_are_secret():
    token = {"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    assert is_secret(volume(secret={"secretName": "s"})) and is_secret(volume(**token))
    assert not is_secret(volume(configMap={"name": "cm"}))
    assert is_made_of_objects(volume(**token))
    assert not is_made_of_objects(volume(emptyDir={}))


# -- written to disk ------------------------------------------------------------------------------


def content(directory):
    """What a program sees: every file that is reachable without looking at names with two dots."""
    found = {}
    for top in os.listdir(directory):
        if top.startswith(".."):
            continue
        path = os.path.join(directory, top)
        if os.path.isfile(path):
            found[top] = Path(path).read_bytes()
        for folder, _, names in os.walk(path):
            for name in names:
                full = os.path.join(folder, name)
                found[os.path.relpath(full, directory)] = Path(full).read_bytes()
    return found


payloads = st.dictionaries(
    st.sampled_from(["a", "b", "c.conf", "dir/x", "dir/y", "deep/er/z", "..2hidden"]),
    st.builds(File, st.binary(max_size=4), st.sampled_from([0o644, 0o400, 0o600])),
    max_size=5,
)


@given(st.lists(payloads, min_size=1, max_size=4))
def test_the_directory_holds_exactly_the_last_payload(versions):
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        for version in versions:
            atomic.write(directory, version)
            visible = {p: f.data for p, f in version.items() if not p.startswith("..")}
            assert content(directory) == visible
            assert not atomic.write(directory, version), "the same again changes nothing"
        hidden = [name for name in os.listdir(directory) if name.startswith("..")]
        assert set(hidden) - {"..2hidden", "..data"} == {os.readlink(f"{directory}/..data")}


def test_modes_and_owner(tmp_path):
    atomic.write(str(tmp_path), {"k": File(b"x", 0o600)}, atomic.Owner(-1, 1234, group_reads=True))
    info = os.stat(tmp_path / "k")
    assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o640, 1234)
    atomic.write(str(tmp_path), {"k": File(b"x", 0o400)})
    assert stat.S_IMODE(os.stat(tmp_path / "k").st_mode) == 0o400


def test_directories_belong_to_the_group_and_hand_it_on(tmp_path):
    files = {"conf.d/deep/k": File(b"x", 0o600)}
    before = os.umask(0o077)
    try:
        atomic.write(str(tmp_path), files, atomic.Owner(-1, 1234, group_reads=True))
    finally:
        os.umask(before)
    for path in ("..data", "conf.d", "conf.d/deep"):
        info = os.stat(tmp_path / path)
        assert (stat.S_IMODE(info.st_mode), info.st_gid) == (0o2755, 1234), path


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        (atomic.Owner(), (0o644, 0, 0)),
        (atomic.Owner(1000), (0o600, 1000, 0)),
        (atomic.Owner(-1, 1234, group_reads=True), (0o640, 0, 1234)),
        (atomic.Owner(1000, 1234, group_reads=True), (0o640, 1000, 1234)),
    ],
)
def test_a_token_is_for_those_whom_the_volume_is_for(tmp_path, owner, expected):
    token = File(b"x", 0o644, is_token=True)
    atomic.write(str(tmp_path), {"token": token, "ca.crt": File(b"y", 0o644)}, owner)
    info, other = os.stat(tmp_path / "token"), os.stat(tmp_path / "ca.crt")
    assert (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == expected
    assert (stat.S_IMODE(other.st_mode), other.st_uid) == (0o644, 0)
    assert not atomic.write(str(tmp_path), {"token": token, "ca.crt": File(b"y", 0o644)}, owner)


@pytest.mark.parametrize("path", ["../k", "a/../../k", "/k", "", "k\0", ".."])
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    (tmp_path / "v").mkdir()
    with pytest.raises(VolumeError, match="no path below it"):
        atomic.write(str(tmp_path / "v"), {path: File(b"x", 0o600)})
    assert os.listdir(tmp_path / "v") == [] and os.listdir(tmp_path) == ["v"]


@pytest.mark.parametrize("step", ["mkdir", "open", "symlink", "rename", "unlink", "rmtree"])
def test_a_writer_that_was_killed_at_any_step_leaves_the_old_or_the_new(
    tmp_path, monkeypatch, step
):
    old, new = {"a": File(b"old", 0o644)}, {"a": File(b"new", 0o644), "b": File(b"new", 0o644)}
    atomic.write(str(tmp_path), old)

    class Killed(BaseException):
        pass

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(atomic.shutil if step == "rmtree" else atomic.os, step, kill)
        with pytest.raises(Killed):
            atomic.write(str(tmp_path), new)
    assert (tmp_path / "a").read_bytes() in (b"old", b"new")
    atomic.write(str(tmp_path), new)
    assert content(str(tmp_path)) == {"a": b"new", "b": b"new"}
    assert len([name for name in os.listdir(tmp_path) if name.startswith("..2")]) == 1


def test_a_writer_that_was_killed_before_its_links_is_finished_by_the_next(tmp_path):
    files = {"a": File(b"x", 0o644), "dir/b": File(b"y", 0o644)}
    atomic.write(str(tmp_path), files)
    (tmp_path / "a").unlink()
    assert atomic.write(str(tmp_path), files), "a link was missing"
    assert content(str(tmp_path)) == {"a": b"x", "dir/b": b"y"}
    assert not atomic.write(str(tmp_path), files)


def read_at(directory, name):
    file = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(file, 9)
    finally:
        os.close(file)


def test_a_reader_of_one_version_never_sees_two(tmp_path):
    directory = str(tmp_path)
    names = [f"k{number}" for number in range(50)]
    atomic.write(directory, dict.fromkeys(names, File(b"0", 0o644)))
    over, mixed = threading.Event(), []

    def read():
        while not over.is_set():
            version = os.open(f"{directory}/..data", os.O_PATH | os.O_DIRECTORY)
            try:
                seen = {read_at(version, name) for name in names}
            except FileNotFoundError:
                continue  # this version has gone meanwhile, as a program may find it
            finally:
                os.close(version)
            if len(seen) != 1:
                mixed.append(seen)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 101):
        atomic.write(directory, dict.fromkeys(names, File(str(number).encode(), 0o644)))
    over.set()
    reader.join()
    assert mixed == []
