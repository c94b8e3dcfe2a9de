"""The cluster's keys and certificates: one authority, one server certificate, client certificates
for people and parts; and one more authority for what the server shows to extension servers.

Elliptic curve keys (P-256), made in milliseconds. ``cryptography`` is imported only when something
has to be made: a server that finds its files starts without it.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from kubelite.lib.files import FileLock, write_atomic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256

YEARS = 10
FRONT_PROXY = "front-proxy-client"
_SERVICE_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


class Pair(NamedTuple):
    """Paths of a certificate and of its key."""

    certificate: str
    key: str


class Pki:
    """The files of a cluster under one directory, made when first asked for."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    @property
    def authority(self) -> Pair:
        """The authority that signs everything. Server and node may ask for it at the same time."""
        return self._authority("ca", "kubelite-ca")

    @property
    def front_proxy_authority(self) -> Pair:
        """The authority of :meth:`front_proxy` alone: nobody else's certificate may speak for
        others to extension servers.
        """
        return self._authority("front-proxy-ca", "front-proxy-ca")

    def front_proxy(self) -> Pair:
        """The certificate with which the server presents itself to extension servers."""
        pair = Pair(self.path("front-proxy-client.crt"), self.path("front-proxy-client.key"))
        if not _complete(pair):
            self._issue(pair, FRONT_PROXY, (), authority=self.front_proxy_authority)
        return pair

    def _authority(self, file: str, name: str) -> Pair:
        pair = Pair(self.path(f"{file}.crt"), self.path(f"{file}.key"))
        if not _complete(pair):
            with FileLock(self.path("lock")):
                if not _complete(pair):
                    self._make_authority(pair, name)
        return pair

    def server(self, names: Sequence[str]) -> Pair:
        """A certificate for the server under names and addresses, remade when it does not cover
        them all.
        """
        pair = Pair(self.path("server.crt"), self.path("server.key"))
        wanted = sorted(
            {
                *names,
                *_SERVICE_NAMES,
                "localhost",
                "127.0.0.1",
                "::1",
                "10.96.0.1",
                socket.gethostname(),
            }
        )
        record = self.path("server.names")
        if not _complete(pair) or _read(record) != "\n".join(wanted):
            self._issue(pair, "kube-apiserver", (), names=wanted)
            write_atomic(record, "\n".join(wanted).encode(), durable=False)
        return pair

    def client(self, file: str, user: str, groups: Sequence[str] = ()) -> Pair:
        """A certificate with which ``user`` of ``groups`` may present itself."""
        pair = Pair(self.path(f"{file}.crt"), self.path(f"{file}.key"))
        if not _complete(pair):
            self._issue(pair, user, groups)
        return pair

    def node(self, name: str, address: str) -> Pair:
        """A certificate with which a node presents itself to the API server and serves its
        kubelet.
        """
        pair = Pair(self.path(f"node-{name}.crt"), self.path(f"node-{name}.key"))
        record = self.path(f"node-{name}.names")
        names = sorted({name, address, "localhost", "127.0.0.1"})
        if not _complete(pair) or _read(record) != "\n".join(names):
            self._issue(pair, f"system:node:{name}", ("system:nodes",), names=names)
            write_atomic(record, "\n".join(names).encode(), durable=False)
        return pair

    def signing_key(self) -> str:
        """The file with the key that signs ServiceAccount tokens."""
        path = self.path("sa.key")
        if not os.path.exists(path):
            write_atomic(path, _pem(_new_key()), durable=True)
        return path

    def _make_authority(self, pair: Pair, common_name: str) -> None:
        key = _new_key()
        name = _name(common_name, ())
        builder = _builder(name, name, key).add_extension(*_constraints(authority=True))
        _write_pair(pair, builder.sign(key, _sha256()), key)

    def _issue(
        self,
        pair: Pair,
        user: str,
        groups: Sequence[str],
        *,
        names: Sequence[str] = (),
        authority: Pair | None = None,
    ) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509.oid import ExtendedKeyUsageOID as Usage

        authority = authority or self.authority
        with open(authority.certificate, "rb") as file:
            issuer = x509.load_pem_x509_certificate(file.read())
        with open(authority.key, "rb") as file:
            signer = load_pem_private_key(file.read(), None)
        key = _new_key()
        usages = [Usage.SERVER_AUTH, Usage.CLIENT_AUTH] if names else [Usage.CLIENT_AUTH]
        builder = _builder(_name(user, groups), issuer.subject, key).add_extension(
            *_constraints(authority=False)
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general(name) for name in names]), critical=False
            )
        _write_pair(pair, builder.sign(signer, _sha256()), key)  # type: ignore[arg-type]


def _complete(pair: Pair) -> bool:
    return os.path.exists(pair.certificate) and os.path.exists(pair.key)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _new_key() -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def _sha256() -> SHA256:
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def _name(user: str, groups: Sequence[str]) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _general(name: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _constraints(*, authority: bool) -> tuple[x509.ExtensionType, bool]:
    from cryptography import x509

    return x509.BasicConstraints(ca=authority, path_length=None), True


def _pem(key: EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_pair(pair: Pair, certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> None:
    """The certificate last: where it is, its key is."""
    from cryptography.hazmat.primitives.serialization import Encoding

    write_atomic(pair.key, _pem(key), durable=True)
    write_atomic(pair.certificate, certificate.public_bytes(Encoding.PEM), durable=True, mode=0o644)
