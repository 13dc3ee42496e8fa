"""From an observed record to the chain's record of an epoch."""

from __future__ import annotations

from abci_app.state import records as r
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.strings import committee_hash
from authnet_core.wire.authnet_pb2 import EpochRecord


def make_epoch(record: EpochRecord, record_hash: bytes, status: str, previous: int) -> r.Epoch:
    """The epoch of a record that the rules let in, after epoch `previous`."""
    members = tuple(
        r.Member(
            index=member.index,
            operator=member.operator,
            identity=member.identity,
            consensus=member.consensus,
            peer_id=member.peer_id,
            p2p_addr=member.p2p_addr,
            comet_addr=member.comet_addr,
            endpoint=member.endpoint,
        )
        for member in record.members
    )
    return r.Epoch(
        epoch=record.epoch,
        n=record.n,
        k=record.k,
        t=record.t,
        members=members,
        committee_hash=committee_hash(Committee.of(record.n), [member.identity for member in members]),
        record_hash=record_hash,
        status=status,
        serving_from_ms=0,
        previous=previous,
    )
