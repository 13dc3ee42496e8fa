"""The session key T of one login, the nonce that binds a token to it, and where tokens come from."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from authnet_core.crypto.jose_text import read_token
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.session_binding import session_nonce

TokenSource = Callable[[str | None], Awaitable[str]]
"""Gets a token from the identity provider. Its argument is the nonce to ask for, None in two rounds."""


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One login's own key pair. Make it first, send `nonce` with the user to the provider, use it once."""

    verifier: str
    secret: bytes = field(repr=False)
    temp_pub: bytes
    nonce: str

    @staticmethod
    def start(network_id: str, verifier: str) -> LoginSession:
        """A fresh session key."""
        secret = (1 + secrets.randbelow(Q - 1)).to_bytes(32, "big")
        temp_pub = pub(secret)
        return LoginSession(verifier, secret, temp_pub, session_nonce(network_id, verifier, temp_pub))

    def require_bound(self, token: str, claim: str) -> None:
        """Raises TOKEN_UNBOUND unless the token carries this session's nonce.

        Without this check, a thief who starts the provider's flow with his own nonce would be handed a token
        that opens the account to his session key.
        """
        carried = read_token(token).claims.get(claim)
        if not isinstance(carried, str) or not hmac.compare_digest(carried.encode(), self.nonce.encode()):
            raise AuthnetError(Code.TOKEN_UNBOUND, "the token is not bound to this session: it was not sent")
