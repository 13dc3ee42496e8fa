"""Views of epochs and of the hand-over between them."""

from __future__ import annotations

from abci_app.handover.phases import ABORTED, REJECTED, TIMED_OUT
from abci_app.reshare import flow as reshare_flow
from abci_app.state import records as r
from abci_app.state import records_handover as rh
from abci_app.state import tables
from abci_app.state.bits import parties
from abci_app.state.state import Reader
from authnet_core.protocol import views as v


def epoch_view(state: Reader, epoch: r.Epoch) -> v.EpochView:
    members = []
    for member in epoch.members:
        keys = state.get(tables.enckeys(epoch.epoch, member.index))
        view = v.MemberView(
            index=member.index,
            operator=member.operator,
            identity=member.identity.hex(),
            consensus=member.consensus.hex(),
            peer_id=member.peer_id,
            p2p_addr=member.p2p_addr,
            comet_addr=member.comet_addr,
            endpoint=member.endpoint,
            service_key="" if keys is None else keys.service_key.hex(),
        )
        members.append(view)
    return v.EpochView(
        epoch=epoch.epoch,
        n=epoch.n,
        k=epoch.k,
        t=epoch.t,
        status=epoch.status,
        members=tuple(members),
        committee_hash=epoch.committee_hash.hex(),
        serving_from_ms=epoch.serving_from_ms,
        serving_until_ms=epoch.serving_until_ms,
        grace_ends_ms=epoch.grace_ends_ms,
        erased=parties(epoch.erased),
        previous=epoch.previous,
        called_off=epoch.called_off,
    )


def handover_view(state: Reader, handover: rh.Handover, epoch: r.Epoch) -> v.HandoverView:
    committee, params = epoch_view(state, epoch), state.get(tables.PARAMS) or r.Params()
    progress = reshare_flow.measure(state, handover)
    nodes = tuple(
        v.ReadyNodeView(
            index=member,
            height=node.height,
            app_hash=node.app_hash.hex(),
            service_key=committee.members[member - 1].service_key,
        )
        for member, node in enumerate(handover.ready_nodes, start=1)
        if node is not None
    )
    return v.HandoverView(
        phase=handover.phase,
        record_hash=handover.record_hash.hex(),
        committee=committee,
        from_epoch=handover.from_epoch,
        announced_height=handover.announced_height,
        announced_ms=handover.announced_ms,
        notice_ends_ms=(handover.notice_from_ms or handover.announced_ms) + handover.notice_ms,
        phase_height=handover.phase_height,
        phase_ms=handover.phase_ms,
        deadline_ms=handover.joining_ms + params.handover_max_ms if handover.joining_ms else 0,
        rejected=parties(handover.rejected),
        ready_nodes=nodes,
        batches=progress.batches,
        batches_done=progress.batches_done,
        keys=progress.keys,
        keys_done=progress.keys_done,
        frozen=handover.frozen,
    )


def ended_view(ended: rh.Ended) -> v.HandoverEndView:
    return v.HandoverEndView(
        epoch=ended.epoch, outcome=ended.outcome, height=ended.height, time_ms=ended.time_ms, reason=_reason(ended)
    )


def _reason(ended: rh.Ended) -> str:
    """Words for an operator; they are no part of the state."""
    named = ", ".join(map(str, parties(ended.parties)))
    if ended.outcome == REJECTED:
        return f"rejected by members {named} of the committee in charge, while {ended.phase}"
    if ended.outcome == ABORTED:
        return f"called off by the registry's owner, while {ended.phase}"
    if ended.outcome != TIMED_OUT:
        return ""
    if ended.cause:
        return f"the keys could not be moved: {ended.cause}"
    return f"not done in time, while {ended.phase}" + (f"; not ready: next members {named}" if named else "")
