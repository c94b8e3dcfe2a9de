"""A real ``kubelite server`` for kubectl."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """How to reach a server that runs as long as the tests do."""
    place = tmp_path_factory.mktemp("server")
    config = place / "config"
    command = [
        sys.executable,
        "-m",
        "kubelite",
        "server",
        "--no-node",
        "--no-scheduler",
        "--controllers=serviceaccount-controller,root-ca-certificate-publisher-controller",
        "--port",
        "0",
        "--data-dir",
        str(place / "data"),
    ]
    log = open(place / "log", "wb")  # noqa: SIM115  # lives as long as the server
    server = subprocess.Popen(
        [*command, "--kubeconfig", str(config)], cwd=ROOT, stdout=log, stderr=log
    )
    try:
        deadline = time.monotonic() + 20
        while not config.exists():
            assert server.poll() is None, (place / "log").read_text()
            assert time.monotonic() < deadline, "the server is not ready after 20 seconds"
            time.sleep(0.02)
        yield str(config)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == 0
        log.close()
        assert "Traceback" not in (place / "log").read_text()
