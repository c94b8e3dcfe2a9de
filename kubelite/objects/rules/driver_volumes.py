"""What the control plane and the nodes agree on about volumes of CSI drivers. Pure.

Names are Kubernetes' (``pkg/volume/csi``): whoever makes a VolumeAttachment again makes it once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubelite.lib.digest import hexdigest

EXTERNAL = "kubelite.io/controller"
"""The annotation of a CSIDriver by which the nodes leave its controller side to others, where it is
``external``.
"""
_ATTACHMENT_NAME = re.compile("csi-[0-9a-f]{64}")
_EXCLUSIVE = {"ReadWriteOnce", "ReadWriteOncePod"}


def attachment_name(driver: str, handle: str, node: str) -> str:
    """The name of the VolumeAttachment of a volume and a node."""
    return f"csi-{hexdigest(f'{handle}{driver}{node}'.encode())}"


def is_attachment_name(name: str) -> bool:
    """Whether a VolumeAttachment has a name of that form: it is the controller's. Others are left
    to who made them, as Kubernetes' attach-detach controller does.
    """
    return _ATTACHMENT_NAME.fullmatch(name) is not None


def unique_name(driver: str, handle: str) -> str:
    """A volume in a Node's ``volumesAttached`` and ``volumesInUse``."""
    return f"kubernetes.io/csi/{driver}^{handle}"


def attach_required(driver: Mapping[str, Any] | None) -> bool:
    """Whether volumes of this CSIDriver are attached to a node first; also where there is none."""
    return driver is None or driver["spec"].get("attachRequired") is not False


def is_exclusive(volume: Mapping[str, Any]) -> bool:
    """Whether a PersistentVolume may be attached to one node only."""
    modes = volume["spec"].get("accessModes") or ()
    return bool(modes) and set(modes) <= _EXCLUSIVE
