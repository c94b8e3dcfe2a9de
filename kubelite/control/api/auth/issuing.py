"""PKCS#10 requests read, and certificates made from them by the cluster's authority.
``cryptography`` is imported on use.
"""

from __future__ import annotations

import base64
import binascii
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from kubelite.control.api.auth.csr import EXTENDED_USAGES, KEY_USAGES, RequestedSubject

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from kubelite.control.api.auth.pki import Pair

BACKDATE = timedelta(minutes=5)  # for clocks that are behind ours
MOST_BYTES = 64 << 10


class BadRequestFile(ValueError):
    """The bytes of a request are none; the message says why."""


def parse(text: str) -> x509.CertificateSigningRequest:
    """The request in a ``spec.request`` (base64 of PEM), its signature checked. Raises
    BadRequestFile.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        data = base64.b64decode(text, validate=True)
        if len(data) > MOST_BYTES or not data.lstrip().startswith(
            b"-----BEGIN CERTIFICATE REQUEST-----"
        ):
            raise BadRequestFile("PEM block type must be CERTIFICATE REQUEST")
        request = x509.load_pem_x509_csr(data)
        if not request.is_signature_valid:
            raise BadRequestFile("the signature of the request is not valid")
        requested_subject(request)
    except BadRequestFile:
        raise
    except (ValueError, TypeError, binascii.Error, InvalidSignature, UnsupportedAlgorithm) as error:
        raise BadRequestFile(f"it is no certificate request: {error}") from None
    return request


def requested_subject(request: x509.CertificateSigningRequest) -> RequestedSubject:
    """What a request says. Raises ValueError."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    def named(oid: x509.ObjectIdentifier) -> tuple[str, ...]:
        return tuple(
            str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)
        )

    hosts: list[str] = []
    others: list[str] = []
    for alternative in alternatives(request) or ():
        (hosts if isinstance(alternative, x509.DNSName | x509.IPAddress) else others).append(
            str(alternative.value)
        )
    return RequestedSubject(
        named(NameOID.COMMON_NAME), named(NameOID.ORGANIZATION_NAME), tuple(hosts), tuple(others)
    )


def alternatives(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    """The alternative names of a request. Raises ValueError."""
    from cryptography import x509

    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def issue(
    authority: Pair,
    request: x509.CertificateSigningRequest,
    usages: list[str],
    seconds: int,
    now: datetime,
) -> bytes:
    """A certificate in PEM for the key of a request, under the names it asks for. Raises OSError,
    ValueError.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    with open(authority.certificate, "rb") as file:
        issuer = x509.load_pem_x509_certificate(file.read())
    with open(authority.key, "rb") as file:
        signer: Any = load_pem_private_key(file.read(), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(issuer.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - BACKDATE, issuer.not_valid_before_utc))
        .not_valid_after(min(now + timedelta(seconds=seconds), issuer.not_valid_after_utc))
    )
    for extension, critical in _extensions(request, usages, signer.public_key()):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(signer, SHA256()).public_bytes(Encoding.PEM)


def _extensions(
    request: x509.CertificateSigningRequest, usages: list[str], authority: Any
) -> list[tuple[x509.ExtensionType, bool]]:
    """What the certificate may be used for, and whose it is; nothing else of the request is taken
    over.
    """
    from cryptography import x509

    bits = {KEY_USAGES[usage] for usage in usages if usage in KEY_USAGES}
    flags = {name: name in bits for name in set(KEY_USAGES.values())}
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), False),
    ]
    if bits:
        extensions.append((x509.KeyUsage(**flags), True))
    extended = dict.fromkeys(EXTENDED_USAGES[usage] for usage in usages if usage in EXTENDED_USAGES)
    if extended:
        extensions.append(
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(usage) for usage in extended]), False)
        )
    names = alternatives(request)
    if names is not None:
        extensions.append((names, False))
    return extensions
