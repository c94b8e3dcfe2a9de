"""Command lines in forks of one process that has imported everything: a hundred of them take as
long as five starts of Python.

    python -m tests.cli.forked FD

serves the requests of that socket, one after the other: JSON of words, environment and directory,
with the standard streams. The answer is the exit code as waitpid(2) has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import socket
import sys
import termios
from typing import Any, NoReturn

from kubelite.cli.common.command import load
from kubelite.cli.main import COMMANDS, main

MODULES = (
    "kubelite.cli.common.typer_app",
    "kubelite.cli.common.failures",
    "kubelite.node.kubelet.pods.pods",
    "kubelite.node.image.registry.pull",
    "kubelite.node.image.registry.push",
    "kubelite.control.controllers.registry",
    "kubelite.control.scheduler.loop.scheduler",
    "kubelite.control.api.server.server",
)
"""What the commands of the table import only when they are used."""


def preload() -> None:
    for command in COMMANDS.values():
        load(command)
    for module in MODULES:
        importlib.import_module(module)


def become(request: dict[str, Any], fds: list[int]) -> NoReturn:
    """Runs the command line in this process, which is a fork, and ends it."""
    code = 99
    try:
        os.setsid()
        for number, fd in enumerate(fds):
            os.dup2(fd, number)
        with contextlib.suppress(OSError):  # a pipe
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.closerange(3, 64)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["cwd"])
        sys.argv = ["kubelite", *request["words"]]
        code = main()
    finally:
        os._exit(code)


def serve(connection: socket.socket) -> None:
    preload()
    while True:
        data, fds, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        if not data:
            return
        child = os.fork()
        if child == 0:
            become(json.loads(data), fds)
        for fd in fds:
            os.close(fd)
        connection.send(str(child).encode())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.send(str(code).encode())


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
