"""Who may not deal in the next session: the epoch's convicts, and suspects that did not open their lists.

A suspect whose list only the fallback opened sits out 1, 2, 4 .. 32 sessions, doubling with each repeat; one whose
session was abandoned over it sits out one. Of suspects at most t, and beside c convicts at most t - c, since a
session needs n - t dealers; the oldest are let back first. Source: docs/protocol/chain.md.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec.structs import replace

from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State

MAX_STRIKES = 6
"""2^5 = 32 sessions are the longest absence."""


def get_convicts(state: Reader, epoch: int) -> r.Convicts:
    return state.get(tables.convicts(epoch)) or r.Convicts()


def suspect(state: State, t: int, silent: Collection[int], fallen: Collection[int]) -> None:
    """`silent`: nobody opened them before the session was abandoned. `fallen`: only the fallback opened them."""
    if not silent and not fallen:
        return
    keygen = state.need(tables.KEYGEN)
    penalties = {penalty.party: penalty for penalty in keygen.penalties}
    for party in silent:
        known = penalties.get(party, r.Penalty(party, 0, 0))
        penalties[party] = replace(known, left=max(known.left, 1))
    for party in fallen:
        known = penalties.get(party, r.Penalty(party, 0, 0))
        strikes = min(known.strikes + 1, MAX_STRIKES)
        penalties[party] = r.Penalty(party, strikes, max(known.left, 1 << (strikes - 1)))
    named = sorted({*silent, *fallen})
    suspects = _newest([party for party in keygen.suspects if party not in named] + named, t)
    _put(state, keygen, suspects, penalties)


def take_left_out(state: State, epoch: r.Epoch) -> int:
    """Bitmap for the session that starts now; suspects have sat out one more by it."""
    convicts = get_convicts(state, epoch.epoch).all
    keygen = state.need(tables.KEYGEN)
    free = [party for party in keygen.suspects if not convicts & bit(party)]
    suspects = _newest(free, epoch.t - convicts.bit_count())
    served = {
        penalty.party: replace(penalty, left=penalty.left - 1) if penalty.party in suspects else penalty
        for penalty in keygen.penalties
    }
    _put(state, keygen, [party for party in suspects if served[party].left > 0], served)
    return convicts | sum(bit(party) for party in suspects)


def may_start(state: State, epoch: r.Epoch) -> bool:
    """With more than t convicts no session would find n - t dealers."""
    return get_convicts(state, epoch.epoch).all.bit_count() <= epoch.t


def _newest(parties: list[int], count: int) -> list[int]:
    return parties[-count:] if count > 0 else []


def _put(state: State, keygen: r.Keygen, suspects: list[int], penalties: dict[int, r.Penalty]) -> None:
    """Who is no suspect any more sits nothing out, but its strikes count on."""
    kept = tuple(
        penalty if penalty.party in suspects else replace(penalty, left=0) for _, penalty in sorted(penalties.items())
    )
    changed = replace(keygen, suspects=tuple(suspects), penalties=kept)
    if changed != keygen:
        state.put(tables.KEYGEN, changed)
