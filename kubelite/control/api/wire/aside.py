"""Pure work on large documents is done in a thread: the event loop goes on meanwhile, and with it
every other client.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

LARGE = 16 << 10
"""Bytes of JSON whose reading, checking and merging may take some milliseconds, step by step: a
custom object costs up to 2 us a byte on a slow machine."""
# More would only share the interpreter.
_threads = ThreadPoolExecutor(2, "large-documents")


async def aside(size: int, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    """What ``work`` returns or raises, which looks at about ``size`` bytes of JSON, knows no event
    loop and changes nothing that others see.
    """
    if size < LARGE:
        return work(*args, **more)
    done = asyncio.get_running_loop().run_in_executor(_threads, lambda: work(*args, **more))
    return await done
