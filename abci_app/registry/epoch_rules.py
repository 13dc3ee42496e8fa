"""What the registry's record of an epoch must be before members may vote for it, and what it is refused for.

The first epoch must be the committee of genesis (first_epoch.py), a later one must follow the current one. A refusal
that only time can cure is WRONG_PHASE: who observes tries again.
"""

from __future__ import annotations

from collections.abc import Sequence

from abci_app.handover.phases import ABORTED
from abci_app.registry import first_epoch
from abci_app.registry.texts import refuse, require_printable
from abci_app.rules.members import get_current_epoch
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.state import State
from authnet_core.crypto.secp256k1 import is_point
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import SUPPORTED_SIZES, Committee
from authnet_core.wire.authnet_pb2 import EpochRecord, Member

_TEXTS = ("operator", "peer_id", "p2p_addr", "comet_addr", "endpoint")
MAX_MEMBERS = 64
"""Bitmaps of parties are 64 bits."""
MAX_EPOCH = 2**48
"""Numbers beyond do not survive every reader of JSON."""
MIN_NOTICE_S = 86_400
"""As in the contract; development chains have none."""
MAX_NOTICE_S = 366 * 86_400


def get_subject(epoch: int) -> bytes:
    """What votes on the records of this epoch are about."""
    return b"epoch/" + epoch.to_bytes(8, "big")


def check_record(state: State, record: EpochRecord, record_hash: bytes) -> None:
    """Raise Rejected unless the record may become epoch 1 or the next one, or call the next one off."""
    current = get_current_epoch(state)
    if current is None:
        if record.epoch != 1 or record.aborted:
            raise refuse(f"the first epoch is 1, not {record.epoch}{' called off' if record.aborted else ''}")
        if record.previous:
            raise refuse(f"the first epoch follows none, not epoch {record.previous}")
        _check_committee(state, record)
        first_epoch.check_genesis(state, record)
        return
    if record.epoch <= current.epoch:
        if record.aborted and record.epoch == current.epoch and current.previous and not current.called_off:
            return
        _refuse_past(current, record)
    _check_not_ended(state, record.epoch)
    if record.aborted:
        _check_abort(state, record)
        return
    _check_following(state, current, record)
    _check_under_way(state, record, record_hash)
    _check_committee(state, record)


def _refuse_past(current: r.Epoch, record: EpochRecord) -> None:
    seen = [member.identity for member in record.members]
    changed = [member.index for member in current.members if member.identity not in seen]
    reason = f"; the record lacks member {changed[0]}" if changed and record.epoch == current.epoch else ""
    raise Rejected(Code.RECORD_STALE, f"epoch {current.epoch} is in charge already{reason}")


def _check_not_ended(state: State, number: int) -> None:
    if _is_given_up(state, number):
        sentence = f"epoch {number} was rejected or called off, or came to no end; that is final"
        raise Rejected(Code.EPOCH_REJECTED, sentence)


def _is_given_up(state: State, number: int) -> bool:
    ended = state.get(tables.epoch(number))
    return ended is not None and ended.status == ABORTED


def _check_abort(state: State, record: EpochRecord) -> None:
    handover = state.get(tables.HANDOVER)
    if handover is None or handover.epoch != record.epoch:
        raise Rejected(Code.NO_HANDOVER, f"epoch {record.epoch} is not announced on chain: nothing to call off")


def _check_following(state: State, current: r.Epoch, record: EpochRecord) -> None:
    """The record must name the committee that hands over to it."""
    if record.epoch > MAX_EPOCH:
        raise refuse(f"epochs are numbered up to {MAX_EPOCH}")
    if not record.previous < record.epoch:
        raise refuse(f"epoch {record.epoch} can not follow epoch {record.previous}")
    followed = _find_followed(state, current, record.previous)
    if followed < current.epoch:
        sentence = f"epoch {record.epoch} follows epoch {record.previous}, but {current.epoch} is in charge"
        raise Rejected(Code.RECORD_STALE, sentence)
    if followed > current.epoch:
        raise Rejected(Code.WRONG_PHASE, f"epoch {record.epoch} waits until epoch {followed} is in charge")
    least = 0 if state.need(tables.GENESIS).dev else MIN_NOTICE_S
    if not least <= record.notice_s <= MAX_NOTICE_S:
        raise refuse(f"the notice must be {least} to {MAX_NOTICE_S} seconds, not {record.notice_s}")


def _find_followed(state: State, current: r.Epoch, number: int) -> int:
    """Which epoch a record that names `number` before it really follows, where registry and chain went apart.

    The chain may have given up what the registry still has in line; and the registry may have called off an epoch
    when it was too late, and those before it too, so that what comes next there names one that was in charge once.
    """
    while number > current.epoch and _is_given_up(state, number):
        number = state.need(tables.epoch(number)).previous
    known = current
    while current.called_off and known.previous and number < known.epoch:
        known = state.need(tables.epoch(known.previous))
    return current.epoch if number == known.epoch else number


def _check_under_way(state: State, record: EpochRecord, record_hash: bytes) -> None:
    """One hand-over at a time, to the committee that was announced."""
    handover = state.get(tables.HANDOVER)
    if handover is None:
        return
    if handover.epoch != record.epoch:
        raise Rejected(Code.WRONG_PHASE, f"epoch {record.epoch} waits: epoch {handover.epoch} is taking over")
    if handover.record_hash == record_hash:
        raise Rejected(Code.RECORD_STALE, f"epoch {record.epoch} is announced already")
    raise refuse(f"epoch {record.epoch} was announced with another record: the registry was rewritten")


def _check_committee(state: State, record: EpochRecord) -> None:
    _check_size(state, record)
    for place, member in enumerate(record.members, start=1):
        _check_member(place, member)
    for name in ("identity", "consensus", "peer_id"):
        _check_distinct(name, [getattr(member, name) for member in record.members])
    _check_distinct("CometBFT id", [member.comet_addr.partition("@")[0] for member in record.members])


def _check_size(state: State, record: EpochRecord) -> None:
    n, k, t = record.n, record.k, record.t
    if n > MAX_MEMBERS:
        raise refuse(f"a committee has at most {MAX_MEMBERS} members, not {n}")
    if not Committee(n, k, t).is_sound:
        raise refuse(f"n, k, t = {n}, {k}, {t} break n >= k + 2t, n > 3t or k > t")
    if Committee.of(n) != Committee(n, k, t):
        right = Committee.of(n)
        raise refuse(f"n, k, t = {n}, {k}, {t} do not belong together: k is {right.k} and t is {right.t}")
    if len(record.members) != n:
        raise refuse(f"{len(record.members)} members, but n is {n}")
    if n not in SUPPORTED_SIZES and not state.need(tables.PARAMS).allow_forkable:
        raise refuse(f"a committee has 5, 6 or 9 members: with {n} fewer than k of them can fork the chain")


def _check_member(place: int, member: Member) -> None:
    if member.index != place:
        raise refuse(f"member {place} has index {member.index}")
    if not is_point(member.identity):
        raise refuse(f"member {place}: the identity key is no point of secp256k1")
    if len(member.consensus) != 32:
        raise refuse(f"member {place}: the consensus key must have 32 bytes")
    for name in _TEXTS:
        require_printable(f"member {place}: {name}", getattr(member, name))


def _check_distinct(name: str, items: Sequence[bytes | str]) -> None:
    for place, item in enumerate(items):
        first = items.index(item)
        if first != place:
            raise refuse(f"members {first + 1} and {place + 1} have the same {name}")
