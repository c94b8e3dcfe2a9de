"""Pulls beside each other: in turns or at once, the same image once, how far they are, and what
ends them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from kubelite.node.image.errors import PullError
from kubelite.node.image.reference import parse
from kubelite.node.image.registry.pull import PullCancelled, pull
from kubelite.node.image.registry.settings import Settings
from kubelite.node.image.registry.transfer import Transfer
from kubelite.node.image.source import ImageSource
from kubelite.node.image.store import ImageStore
from kubelite.node.kubelet.act.images import ImagePulls, NamedImage
from kubelite.node.runtime.home import Home
from tests.cli import terminal
from tests.e2e.world import eventually
from tests.node.image.conftest import Build
from tests.node.image.registry import Proxy, Registry, slowly

SIZE = 3 << 20
PATIENCE = 60.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(str(tmp_path / "root"))
    home.make()
    return home


@pytest.fixture
def push(build: Build, registry: Registry, tmp_path: Path) -> Callable[[str], str]:
    """Puts an image with a layer of its own into the registry; its repository and tag."""

    def pushed(name: str) -> str:
        layer = build.layer(build.entry("file", "f", os.urandom(SIZE)))
        registry.push(build.layout(tmp_path / name, [({}, [layer])]).path, f"{name}:1")
        return f"{name}:1"

    return pushed


def configure(home: Home, **settings: Any) -> None:
    Path(home.root, "node.json").write_text(json.dumps(settings))


def bring(home: Home, name: str, pulls: ImagePulls) -> str:
    """Pulls an image as a pod does; the message of its Pulled event."""
    source = ImageSource(ImageStore(Path(home.images)))
    return pulls.get(home, source, NamedImage(name, "IfNotPresent", "c"))[1]


def until_asked(proxy: Proxy, pulling: Future[str]) -> None:
    """Waits for the first request of a pull."""
    eventually(lambda: proxy.requests or pulling.done(), "a request", PATIENCE)
    assert proxy.requests


def is_layer(handler: Any, body: bytes) -> bool:
    return "/blobs/" in handler.path and len(body) > SIZE // 2


def test_pulls_of_a_node_take_turns(home: Home, proxy: Proxy, push: Any) -> None:
    """The first layer comes once the second pod has announced its pull."""
    second_waits = threading.Event()

    def disturb(handler: Any, path: str, body: bytes) -> bool:
        if is_layer(handler, body) and "/first/" in path:
            assert second_waits.wait(PATIENCE)
        return False

    proxy.disturb = disturb
    first, second = (f"{proxy.host}/{push(name)}" for name in ("first", "second"))
    announcing = ImagePulls(lambda reason, *_: second_waits.set() if reason == "Pulling" else None)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(bring, home, first, ImagePulls())
        until_asked(proxy, one)
        two = pool.submit(bring, home, second, announcing)
        messages = [one.result(PATIENCE), two.result(PATIENCE)]
    order = ["first" in path for path, _ in proxy.requests]
    assert order == sorted(order, reverse=True), proxy.requests
    assert all(re.search(r" in \S+ \(\S+ including waiting\)", message) for message in messages)


@pytest.mark.parametrize("most", [None, 2])
def test_pulls_of_a_node_go_on_side_by_side(
    most: int | None, home: Home, proxy: Proxy, push: Any
) -> None:
    """Neither layer comes before both are asked for."""
    configure(home, serializeImagePulls=False, **{"maxParallelImagePulls": most} if most else {})
    both = threading.Barrier(2)

    def disturb(handler: Any, path: str, body: bytes) -> bool:
        if is_layer(handler, body):
            both.wait(PATIENCE)
        return False

    proxy.disturb = disturb
    names = [f"{proxy.host}/{push(name)}" for name in ("one", "two")]
    with ThreadPoolExecutor() as pool:
        assert all(pool.map(lambda name: bring(home, name, ImagePulls()), names))


def test_two_pods_of_one_image_fetch_it_once(home: Home, proxy: Proxy, push: Any) -> None:
    configure(home, serializeImagePulls=False)
    manifests = threading.Barrier(2)

    def disturb(handler: Any, path: str, body: bytes) -> bool:
        if path.endswith("/manifests/1"):
            manifests.wait(PATIENCE)
        return False

    proxy.disturb = disturb
    name = f"{proxy.host}/{push('same')}"
    with ThreadPoolExecutor() as pool:
        assert all(pool.map(lambda _: bring(home, name, ImagePulls()), range(2)))
    blobs = [path for path, _ in proxy.requests if "/blobs/" in path]
    layer = max(set(blobs), key=lambda path: blob_size(home, path))
    assert blobs.count(layer) == 1


def blob_size(home: Home, path: str) -> int:
    digest = path.rpartition(":")[2]
    return Path(home.images, "blobs/sha256", digest).stat().st_size


def test_a_pull_tells_how_far_it_is(home: Home, proxy: Proxy, push: Any) -> None:
    shown, is_shown = [], threading.Event()

    def show(image: str, message: str) -> None:
        shown.append((image, message))
        if message:
            is_shown.set()

    proxy.disturb = slowly(is_shown, SIZE, 0.1, PATIENCE)
    name = f"{proxy.host}/{push('slow')}"
    bring(home, name, ImagePulls(show=show))
    assert shown[0] == (name, "")
    sentence = rf'Pulling image "{name}": \d\d?% \([\d.]+ kB of 3\.1\d MB, [\d.]+ kB/s\)'
    assert re.fullmatch(sentence, shown[1][1]), shown


@pytest.mark.parametrize("style", ["80 columns", "40 columns"])
def test_a_terminal_shows_how_far_a_long_pull_is(
    style: str, home: Home, proxy: Proxy, push: Any
) -> None:
    """Whatever the width, the bytes and the rate are seen, on one line that is gone in the end."""
    goes_on = threading.Event()
    proxy.disturb = slowly(goes_on, SIZE, 0.02, PATIENCE)
    name = f"{proxy.host}/{push('a-repository-with-a-name-that-is-quite-long')}"
    news = r"[\d.]+ [kM]B of 3\.1\d MB, [\d.]+ [kM]?B/s \(\d+ s\)"
    try:
        pulled = terminal.run(
            terminal.STYLES[style], ["image", "pull", name], root=home.root, until=news,
            then=goes_on.set,
        )  # fmt: skip
    finally:
        goes_on.set()
    columns = terminal.STYLES[style].columns
    shown, gone, end = pulled.text.rpartition("\r" + " " * (columns - 1) + "\r")
    drawn = shown.split("\r")
    assert gone
    assert any(re.search(news, line) for line in drawn)
    assert all(len(line) < columns and "\n" not in line for line in drawn)
    assert end.startswith(f"pulled {name} ") and pulled.code == 0


def test_ctrl_c_ends_a_pull_on_a_terminal_and_its_bytes_stay(
    home: Home, proxy: Proxy, push: Any
) -> None:
    ended = threading.Event()
    proxy.disturb = slowly(ended, SIZE, 0.02, PATIENCE)
    name = f"{proxy.host}/{push('given-up')}"
    style = terminal.STYLES["80 columns"]
    try:
        given_up = terminal.run(style, ["image", "pull", name], root=home.root, until=r"MB of")
    finally:
        ended.set()
    assert given_up.code == 130 and given_up.text.endswith("\r" + " " * 79 + "\r")
    proxy.requests.clear()
    proxy.disturb = lambda handler, path, body: False
    assert terminal.run(style, ["image", "pull", name], root=home.root).code == 0
    assert any(ranged for _, ranged in proxy.requests)


def test_a_pull_that_nobody_wants_any_more_ends_and_its_bytes_stay(
    home: Home, proxy: Proxy, push: Any
) -> None:
    """Also one whose registry has stalled; the next one goes on where it ended."""
    ended, questions = threading.Event(), []
    proxy.disturb = slowly(ended, SIZE, 0.1, PATIENCE)
    name = f"{proxy.host}/{push('unwanted')}"

    def is_wanted() -> bool:
        questions.append(0)
        return len(questions) < 3

    try:
        with pytest.raises(PullError, match="cancelled"):
            bring(home, name, ImagePulls(is_wanted=is_wanted))
    finally:
        ended.set()
    proxy.requests.clear()
    proxy.disturb = lambda handler, path, body: False
    bring(home, name, ImagePulls())
    assert any(ranged for _, ranged in proxy.requests)


def test_a_pull_that_waits_for_another_ends_when_it_is_not_wanted(
    home: Home, proxy: Proxy, push: Any
) -> None:
    goes_on = threading.Event()
    proxy.disturb = slowly(goes_on, SIZE, 0.1, PATIENCE)
    name = f"{proxy.host}/{push('held')}"
    with ThreadPoolExecutor() as pool:
        holder = pool.submit(bring, home, name, ImagePulls())
        try:
            until_asked(proxy, holder)
            with pytest.raises(PullError, match="cancelled"):
                bring(home, name, ImagePulls(is_wanted=lambda: False))
        finally:
            goes_on.set()
        assert holder.result(PATIENCE)


def test_a_cancelled_pull_is_an_exception_of_its_own(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        name = f"127.0.0.1:{silent.getsockname()[1]}/app:1"
        with pytest.raises(PullCancelled):
            pull(ImageStore(tmp_path), parse(name), Settings(), is_wanted=lambda: False)


def test_the_rate_is_that_of_the_last_seconds_and_of_what_has_moved() -> None:
    transfer = Transfer()
    assert (transfer.percent, transfer.rate(0)) == (100, 0)
    transfer.report("a", 500_000, 1_000_000, 0.0)  # there from an earlier pull
    transfer.report("b", 0, 1_000_000, 0.0)
    assert transfer.shown(0.0) == "500 kB of 2.00 MB, 0 B/s"
    for second in range(1, 11):
        transfer.report("b", second * 100_000, 1_000_000, float(second))
    assert transfer.shown(10.0) == "1.50 MB of 2.00 MB, 100 kB/s"
    assert transfer.percent == 75
    transfer.report("b", 1_000_000, 1_000_000, 16.0)
    assert transfer.rate(16.0) == 0
