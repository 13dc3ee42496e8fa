"""The phases of one resharing: deal -> test -> ack -> ready -> final | failed. Functions of its record and block time.

deal   D is all with an RDEAL: when all holders dealt, or n-t after `t_d_ms`, or k after twice that. Then the challenge.
test   until all of D answered, or k have and `t_test_ms` is over: the cut-off.
ack    n'-t' equal sums are M; dealers with n'-t' acks and no upheld complaint are candidates. When nobody else can
       become one, or `t_ack_ms` is over, Q' is looked for; if none fits and no candidate can come, it failed.
ready  until all that can hold said so, or n'-t' have and `t_ready_ms` is over. More than t of Q' convicted: failed.
Source: docs/protocol/epochs.md.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from msgspec.structs import replace

from abci_app.reshare import reshares
from abci_app.reshare.batches import need_batch
from abci_app.reshare.reshares import ACK, FAILED, FINAL, READY, TEST, new_committee, old_committee
from abci_app.sessions.flow import is_due
from abci_app.state import batch_records as b
from abci_app.state import tables
from abci_app.state.bits import parties
from abci_app.state.state import State
from authnet_core.protocol.reshare import choose, strings


def start_clock(state: State, reshare: b.Reshare) -> b.Reshare:
    """At the start of a block: a phase opened in an earlier one gets its t0."""
    now = state.block
    if reshare.t0_ms == 0 and reshare.h0 < now.height:
        reshare = replace(reshare, t0_ms=now.time_ms)
    if reshare.phase_t0_ms == 0 and reshare.phase_h0 < now.height:
        reshare = replace(reshare, phase_t0_ms=now.time_ms)
    return reshare


def advance(state: State, reshare: b.Reshare) -> b.Reshare:
    """The resharing after this block; the same object if nothing moved. At most one phase further."""
    before = reshare
    match reshare.phase:
        case "deal":
            reshare = _fix_dealers(state, reshare)
        case "test":
            reshare = _close_tests(state, reshare)
        case "ack":
            reshare = _choose(state, reshare)
        case "ready":
            reshare = _finish(state, reshare)
    if reshare.phase not in (FINAL, FAILED) and _is_over(state, reshare):
        reshare = replace(reshare, phase=FAILED)
    if reshare.phase != before.phase:
        reshare = replace(reshare, phase_h0=state.block.height, phase_t0_ms=0)
    return reshare


def _is_over(state: State, reshare: b.Reshare) -> bool:
    return is_due(state, reshare.t0_ms, reshare.h0, state.need(tables.PARAMS).t_max_ms)


def _is_late(state: State, reshare: b.Reshare, delay_ms: int) -> bool:
    return is_due(state, reshare.phase_t0_ms, reshare.phase_h0, delay_ms)


def _fix_dealers(state: State, reshare: b.Reshare) -> b.Reshare:
    """Step 3: D, and the challenge that is common to all of it."""
    committee, t_d = old_committee(reshare), state.need(tables.PARAMS).t_d_ms
    dealt = {dealer: deal.root for dealer, deal in enumerate(reshare.deals, start=1) if deal is not None}
    holders = need_batch(state, reshare.from_epoch, reshare.first_index).holders
    if set(parties(holders)) <= set(dealt):
        enough = len(dealt) >= committee.quorum
    else:
        enough = len(dealt) >= committee.quorum and _is_late(state, reshare, t_d)
    if not enough and not (len(dealt) >= committee.k and _is_late(state, reshare, 2 * t_d)):
        return reshare
    seed = strings.gamma_seed(reshare.rid, reshare.root, dealt)
    return replace(reshare, phase=TEST, dealers=tuple(sorted(dealt)), gamma_seed=seed)


def _close_tests(state: State, reshare: b.Reshare) -> b.Reshare:
    """Step 4: the cut-off."""
    tested = reshares.tested_dealers(reshare)
    late = _is_late(state, reshare, state.need(tables.PARAMS).t_test_ms)
    if len(tested) == len(reshare.dealers) or (late and len(tested) >= old_committee(reshare).k):
        return replace(reshare, phase=ACK)
    return reshare


def _choose(state: State, reshare: b.Reshare) -> b.Reshare:
    """Step 6: M, the candidates, and the first k of them whose constants fit M."""
    old, new = old_committee(reshare), new_committee(reshare)
    if not reshare.total:
        (total, votes), *_ = Counter(said for said in reshare.sums if said).most_common(1) or [(b"", 0)]
        reshare = replace(reshare, total=total) if votes >= new.quorum else reshare
    expected = [d for d in reshares.tested_dealers(reshare) if d not in reshares.upheld_dealers(reshare)]
    if len(expected) < old.k:
        return replace(reshare, phase=FAILED)
    candidates = tuple(dealer for dealer in expected if reshares.count_acks(reshare, dealer) >= new.quorum)
    complete = len(candidates) == len(expected)
    late = _is_late(state, reshare, state.need(tables.PARAMS).t_ack_ms)
    if not reshare.total or len(candidates) < old.k or not (complete or late):
        return reshare
    q = _choose_q(reshare.rid, candidates, _constants(reshare, candidates), reshare.total, old.k)
    if q:
        return _open_ready(replace(reshare, candidates=candidates, q=q))
    return replace(reshare, phase=FAILED, candidates=candidates) if complete else reshare


@lru_cache(maxsize=16)
def _choose_q(
    rid: bytes, candidates: tuple[int, ...], constants: tuple[int, ...], total: bytes, k: int
) -> tuple[int, ...]:
    """The same search is not made in every block in which nothing came."""
    return choose.choose_q(rid, candidates, dict(zip(candidates, constants, strict=True)), total, k)


def _constants(reshare: b.Reshare, dealers: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int.from_bytes(reshare.tests[dealer - 1][0], "big") for dealer in dealers)


def _open_ready(reshare: b.Reshare) -> b.Reshare:
    """Q' fits: name those off it, and what every READY has to say."""
    old, tested = old_committee(reshare), reshares.tested_dealers(reshare)
    constants = dict(zip(tested, _constants(reshare, tested), strict=True))
    u = {dealer: reshare.tests[dealer - 1] for dealer in reshare.q}
    digest = strings.ready_hash(reshare.rid, reshare.root, reshare.q, reshare.total, u)
    return replace(reshare, phase=READY, blamed=choose.liars(constants, old.k, old.t), hash=digest)


def _finish(state: State, reshare: b.Reshare) -> b.Reshare:
    """Step 9: the new committee has the batch. Late recovery answers for at most t dealers of Q'."""
    if len(reshares.upheld_dealers(reshare) & set(reshare.q)) > old_committee(reshare).t:
        return replace(reshare, phase=FAILED)
    able = reshares.receivers(reshare)
    late = _is_late(state, reshare, state.need(tables.PARAMS).t_ready_ms) or _is_over(state, reshare)
    enough = reshare.readies.bit_count() >= new_committee(reshare).quorum
    if reshare.readies != able and not (late and enough):
        return reshare
    return replace(
        reshare,
        phase=FINAL,
        holders=reshare.readies,
        final_height=state.block.height,
        final_ms=state.block.time_ms,
    )
