"""Pulling from a real registry: whole, by digest, again after a cut, and what refuses to be
pulled.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from kubelite.lib.files import FileLock
from kubelite.node.image.errors import PullError
from kubelite.node.image.reference import parse
from kubelite.node.image.registry import connection
from kubelite.node.image.registry.config import Registry as RegistryEntry
from kubelite.node.image.registry.connection import RegistryRefusal, RegistryUnreachable
from kubelite.node.image.registry.pull import pull
from kubelite.node.image.registry.settings import Settings
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.cluster.image_collection import collect
from kubelite.node.kubelet.decide.image_pulls import must_verify
from kubelite.node.kubelet.decide.node_config import NodeConfig
from kubelite.node.runtime.home import Home
from tests.node.image.registry import Registry, docker_config

NO_SETTINGS = Settings()
BIG = os.urandom(6 << 20)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_DELAY", 0.01)


@pytest.fixture
def layers(build):
    return [
        build.layer(build.entry("dir", "etc"), build.entry("file", "etc/base", BIG)),
        build.layer(build.entry("file", "top", b"top"), compress=True),
    ]


@pytest.fixture
def pushed(build, layers, registry, tmp_path):
    """The name of an image in the registry, without the host."""
    layout = build.layout(tmp_path / "layout", [({}, layers)])
    name = f"team/app-{os.urandom(4).hex()}"
    registry.push(layout.path, f"{name}:v1")
    return f"{name}:v1"


def fetch(images: Path, name: str, settings: Settings = NO_SETTINGS, **options: Any):
    return pull(ImageStore(images), parse(name), settings, **options)


def left(images: Path) -> list[str]:
    return sorted(p.name for p in (images / "pulls").glob("*") if not p.name.endswith(".lock"))


def test_an_image_comes_whole_and_tells_how_far_it_is(registry, pushed, images, layers):
    told: dict[str, list[tuple[int, int]]] = {}
    loaded = fetch(
        images,
        f"{registry.host}/{pushed}",
        progress=lambda digest, done, total: told.setdefault(digest, []).append((done, total)),
    )
    image = ImageStore(images).get(f"{registry.host}/{pushed}")
    assert image == loaded.image
    assert (image.layers[0] / "etc/base").read_bytes() == BIG
    assert (image.layers[1] / "top").read_bytes() == b"top"
    assert all(steps[-1][0] == steps[-1][1] for steps in told.values())
    assert [steps == sorted(steps) for steps in told.values()] == [True, True]
    assert left(images) == []


def test_layers_that_are_there_are_not_fetched_again(
    build, layers, proxy, registry, images, tmp_path
):
    more = [layers[0], build.layer(build.entry("file", "other", b"other"))]
    for name, content in (("one", layers), ("two", more)):
        layout = build.layout(tmp_path / name, [({}, content)])
        registry.push(layout.path, f"shared/{name}:1")
    fetch(images, f"{proxy.host}/shared/one:1")
    proxy.requests.clear()
    fetch(images, f"{proxy.host}/shared/two:1")
    blobs = [path for path, _ in proxy.requests if "/blobs/" in path]
    assert len(blobs) == 2, "the configuration and the one new layer"


def test_by_digest_and_only_that_one(proxy, registry, pushed, images):
    name = pushed.partition(":")[0]
    inspected = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/{pushed}"],
        check=True,
        capture_output=True,
    )
    digest = json.loads(inspected.stdout)["Digest"]
    fetch(images, f"{proxy.host}/{name}@{digest}")
    assert ImageStore(images).get(f"{proxy.host}/{name}@{digest}")
    proxy.disturb = answer_manifests_with(b'{"schemaVersion": 2}')
    with pytest.raises(RegistryRefusal, match="another manifest"):
        fetch(images / "other", f"{proxy.host}/{name}@{digest}")


def test_the_platform_of_this_machine_is_chosen(build, layers, registry, images, tmp_path):
    layout = build.layout(tmp_path / "many", [({}, layers)])
    index = json.loads((layout.path / "index.json").read_text())
    ours = index["manifests"][0] | {
        "platform": {"os": "linux", "architecture": build.config([])["architecture"]}
    }
    other = index["manifests"][0] | {"platform": {"os": "linux", "architecture": "mips"}}
    nested = layout.document(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [other, ours],
        },
        "application/vnd.oci.image.index.v1+json",
    )
    layout.index([nested])
    registry.push(layout.path, "team/many:1")
    assert fetch(images, f"{registry.host}/team/many:1").image.layers


# -- faults ---------------------------------------------------------------------------------------


def answer_manifests_with(data: bytes):
    def disturb(handler, path, body):
        if "/manifests/" not in path:
            return False
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
        return True

    return disturb


def cut_blobs(times: int, share: float = 0.5):
    """Ends the connection in the middle of the first blobs that are larger than a megabyte."""
    counter = iter(range(times))

    def disturb(handler, path, body):
        if "/blobs/" not in path or len(body) < 1 << 20 or next(counter, None) is None:
            return False
        handler.send_response(206 if handler.headers.get("Range") else 200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: int(len(body) * share)])
        handler.wfile.flush()
        handler.connection.shutdown(socket.SHUT_RDWR)
        return True

    return disturb


def test_a_transfer_that_is_cut_goes_on_where_it_ended(proxy, pushed, images):
    proxy.disturb = cut_blobs(2)
    loaded = fetch(images, f"{proxy.host}/{pushed}")
    assert (loaded.image.layers[0] / "etc/base").read_bytes() == BIG
    ranges = [ranged for path, ranged in proxy.requests if "/blobs/" in path and ranged]
    assert len(ranges) == 2 and all(int(r[6:-1]) > 1 << 20 for r in ranges)


def test_a_killed_pull_is_continued_by_the_next(proxy, pushed, images):
    kill_in_a_pull(images, f"{proxy.host}/{pushed}")
    proxy.requests.clear()
    fetch(images, f"{proxy.host}/{pushed}")
    assert any(ranged or "/blobs/" in path for path, ranged in proxy.requests)
    assert left(images) == []


def test_a_killed_pull_that_nobody_continues_can_be_forgotten(proxy, pushed, images):
    kill_in_a_pull(images, f"{proxy.host}/{pushed}")
    (begun,) = left(images)
    with FileLock(f"{images}/pulls/{begun}.lock"):
        ImageStore(images).forget_pulls()  # somebody goes on with it
        assert left(images) == [begun]
    ImageStore(images).forget_pulls()
    assert os.listdir(images / "pulls") == []


def kill_in_a_pull(images: Path, name: str) -> None:
    stop = f"""
import sys
from pathlib import Path
sys.path.insert(0, {os.getcwd()!r})
from kubelite.node.image.registry.pull import pull
from kubelite.node.image.registry.settings import Settings
from kubelite.node.image.reference import parse
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
import os, signal
def tell(digest, done, total):
    if done > total / 3: os.kill(os.getpid(), signal.SIGKILL)
pull(ImageStore(Path({str(images)!r})), parse({name!r}), Settings(), progress=tell)
"""
    killed = subprocess.run([sys.executable, "-c", stop], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(left(images)) == 1


def test_a_corrupted_blob_is_refused_and_leaves_nothing_that_counts(proxy, pushed, images):
    def disturb(handler, path, body):
        if "/blobs/" not in path or len(body) < 1 << 20:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:-1] + bytes([body[-1] ^ 1]))
        return True

    proxy.disturb = disturb
    with pytest.raises(RegistryRefusal, match="does not match its digest"):
        fetch(images, f"{proxy.host}/{pushed}")
    assert ImageStore(images).list() == []
    proxy.disturb = lambda handler, path, body: False
    assert fetch(images, f"{proxy.host}/{pushed}").image.layers


@pytest.mark.parametrize("is_date", [False, True])
def test_a_busy_registry_is_asked_again_when_it_says_so(is_date, proxy, pushed, images):
    began, refusals = time.monotonic(), iter(range(2))

    def disturb(handler, path, body):
        if next(refusals, None) is None:
            return False
        handler.send_response(429)
        later = formatdate(time.time() + 2, usegmt=True) if is_date else "1"
        handler.send_header("Retry-After", later)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    proxy.disturb = disturb
    fetch(images, f"{proxy.host}/{pushed}")
    assert time.monotonic() - began >= 2


@pytest.mark.parametrize(
    ("code", "sentence"), [(429, "limits how often it is asked: 429"), (503, "is busy: 503")]
)
def test_a_registry_that_stays_busy_says_why(code, sentence, proxy, pushed, images):
    def disturb(handler, path, body):
        text = (
            b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "you have reached your limit"}]}'
        )
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)
        return True

    proxy.disturb = disturb
    with pytest.raises(RegistryUnreachable) as caught:
        fetch(images, f"{proxy.host}/{pushed}")
    cause = f'registry {proxy.host} {sentence} ("you have reached your limit")'
    assert caught.value.message == cause
    assert bool(caught.value.hint) == (code == 429)


def test_what_is_not_there(registry, images):
    with pytest.raises(RegistryRefusal, match="no manifest v9 of team/none") as caught:
        fetch(images, f"{registry.host}/team/none:v9")
    assert (caught.value.code, caught.value.reason) == (404, "ErrImagePull")


def test_nobody_answers(images):
    with pytest.raises(RegistryUnreachable, match=r"127\.0\.0\.1:1 cannot be reached: Connect"):
        fetch(images, "127.0.0.1:1/app:1")


# -- who one is -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    pytest.importorskip("bcrypt")
    registry = Registry(tmp_path_factory.mktemp("private"), "ann", "s3cret")
    yield registry
    registry.close()


@pytest.fixture
def hidden(build, layers, private, tmp_path):
    layout = build.layout(tmp_path / "layout", [({}, layers)])
    private.push(layout.path, "team/hidden:1", "--dest-creds=ann:s3cret")
    return f"{private.host}/team/hidden:1"


def test_without_or_with_wrong_credentials_access_is_denied(private, hidden, images):
    for settings in (Settings(), Settings((), (docker_config(private.host, "ann", "wrong"),))):
        with pytest.raises(RegistryRefusal, match="access denied") as caught:
            fetch(images, hidden, settings)
        assert caught.value.code == 401
        assert "imagePullSecrets" in caught.value.hint


def test_credentials_of_the_machine_and_of_the_pod_open_it(private, hidden, images, tmp_path):
    login = docker_config(private.host, "ann", "s3cret")
    fetch(images, hidden, Settings((), (docker_config("other", "x", "y"), login)))
    data = {".dockerconfigjson": base64.b64encode(json.dumps(login).encode()).decode()}
    wrong = Settings((), (docker_config(private.host, "ann", "wrong"),))
    fetch(tmp_path / "second", hidden, wrong, secrets=[{"data": data}])


def test_a_credential_helper_is_asked(private, hidden, images, tmp_path, monkeypatch):
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"Username":"ann","Secret":"s3cret"}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:{os.environ['PATH']}")
    fetch(images, hidden, Settings((), ({"credHelpers": {private.host: "test"}},)))


# -- mirrors --------------------------------------------------------------------------------------


def test_a_mirror_is_asked_first_and_the_registry_after_it(registry, pushed, images, tmp_path):
    name, _, tag = pushed.partition(":")
    entry = RegistryEntry(
        "registry.example/team",
        f"{registry.host}/team",
        mirrors=(("127.0.0.1:1/team", False, "all"),),
    )
    loaded = fetch(images, f"registry.example/{name}:{tag}", Settings((entry,)))
    assert loaded.image.names == (f"registry.example/{name}:{tag}",)
    blocked = Settings((entry._replace(blocked=True),))
    with pytest.raises(PullError, match="blocked"):
        fetch(tmp_path / "other", f"registry.example/{name}:{tag}", blocked)


def test_a_layer_of_the_registry_s_own_compression(build, registry, images, tmp_path):
    layer = build.layer(build.entry("file", "f", b"x" * 100), compress=True)
    assert gzip.decompress(layer.data)
    registry.push(build.layout(tmp_path / "gz", [({}, [layer])]).path, "team/gz:1")
    loaded = fetch(images, f"{registry.host}/team/gz:1")
    assert (loaded.image.layers[0] / "f").read_bytes() == b"x" * 100


# -- policies -------------------------------------------------------------------------------------


def test_policies(proxy, pushed, images, build, tmp_path):
    name = f"{proxy.host}/{pushed}"
    source = ImageSource(ImageStore(images))
    with pytest.raises(PullError) as caught:
        source.resolve(name, "Never")
    assert caught.value.reason == "ErrImageNeverPull"
    image = source.resolve(name, "IfNotPresent")
    proxy.requests.clear()
    assert source.resolve(name, "IfNotPresent") == image
    assert proxy.requests == []
    assert source.resolve(name, "Always").id == image.id
    assert not any("/blobs/" in path and image.id not in path for path, _ in proxy.requests)
    loaded = build.layout(tmp_path / "own", [({}, [build.layer(build.entry("file", "f"))])])
    ImageStore(images).load(loaded.path, "127.0.0.1:1/own:latest")
    assert source.resolve("127.0.0.1:1/own:latest", "Always").layers


def pull_secret(uid: str, host: str, password: str) -> dict:
    config = json.dumps(docker_config(host, "ann", password)).encode()
    data = {".dockerconfigjson": base64.b64encode(config).decode()}
    return {"metadata": {"uid": uid}, "data": data}


def test_an_image_that_took_credentials_is_for_pods_that_have_them(
    private, hidden, registry, layers, build, images, tmp_path
):
    store = ImageStore(images)

    def source(*secrets: dict, policy: str = "NeverVerifyPreloadedImages", allowed=()):
        def verify(repository: str, is_pulled: bool) -> bool:
            return must_verify(policy, allowed, repository, is_pulled=is_pulled)

        return ImageSource(store, secrets, verify)

    right = pull_secret("1", private.host, "s3cret")
    assert source(right).resolve(hidden, "IfNotPresent").layers
    assert source(right).find(hidden, "Never")
    assert source(pull_secret("2", private.host, "s3cret")).find(hidden, "Never")
    assert source(pull_secret("1", private.host, "renewed")).find(hidden, "Never")
    other = pull_secret("2", private.host, "other")
    for stranger in (source(), source(other), source(pull_secret("1", "else.where", "s3cret"))):
        with pytest.raises(PullError, match="access denied"):
            stranger.resolve(hidden, "IfNotPresent")
        with pytest.raises(PullError, match="is not present with pull policy of Never"):
            stranger.find(hidden, "Never")
    assert source(policy="NeverVerify").find(hidden, "Never")
    listed = f"{private.host}/team/*"
    assert source(policy="NeverVerifyAllowlistedImages", allowed=(listed,)).find(hidden, "Never")

    public = f"{registry.host}/public:1"
    registry.push(build.layout(tmp_path / "public", [({}, layers)]).path, "public:1")
    assert source(right).resolve(public, "IfNotPresent").layers
    assert source().find(public, "Never")
    loaded = build.layout(tmp_path / "own", [({}, [build.layer(build.entry("file", "f"))])])
    store.load(loaded.path, "own:1")
    assert source().find("own:1", "Never")
    with pytest.raises(PullError):
        source(policy="AlwaysVerify").find("own:1", "Never")


def test_a_short_disk_costs_the_images_that_can_be_pulled_again(
    build, layers, pushed, registry, tmp_path
):
    home = Home(str(tmp_path / "root"))
    home.make()
    images = Path(home.images)
    layout = build.layout(tmp_path / "own", [({}, [build.layer(build.entry("dir", "etc"))])])
    ImageStore(images).load(layout.path, "own:v1")
    fetch(images, f"{registry.host}/{pushed}")
    full = NodeConfig(image_gc_high_threshold_percent=0, image_gc_low_threshold_percent=0)
    assert collect(home, NodeConfig(image_gc_high_threshold_percent=101), force=False) == 0
    assert len(ImageStore(images).list()) == 2
    assert collect(home, full, force=False) >= len(BIG)
    assert [image.names for image in ImageStore(images).list()] == [("docker.io/library/own:v1",)]
