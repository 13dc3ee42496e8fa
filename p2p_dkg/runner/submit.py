"""Signs and broadcasts this node's transactions. They are built from fields here; nobody hands in bytes to sign."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message as Protobuf

from authnet_core.errors import AuthnetError, Code, number
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.tx import PROTOCOL_VERSION, body_digest
from authnet_runtime.chain import BlockNote
from authnet_runtime.comet import CometRpc
from authnet_runtime.logs import get_logger
from authnet_runtime.metrics import Counter
from p2p_dkg.faults import FaultPoints
from p2p_dkg.ports import NodeIdentity

EXPIRY_BLOCKS = 20
_REMEMBERED = 4_096
SUBMITTED = Counter("authnet_tx_submitted", "Transactions broadcast, by kind and answer", ["kind", "code"])
_CODES = {number(code): code for code in Code}
_log = get_logger("submit")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What became of a broadcast: `code` is None when CheckTx took it."""

    tx_hash: str
    expiry_height: int
    code: Code | None
    log: str = ""


class TxDesk:
    """One per keeper."""

    def __init__(self, identity: NodeIdentity, comet: CometRpc, height: Callable[[], int], faults: FaultPoints) -> None:
        self._identity, self._comet, self._height, self._faults = identity, comet, height, faults
        self.chain_id = ""
        self._sent: OrderedDict[str, Code | None] = OrderedDict()
        """Hashes of the newest transactions, and the refusal that each met in a block."""

    async def send(self, epoch: int, kind: str, fields: Protobuf) -> Ticket:
        """Sign and broadcast one transaction of `kind`.

        A refusal by CheckTx is in the ticket. Raises AuthnetError(UNAVAILABLE or BUSY) when CometBFT can not take it.
        """
        expiry = self._height() + EXPIRY_BLOCKS
        body = pb.TxBody(chain_id=self.chain_id, version=PROTOCOL_VERSION, epoch=epoch, expiry_height=expiry)
        getattr(body, kind).CopyFrom(fields)
        raw = self._sign(body)
        tx_hash = hashlib.sha256(raw).hexdigest()
        self._sent[tx_hash] = None
        if len(self._sent) > _REMEMBERED:
            self._sent.popitem(last=False)
        self._faults.reach(f"submit:{kind}:before")
        answer, text = await self._comet.broadcast(raw)
        self._faults.reach(f"submit:{kind}:after")
        code = None if answer == 0 else _CODES.get(answer, Code.INTERNAL)
        SUBMITTED.labels(kind, code.value if code else "ok").inc()
        if code is not None:
            _log.info("tx.refused", kind=kind, code=code.value, reason=text[:200])
        return Ticket(tx_hash.upper(), expiry, code, text)

    async def try_send(self, epoch: int, kind: str, fields: Protobuf) -> Ticket | None:
        """`send`, but None when CometBFT can not take it now: what is due is submitted again later."""
        try:
            return await self.send(epoch, kind, fields)
        except AuthnetError as refusal:
            SUBMITTED.labels(kind, refusal.code.value).inc()
            return None

    def learn(self, note: BlockNote) -> None:
        """Take from a block which of this node's transactions it refused. CometBFT keeps no index of them."""
        for tx_hash in note.refused.keys() & self._sent.keys():
            code = Code.__members__.get(note.refused[tx_hash], Code.INTERNAL)
            # What is put into a second block is refused there, whatever it did in the first.
            if code is not Code.SEEN_BEFORE:
                self._sent[tx_hash] = code

    def refusal_of(self, ticket: Ticket) -> Code | None:
        """The refusal a transaction met inside its block; None if it has none, or none that this node saw."""
        return self._sent.get(ticket.tx_hash.lower())

    def _sign(self, body: pb.TxBody) -> bytes:
        raw = body.SerializeToString(deterministic=True)
        signature = self._identity.sign(body_digest(raw))
        signed = pb.SignedTx(body=raw, signer=self._identity.pub, signature=signature)
        return signed.SerializeToString(deterministic=True)
