"""What a successful login gets: share, nonce and session token, all sealed to the session key T.

Formats of torusjs-wire.md 2.4 and 4. The session token says who logged in with which T and until when; the
epoch's service key signs it. No cleartext of a share leaves this module.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import msgspec

from authnet_core.crypto import ecies
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import KeyView
from p2p_dkg.ports import KeyShare, Signer


@dataclass(frozen=True, slots=True)
class Session:
    """One login that was decided: for whom, for which session key, by which node."""

    network_id: str
    verifier: str
    user: str
    extension: str
    temp_pub: bytes
    epoch: int
    node_index: int
    issued_s: int
    lifetime_s: int

    def token(self) -> bytes:
        """The session token's JSON."""
        x_y = decompress(self.temp_pub)
        fields: dict[str, Any] = {
            "exp": self.issued_s + self.lifetime_s,
            "iat": self.issued_s,
            "temp_key_x": x_y[:32].hex(),
            "temp_key_y": x_y[32:].hex(),
            "verifier_name": self.verifier,
            "verifier_id": self.user,
            "network_id": self.network_id,
            "epoch": self.epoch,
            "node_index": self.node_index,
        }
        if self.extension:
            fields["extended_verifier_id"] = self.extension
        return msgspec.json.encode(fields)


def build_answer(
    session: Session, key: KeyView, share: KeyShare, service: Signer, *, seal_nonce: bool
) -> dict[str, Any]:
    """Everything the client may have. The nonce of an upgraded key is never in it."""
    token = session.token()
    # Existing consumers check the signature over the base64 text, not over the bytes.
    signature = service.sign_recoverable(keccak256(base64.b64encode(token)))
    answer: dict[str, Any] = {
        "index": key.index,
        "Y": key.Y,
        "N": key.N,
        "share": _seal(session.temp_pub, share.x.to_bytes(32, "big")),
        "session_token": _seal(session.temp_pub, token),
        "session_token_sig": _seal(session.temp_pub, signature),
        "node_index": session.node_index,
        "service_pub": service.pub.hex(),
        "upgraded": key.upgraded,
        "created_ms": key.assigned_ms,
        "epoch": session.epoch,
    }
    if not key.upgraded:
        answer |= _nonce(session, share, sealed=seal_nonce)
    return answer


def _nonce(session: Session, share: KeyShare, *, sealed: bool) -> dict[str, Any]:
    if share.nonce is None:
        raise AuthnetError(Code.SHARE_MISSING, "this node does not hold the key's nonce")
    raw = share.nonce.to_bytes(32, "big")
    return {"nonce_sealed": _seal(session.temp_pub, raw)} if sealed else {"nonce": raw.hex()}


def _seal(temp_pub: bytes, plaintext: bytes) -> dict[str, str]:
    sealed = ecies.encrypt(temp_pub, plaintext)
    return {
        "iv": sealed.iv.hex(),
        "ephem": sealed.ephem_public_key.hex(),
        "mac": sealed.mac.hex(),
        "ciphertext": sealed.ciphertext.hex(),
    }
