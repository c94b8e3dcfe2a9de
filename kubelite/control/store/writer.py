"""A thread that works for an event loop, one job after another.

What an executor does, without the locks, tokens and two futures that it takes for each job: a
commit is that small.
"""

from __future__ import annotations

import asyncio
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Done = asyncio.Future[None]


class Writer:
    """Begins its thread with the first job."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], None], Done] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name=name, daemon=True)

    async def run(self, job: Callable[[], None]) -> None:
        """Does a job in the thread. Raises what the job raises."""
        if not self._thread.is_alive():
            self._thread.start()
        done: Done = asyncio.get_running_loop().create_future()
        self._jobs.put((job, done))
        await done

    def close(self) -> None:
        """Ends the thread, after the jobs that it has."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (given := self._jobs.get()) is not None:
            job, done = given
            error: BaseException | None = None
            try:
                job()
            except BaseException as failure:  # noqa: BLE001  it is raised where the job is waited for
                error = failure
            done.get_loop().call_soon_threadsafe(_finish, done, error)


def _finish(done: Done, error: BaseException | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
