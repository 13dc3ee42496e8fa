"""Resharings as the transaction rules see them: finding one, its phases, who may say what of it."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from abci_app.reshare import batches
from abci_app.reshare import sweep as reshare_sweep
from abci_app.rules.transactions import Tx
from abci_app.sessions.pool import set_held_by_all
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.reshare.params import ReshareParams

DEAL: Final = "deal"
TEST: Final = "test"
ACK: Final = "ack"
READY: Final = "ready"
FINAL: Final = "final"
FAILED: Final = "failed"

_params = lru_cache(maxsize=64)(ReshareParams)


def as_dealer(state: Reader, tx: Tx) -> tuple[b.Reshare, int]:
    """The resharing that the transaction is of and the signer's index in the old committee. Raises Rejected."""
    reshare = _find(state, tx)
    return reshare, _index_of(state, tx, reshare.from_epoch)


def as_receiver(state: Reader, tx: Tx) -> tuple[b.Reshare, int]:
    """The same for a member of the new committee, which needs an encryption key in the resharing."""
    reshare = _find(state, tx)
    member = _index_of(state, tx, reshare.to_epoch)
    if not reshare.eks[member - 1]:
        raise Rejected(Code.NO_ENCKEY, "the member had no encryption key when the resharing started")
    return reshare, member


def _find(state: Reader, tx: Tx) -> b.Reshare:
    rid: bytes = tx.message.rid
    reshare = state.get(tables.reshare(rid)) if len(rid) == 32 else None
    if reshare is None:
        raise Rejected(Code.UNKNOWN_SESSION, "no such resharing")
    return reshare


def _index_of(state: Reader, tx: Tx, number: int) -> int:
    if tx.epoch != number:
        raise Rejected(Code.WRONG_EPOCH, f"this is said by members of epoch {number}")
    epoch = state.get(tables.epoch(number))
    for member in epoch.members if epoch is not None else ():
        if member.identity == tx.signer:
            return member.index
    raise Rejected(Code.NOT_A_MEMBER, f"the signer is no member of epoch {number}")


def require_phase(reshare: b.Reshare, *phases: str) -> None:
    """Raise Rejected unless the resharing is in one of `phases`."""
    if reshare.phase not in phases:
        raise Rejected(Code.WRONG_PHASE, f"the resharing is {reshare.phase}, not {' or '.join(phases)}")


def old_committee(reshare: b.Reshare) -> Committee:
    return Committee.of(len(reshare.deals))


def new_committee(reshare: b.Reshare) -> Committee:
    return Committee.of(len(reshare.eks))


def receivers(reshare: b.Reshare) -> int:
    """Bitmap of the new members that can get shares in it."""
    return sum(bit(member) for member, ek in enumerate(reshare.eks, start=1) if ek)


def upheld_dealers(reshare: b.Reshare) -> set[int]:
    """Dealers that a complaint of this resharing convicted."""
    return {complaint.dealer for complaint in reshare.complaints if complaint.upheld}


def tested_dealers(reshare: b.Reshare) -> tuple[int, ...]:
    """Dealers of D whose RTEST is on chain."""
    return tuple(dealer for dealer in reshare.dealers if reshare.tests[dealer - 1])


def params_of(state: Reader, reshare: b.Reshare) -> ReshareParams:
    """The resharing's parameters as the protocol has them."""
    return _params_of(state, reshare, reshare, reshare.root, "")


def params_of_case(state: Reader, blame: r.Blame, case: b.ReshareCase, chain_id: str) -> ReshareParams:
    """The same from what a conviction keeps, on the chain where it was made; without the keys' root."""
    return _params_of(state, blame, case, b"", chain_id)


def _params_of(
    state: Reader, what: b.Reshare | r.Blame, which: b.Reshare | b.ReshareCase, root: bytes, chain_id: str
) -> ReshareParams:
    genesis = state.get(tables.GENESIS)
    old, new = (state.get(tables.epoch(number)) for number in (which.from_epoch, which.to_epoch))
    if genesis is None or old is None or new is None:
        raise LookupError(f"the state lacks epoch {which.from_epoch} or {which.to_epoch}")
    return _params(
        chain_id=chain_id or genesis.chain_id,
        from_epoch=which.from_epoch,
        old=Committee.of(old.n),
        old_hash=old.committee_hash,
        to_epoch=which.to_epoch,
        new=Committee.of(new.n),
        new_hash=new.committee_hash,
        curve=what.curve,
        first_index=which.first_index,
        count=which.count,
        root=root,
        mask_index=which.mask_index,
        attempt=which.attempt,
        counter=what.counter,
        eks=what.eks,
    )


def put(state: State, reshare: b.Reshare) -> None:
    state.put(tables.reshare(reshare.rid), reshare)


def is_held_by_all(reshare: b.Reshare) -> bool:
    """All that could hold it do; a member without an encryption key can not."""
    return receivers(reshare) & ~reshare.holders == 0


def add_holder(state: State, reshare: b.Reshare, member: int) -> None:
    """A new member got its shares after the resharing was final."""
    reshare = replace(reshare, holders=reshare.holders | bit(member))
    put(state, reshare)
    batches.add_holder(state, reshare.to_epoch, reshare.first_index, member)
    current = state.get(tables.CURRENT_EPOCH)
    everyone = batches.all_members(state, reshare.to_epoch)
    if current is not None and current.epoch == reshare.to_epoch and reshare.holders == everyone:
        set_held_by_all(state, reshare.curve, reshare.first_index)
    if is_held_by_all(reshare):
        reshare_sweep.drop_signed(state, reshare.rid)
        take_off_short(state, reshare)


def put_on_short(state: State, reshare: b.Reshare) -> None:
    """The batch came to the new committee, but not to all of it. Neighbours are one run."""
    slot = tables.short(reshare.to_epoch)
    merged: list[b.Span] = []
    spans = (state.get(slot) or b.Short()).spans
    for start, end in sorted((*spans, (reshare.first_index, reshare.first_index + reshare.count))):
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    state.put(slot, b.Short(tuple(merged)))


def take_off_short(state: State, reshare: b.Reshare) -> None:
    slot = tables.short(reshare.to_epoch)
    first, last = reshare.first_index, reshare.first_index + reshare.count
    left: list[b.Span] = []
    for start, end in (state.get(slot) or b.Short()).spans:
        if start <= first < end:
            left += [span for span in ((start, first), (last, end)) if span[0] < span[1]]
        else:
            left.append((start, end))
    state.put(slot, b.Short(tuple(left)))


def count_acks(reshare: b.Reshare, dealer: int) -> int:
    """New members that hold the dealer's shares and computed the same M as n' - t'."""
    agreeing = (ack for ack, given in zip(reshare.acks, reshare.sums, strict=True) if given == reshare.total)
    return sum(ack >> (dealer - 1) & 1 for ack in agreeing)
