"""How sessions move by themselves: clocks at the start of a block, phases, deadlines and STARTs at its end.

A function of chain state and block time alone; nobody chooses. Deadlines: `time >= t0 + T and height >= h0 + 3`
with t0 = time of the block after the one that opened the phase, as an idle chain's blocks are seconds old.
Source: docs/protocol/dkg.md sections 2 and 3, interfaces "Time" and "Limits".
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from abci_app.reshare import batches
from abci_app.reshare import sweep as reshare_sweep
from abci_app.rules.events import Event, event
from abci_app.rules.members import get_current_epoch
from abci_app.sessions import dealers, fallbacks
from abci_app.sessions.pool import get_pool, reserve_indices
from abci_app.sessions.sessions import (
    ABANDONED,
    CERTIFIED,
    DEAL,
    FINAL,
    OPENED,
    SECP256K1,
    committee_of,
    count_openers,
    is_held_by_all,
    upheld_dealers,
    without,
)
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit, parties
from abci_app.state.state import State
from authnet_core.protocol.dkg.strings import session_id

MAX_BATCH = 3_840
"""Most keys of a session: a complaint in their resharing carries 32 bytes of each, and must fit a transaction."""


def start_clocks(state: State) -> None:
    """Phases opened in an earlier block get their t0."""
    now = state.block
    for sid in state.need(tables.OPEN_SESSIONS).sids:
        session = state.need(tables.session(sid))
        if session.t0_ms == 0 and session.h0 < now.height:
            state.put(tables.session(sid), replace(session, t0_ms=now.time_ms))
        elif session.phase == CERTIFIED and session.q_t0_ms == 0 and session.q_height < now.height:
            state.put(tables.session(sid), replace(session, q_t0_ms=now.time_ms))
    keygen = state.need(tables.KEYGEN)
    if keygen.waiting_ms == 0 and 0 < keygen.waiting_height < now.height:
        state.put(tables.KEYGEN, replace(keygen, waiting_ms=now.time_ms))


def is_due(state: State, t0_ms: int, h0: int, delay_ms: int) -> bool:
    """Whether a deadline of `delay_ms` after t0 has passed."""
    now, blocks = state.block, state.need(tables.PARAMS).min_blocks
    return t0_ms > 0 and now.time_ms >= t0_ms + delay_ms and now.height >= h0 + blocks


def advance(state: State) -> list[Event]:
    """Move every open session as far as this block lets it, then start what the pool needs."""
    events: list[Event] = []
    for sid in state.need(tables.OPEN_SESSIONS).sids:
        events += _advance_one(state, state.need(tables.session(sid)))
    _expire_retained(state)
    reshare_sweep.step(state)
    return events + _start_if_needed(state)


def _advance_one(state: State, session: r.Session) -> list[Event]:
    params, before = state.need(tables.PARAMS), session
    if _is_hopeless(session):
        session = replace(session, phase=ABANDONED)
    match session.phase:
        case "deal":
            session = _fix_q(state, session, params)
        case "certified":
            session = _open(state, session, params)
        case "opened":
            session = _finish(state, session)
    if session.phase not in (FINAL, ABANDONED) and is_due(state, session.t0_ms, session.h0, params.t_max_ms):
        session = _time_out(state, session)
    if session is not before:
        state.put(tables.session(session.sid), session)
    if session.phase == before.phase:
        return []
    if before.phase == CERTIFIED:
        dealers.suspect(state, committee_of(session).t, (), fallbacks.fallen(session))
    if session.phase in (FINAL, ABANDONED):
        _close(state, session)
    return [_phase_event(session)]


def _is_hopeless(session: r.Session) -> bool:
    """Convicts leave fewer than n-t dealers, or are more than t of Q, than whom late recovery answers for no more."""
    committee, upheld = committee_of(session), upheld_dealers(session)
    if session.phase == DEAL:
        return bool(upheld) and _expected(session) < committee.quorum
    return len(upheld & set(session.q)) > committee.t


def _expected(session: r.Session) -> int:
    """Dealers that may still be certified, or are."""
    return committee_of(session).n - len({*parties(session.left_out), *upheld_dealers(session)})


def _phase_event(session: r.Session) -> Event:
    return event("session_phase", sid=session.sid.hex(), phase=session.phase, curve=session.curve)


def _fix_q(state: State, session: r.Session, params: r.Params) -> r.Session:
    """Step 3: all dealers that may deal are certified, or T_Q is over and n-t are."""
    committee, upheld = committee_of(session), upheld_dealers(session)
    certified = tuple(
        dealer
        for dealer, deal in enumerate(session.deals, start=1)
        if deal is not None
        and dealer not in upheld
        and sum(ack >> (dealer - 1) & 1 for ack in session.acks) >= committee.quorum
    )
    late = is_due(state, session.t0_ms, session.h0, params.t_q_ms)
    if (late or len(certified) == _expected(session)) and len(certified) >= committee.quorum:
        count = session.rows * (len(certified) - committee.k + 1)
        return replace(session, phase=CERTIFIED, q=certified, q_height=state.block.height, count=count)
    return session


def _open(state: State, session: r.Session, params: r.Params) -> r.Session:
    """Step 6: t+1 members hold each dealer's list, so an honest one serves it. After `t_open_ms` without theirs."""
    needed = committee_of(session).t + 1
    if all(count_openers(session, dealer) >= needed for dealer in session.q):
        return replace(session, phase=OPENED)
    session = fallbacks.cut_off(session, state.block.height)
    if is_due(state, session.q_t0_ms, session.q_height, params.t_open_ms):
        session = fallbacks.begin(session)
    return session


def _finish(state: State, session: r.Session) -> r.Session:
    """Step 7: n-t equal roots make the batch final and give it its key indices."""
    (root, votes), *_ = Counter(root for root in session.finals if root).most_common(1) or [(b"", 0)]
    if votes < committee_of(session).quorum:
        return session
    holders = sum(bit(member) for member, given in enumerate(session.finals, start=1) if given == root)
    session = replace(
        session,
        phase=FINAL,
        root=root,
        holders=holders,
        final_height=state.block.height,
        final_ms=state.block.time_ms,
    )
    session = reserve_indices(state, session)
    batches.create(state, session)
    return session


def _time_out(state: State, session: r.Session) -> r.Session:
    """The sid is burnt. Dealers of Q whose lists too few hold do not deal in the next session."""
    t = committee_of(session).t
    silent = [dealer for dealer in session.q if count_openers(session, dealer) <= t]
    dealers.suspect(state, t, silent, ())
    return replace(session, phase=ABANDONED)


def _close(state: State, session: r.Session) -> None:
    """Take a session that ended off the open list. Complaints end too, unless somebody still has to catch up."""
    without(state, tables.OPEN_SESSIONS, session.sid)
    if session.phase == FINAL and not is_held_by_all(session):
        retained = state.need(tables.RETAINED_SESSIONS).sids
        state.put(tables.RETAINED_SESSIONS, r.SessionList((*retained, session.sid)))
    elif state.get(tables.dealt(session.sid)) is not None:
        state.delete(tables.dealt(session.sid))
    recent = (*state.need(tables.RECENT_SESSIONS).sids, session.sid)
    keep = state.need(tables.PARAMS).recent_sessions
    for sid in recent[:-keep]:
        if state.need(tables.session(sid)).phase == ABANDONED:
            state.delete(tables.session(sid))
    state.put(tables.RECENT_SESSIONS, r.SessionList(recent[-keep:]))


def _expire_retained(state: State) -> None:
    """After RETAIN nobody has to serve catch-up of a session any more (dkg.md step 8)."""
    retained = state.need(tables.RETAINED_SESSIONS).sids
    if not retained:
        return
    oldest = state.need(tables.session(retained[0]))
    limit = state.need(tables.PARAMS).retain_ms
    if is_due(state, oldest.final_ms, oldest.final_height, limit):
        state.put(tables.RETAINED_SESSIONS, r.SessionList(retained[1:]))
        state.delete(tables.dealt(oldest.sid))


def compute_under_way(state: State, curve: str) -> int:
    """Keys of open sessions, at most, and final ones whose KEYS are not on chain."""
    pool = get_pool(state, curve)
    total = pool.reserved_total - pool.made
    for sid in state.need(tables.OPEN_SESSIONS).sids:
        session = state.need(tables.session(sid))
        if session.curve == curve:
            total += session.count or expected_count(session)
    return total


def expected_count(session: r.Session) -> int:
    """Keys a session makes if every dealer that may deal is certified."""
    return max(0, session.rows * (_expected(session) - committee_of(session).k + 1))


def _update_filling(state: State) -> bool:
    """Below the low mark until free and coming keys reach the high one."""
    params, pool = state.need(tables.PARAMS), get_pool(state, SECP256K1)
    filling = pool.filling
    if pool.free + compute_under_way(state, SECP256K1) >= params.pool_high:
        filling = False
    elif pool.free < params.pool_low:
        filling = True
    if filling != pool.filling:
        state.put(tables.pool(SECP256K1), replace(pool, filling=filling))
    return filling


def _start_if_needed(state: State) -> list[Event]:
    """START: made by the state machine itself, at most one in a block."""
    epoch = get_current_epoch(state)
    if epoch is None or not _update_filling(state) or not dealers.may_start(state, epoch) or _is_frozen(state):
        return []
    params = state.need(tables.PARAMS)
    if len(state.need(tables.OPEN_SESSIONS).sids) >= params.sessions_in_flight:
        return []
    keygen = state.need(tables.KEYGEN)
    eks = tuple(_key_of(state, epoch, member.index, keygen.next_counter) for member in epoch.members)
    present = sum(1 for ek in eks if ek)
    if present == epoch.n:
        return [_start(state, epoch, eks)]
    if present < epoch.n - epoch.t:
        if keygen.waiting_height:
            state.put(tables.KEYGEN, replace(keygen, waiting_height=0, waiting_ms=0))
        return []
    if not keygen.waiting_height:
        state.put(tables.KEYGEN, replace(keygen, waiting_height=state.block.height, waiting_ms=0))
    elif is_due(state, keygen.waiting_ms, keygen.waiting_height, params.enckey_wait_ms):
        return [_start(state, epoch, eks)]
    return []


def _is_frozen(state: State) -> bool:
    """At the end of a hand-over nothing new is begun, so that its last keys can move."""
    handover = state.get(tables.HANDOVER)
    return handover is not None and handover.frozen


def _key_of(state: State, epoch: r.Epoch, member: int, counter: int) -> bytes:
    known = state.get(tables.enckeys(epoch.epoch, member))
    return b"" if known is None else known.key_at(counter)


def _start(state: State, epoch: r.Epoch, eks: tuple[bytes, ...]) -> Event:
    params, keygen = state.need(tables.PARAMS), state.need(tables.KEYGEN)
    opened = state.need(tables.OPEN_SESSIONS).sids
    is_first = state.need(tables.INDICES).next_index == 0 and not opened
    rows = min(params.first_rows if is_first else params.rows, MAX_BATCH // (epoch.n - epoch.k + 1))
    chain_id = state.need(tables.GENESIS).chain_id
    sid = session_id(chain_id, epoch.epoch, epoch.committee_hash, SECP256K1, keygen.next_counter, rows, eks)
    left_out = dealers.take_left_out(state, epoch)
    session = r.Session(
        sid=sid,
        epoch=epoch.epoch,
        curve=SECP256K1,
        counter=keygen.next_counter,
        rows=rows,
        phase=DEAL,
        h0=state.block.height,
        t0_ms=0,
        eks=eks,
        left_out=left_out,
        deals=(None,) * epoch.n,
        acks=(0,) * epoch.n,
        opened=(0,) * epoch.n,
        finals=(b"",) * epoch.n,
    )
    state.put(tables.session(sid), session)
    state.put(tables.OPEN_SESSIONS, r.SessionList((*opened, sid)))
    following = replace(state.need(tables.KEYGEN), next_counter=keygen.next_counter + 1, waiting_height=0, waiting_ms=0)
    state.put(tables.KEYGEN, following)
    return _phase_event(session)
