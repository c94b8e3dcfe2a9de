"""The command that a shim executes when pause has died unexpectedly: ``python -m
kubelite.node.runtime.cleanup ROOT UID``.

It removes the sandbox's kernel objects; the pod's record, exits, logs and volumes stay, to show
what happened.
"""

from __future__ import annotations

import sys
from contextlib import closing

from kubelite.lib.files import FileLock
from kubelite.node.runtime.home import Home
from kubelite.node.runtime.ledger import Ledger
from kubelite.node.runtime.removal import Remover
from kubelite.node.runtime.sandbox import is_up


def main(root: str, uid: str) -> None:
    """Waits for the pod's lock, then clears what is left of its sandbox; one that is up is a later
    one.
    """
    home = Home(root)
    home.check()
    with FileLock(home.pod_lock(uid)) as lock:
        ledger = Ledger(home)
        if ledger.pod(uid) is None:
            lock.remove()
        elif not is_up(home, ledger.sandbox(uid)):
            with closing(Remover(home, ledger)) as remover:
                remover.clear_sandbox(uid)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
