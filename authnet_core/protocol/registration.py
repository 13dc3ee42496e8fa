"""What a node states about itself in the registry contract, and the digest its identity key signs (EIP-712).

Pure. The digest covers the Ethereum chain id, the contract, the epoch, the operator and every field, so a
registration can not be replayed to another contract, epoch or operator. contracts/src/Epochs.sol computes the same.
"""

from __future__ import annotations

from typing import Any

import msgspec

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress, is_point
from authnet_core.errors import AuthnetError, Code

MAX_TEXT = 200
_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_REGISTRATION_TYPE = (
    b"Registration(uint64 epoch,address operator,uint256 identityX,uint256 identityY,bytes32 consensus,"
    b"string peerId,bytes20 cometId,string p2pAddress,string cometAddress,string endpoint)"
)


class Registration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One node's entry of one epoch. Bytes are lowercase hex without 0x, Ethereum addresses lowercase with it.

    Identity, consensus key, peer id and CometBFT id are keys: fixed once registered. The addresses may be
    corrected until the epoch starts.
    """

    epoch: int
    operator: str
    identity: str
    consensus: str
    peer_id: str
    comet_id: str
    p2p_addr: str
    comet_addr: str
    """host:port"""
    endpoint: str

    @property
    def keys(self) -> tuple[str, str, str, str]:
        """What a correction may not change."""
        return self.identity, self.consensus, self.peer_id, self.comet_id


class SigningRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of the keeper's `sign_registration`."""

    eth_chain_id: int
    registry: str
    registration: Registration


def _unhex(key: str, text: str, size: int) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(raw) != size or raw.hex() != text:
        raise AuthnetError(Code.BAD_PARAMS, f"{key}: must be {size} bytes in lowercase hex")
    return raw


def parse_address(key: str, text: str) -> bytes:
    """The 20 bytes of a lowercase 0x address. Raises AuthnetError(BAD_PARAMS) naming `key`."""
    if not text.startswith("0x"):
        raise AuthnetError(Code.BAD_PARAMS, f"{key}: must be a lowercase 0x address")
    return _unhex(key, text[2:], 20)


def _check(request: SigningRequest) -> None:
    entry = request.registration
    parse_address("registry", request.registry)
    parse_address("operator", entry.operator)
    _unhex("consensus", entry.consensus, 32)
    _unhex("comet_id", entry.comet_id, 20)
    if not is_point(_unhex("identity", entry.identity, 33)):
        raise AuthnetError(Code.BAD_PARAMS, "identity: not a point of the curve")
    if not 0 < entry.epoch < 2**64 or not 0 < request.eth_chain_id < 2**64:
        raise AuthnetError(Code.BAD_PARAMS, "epoch: epoch and eth_chain_id must be positive")
    texts = {key: getattr(entry, key) for key in ("peer_id", "p2p_addr", "comet_addr", "endpoint")}
    for key, text in texts.items():
        if not 0 < len(text) <= MAX_TEXT or not all("!" <= c <= "~" for c in text):
            raise AuthnetError(Code.BAD_PARAMS, f"{key}: must be 1 to {MAX_TEXT} printable ASCII characters")


def parse_fields(fields: dict[str, Any]) -> SigningRequest:
    """Read `sign_registration`'s parameters. Raises AuthnetError(BAD_PARAMS) naming the field."""
    try:
        request = msgspec.convert(fields, SigningRequest)
    except msgspec.ValidationError as error:
        raise AuthnetError(Code.BAD_PARAMS, str(error)) from None
    _check(request)
    return request


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def registration_digest(request: SigningRequest) -> bytes:
    """The 32 bytes that the identity key signs (r || s || v) so that the contract accepts the entry."""
    _check(request)
    entry = request.registration
    domain = keccak256(
        keccak256(_DOMAIN_TYPE)
        + keccak256(b"Authnet Registry")
        + keccak256(b"1")
        + _word(request.eth_chain_id)
        + bytes(12)
        + parse_address("registry", request.registry)
    )
    struct = keccak256(
        keccak256(_REGISTRATION_TYPE)
        + _word(entry.epoch)
        + bytes(12)
        + parse_address("operator", entry.operator)
        + decompress(bytes.fromhex(entry.identity))
        + bytes.fromhex(entry.consensus)
        + keccak256(entry.peer_id.encode())
        + bytes.fromhex(entry.comet_id)
        + bytes(12)
        + keccak256(entry.p2p_addr.encode())
        + keccak256(entry.comet_addr.encode())
        + keccak256(entry.endpoint.encode())
    )
    return keccak256(b"\x19\x01" + domain + struct)
