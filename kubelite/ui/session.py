"""The one-time token and the cookie for which it is swapped."""

from __future__ import annotations

import hmac
import secrets

_BYTES = 32


class Session:
    """The session of one browser."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(_BYTES)
        """What the address of the page carries. Good for one swap."""
        self._is_spent = False
        self._secret = secrets.token_urlsafe(_BYTES)

    def swap(self, token: str) -> str | None:
        """The secret of the session for the token; None for a wrong token, or a second time."""
        if self._is_spent or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self._is_spent = True
        return self._secret

    def knows(self, secret: str) -> bool:
        """Whether a request belongs to the session."""
        return self._is_spent and hmac.compare_digest(secret.encode(), self._secret.encode())
