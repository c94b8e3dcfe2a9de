"""``/healthz``, ``/livez`` and ``/readyz``: named checks, one line each when asked with
``verbose``.

Names and texts are those of apiserver's ``server/healthz``; ``exclude=NAME`` leaves a check out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from kubelite.control.api.wire.answer import Answer, not_found_page
from kubelite.control.store.types import StoreError

if TYPE_CHECKING:
    from kubelite.control.api.wire.request import Query
    from kubelite.control.store.store import Store

PATHS = ("/healthz", "/livez", "/readyz")
Check = Callable[[], Awaitable[bool]]
_TEXT = "text/plain; charset=utf-8"


class Health:
    """The checks of a server. ``is_ready`` says whether it has started and is not shutting down."""

    def __init__(self, store: Store, is_ready: Callable[[], bool]) -> None:
        self._store = store
        self._is_ready = is_ready

    async def answer(self, path: str, query: Query) -> Answer:
        """The answer for a health path or for one of its checks (``/livez/etcd``)."""
        root, _, name = path.strip("/").partition("/")
        checks = self._checks(root)
        if name:
            return await self._one(checks[name]) if name in checks else not_found_page()
        excluded = set(query.all("exclude"))
        results = {check: await run() for check, run in checks.items() if check not in excluded}
        unknown = sorted(excluded - checks.keys())
        healthy = all(results.values())
        if healthy and "verbose" not in query:
            return Answer(b"ok", 200, _TEXT)
        return Answer(_report(root, results, unknown).encode(), 200 if healthy else 503, _TEXT)

    async def _one(self, check: Check) -> Answer:
        if await check():
            return Answer(b"ok", 200, _TEXT)
        return Answer(b"internal server error: reason withheld\n", 500, _TEXT)

    def _checks(self, root: str) -> dict[str, Check]:
        checks: dict[str, Check] = {
            "ping": _always,
            "log": _always,
            "etcd": self._store_answers,
            "poststarthook/rbac/bootstrap-roles": self._started,
        }
        if root == "livez":
            del checks["poststarthook/rbac/bootstrap-roles"]
        if root == "readyz":
            checks["shutdown"] = self._started
        return checks

    async def _started(self) -> bool:
        return self._is_ready()

    async def _store_answers(self) -> bool:
        try:
            await self._store.get("namespaces", "", "default")
        except StoreError:
            return False
        return True


async def _always() -> bool:
    return True


def _report(root: str, results: dict[str, bool], unknown: list[str]) -> str:
    lines = [
        f"[+]{name} ok" if good else f"[-]{name} failed: reason withheld"
        for name, good in results.items()
    ]
    if unknown:
        lines.append(
            f"warn: some health checks cannot be excluded: no matches for {', '.join(unknown)}"
        )
    verdict = "passed" if all(results.values()) else "failed"
    return "\n".join([*lines, f"{root} check {verdict}"]) + "\n"
