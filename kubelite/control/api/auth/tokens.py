"""ServiceAccount tokens: JSON Web Tokens signed with ES256, bound to their account and, if wanted,
to a Pod, Node or Secret.

Claims are those of Kubernetes' projected tokens (``pkg/serviceaccount/claims.go``).
``cryptography`` is imported when the first token is signed or checked, not at start.
"""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

ISSUER = "https://kubernetes.default.svc.cluster.local"
SHORTEST, LONGEST, ORDINARY = 600, 1 << 32, 3600
_REMEMBERED = 1024
_HALF = 32


class Bound(NamedTuple):
    """The object that a token lives and dies with: kind ``Pod``, ``Node`` or ``Secret``."""

    kind: str
    name: str
    uid: str


class Tokens:
    """Signs and checks with the cluster's key, a PEM file."""

    def __init__(self, key_file: str, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self._key_file = key_file
        self._key: EllipticCurvePrivateKey | None = None
        self._key_id = ""
        self._checked: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def sign(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        audiences: list[str],
        seconds: int,
        bound: tuple[Bound, ...] = (),
    ) -> tuple[str, int]:
        """A token of a ServiceAccount, and when it expires in Unix seconds. ``bound`` is what it
        belongs to: the first of these it dies with, others (the node of a pod) are only told.
        """
        now = int(time.time())
        private: dict[str, Any] = {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": uid},
        }
        for reference in bound:
            private[reference.kind.lower()] = {"name": reference.name, "uid": reference.uid}
        claims = {
            "aud": audiences or [self.issuer],
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": private,
            "nbf": now,
            "sub": f"system:serviceaccount:{namespace}:{name}",
        }
        head = _pack(msgspec.json.encode({"alg": "ES256", "kid": self.key_id(), "typ": "JWT"}))
        signed = head + b"." + _pack(msgspec.json.encode(claims))
        return (signed + b"." + _pack(self._signature(signed))).decode(), now + seconds

    def claims(self, token: str) -> dict[str, Any] | None:
        """The claims of a token that this cluster signed and that has not expired; None for any
        other.
        """
        known = self._checked.get(token)
        if known is None:
            known = self._check(token)
            if known is None:
                return None
            self._checked[token] = known
            if len(self._checked) > _REMEMBERED:
                self._checked.popitem(last=False)
        now = time.time()
        return known if known["nbf"] - 60 <= now < known["exp"] else None

    def _check(self, token: str) -> dict[str, Any] | None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        try:
            head, body, signature = token.encode("ascii").split(b".")
            raw = _unpack(signature)
            if len(raw) != 2 * _HALF or msgspec.json.decode(_unpack(head)).get("alg") != "ES256":
                return None
            r, s = (int.from_bytes(raw[part : part + _HALF], "big") for part in (0, _HALF))
            der = utils.encode_dss_signature(r, s)
            self._private().public_key().verify(der, head + b"." + body, ec.ECDSA(SHA256()))
            claims = msgspec.json.decode(_unpack(body))
        except (ValueError, InvalidSignature, msgspec.DecodeError, AttributeError):
            return None
        return claims if isinstance(claims, dict) and claims.get("iss") == self.issuer else None

    def key_id(self) -> str:
        """The name of the public key: the hash of its DER form (serviceaccount,
        ``keyIDFromPublicKey``).
        """
        if not self._key_id:
            from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

            der = (
                self._private()
                .public_key()
                .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            )
            self._key_id = _pack(hashlib.sha256(der).digest()).decode()
        return self._key_id

    def key_set(self) -> dict[str, Any]:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        point = self._private().public_key().public_numbers()
        coordinates = {
            axis: _pack(value.to_bytes(_HALF, "big")).decode()
            for axis, value in (("x", point.x), ("y", point.y))
        }
        key = {
            "use": "sig",
            "kty": "EC",
            "kid": self.key_id(),
            "crv": "P-256",
            "alg": "ES256",
            **coordinates,
        }
        return {"keys": [key]}

    def provider(self, address: str) -> dict[str, Any]:
        """What OpenID Connect calls the provider metadata; ``address`` is host and port of the
        server.
        """
        return {
            "issuer": self.issuer,
            "jwks_uri": f"https://{address}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def _signature(self, data: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric import ec, utils
        from cryptography.hazmat.primitives.hashes import SHA256

        r, s = utils.decode_dss_signature(self._private().sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")

    def _private(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if self._key is None:
            with open(self._key_file, "rb") as file:
                key = load_pem_private_key(file.read(), None)
            assert isinstance(key, EllipticCurvePrivateKey)
            self._key = key
        return self._key


def _pack(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpack(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
