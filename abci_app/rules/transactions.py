"""From bytes to a transaction that the rules may look at, and the checks that hold for every kind.

What a transaction is by itself (decoding, signature) is worked out once and remembered by its hash; what the
state says about it is asked every time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from abci_app.rules.members import check_membership
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.errors import Code, DecodeError, Rejected
from authnet_core.wire.authnet_pb2 import SignedTx, TxBody
from authnet_core.wire.tx import PROTOCOL_VERSION, decode_signed, is_signature_valid, replay_id

_DECODED = 4_096
"""A block's worth: they take 2 kB each."""
_VERIFIED = 32_768
_LARGE = 4_096
"""Bigger transactions are rare; decoding them again is cheaper than keeping them."""


@dataclass(frozen=True, slots=True)
class Tx:
    """A decoded transaction. `message` is the protobuf message of its kind and is never changed."""

    hash: bytes
    signer: bytes
    chain_id: str
    version: int
    epoch: int
    expiry: int
    kind: str
    message: Any
    replay_id: bytes
    signed: SignedTx

    @property
    def raw(self) -> bytes:
        """The bytes it came in: only the canonical encoding is ever decoded."""
        return bytes(self.signed.SerializeToString(deterministic=True))


def _read(raw: bytes, tx_hash: bytes) -> Tx:
    signed, body = decode_signed(raw)
    kind = body.WhichOneof("kind")
    if kind is None:
        raise DecodeError("a transaction of no known kind")
    return Tx(
        hash=tx_hash,
        signer=signed.signer,
        chain_id=body.chain_id,
        version=body.version,
        epoch=body.epoch,
        expiry=body.expiry_height,
        kind=kind,
        message=_message(body, kind),
        replay_id=replay_id(signed),
        signed=signed,
    )


def _message(body: TxBody, kind: str) -> Any:
    return getattr(body, kind)


class Transactions:
    """Decodes and verifies, with a bounded memory of both."""

    def __init__(self) -> None:
        self._decoded: OrderedDict[bytes, Tx] = OrderedDict()
        self._verified: OrderedDict[bytes, bool] = OrderedDict()

    def decode(self, raw: bytes) -> Tx:
        """Raises DecodeError."""
        tx_hash = sha256(raw).digest()
        known = self._decoded.get(tx_hash)
        if known is not None:
            return known
        tx = _read(raw, tx_hash)
        if len(raw) <= _LARGE:
            _keep(self._decoded, tx_hash, tx, _DECODED)
        return tx

    def is_signed(self, tx: Tx) -> bool:
        """Whether the signer signed it. Verified once per transaction."""
        known = self._verified.get(tx.hash)
        if known is None:
            known = is_signature_valid(tx.signed)
            _keep(self._verified, tx.hash, known, _VERIFIED)
        return known


def _keep(memory: OrderedDict[bytes, Any], key: bytes, item: Any, limit: int) -> None:
    memory[key] = item
    if len(memory) > limit:
        memory.popitem(last=False)


def check_envelope(state: State, tx: Tx, transactions: Transactions) -> None:
    """What every kind must fulfil: cheap checks first, the signature last. Raises Rejected."""
    genesis, window = state.need(tables.GENESIS), state.need(tables.PARAMS).expiry_window
    if tx.chain_id != genesis.chain_id:
        raise Rejected(Code.WRONG_CHAIN, "signed for another chain")
    if tx.version != PROTOCOL_VERSION:
        raise Rejected(Code.WRONG_VERSION, f"protocol version must be {PROTOCOL_VERSION}")
    if tx.expiry < state.block.height:
        raise Rejected(Code.EXPIRED, f"expired at height {tx.expiry}")
    if tx.expiry > state.block.height + window:
        raise Rejected(Code.EXPIRY_TOO_FAR, f"may expire at most {window} heights ahead")
    check_membership(state, tx.kind, tx.epoch, tx.signer)
    if state.is_seen(tx.expiry, tx.replay_id):
        raise Rejected(Code.SEEN_BEFORE, "this transaction is on chain already")
    if not transactions.is_signed(tx):
        raise Rejected(Code.BAD_SIGNATURE, "the signature is not the signer's over these bytes")
