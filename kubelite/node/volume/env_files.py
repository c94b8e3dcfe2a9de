"""Reads files of environment variables from volumes that containers have written."""

from __future__ import annotations

import os
import stat

from kubelite.core import native
from kubelite.node.volume.errors import VolumeError

MAX_BYTES = 64 << 10
_BENEATH = native.RESOLVE_BENEATH | native.RESOLVE_NO_SYMLINKS | native.RESOLVE_NO_MAGICLINKS


def read(volume: str, path: str) -> bytes | None:
    """The bytes of the file at ``path`` below the directory ``volume``, None where there is none.

    A container may have put anything there: links are not followed, and only ordinary files are
    read. Raises VolumeError.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        directory = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            file = native.openat2(directory, path, flags, _BENEATH)
        finally:
            os.close(directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise VolumeError(f'cannot read the environment file "{path}": {reason}') from error
    with open(file, "rb") as opened:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise VolumeError(f'the environment file "{path}" is not a regular file')
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise VolumeError(f'the environment file "{path}" is larger than {MAX_BYTES >> 10} KiB')
    return data
