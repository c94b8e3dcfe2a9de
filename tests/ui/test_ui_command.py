"""The command ``kubelite ui`` as a process, before a server that runs here."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from yarl import URL

from kubelite.cli.common.diagnostic import CliError
from kubelite.cli.ui.serve import check_address
from tests.e2e.world import World, eventually


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A root of the test's own in which a control plane runs, without a node."""
    world = World(tmp_path / "k")
    world.env.pop("KUBECONFIG", None)
    words = ("server", "--port", "0", "--no-node", "--no-scheduler", "--controllers", "")
    with open(tmp_path / "log", "wb") as log:
        server = world.start(*words, stdout=log, stderr=log)
    try:
        config = world.root / "server" / "admin.kubeconfig"
        eventually(config.exists, "the server is ready", 120)
        yield world
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(120) == 0


@contextlib.contextmanager
def running(world: World, *words: str, code: int = 0) -> Iterator[URL]:
    """The address that ``kubelite ui`` prints; afterwards Ctrl-C has ended it."""
    process = world.start("ui", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield URL(process.stdout.readline().decode().strip())
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == code and b"Traceback" not in err, err


def test_it_finds_the_server_and_ends_while_the_page_watches(world: World, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {seen}; cat "${{1#file://}}" >> {seen}\n')
    browser.chmod(0o755)
    world.env["BROWSER"] = str(browser)
    with running(world) as address:
        token = address.fragment.removeprefix("token=")
        eventually(
            lambda: seen.exists() and token in seen.read_text(), "the browser has the token", 120
        )
        words, page = seen.read_text().split("\n", 1)
        assert token not in words and f"url={address}" in page
        assert os.stat(words.removeprefix("file://")).st_mode & 0o77 == 0
        connection = http.client.HTTPConnection(address.host, address.port, timeout=120)
        connection.request("POST", "/ui/session", token, {"Origin": str(address.origin())})
        answer = connection.getresponse()
        answer.read()
        cookie = {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}
        connection.request("GET", "/api/v1/namespaces?watch=1", headers=cookie)
        watch = connection.getresponse()
        assert b'"ADDED"' in watch.readline()
    assert not os.path.exists(words.removeprefix("file://"))


def test_an_api_server_that_does_not_answer_is_one_sentence(world: World, tmp_path: Path) -> None:
    text = (world.root / "server" / "admin.kubeconfig").read_text()
    port = URL(text.split("server: ")[1].split()[0]).port
    (tmp_path / "config").write_text(text.replace(f":{port}", ":1"))
    for words in (["--kubeconfig", str(tmp_path / "config")], ["--context", "none"]):
        world.env["KUBECONFIG"] = str(world.root / "server" / "admin.kubeconfig")
        done = world.kl("ui", *words, check=False)
        assert done.returncode == 1 and done.stdout == ""
        assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "localhost", "", "example.org"])
def test_it_listens_on_one_address_only(address: str) -> None:
    with pytest.raises(CliError):
        check_address(address)
    check_address("192.0.2.1")


@pytest.mark.parametrize(
    "words", [["--local", "--kubeconfig", "file"], ["--context", "name"]], ids=" ".join
)
def test_options_that_name_nothing_are_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    done = World(tmp_path / "k").kl("ui", *words, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
