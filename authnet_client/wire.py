"""JSON-RPC requests of a login and the parts of the answers that are used (docs/protocol/api.md)."""

# ruff: noqa: N815 (names are those of the wire)

from __future__ import annotations

import base64
from typing import Any

import msgspec

from authnet_core.crypto.ecies import Ecies
from authnet_core.crypto.secp256k1 import decompress


class Metadata(msgspec.Struct, frozen=True):
    iv: str
    ephemPublicKey: str
    mac: str


class Nonce(msgspec.Struct, frozen=True):
    iv: str
    ephemPublicKey: str
    mac: str
    ciphertext: str


class Pair(msgspec.Struct, frozen=True):
    x: str
    y: str


class NonceField(msgspec.Struct, frozen=True):
    pubNonce: Pair
    upgraded: bool = False
    nonce_enc: Nonce | None = None


class PublicKey(msgspec.Struct, frozen=True):
    X: str
    Y: str


class ShareKey(msgspec.Struct, frozen=True):
    index: str
    public_key: PublicKey
    node_index: str
    share: str
    share_metadata: Metadata
    nonce_data: NonceField


class ShareAnswer(msgspec.Struct, frozen=True):
    """GetShareOrKeyAssign."""

    keys: tuple[ShareKey, ...]
    session_tokens: tuple[str, ...] = ()
    session_token_metadata: tuple[Metadata, ...] = ()
    session_token_sigs: tuple[str, ...] = ()
    session_token_sig_metadata: tuple[Metadata, ...] = ()
    epoch: int = 0


class CommitAnswer(msgspec.Struct, frozen=True):
    """CommitmentRequest."""

    data: str
    signature: str
    nodepubx: str
    nodepuby: str


def sealed(metadata: Metadata | Nonce, ciphertext: str) -> Ecies:
    """An ECIES message from its hex parts. Raises ValueError."""
    return Ecies(
        bytes.fromhex(metadata.iv),
        bytes.fromhex(metadata.ephemPublicKey),
        bytes.fromhex(metadata.mac),
        bytes.fromhex(ciphertext),
    )


def share_ciphertext(share: str) -> str:
    """torus.js carries a share as base64 of the ciphertext's hex digits. Raises ValueError."""
    return base64.b64decode(share, validate=True).decode("ascii")


def session_coordinates(temp_pub: bytes) -> dict[str, str]:
    """temppubx and temppuby."""
    xy = decompress(temp_pub).hex()
    return {"temppubx": xy[:64], "temppuby": xy[64:]}


def request(method: str, params: dict[str, Any]) -> bytes:
    """One JSON-RPC request."""
    return msgspec.json.encode({"jsonrpc": "2.0", "method": method, "id": 1, "params": params})


def commitment_request(token_hash: bytes, temp_pub: bytes, verifier: str, epoch: int = 0) -> bytes:
    """Round one. The account is not named: a receipt is for a token's hash, whoever it is for."""
    params: dict[str, Any] = {
        "messageprefix": "mug00",
        "tokencommitment": token_hash.hex(),
        "verifieridentifier": verifier,
    }
    params |= {"epoch": epoch} if epoch else {}
    return request("CommitmentRequest", params | session_coordinates(temp_pub))


def share_request(
    verifier: str,
    verifier_id: str,
    token: str,
    *,
    temp_pub: bytes | None = None,
    receipts: list[dict[str, str]] | None = None,
    session_s: int = 86_400,
    epoch: int = 0,
) -> bytes:
    """Round two, or the only one: then T is named and there are no receipts."""
    item = {
        "verifier_id": verifier_id,
        "idtoken": token,
        "key_type": "secp256k1",
        "nodesignatures": receipts or [],
        "verifieridentifier": verifier,
        "session_token_exp_second": session_s,
    }
    place = session_coordinates(temp_pub) if temp_pub else {"temppubx": "", "temppuby": ""}
    params = {"encrypted": "yes", "use_temp": True, "key_type": "secp256k1", "one_key_flow": True}
    params |= {"verifieridentifier": verifier, "nonce_enc": True, "item": [item]}
    params |= {"epoch": epoch} if epoch else {}
    return request("GetShareOrKeyAssign", params | place)
