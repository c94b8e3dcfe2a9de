"""Directories and files that nobody else can change or read.

Whoever can write the records of a program that runs as root decides what it does; whoever can read
its keys is as good as it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def directory_problem(path: str) -> str:
    """Why an absolute path is no place for what only this user may change; "" when it is one.

    Each directory on the way has to belong to root or this user, and only a sticky one above
    ``path`` may be writable by others. What does not exist yet is no problem.
    """
    for directory in _ancestors(path):
        problem = _problem(directory, is_last=directory == path)
        if problem:
            return f"{directory} {problem}"
    return ""


def _ancestors(path: str) -> Iterator[str]:
    """The directory and those above it, topmost first."""
    parts = path.strip("/").split("/")
    yield "/"
    for depth in range(1, len(parts) + 1):
        yield "/" + "/".join(parts[:depth])


def _problem(directory: str, *, is_last: bool) -> str:
    try:
        status = os.lstat(directory)
    except FileNotFoundError:
        return ""
    if not stat.S_ISDIR(status.st_mode):
        return "is not a directory"
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}"
    is_sticky = bool(status.st_mode & stat.S_ISVTX) and not is_last
    if status.st_mode & _WRITABLE_BY_OTHERS and not is_sticky:
        return f"is writable by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""


def file_problem(path: str) -> str:
    """Why a file does not keep its contents from others; "" when it does, or is not there."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return ""
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to user {status.st_uid}"
    if status.st_mode & _OPEN_TO_OTHERS:
        return f"is open to others (mode {stat.S_IMODE(status.st_mode):04o})"
    return ""
