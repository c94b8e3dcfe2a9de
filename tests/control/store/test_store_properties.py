"""Properties: whatever writers, compaction and disconnects do, list and watch end in the same
state.
"""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from kubelite.control.store.document import stamp
from kubelite.control.store.memory import Memory
from kubelite.control.store.store import Store
from kubelite.control.store.types import Compacted, Conflict

NAMES = st.sampled_from(["a", "b", "c", "d"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), NAMES),
        st.tuples(st.just("delete"), NAMES),
        st.tuples(st.just("read"), st.integers(0, 1)),
        st.tuples(st.just("read"), st.integers(0, 1)),
        st.tuples(st.just("leave"), st.integers(0, 1)),
        st.tuples(st.just("compact"), st.integers(0, 9)),
        st.tuples(st.just("other"), NAMES),
    ),
    min_size=8,
    max_size=60,
)


class Mirror:
    """A client that lists, watches, loses its watch, and lists again when it is told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watcher = None
        self._listed = False
        self.revision = 0
        self.state: dict[str, int] = {}

    async def read(self) -> None:
        if not self._listed:
            await self._list()
        try:
            if self._watcher is None:
                self._watcher = self._store.watch("things", after=self.revision)
            for event in self._watcher.ready():
                assert event.revision > self.revision
                self.revision = event.revision
                if event.entry is None:
                    assert self.state.pop(event.key) is not None
                else:
                    assert (event.previous is None) == (event.key not in self.state)
                    self.state[event.key] = event.entry.revision
        except Compacted:
            self._watcher = None
            await self._list()
            await self.read()

    async def _list(self) -> None:
        page = await self._store.page("things")
        self._listed = True
        self.revision = page.revision
        self.state = {entry.key: entry.revision for entry in page.entries}

    def leave(self) -> None:
        self._watcher = None


def document(name: str) -> bytes:
    return b'{"metadata":{"name":"%b","uid":"u"}}' % name.encode()


async def act(store: Store, kind: str, what: object, mirrors: list[Mirror]) -> None:
    prefix = "others" if kind == "other" else "things"
    if kind in ("write", "other", "delete"):
        before = await store.get(prefix, "", str(what))
        value = None if kind == "delete" else document(str(what))
        if before is None and value is None:
            return
        await store.commit(
            [store.change(prefix, "", str(what), value, expected=before.revision if before else 0)]
        )
    elif kind == "compact":
        await store.backend.compact(
            max(store.backend.oldest, store.backend.revision - int(str(what)))
        )
    elif kind == "read":
        await mirrors[int(str(what))].read()
    else:
        mirrors[int(str(what))].leave()


@settings(max_examples=300, deadline=None)
@given(STEPS, st.sampled_from(["late", "soon", "at once"]))
def test_list_and_watch_replay_to_the_final_state(
    steps: list[tuple[str, object]], told: str
) -> None:
    async def run() -> None:
        store = Store(Memory(events=8))
        store.start()
        mirrors = [Mirror(store) for _ in range(2)]
        for kind, what in steps:
            await act(store, kind, what, mirrors)
            if told == "soon":
                await asyncio.sleep(0)
            while told == "at once" and store.revision < store.backend.revision:
                await asyncio.sleep(0)
        while store.revision < store.backend.revision:
            await asyncio.sleep(0)
        final = {entry.key: entry.revision for entry in (await store.page("things")).entries}
        for mirror in mirrors:
            await mirror.read()
            assert mirror.state == final
        await store.close()

    asyncio.run(run())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), NAMES), max_size=40), st.integers(1, 3))
def test_a_page_is_the_state_of_its_revision(steps: list[tuple[bool, str]], size: int) -> None:
    async def run() -> None:
        store = Store(Memory())
        past: dict[int, dict[str, int]] = {0: {}}
        for write, name in steps:
            await act(store, "write" if write else "delete", name, [])
            entries = (await store.page("things")).entries
            past[store.backend.revision] = {entry.key: entry.revision for entry in entries}
        for revision, state in past.items():
            if revision == 0:
                continue
            seen: dict[str, int] = {}
            after, more = "", True
            while more:
                page = await store.page("things", after=after, limit=size, revision=revision)
                seen |= {entry.key: entry.revision for entry in page.entries}
                more = page.remaining > 0
                after = page.entries[-1].key.rsplit("/", 1)[1] if page.entries else ""
            assert seen == state

    asyncio.run(run())


@settings(max_examples=200)
@given(st.text(max_size=20), st.text(max_size=20), st.integers(1, 10**12), st.integers(1, 10**12))
def test_stamping_changes_the_revision_only(name: str, label: str, first: int, second: int) -> None:
    import json

    obj = {
        "kind": "K",
        "metadata": {"name": name, "uid": "u-1", "labels": {label: label, "uid": 'x","uid":"y'}},
        "spec": {"uid": name},
    }
    stamped = json.loads(
        stamp(stamp(json.dumps(obj, separators=(",", ":")).encode(), first), second)
    )
    assert stamped["metadata"].pop("resourceVersion") == str(second)
    assert stamped == obj


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 5)), min_size=1, max_size=30))
def test_a_change_wins_only_from_the_latest_revision(writes: list[tuple[str, int]]) -> None:
    async def run() -> None:
        store = Store(Memory())
        latest: dict[str, int] = {}
        for name, behind in writes:
            expected = max(latest.get(name, 0) - behind, 0)
            try:
                revision = await store.put("things", "", name, document(name), expected=expected)
                assert expected == latest.get(name, 0)
                latest[name] = revision
            except Conflict as error:
                assert expected != latest.get(name, 0)
                assert (error.current.revision if error.current else 0) == latest.get(name, 0)

    asyncio.run(run())
