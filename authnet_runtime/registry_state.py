"""The registry contract's content as frozen structures, and the records the chain is told about it.

Pure: turns what `eth_call` returned into structures, and structures into canonical bytes of `Record`.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import msgspec

from authnet_core.protocol.registration import Registration
from authnet_core.wire import authnet_pb2 as pb

MODES = ("two-round", "bound")
CASE_RULES = ("exact", "ascii-lower")
ZERO_ADDRESS = "0x" + "00" * 20


class EpochStatus(IntEnum):
    """Status in contracts/src/Epochs.sol."""

    NONE = 0
    OPEN = 1
    STARTED = 2
    ABORTED = 3


class EpochState(msgspec.Struct, frozen=True, kw_only=True):
    """One epoch; members are in party order, j = position + 1."""

    epoch: int
    n: int
    k: int
    t: int
    previous: int
    next: int
    notice_s: int
    status: EpochStatus
    start_when_full: bool
    started_at: int
    started_block: int
    operators: tuple[str, ...]
    members: tuple[Registration, ...]


class AudienceState(msgspec.Struct, frozen=True, kw_only=True):
    aud: str
    mode: str


class VerifierState(msgspec.Struct, frozen=True, kw_only=True):
    """A verifier's terms in force, with what never changes about it."""

    name: str
    issuer: str
    jwks_url: str
    audiences: tuple[AudienceState, ...]
    id_claim: str
    case_rule: str
    algorithms: tuple[str, ...]
    iat_limit_s: int
    session_claim: str = "nonce"
    owner: str = ZERO_ADDRESS
    version: int = 1
    removed: bool = False
    effective_at: int = 0


def _identity(x: int, y: int) -> str:
    return bytes([2 + (y & 1), *x.to_bytes(32, "big")]).hex()


def read_member(epoch: int, raw: Any) -> Registration:
    """A `Member` of the contract."""
    node = raw.node
    return Registration(
        epoch=epoch,
        operator=raw.operator.lower(),
        identity=_identity(node.identityX, node.identityY),
        consensus=bytes(node.consensus).hex(),
        peer_id=node.peerId,
        comet_id=bytes(node.cometId).hex(),
        p2p_addr=node.p2pAddress,
        comet_addr=node.cometAddress,
        endpoint=node.endpoint,
    )


def read_epoch(raw: Any) -> EpochState:
    """An `EpochView` of the contract."""
    return EpochState(
        epoch=raw.epoch,
        n=raw.n,
        k=raw.k,
        t=raw.t,
        previous=raw.previous,
        next=raw.next,
        notice_s=raw.noticeS,
        status=EpochStatus(raw.status),
        start_when_full=raw.startWhenFull,
        started_at=raw.startedAt,
        started_block=raw.startedBlock,
        operators=tuple(operator.lower() for operator in raw.operators),
        members=tuple(read_member(raw.epoch, member) for member in raw.members),
    )


def read_verifier(raw: Any) -> VerifierState:
    """A `VerifierView` of the contract."""
    identity, terms = raw.identity, raw.terms
    return VerifierState(
        name=identity.name,
        issuer=identity.issuer,
        jwks_url=terms.jwksUrl,
        audiences=tuple(AudienceState(aud=a.aud, mode=MODES[a.mode]) for a in terms.audiences),
        id_claim=identity.idClaim,
        case_rule=CASE_RULES[identity.caseRule],
        algorithms=tuple(terms.algorithms),
        iat_limit_s=terms.iatLimitS,
        session_claim=identity.sessionClaim,
        owner=terms.owner.lower(),
        version=raw.version,
        removed=raw.removed,
        effective_at=raw.effectiveAt,
    )


def epoch_record(state: EpochState) -> bytes:
    """Canonical bytes of a started epoch for OBSERVE, and of one that its owner called off.

    `next` stays 0: it is set later, when a successor is announced, and a record must be the same for all nodes
    whenever they read it.
    """
    members = [
        pb.Member(
            index=index,
            operator=entry.operator,
            identity=bytes.fromhex(entry.identity),
            consensus=bytes.fromhex(entry.consensus),
            peer_id=entry.peer_id,
            p2p_addr=entry.p2p_addr,
            comet_addr=f"{entry.comet_id}@{entry.comet_addr}",
            endpoint=entry.endpoint,
        )
        for index, entry in enumerate(state.members, start=1)
    ]
    record = pb.EpochRecord(
        epoch=state.epoch,
        n=state.n,
        k=state.k,
        t=state.t,
        members=members,
        previous=state.previous,
        notice_s=state.notice_s,
        aborted=state.status is EpochStatus.ABORTED,
    )
    return pb.Record(epoch=record).SerializeToString(deterministic=True)


def verifier_record(state: VerifierState) -> bytes:
    """Canonical bytes of a verifier's version for OBSERVE."""
    record = pb.VerifierRecord(
        name=state.name,
        version=state.version,
        issuer=state.issuer,
        jwks_url=state.jwks_url,
        audiences=[pb.Audience(aud=a.aud, mode=a.mode) for a in state.audiences],
        id_claim=state.id_claim,
        case_rule=state.case_rule,
        algorithms=state.algorithms,
        iat_limit_s=state.iat_limit_s,
        session_claim=state.session_claim,
        owner=state.owner,
        removed=state.removed,
    )
    return pb.Record(verifier=record).SerializeToString(deterministic=True)
