"""The credentials of a node on the server's own machine: made with the cluster's authority."""

from __future__ import annotations

import os
from typing import Any

from kubelite.client.kubeconfig import ClusterAccess
from kubelite.control.api.auth.pki import Pair, Pki
from kubelite.node.kubelet.act import facts
from kubelite.up.node import NodeOptions
from kubelite.up.node_objects import (
    GROUP,
    INGRESS_GROUP,
    INGRESS_USER,
    STORAGE_GROUP,
    STORAGE_USER,
    USER,
)


def node_options(directory: str, server: str, name: str, **options: Any) -> NodeOptions:
    """How this machine joins the cluster whose server keeps its keys in ``directory``.

    ``name`` is the host name where it is empty. Raises FileNotFoundError where there are no keys.
    """
    keys = os.path.join(directory, "pki")
    if not os.path.isdir(keys):
        raise FileNotFoundError(2, "no keys", keys)
    pki = Pki(keys)
    name, address = name or facts.node_name(), facts.node_address()
    own = pki.node(name, address)
    access = ClusterAccess(
        server,
        authority=_read(pki.authority.certificate),
        certificate=_read(own.certificate),
        key=_read(own.key),
    )
    return NodeOptions(
        access,
        _as(access, pki.client("node-network", USER, (GROUP,))),
        _as(access, pki.client("node-storage", STORAGE_USER, (STORAGE_GROUP,))),
        name,
        address,
        pki.authority.certificate,
        own.certificate,
        own.key,
        ingress_access=_as(access, pki.client("ingress", INGRESS_USER, (INGRESS_GROUP,))),
        **options,
    )


def _as(access: ClusterAccess, user: Pair) -> ClusterAccess:
    """The same cluster for another user."""
    return access._replace(certificate=_read(user.certificate), key=_read(user.key))


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
