"""The network of pods by CNI plug-ins, instead of our own bridge (CNI specification 0.3 to 1.1).

    config       which network a directory of configuration asks for      pure
    requests     what a plug-in is told: its configuration and variables  pure
    results      what a plug-in answers: addresses, or why it has failed  pure
    plugins      runs one plug-in
    stand_in     a network namespace in place of one that has gone
    attachments  connects a pod, checks and disconnects it; what is on record of it
    name_server  how pods reach the cluster's name server
    loopback     brings up the pod's own loopback interface

A pod that is connected has a record beside its own, written before the first plug-in
runs and removed when the last one has undone its work.
"""

from __future__ import annotations

import msgspec

DEFAULT_BIN = "/usr/lib/cni:/opt/cni/bin"
"""Where Debian's package puts plug-ins, and where the networks of Kubernetes put theirs."""


class Directories(msgspec.Struct, frozen=True):
    """The directory of the configuration, and those of the plug-ins with colons between them.

    It is on the record of every pod, so it takes no module of its own to read one.
    """

    conf: str
    bin: str = DEFAULT_BIN
