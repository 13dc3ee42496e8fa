"""From records of the state to the views that everybody else decodes (authnet_core.protocol.views)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from abci_app.handover.readiness import get_next_counter
from abci_app.reshare.blame import case_of as reshare_case_of
from abci_app.sessions.complaints import case_of
from abci_app.sessions.flow import expected_count
from abci_app.sessions.pool import compute_reserve, get_pool
from abci_app.state import batch_records as b
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import parties
from abci_app.state.state import Reader
from abci_app.state.store import Snapshot
from authnet_core.protocol import views as v
from authnet_core.wire import blame, reshare_blame


def status_view(snapshot: Snapshot, genesis: r.Genesis) -> v.StatusView:
    current = snapshot.get(tables.CURRENT_EPOCH)
    return v.StatusView(
        chain_id=genesis.chain_id,
        network_id=genesis.network_id,
        dev=genesis.dev,
        height=snapshot.meta.height,
        time_ms=snapshot.meta.time_ms,
        app_hash=snapshot.meta.app_hash.hex(),
        epoch=0 if current is None else current.epoch,
        observers=tuple(observer.hex() for observer in genesis.observers),
    )


def verifier_view(record: r.Verifier) -> v.VerifierView:
    return v.VerifierView(
        name=record.name,
        version=record.version,
        issuer=record.issuer,
        jwks_url=record.jwks_url,
        audiences=tuple(v.AudienceView(aud=a.aud, mode=a.mode) for a in record.audiences),
        id_claim=record.id_claim,
        case_rule=record.case_rule,
        algorithms=record.algorithms,
        iat_limit_s=record.iat_limit_s,
        session_claim=record.session_claim,
        owner=record.owner,
        removed=record.removed,
    )


def _deal_view(deal: r.Deal) -> v.DealView:
    return v.DealView(
        e=deal.e.hex(),
        pok=deal.pok.hex(),
        root=deal.root.hex(),
        list_hash=deal.list_hash.hex(),
        nonce_hash=deal.nonce_hash.hex(),
        u=tuple(scalar.hex() for scalar in deal.u),
        height=deal.height,
    )


def session_view(session: r.Session, height: int) -> v.SessionView:
    deals = {dealer: _deal_view(deal) for dealer, deal in enumerate(session.deals, start=1) if deal is not None}
    return v.SessionView(
        sid=session.sid.hex(),
        epoch=session.epoch,
        curve=session.curve,
        counter=session.counter,
        rows=session.rows,
        phase=session.phase,
        h0=session.h0,
        t0_ms=session.t0_ms,
        eks=tuple(ek.hex() for ek in session.eks),
        deals=deals,
        acks={member: bitmap for member, bitmap in enumerate(session.acks, start=1) if bitmap},
        q=session.q,
        q_height=session.q_height,
        opened={member: bitmap for member, bitmap in enumerate(session.opened, start=1) if bitmap},
        finals={member: root.hex() for member, root in enumerate(session.finals, start=1) if root},
        root=session.root.hex(),
        final_height=session.final_height,
        final_ms=session.final_ms,
        first_index=session.first_index,
        count=session.count,
        chunks=tuple(place - 1 for place in parties(session.chunks)),
        holders=parties(session.holders),
        height=height,
        left_out=parties(session.left_out),
        complaints=tuple(_complaint_view(complaint) for complaint in session.complaints),
        fallbacks={fallback.dealer: _fallback_view(fallback) for fallback in session.fallbacks},
    )


def _complaint_view(complaint: r.Complaint) -> v.ComplaintView:
    return v.ComplaintView(
        dealer=complaint.dealer, complainer=complaint.complainer, upheld=complaint.upheld, height=complaint.height
    )


def _fallback_view(fallback: r.Fallback) -> v.FallbackView:
    return v.FallbackView(
        lists={member: digest.hex() for member, digest in enumerate(fallback.lists, start=1) if digest},
        seed=fallback.seed.hex(),
        seed_height=fallback.seed_height,
        scalars={member: w.hex() for member, w in enumerate(fallback.scalars, start=1) if w},
    )


@lru_cache(maxsize=64)
def _verdict(case: blame.Case) -> blame.Verdict:
    """Reasons are judged again, so that no text is under the app hash."""
    return blame.judge_case(case)


_reshare_verdict = lru_cache(maxsize=64)(reshare_blame.judge_case)


def blame_view(state: Reader, record: r.Blame, with_evidence: bool) -> v.BlameView:
    if record.reshare:
        moved = reshare_case_of(state, record)
        found = _reshare_verdict(moved)
        return _blame_view(record, found.reason, reshare_blame.to_json(moved, found) if with_evidence else None)
    case = case_of(state, record)
    verdict = _verdict(case)
    return _blame_view(record, verdict.reason, blame.to_json(case, verdict) if with_evidence else None)


def _blame_view(record: r.Blame, reason: str, evidence: dict[str, Any] | None) -> v.BlameView:
    return v.BlameView(
        number=record.number,
        epoch=record.epoch,
        convict=record.convict,
        accuser=record.accuser,
        sid=record.sid.hex(),
        reason=reason,
        height=record.height,
        evidence=evidence,
    )


def retained_view(session: r.Session) -> v.RetainedView:
    return v.RetainedView(
        sid=session.sid.hex(),
        epoch=session.epoch,
        counter=session.counter,
        holders=parties(session.holders),
        final_ms=session.final_ms,
    )


def assigned_key_view(index: int, key: r.Key, batch: b.Batch | None) -> v.KeyView:
    """`batch`: of the epoch in charge."""
    return v.KeyView(
        index=index,
        curve=key.curve,
        Y=key.y.hex(),
        N=key.n.hex(),
        sid=key.sid.hex(),
        position=key.position,
        epoch=key.epoch,
        free=False,
        account_id=key.account.hex(),
        assigned_ms=key.assigned_ms,
        upgraded=key.upgraded,
        holders=parties(batch.holders) if batch is not None else (),
    )


def unassigned_key_view(index: int, pair: bytes, batch: b.Batch, is_mask: bool) -> v.KeyView:
    return v.KeyView(
        index=index,
        curve=batch.curve,
        Y=pair[:33].hex(),
        N=pair[33:].hex(),
        sid=batch.id.hex(),
        position=index - batch.first_index,
        epoch=batch.epoch,
        free=not is_mask,
        holders=parties(batch.holders),
        mask=is_mask,
    )


def pool_view(state: Reader, curve: str) -> v.PoolView:
    pool, params = get_pool(state, curve), state.get(tables.PARAMS) or r.Params()
    under_way = pool.reserved_total - pool.made
    for sid in (state.get(tables.OPEN_SESSIONS) or r.SessionList()).sids:
        session = state.get(tables.session(sid))
        if session is not None and session.curve == curve:
            under_way += session.count or expected_count(session)
    return v.PoolView(
        curve=curve,
        free=pool.free,
        assigned=pool.assigned,
        short=sum(batch.free for batch in pool.batches if not batch.held_by_all),
        under_way=under_way,
        low=params.pool_low,
        high=params.pool_high,
        reserved=compute_reserve(params, pool),
        masks=pool.masked,
    )


def enckeys_view(state: Reader, epoch: r.Epoch) -> v.EncKeysView:
    next_counter = get_next_counter(state, epoch.epoch)
    members = []
    for member in epoch.members:
        keys = state.get(tables.enckeys(epoch.epoch, member.index))
        first = next_counter if keys is None else max(keys.first, next_counter)
        last = first - 1 if keys is None else keys.last
        service_key = "" if keys is None else keys.service_key.hex()
        members.append(v.EncKeyView(index=member.index, first=first, last=last, service_key=service_key))
    return v.EncKeysView(next_counter=next_counter, members=tuple(members))
