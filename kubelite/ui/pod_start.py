"""Looks up when a pod's start took which step: of the API, and where it runs on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.lib.json import Object
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.observe import observe
from kubelite.ui import timeline
from kubelite.ui.api_lookup import find_pod
from kubelite.ui.timeline import Mark


class PodStart:
    """Answers with the user's rights. ``home`` is the state root of a node on this machine, or None
    where this user may not read it.
    """

    def __init__(self, transport: HttpTransport, home: Home | None) -> None:
        self._client = Client(transport, user_agent="kubelite-ui")
        self._home = home

    async def look_up(self, namespace: str, name: str) -> Object:
        """The timeline of a pod. Raises StatusError."""
        pod = await find_pod(self._client, namespace, name)
        recorded = await asyncio.to_thread(self._recorded, pod["metadata"]["uid"])
        return timeline.document(tuple(timeline.from_objects(pod)), recorded)

    def _recorded(self, uid: str) -> Sequence[Mark]:
        """What is on record of exactly this pod; nothing for one that runs elsewhere."""
        if self._home is None or "/" in uid:
            return ()
        ledger = Ledger(self._home)
        record = ledger.pod(uid)
        if record is None:
            return ()
        observed = observe(self._home, ledger, record)
        return tuple(timeline.from_records(observed, ledger.history(uid)))
