"""A machine joins the cluster of another one, with a token that also says which cluster it is."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from kubelite.client.client import Client
from kubelite.client.http import HttpTransport
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.resources import CONFIG_MAPS, SECRETS
from kubelite.lib.files import write_atomic
from kubelite.node.kubelet.act import facts
from kubelite.node.runtime.home import Home
from kubelite.up.node import NodeOptions
from kubelite.up.node_certificates import CLIENT_SIGNER, Directory, obtain, public_key_hash

_TOKEN = re.compile(r"([a-z0-9]{6}\.[a-z0-9]{16})@(sha256:[0-9a-f]{64})")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class BadToken(Exception):
    """A token that is none, or belongs to another cluster; the message is one sentence."""


class JoinToken(NamedTuple):
    """A bootstrap token of Kubernetes, and the hash of the public key of the cluster's
    authority.
    """

    secret: str
    authority: str

    def __str__(self) -> str:
        return f"{self.secret}@{self.authority}"


def parse(text: str) -> JoinToken:
    """The token that a text is. Raises BadToken."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise BadToken("the token must be one that `kubelite token create` has printed")
    return JoinToken(*match.groups())


async def create_token(access: ClusterAccess, seconds: int) -> JoinToken:
    """A new token that is good for ``seconds``. Raises ClientError."""
    identity, secret = (_random(length) for length in (6, 16))
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": {
            "token-id": identity,
            "token-secret": secret,
            "expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true",
        },
    }
    client = Client(HttpTransport(access))
    try:
        await client.create(SECRETS, body, "kube-system")
    finally:
        await client.close()
    return JoinToken(f"{identity}.{secret}", public_key_hash(access.authority))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def directory_of(home: Home) -> Directory:
    """Where a machine keeps what it has been given when it joined."""
    return Directory(os.path.join(home.root, "node"))


async def join(directory: Directory, server: str, token: JoinToken, node: str) -> None:
    """Gets a certificate for the node and keeps it; the token is not needed any more then.

    Before the token is sent anywhere, the server has to show the certificate of the authority that
    the token names. Raises BadToken, NotSigned, ClientError, OSError.
    """
    authority = await _authority(server, token)
    os.makedirs(directory.path, 0o700, exist_ok=True)
    access = ClusterAccess(server, authority=authority, token=token.secret)
    client = Client(HttpTransport(access), user_agent="kubelite-node")
    try:
        await obtain(client, CLIENT_SIGNER, node, (), directory.pair("client"))
    finally:
        await client.close()
    write_atomic(directory.authority, authority, durable=True)
    write_atomic(directory.server, server.encode(), durable=True)


async def _authority(server: str, token: JoinToken) -> bytes:
    """The cluster's certificate, which anybody may read; the connection proves nothing, its hash
    does.
    """
    client = Client(HttpTransport(ClusterAccess(server, insecure=True)))
    try:
        info = await client.get(CONFIG_MAPS, "cluster-info", "kube-public")
    finally:
        await client.close()
    try:
        config = json.loads(info["data"]["kubeconfig"])
        encoded = config["clusters"][0]["cluster"]["certificate-authority-data"]
        authority = base64.b64decode(encoded)
        key_hash = public_key_hash(authority)
    except (LookupError, ValueError) as error:
        raise BadToken(f"{server} shows no certificate of a cluster: {error}") from error
    if key_hash != token.authority:
        raise BadToken(f"{server} belongs to another cluster than the token: its key is {key_hash}")
    return authority


def joined_options(directory: Directory, **options: Any) -> NodeOptions:
    """How a machine that has joined runs as a node. Raises FileNotFoundError where it has not."""
    access, serving = directory.access(), directory.pair("serving")
    return NodeOptions(
        access,
        access,
        access,
        directory.node(),
        facts.node_address(),
        directory.authority,
        serving.certificate,
        serving.key,
        joined=directory.path,
        **options,
    )
