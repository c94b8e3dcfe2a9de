"""Pushing to a real registry: digests stay, what is there is not sent, what is cut off goes on."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from kubelite.node.image.errors import ImageNotFound
from kubelite.node.image.reference import parse
from kubelite.node.image.registry import connection, upload
from kubelite.node.image.registry.config import Registry as RegistryEntry
from kubelite.node.image.registry.connection import RegistryRefusal, RegistryUnreachable
from kubelite.node.image.registry.pull import pull
from kubelite.node.image.registry.push import push
from kubelite.node.image.registry.settings import Settings
from kubelite.node.image.save import save
from kubelite.node.image.store import ImageStore
from tests.node.image.registry import (
    Proxy,
    Registry,
    TokenService,
    docker_config,
    free_port,
    make_certificate,
)
from tests.node.image.test_image_store import listing

NO_SETTINGS = Settings()
BIG = os.urandom(6 << 20)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr(connection, "FIRST_DELAY", 0.01)


@pytest.fixture
def layers(build):
    big = build.entry("file", "etc/base", BIG)
    top = build.entry("file", "top", os.urandom(8))
    return [
        build.layer(build.entry("dir", "etc"), big, compress=True),
        build.layer(top, compress=True),
    ]


@pytest.fixture
def layout(build, layers, tmp_path):
    return build.layout(tmp_path / "layout", [({}, layers)])


@pytest.fixture
def store(layout, images):
    """A store with the image ``app`` of the layout."""
    store = ImageStore(images)
    store.load(layout.path, "app")
    return store


@pytest.fixture
def repository():
    return f"team/app-{os.urandom(4).hex()}"


def send(store: ImageStore, host: str, repository: str, settings: Settings = NO_SETTINGS, **more):
    store.tag("app", f"{host}/{repository}:1")
    return push(store, f"{host}/{repository}:1", settings, **more)


def run(*command: object) -> bytes:
    done = subprocess.run([str(word) for word in command], capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def manifest_digest(layout: Path) -> str:
    return json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]


def blobs(layout: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (layout / "blobs/sha256").iterdir()}


def copied(registry: Registry, name: str, target: Path) -> Path:
    """An image of the registry as skopeo sees it: an OCI layout."""
    run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false",
        f"docker://{registry.host}/{name}", f"oci:{target}:1")  # fmt: skip
    return target


# -- digests --------------------------------------------------------------------------------------


def test_what_was_loaded_arrives_with_the_same_digests(
    registry, store, layout, repository, tmp_path
):
    told: list[tuple[str, int, int]] = []
    pushed = send(store, registry.host, repository, progress=lambda *step: told.append(step))
    assert pushed.digest == manifest_digest(layout.path)
    there = copied(registry, f"{repository}:1", tmp_path / "there")
    assert blobs(there) == blobs(layout.path)
    assert {digest for digest, done, total in told if done == total} >= {
        f"sha256:{name}" for name, data in blobs(layout.path).items() if len(data) > 100_000
    }


def test_what_was_pulled_is_pushed_as_it_came(registry, layout, images, repository):
    registry.push(layout.path, f"{repository}:1")
    store = ImageStore(images)
    pull(store, parse(f"{registry.host}/{repository}:1"), NO_SETTINGS)
    store.tag(f"{registry.host}/{repository}:1", "app")
    assert send(store, registry.host, f"{repository}-copy").digest == manifest_digest(layout.path)


def test_an_image_of_docker_types_keeps_them(registry, layout, images, repository, tmp_path):
    """Manifest schema 2 of docker, which names other media types."""
    registry.push(layout.path, f"{repository}:1", "--format", "v2s2")
    inspected = json.loads(
        run("skopeo", "inspect", "--tls-verify=false", f"docker://{registry.host}/{repository}:1")
    )
    store = ImageStore(images)
    pull(store, parse(f"{registry.host}/{repository}:1"), NO_SETTINGS)
    store.tag(f"{registry.host}/{repository}:1", "app")
    assert send(store, registry.host, f"{repository}-copy").digest == inspected["Digest"]


def test_a_docker_archive_keeps_its_configuration_and_layers(
    build, registry, layers, images, repository, tmp_path
):
    layers[0] = layers[0]._replace(data=gzip.decompress(layers[0].data))
    archive = build.docker(tmp_path / "app.tar", ["app"], layers, Cmd=["run"])
    store = ImageStore(images)
    ((image, _),) = store.load(archive)
    first = send(store, registry.host, repository)
    raw = run("skopeo", "inspect", "--raw", "--tls-verify=false",
              f"docker://{registry.host}/{repository}:1")  # fmt: skip
    manifest = json.loads(raw)
    assert manifest["config"]["digest"] == image.id
    assert [layer["digest"] for layer in manifest["layers"]] == [layer.digest for layer in layers]
    kinds = [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]]
    assert kinds == ["tar", "tar+gzip"]
    assert send(store, registry.host, f"{repository}-again").digest == first.digest


def test_an_imported_directory_is_unpacked_by_umoci_as_it_was(
    registry, images, repository, tmp_path
):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_bytes(b"tool" * 5000)
    (root / "bin/tool").chmod(0o4755)
    os.link(root / "bin/tool", root / "bin/same")
    os.symlink("tool", root / "bin/link")
    os.chown(root / "bin/tool", 11, 12)
    os.setxattr(root / "bin/tool", "user.note", b"\xffnote")
    (root / ("n" * 200)).mkdir(0o1777)
    os.mkfifo(root / "pipe")
    store = ImageStore(images)
    store.import_rootfs("app", root)
    send(store, registry.host, repository)
    there = copied(registry, f"{repository}:1", tmp_path / "there")
    run("umoci", "unpack", "--image", f"{there}:1", tmp_path / "bundle")
    assert listing(tmp_path / "bundle/rootfs") == listing(root)


def test_an_imported_archive_with_whiteout_names_cannot_leave(build, images, tmp_path):
    source = tmp_path / "root.tar"
    source.write_bytes(build.tar(build.entry("file", "etc/.wh.x", b"x")))
    store = ImageStore(images)
    store.import_rootfs("app", source)
    with pytest.raises(Exception, match=r"\.wh\.x.*stand for deleted files"):
        send(store, "127.0.0.1:1", "app")


# -- as little as possible ------------------------------------------------------------------------


def methods(proxy: Proxy) -> list[str]:
    return [call.method for call in proxy.calls]


def test_a_second_push_sends_only_the_manifest(proxy, store, repository):
    send(store, proxy.host, repository)
    proxy.calls.clear()
    send(store, proxy.host, repository)
    assert sorted(methods(proxy)) == ["HEAD", "HEAD", "HEAD", "PUT"]


def test_layers_of_another_repository_are_mounted(proxy, store, repository):
    send(store, proxy.host, repository)
    proxy.calls.clear()
    send(store, proxy.host, f"{repository}-copy")
    mounts = [call.path for call in proxy.calls if call.method == "POST" and "mount=" in call.path]
    assert len(mounts) == 2 and all(m.endswith(f"from={repository}") for m in mounts)
    assert methods(proxy).count("PATCH") == 1, "the configuration"


def test_a_mount_that_the_registry_cannot_make_becomes_an_upload(proxy, store, repository):
    store.tag("app", f"{proxy.host}/never/pushed:1")
    send(store, proxy.host, repository)
    assert any("mount=" in call.path for call in proxy.calls)
    assert methods(proxy).count("PATCH") == 3


# -- faults ---------------------------------------------------------------------------------------


def answer(handler, status: int, **headers: str) -> bool:
    handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()
    return True


def big_patches(handler) -> bool:
    return handler.command == "PATCH" and int(handler.headers["Content-Length"]) > 1 << 20


def once(condition):
    """True for the first request that meets the condition."""
    counter = itertools.count()
    return lambda handler: condition(handler) and next(counter) == 0


def cut(handler) -> bool:
    handler.connection.shutdown(socket.SHUT_RDWR)
    return True


def cut_halfway(registry: Registry, handler) -> bool:
    """Passes on two megabytes of a request, then ends both connections."""
    upstream = http.client.HTTPConnection("127.0.0.1", registry.port)
    upstream.putrequest("PATCH", handler.path, skip_host=True)
    for key, value in handler.headers.items():
        upstream.putheader(key, value)
    upstream.endheaders()
    upstream.send(handler.rfile.read(2 << 20))
    upstream.close()
    return cut(handler)


def test_an_upload_that_is_cut_goes_on_where_it_ended(
    registry, proxy, store, repository, layout, monkeypatch
):
    """The registry forgets the stream that is cut, and keeps the pieces before the one that is."""
    monkeypatch.setattr(upload, "PIECE", 2 << 20)
    stream = once(big_patches)
    third = once(lambda handler: handler.headers.get("Content-Range", "").startswith("4194304-"))
    proxy.intercept = lambda handler: (
        (stream(handler) and cut_halfway(registry, handler)) or (third(handler) and cut(handler))
    )
    assert send(store, proxy.host, repository).digest == manifest_digest(layout.path)
    starts = [int(c.content_range.partition("-")[0]) for c in proxy.calls if c.content_range]
    assert starts == [0, 2 << 20, 4 << 20, 4 << 20, 6 << 20]


def test_an_upload_that_the_registry_has_forgotten_starts_anew(proxy, store, repository, layout):
    first = once(big_patches)
    proxy.intercept = lambda handler: first(handler) and answer(handler, 404)
    assert send(store, proxy.host, repository).digest == manifest_digest(layout.path)
    assert methods(proxy).count("POST") == 4


def test_locations_may_be_without_host(proxy, store, repository, layout):
    proxy.rewrite = lambda location: "/" + location.partition("://")[2].partition("/")[2]
    assert send(store, proxy.host, repository).digest == manifest_digest(layout.path)
    assert methods(proxy).count("PATCH") == 3


@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_registry_is_asked_again(proxy, store, repository, layout, method, status):
    first = once(lambda handler: handler.command == method)
    proxy.intercept = lambda handler: first(handler) and answer(handler, status, Retry_After="0")
    assert send(store, proxy.host, repository).digest == manifest_digest(layout.path)


def test_a_registry_that_stays_busy_is_given_up(proxy, store, repository):
    proxy.intercept = lambda handler: answer(handler, 429, Retry_After="0")
    with pytest.raises(RegistryUnreachable, match="429"):
        send(store, proxy.host, repository)
    assert len(proxy.calls) == connection.ATTEMPTS


def test_a_registry_that_is_not_there(store):
    with pytest.raises(RegistryUnreachable, match="cannot be reached"):
        send(store, f"127.0.0.1:{free_port()}", "app")


def test_a_name_that_is_not_in_the_store(store):
    with pytest.raises(ImageNotFound):
        push(store, "127.0.0.1:1/none:1", NO_SETTINGS)


def test_a_damaged_blob_is_refused_by_the_registry(registry, store, images, layout, repository):
    (layer,) = (p for p in (images / "blobs/sha256").iterdir() if p.stat().st_size > 1 << 20)
    with layer.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\xff")
    with pytest.raises(RegistryRefusal, match="digest"):
        send(store, registry.host, repository)
    listed = http.client.HTTPConnection("127.0.0.1", registry.port)
    listed.request("GET", f"/v2/{repository}/manifests/1")
    assert listed.getresponse().status == 404


def test_a_killed_push_goes_on_with_the_blobs_that_are_missing(
    registry, proxy, store, images, repository
):
    name = f"{proxy.host}/{repository}:1"
    store.tag("app", name)
    stop = f"""
import os, signal
from pathlib import Path
from kubelite.node.image.registry.push import push
from kubelite.node.image.registry.settings import Settings
from kubelite.node.image.store import ImageStore
def tell(digest, done, total):
    if 1 << 20 < done < total: os.kill(os.getpid(), signal.SIGKILL)
push(ImageStore(Path({str(images)!r})), "{name}", Settings(), progress=tell)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = subprocess.run([sys.executable, "-c", stop], capture_output=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    # The first proxy may still be at work on what the killed process has sent.
    second = Proxy(registry)
    try:
        send(store, second.host, repository)
    finally:
        second.close()
    assert methods(second).count("PATCH") < 3 and methods(second)[-1] == "PUT"


# -- who one is -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    pytest.importorskip("bcrypt")
    registry = Registry(tmp_path_factory.mktemp("private"), "ann", "s3cret")
    yield registry
    registry.close()


def test_basic_credentials(private, store, repository, layout):
    for settings in (Settings(), Settings((), (docker_config(private.host, "ann", "wrong"),))):
        with pytest.raises(RegistryRefusal, match="access denied") as caught:
            send(store, private.host, repository, settings)
        assert caught.value.code == 401 and "may write" in caught.value.hint
    twice = (
        docker_config(private.host, "ann", "wrong"),
        docker_config(private.host, "ann", "s3cret"),
    )
    login = Settings((), twice)
    assert send(store, private.host, repository, login).digest == manifest_digest(layout.path)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    tokens = TokenService(tmp_path_factory.mktemp("tokens"), "ann", "s3cret")
    yield tokens
    tokens.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, tokens):
    registry = Registry(tmp_path_factory.mktemp("guarded"), tokens=tokens)
    yield registry
    registry.close()


def test_a_token_service_is_asked_for_the_right_to_write(
    guarded, tokens, store, repository, layout
):
    with pytest.raises(RegistryRefusal, match="access denied"):
        send(store, guarded.host, repository)
    login = Settings((), (docker_config(guarded.host, "ann", "s3cret"),))
    assert send(store, guarded.host, repository, login).digest == manifest_digest(layout.path)
    assert any(set(scope.split(":")[2].split(",")) == {"pull", "push"} for scope in tokens.scopes)


def test_a_mount_needs_the_right_to_read_there_and_does_without_it(
    guarded, tokens, store, repository, layout
):
    proxy = Proxy(guarded)
    login = Settings((), (docker_config(proxy.host, "ann", "s3cret"),))
    try:
        send(store, proxy.host, repository, login)
        proxy.calls.clear()
        send(store, proxy.host, f"{repository}-copy", login)
        assert methods(proxy).count("PATCH") == 1, "both layers are mounted"
        tokens.hidden = f"{repository}-copy"
        proxy.calls.clear()
        send(store, proxy.host, f"{repository}-third", login)
        assert methods(proxy).count("PATCH") == 3
    finally:
        tokens.hidden = ""
        proxy.close()


def test_a_token_that_expires_on_the_way_is_renewed(guarded, store, repository, layout):
    proxy = Proxy(guarded)
    first = once(big_patches)
    challenge = f'Bearer realm="{guarded.tokens.url}",service="test"'
    proxy.intercept = lambda handler: (
        first(handler) and answer(handler, 401, WWW_Authenticate=challenge)
    )
    login = Settings((), (docker_config(proxy.host, "ann", "s3cret"),))
    try:
        digest = send(store, proxy.host, repository, login).digest
    finally:
        proxy.close()
    assert digest == manifest_digest(layout.path)


def test_a_certificate_must_be_trusted_unless_the_registry_is_marked_insecure(
    store, repository, layout, tmp_path
):
    certificate = make_certificate(tmp_path, "registry.localhost")
    registry = Registry(tmp_path / "tls", tls=(certificate.path, certificate.key_path))
    prefix = f"[::ffff:7f00:1]:{registry.port}"  # not what counts as loopback
    try:
        with pytest.raises(RegistryUnreachable, match="certificate is not trusted"):
            send(store, prefix, repository)
        insecure = Settings((RegistryEntry(prefix, prefix, insecure=True),))
        digest = send(store, prefix, repository, insecure).digest
    finally:
        registry.close()
    assert digest == manifest_digest(layout.path)


def test_a_user_who_may_read_and_not_write_is_told_so_after_one_more_try(
    private, store, repository
):
    proxy = Proxy(private)
    proxy.intercept = lambda handler: (
        handler.command == "POST" and answer(handler, 401, WWW_Authenticate='Basic realm="x"')
    )
    login = Settings((), (docker_config(proxy.host, "ann", "s3cret"),))
    try:
        with pytest.raises(RegistryRefusal, match="access denied"):
            send(store, proxy.host, repository, login)
    finally:
        proxy.close()
    assert methods(proxy).count("POST") == 2


# -- other engines --------------------------------------------------------------------------------


@pytest.fixture
def short_path():
    """podman takes no run directory of more than 50 characters."""
    with tempfile.TemporaryDirectory(prefix="kubelite-") as path:
        yield path


@pytest.mark.parametrize("engine", ["podman", "buildah"])
def test_other_engines_take_it_and_give_it_back(
    engine, registry, store, images, repository, layout, tmp_path, short_path
):
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} on this machine")
    send(store, registry.host, repository)
    private = (engine, "--root", tmp_path / "graph", "--runroot", short_path,
               "--storage-driver", "vfs")  # fmt: skip
    name, copy = f"{registry.host}/{repository}:1", f"{registry.host}/{repository}-{engine}:1"
    run(*private, "pull", "--tls-verify=false", name)
    run(*private, "tag", name, copy)
    run(*private, "push", "--tls-verify=false", copy)
    other = ImageStore(tmp_path / "other")
    loaded = pull(other, parse(copy), NO_SETTINGS).image
    assert loaded.id == store.get("app").id
    assert (loaded.layers[0] / "etc/base").read_bytes() == BIG


def test_a_saved_archive_is_read_by_skopeo_as_both_kinds(store, layout, tmp_path):
    image = store.get("app")
    with (tmp_path / "out.tar").open("wb") as file:
        save([(store.package(image), image.names)], file)
    copy = ("skopeo", "--insecure-policy", "copy")
    run(*copy, f"oci-archive:{tmp_path / 'out.tar'}", f"oci:{tmp_path / 'oci'}:1")
    assert blobs(tmp_path / "oci") == blobs(layout.path)
    run(*copy, f"docker-archive:{tmp_path / 'out.tar'}", f"dir:{tmp_path / 'dir'}")
    manifest = json.loads((tmp_path / "dir/manifest.json").read_text())
    assert manifest["config"]["digest"] == image.id
