"""``kubelite`` with a watch on its event loop, as a program: FILE [--inline] ARGS...

Each callback that takes more than LEAST seconds of processor time becomes a line in FILE: the
seconds, and where it was at that moment. Processor time of the loop's thread, so that neither other
processes nor other threads count. With --inline nothing is done aside (wire/aside).
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback

from kubelite.control.api.wire import aside

LEAST = 0.025


class Watch:
    """Times every callback of this process's loops."""

    def __init__(self, path: str) -> None:
        self._file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115  to the end
        self._began: float | None = None
        self._where = ""
        self._run = asyncio.Handle._run
        self._loop_thread = threading.get_ident()

    def start(self) -> None:
        asyncio.Handle._run = lambda handle: self._timed(handle)  # type: ignore[method-assign]
        threading.Thread(target=self._look, daemon=True).start()

    def _timed(self, handle: asyncio.Handle) -> None:
        self._where, self._began = "", time.monotonic()
        began = time.thread_time()
        try:
            self._run(handle)
        finally:
            self._began = None
            held = time.thread_time() - began
            if held > LEAST:
                print(json.dumps([round(held, 4), self._where or repr(handle)]), file=self._file)

    def _look(self) -> None:
        """Notes where a long callback is."""
        while True:
            time.sleep(LEAST / 2)
            began = self._began
            if began is not None and not self._where and time.monotonic() - began > LEAST:
                frame = sys._current_frames().get(self._loop_thread)
                lines = traceback.extract_stack(frame)
                ours = [
                    f"{line.filename.rpartition('/')[2]}:{line.lineno}"
                    for line in lines
                    if "importlib" not in line.filename
                ]
                self._where = " > ".join(ours[-6:])


if __name__ == "__main__":
    Watch(sys.argv.pop(1)).start()
    if sys.argv[1] == "--inline":
        del sys.argv[1]
        aside.LARGE = sys.maxsize
    from kubelite.cli.main import run

    run()
