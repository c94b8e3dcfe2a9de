"""The certificates of a node that has joined a cluster from another machine: asked for with a
bootstrap token, then renewed with themselves.

The directory holds ``ca.crt``, ``client.crt`` and ``serving.crt`` with their keys, and the server's
URL. A certificate is renewed when four fifths of its time are over, as the kubelet does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from kubelite.client.client import Client
from kubelite.client.errors import ClientError
from kubelite.client.kubeconfig import ClusterAccess
from kubelite.client.resources import CERTIFICATE_SIGNING_REQUESTS
from kubelite.lib.files import write_atomic

CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING_SIGNER = "kubernetes.io/kubelet-serving"
RENEWED_SHARE = 0.8
ANSWER_SECONDS, ASK_SECONDS, LOOK_SECONDS = 60.0, 0.1, 3600.0

_log = logging.getLogger("kubelite.node")


class NotSigned(Exception):
    """A certificate was refused, or did not come in time; the message is one sentence."""


class Pair(NamedTuple):
    """Paths of a certificate and of its key."""

    certificate: str
    key: str


class Directory(NamedTuple):
    """Where a node keeps its credentials."""

    path: str

    @property
    def authority(self) -> str:
        """The certificate of the cluster's authority."""
        return f"{self.path}/ca.crt"

    @property
    def server(self) -> str:
        """The file with the URL of the API server."""
        return f"{self.path}/server"

    def pair(self, name: str) -> Pair:
        """``client`` or ``serving``."""
        return Pair(f"{self.path}/{name}.crt", f"{self.path}/{name}.key")

    def node(self) -> str:
        """The name of the node that has joined. Raises FileNotFoundError."""
        certificate = x509.load_pem_x509_certificate(_read(self.pair("client").certificate))
        (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(name.value).removeprefix("system:node:")

    def access(self) -> ClusterAccess:
        """How the node reaches its cluster. Raises FileNotFoundError where it has not joined."""
        own = self.pair("client")
        return ClusterAccess(
            _read(self.server).decode(),
            authority=_read(self.authority),
            certificate=_read(own.certificate),
            key=_read(own.key),
        )


def public_key_hash(certificate: bytes) -> str:
    """``sha256:`` and the digest of a PEM certificate's public key, as kubeadm writes it."""
    key = x509.load_pem_x509_certificate(certificate).public_key()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


async def obtain(
    client: Client, signer: str, node: str, hosts: tuple[str, ...], pair: Pair
) -> None:
    """Has a certificate for ``node`` signed, with ``hosts`` for a server, and keeps it with its
    key. Raises NotSigned, ClientError.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    kind = "server auth" if signer == SERVING_SIGNER else "client auth"
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(_request(key, node, hosts)).decode(),
            "signerName": signer,
            "usages": ["digital signature", kind],
        },
    }
    created = await client.create(CERTIFICATE_SIGNING_REQUESTS, body)
    certificate = await _answer(client, created["metadata"]["name"])
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomic(pair.key, pem, durable=True)
    write_atomic(pair.certificate, certificate, durable=True)


def _request(key: ec.EllipticCurvePrivateKey, node: str, hosts: tuple[str, ...]) -> bytes:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}"),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if hosts:
        names = x509.SubjectAlternativeName([_general(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


async def _answer(client: Client, name: str) -> bytes:
    """The certificate, once somebody has approved the request and it is signed."""
    deadline = asyncio.get_running_loop().time() + ANSWER_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        status = (await client.get(CERTIFICATE_SIGNING_REQUESTS, name)).get("status") or {}
        if status.get("certificate"):
            return base64.b64decode(status["certificate"])
        for condition in status.get("conditions") or ():
            if condition["type"] in ("Denied", "Failed"):
                reason = condition.get("message") or condition.get("reason", "")
                raise NotSigned(f"the request {name} was refused: {reason}")
        await asyncio.sleep(ASK_SECONDS)
    raise NotSigned(
        f"nobody has approved the request {name}; `kubectl certificate approve {name}` does"
    )


class NodeCertificates:
    """Keeps the certificates of the node ``node`` in ``directory`` current. ``renewed`` is called
    with "client" or "serving" when there is a new one.
    """

    def __init__(
        self,
        client: Client,
        directory: Directory,
        node: str,
        hosts: tuple[str, ...],
        renewed: Callable[[str], None],
    ) -> None:
        self._client, self._directory = client, directory
        self._node, self._hosts, self._renewed = node, hosts, renewed

    async def ensure_serving(self) -> None:
        """Returns when there is a serving certificate. Raises NotSigned, ClientError."""
        if not os.path.exists(self._directory.pair("serving").certificate):
            await self._renew("serving")

    async def run(self) -> None:
        """Renews until cancelled."""
        while True:
            for name in ("client", "serving"):
                if is_due(_read(self._directory.pair(name).certificate), datetime.now(UTC)):
                    try:
                        await self._renew(name)
                        self._renewed(name)
                    except (NotSigned, ClientError) as error:
                        _log.warning("the %s certificate cannot be renewed: %s", name, error)
            await asyncio.sleep(LOOK_SECONDS)

    async def _renew(self, name: str) -> None:
        is_client = name == "client"
        signer, hosts = (CLIENT_SIGNER, ()) if is_client else (SERVING_SIGNER, self._hosts)
        await obtain(self._client, signer, self._node, hosts, self._directory.pair(name))


def is_due(certificate: bytes, now: datetime) -> bool:
    """Whether a PEM certificate is to be renewed."""
    parsed = x509.load_pem_x509_certificate(certificate)
    begun, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return now >= begun + (ends - begun) * RENEWED_SHARE


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        return file.read()
