"""The command a shim becomes when pause has died unasked: ``python -m kubelite.node.runtime.cleanup
ROOT UID``.

It gives the sandbox's kernel objects back; the pod's record, exits, logs and volumes stay for
whoever asks what happened.
"""

from __future__ import annotations

import sys

from kubelite.lib.files import FileLock
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.removal import Remover
from kubelite.node.runtime.sandbox import is_up


def main(root: str, uid: str) -> None:
    """Waits for whoever works on the pod, then clears what is left of its sandbox; one that is up
    is another, made since.
    """
    home = Home(root)
    with FileLock(home.pod_lock(uid)) as lock:
        ledger = Ledger(home)
        if ledger.pod(uid) is None:
            lock.remove()
        elif not is_up(home, ledger.sandbox(uid)):
            Remover(home, ledger).clear_sandbox(uid)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
