"""Looks at the pods of a state root, and reports which may have changed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from kubelite.core import inotify
from kubelite.lib.files import names
from kubelite.lib.json import Object
from kubelite.node.kubelet.act.pod_events import Event
from kubelite.node.kubelet.pods.pods import Pods
from kubelite.node.runtime.errors import NotFound
from kubelite.node.runtime.home import UNFINISHED, Home
from kubelite.node.runtime.ledger import Ledger

_KINDS = inotify.MODIFIED | inotify.MOVED_IN | inotify.CREATED


class PodSnapshot(NamedTuple):
    """A pod at one moment: its object with its status, None where there is no such pod, and its
    events.
    """

    uid: str
    pod: Object | None
    events: Sequence[Event] = ()


class PodWatch:
    """The pods of ``home``, whose directories are there. Raises OSError where this user watches too
    many files.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._ledger = Ledger(home)
        self._queries = Pods(home).queries
        self._tops = (home.pods, f"{home.run}/pods")
        self._uids: dict[str, str] = {}
        self._watch = inotify.Watch(home.pods, _KINDS)
        self._watch.add(self._tops[1])

    def fileno(self) -> int:
        """Readable when something may have changed."""
        return self._watch.fileno()

    def changed(self) -> set[str]:
        """The uids of pods that may have changed since the last call."""
        uids: set[str] = set()
        for change in self._watch.read():
            if change.kind & inotify.OVERFLOW:
                uids |= self.uids() | set(self._uids.values())
            elif change.directory in self._tops:
                uids.add(change.name.removeprefix(UNFINISHED))
            elif uid := self._uids.get(
                change.directory
            ):  # else it is gone, which its parent reported
                uids.add(uid)
        return uids

    def uids(self) -> set[str]:
        """The uids of all pods."""
        return {uid for uid in names(self._home.pods) if not uid.startswith(UNFINISHED)}

    def read(self, uid: str) -> PodSnapshot:
        """What there is of a pod. Blocks; what changes after it began is reported."""
        self._watch_directories(uid)
        record = self._ledger.pod(uid)
        if record is None:
            return PodSnapshot(uid, None)
        pod: Object = msgspec.to_builtins(self._queries.shown(record))
        try:
            return PodSnapshot(uid, pod, self._queries.events(record.namespace, record.name))
        except NotFound:
            return PodSnapshot(uid, None)

    def close(self) -> None:
        """Stops watching."""
        self._watch.close()

    def _watch_directories(self, uid: str) -> None:
        """Those of a pod in which its records, events and exits are written."""
        for top in (self._home.pod(uid), self._home.pod_run(uid)):
            for path in (top, os.path.join(top, "past"), os.path.join(top, "exits")):
                try:
                    self._uids[path] = uid
                    self._watch.add(path)
                except FileNotFoundError:
                    self._uids.pop(path, None)
