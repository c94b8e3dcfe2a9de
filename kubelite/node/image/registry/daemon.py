"""Images of the docker or podman of this machine: GET ``/images/get`` on their sockets answers with
an archive as ``docker save`` writes it (Docker Engine API; podman answers the same).
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

from kubelite.node.image.errors import ImageError, quoted
from kubelite.node.image.unpack_limits import DOCUMENT_BYTES

SOCKETS = ("/run/docker.sock", "/run/podman/podman.sock")
_ANSWER_SECONDS = 600.0
"""docker gathers the whole archive before the first byte of its answer."""
_COPY_BYTES = 1 << 20


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def sockets(environ: Mapping[str, str]) -> Sequence[str]:
    """Where a daemon may listen: the socket that DOCKER_HOST names, otherwise the usual ones that
    are there. Raises ImageError where there is none.
    """
    host = environ.get("DOCKER_HOST", "")
    if host.startswith("unix://"):
        return (host.removeprefix("unix://"),)
    if host:
        raise ImageError(f"DOCKER_HOST {quoted(host)} is not the socket of a daemon here: unix://")
    if there := [path for path in SOCKETS if os.path.exists(path)]:
        return there
    raise ImageError(
        f"no docker or podman listens on this machine: there is no {' or '.join(SOCKETS)}",
        hint="podman listens with: systemctl start podman.socket",
    )


@contextmanager
def exported(name: str, places: Sequence[str], spool: Path) -> Iterator[Path]:
    """The archive of the image from the first of the sockets ``places`` whose daemon has it, as the
    path of a nameless file on the file system of ``spool``, gone when the block is left.

    Raises ImageError with what each daemon said, and for an archive that is cut or a full disk.
    """
    os.makedirs(spool, 0o700, exist_ok=True)
    messages = []
    for place in places:
        with tempfile.TemporaryFile(dir=spool) as copy:
            message = _fetch(place, name, copy)
            if not message:
                yield Path(f"/proc/self/fd/{copy.fileno()}")
                return
        messages.append(f"{place}: {message}")
    raise ImageError(f"no daemon gives the image {quoted(name)}: {'; '.join(messages)}")


def _fetch(place: str, name: str, target: IO[bytes]) -> str:
    """Writes what the daemon sends to ``target``; why it sends nothing, "" where it sent all.
    Raises ImageError.
    """
    with closing(_Connection(place)) as connection:
        try:
            connection.request("GET", f"/images/get?{urlencode({'names': name})}")
            answer = connection.getresponse()
            if answer.status != 200:
                return f"{answer.status} {_said(answer)}"
        except (OSError, http.client.HTTPException) as error:
            return getattr(error, "strerror", None) or str(error)
        try:
            shutil.copyfileobj(answer, target, _COPY_BYTES)
            target.flush()
        except http.client.HTTPException as error:
            raise ImageError(f"{place}: the archive of {quoted(name)} is cut off") from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageError(f"cannot copy image {quoted(name)} of {place}: {reason}") from error
    return ""


def _said(answer: http.client.HTTPResponse) -> str:
    """The message of a refusal."""
    try:
        return str(json.loads(answer.read(DOCUMENT_BYTES))["message"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return answer.reason
