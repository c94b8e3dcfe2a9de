"""What an agent does once about the networks of CNI plug-ins, when it has started.

Plug-ins that know STATUS say whether they are ready, and those that know GC remove what belongs to
no pod any more; pods whose connection is damaged get an Event.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator

from kubelite.lib import known_roots
from kubelite.lib.files import names
from kubelite.node.kubelet.act.cluster_view import ClusterView
from kubelite.node.kubelet.act.pod_state import PodState
from kubelite.node.network.cni import Directories, attachments
from kubelite.node.network.cni.attachments import Attachment, Connection
from kubelite.node.network.errors import NetworkError
from kubelite.node.runtime.home import DEFAULT_ROOT, Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.pod_lock import hold_pod
from kubelite.node.runtime.processes import start_ticks

DAMAGED = "NetworkCheckFailed"


def start(
    home: Home,
    directories: Directories | None,
    cluster: ClusterView | None,
    log: Callable[[str], None],
) -> None:
    """Does it in a thread of its own. ``directories`` are the node's."""
    arguments = (home, directories, cluster, log)
    threading.Thread(target=_run, args=arguments, name="network check", daemon=True).start()


def _run(
    home: Home,
    directories: Directories | None,
    cluster: ClusterView | None,
    log: Callable[[str], None],
) -> None:
    if directories is not None:
        try:
            attachments.check_status(directories)
            for problem in attachments.collect_garbage(directories, lambda: _container_ids(home)):
                log(problem)
        except (NetworkError, OSError) as error:
            log(f"pods cannot get their network: {error}")
    for uid in names(home.pods):
        if os.path.lexists(home.attachment(uid)):
            _check(home, uid, cluster, log)


def _container_ids(home: Home) -> set[str]:
    """Those of all state roots of this machine: the plug-ins do not tell them apart."""
    roots = {home.root, DEFAULT_ROOT, *known_roots.registered()}
    return {
        attachment.container_id
        for root in roots
        for uid in names(Home(root).pods)
        for attachment in _on_record(Home(root).attachment(uid))
    }


def _on_record(path: str) -> Iterator[Attachment]:
    """Raises NetworkError for a damaged record: without it others would be taken for garbage."""
    if (attachment := Connection(path).read()) is not None:
        yield attachment


def _check(home: Home, uid: str, cluster: ClusterView | None, log: Callable[[str], None]) -> None:
    with hold_pod(home, uid) as lock:
        ledger = Ledger(home)
        record = ledger.pod(uid) if lock is not None else None
        if record is None:
            return
        try:
            connection = Connection(home.attachment(uid))
            attachment = connection.read()
            if attachment is not None and _lives(attachment):
                connection.check()
        except NetworkError as error:
            log(f"pod {record.namespace}/{record.name}: {error.message}")
            state = PodState(home, ledger, record, cluster=cluster)
            state.event(DAMAGED, error.message, warning=True)
            state.timeline.flush()


def _lives(attachment: Attachment) -> bool:
    pid, ticks = attachment.holder
    return start_ticks(pid) == ticks
