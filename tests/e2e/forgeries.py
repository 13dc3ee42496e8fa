"""Transactions that no honest node would send: signed with real keys of members, given to a node's own CometBFT."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import msgspec

from authnet_core.crypto import secp256k1
from authnet_core.errors import Code, number
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.tx import decode_signed, sign_tx
from p2p_dkg.keystore.files import read_passphrase
from p2p_dkg.keystore.nodekeys import open_node_keys
from tests.e2e.net import Net

_CODES = {number(code): code.value for code in Code}
_LIFE = 40
"""Blocks until a forged transaction expires."""


def identity_of(net: Net, j: int) -> bytes:
    """Node j's identity key, as whoever has its disk and passphrase reads it; the node may be down."""
    node = net.node(j).path
    keys = open_node_keys(node / "keeper" / "node.keys", net.first.network_id, read_passphrase(node / "passphrase"))
    assert keys is not None
    return keys.identity


def stranger() -> bytes:
    """The key of somebody who is in no committee."""
    return (1 + secrets.randbelow(secp256k1.Q - 1)).to_bytes(32, "big")


class Forger:
    """Speaks through the CometBFT of node `at`, as anybody who broke into it can."""

    def __init__(self, net: Net, at: int) -> None:
        self._net, self.at = net, at

    def send(self, key: bytes, epoch: int, chain_id: str = "", **kind: Any) -> str:
        """The code with which a transaction of this kind is refused, empty if it is taken."""
        body = pb.TxBody(
            chain_id=chain_id or self._net.first.chain_id,
            version=1,
            epoch=epoch,
            expiry_height=self._net.height(self.at) + _LIFE,
            **kind,
        )
        return self.broadcast(sign_tx(key, secp256k1.pub(key), body))

    def broadcast(self, raw: bytes) -> str:
        """`broadcast_tx_sync` of bytes as they are: the refusal's code, empty if they are taken."""
        try:
            answer = self._net.comet(self.at, "broadcast_tx_sync", {"tx": base64.b64encode(raw).decode()})
        except AssertionError as refused:
            if "tx already exists in cache" not in str(refused):
                raise
            return "IN_CACHE"  # CometBFT itself knows it: it was in its mempool or in a block a moment ago
        return _CODES.get(int(answer["code"]), "") if answer["code"] else ""

    def find(self, kind: str, signer: bytes, newest: int = 60) -> bytes | None:
        """The newest transaction of this kind and signer (33 bytes) among the last blocks."""
        top = self._net.height(self.at)
        for height in range(top, max(0, top - newest), -1):
            block = self._net.comet(self.at, "block", {"height": str(height)})["block"]
            for text in block["data"]["txs"] or ():
                raw = base64.b64decode(text)
                signed, body = decode_signed(raw)
                if body.WhichOneof("kind") == kind and signed.signer == signer:
                    return raw
        return None


def again(key: bytes, raw: bytes, expiry_height: int) -> bytes:
    """What a transaction said, said once more by its own signer: another expiry, so that it is another transaction."""
    _, body = decode_signed(raw)
    body.expiry_height = expiry_height
    return sign_tx(key, secp256k1.pub(key), body)


def changed(record: bytes, **fields: int) -> bytes:
    """An epoch's registry record with other numbers in it."""
    parsed = pb.Record()
    parsed.ParseFromString(record)
    for name, value in fields.items():
        setattr(parsed.epoch, name, value)
    return parsed.SerializeToString(deterministic=True)


class Problem(msgspec.Struct, frozen=True):
    """What an epoch manager complains of."""

    where: str
    code: str
    message: str
