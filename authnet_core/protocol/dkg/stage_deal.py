"""Steps 1 and 2 of a session: deal once, acknowledge what was tested and stored. Functions of state and view."""

from authnet_core.protocol.dkg import check, deal, records
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Effect, Send, Shelf, Store
from authnet_core.protocol.dkg.messages import Ack
from authnet_core.protocol.dkg.picture import Phase, Picture, bit
from authnet_core.protocol.dkg.state import State

ACK_TIMER = "ack"


def deal_once(state: State, picture: Picture) -> list[Effect]:
    """One DEAL for a (sid, i), ever: stored before anything leaves, the stored bytes are sent again."""
    dealt = picture.deals.get(state.me)
    if dealt is not None and (state.dealing is None or dealt != state.dealing.deal):
        state.barred = True  # a lost or restored disk: never a second deal, and nothing else before FINAL
    if picture.phase is not Phase.DEAL or state.barred or state.me in picture.left_out:
        return []
    effects, dealing = _deal_on_disk(state)
    if dealt is None:
        effects += state.submit(picture, dealing.deal)
    if not state.bundle_sent:
        state.bundle_sent = True
        waiting = [j for j in state.others() if not picture.acks.get(j, 0) & bit(state.me)]
        effects += [Send(j, dealing.bundle) for j in waiting]
    return effects


def _deal_on_disk(state: State) -> tuple[list[Effect], Dealing]:
    """The deal, and what must still be stored before it leaves: seed and DEAL bytes first."""
    effects: list[Effect] = []
    dealing = state.dealing
    if dealing is None:
        dealing = deal.make_dealing(state.params, state.me, bytes(state.seed))
        if reason := check.refuse_own_dealing(state.params, state.me, dealing):
            raise RuntimeError(f"own deal fails its own test: {reason}")
        state.adopt(dealing)
        effects.append(Store(records.DEAL, bytes(state.seed) + dealing.deal.encode(), Shelf.BRIEF))
    if not state.own_stored:
        state.own_stored = True
        effects += [state.share_store(state.me), records.store_bundle(dealing.bundle)]
    return effects, dealing


def reopen_stored(state: State, picture: Picture) -> list[Effect]:
    """Shares from bundles that an earlier life stored. An ACKed share is on disk in its own right until FINAL."""
    if not state.ek or state.has_result:
        return []
    reopened = state.held.reopen(state.params, state.me, picture.deals, bytes(state.ek))
    if picture.phase is Phase.FINAL:
        return []
    return [state.share_store(dealer) for dealer in reopened]


def acknowledge(state: State, picture: Picture, *, at_once: bool = False) -> list[Effect]:
    """ACK every dealer whose share and bundle are stored. Bits collect for a moment unless all are there."""
    if picture.phase is not Phase.DEAL or state.barred or not state.ek:
        return []
    good = [i for i in state.params.parties if i in state.held.plains and i in picture.deals]
    mask = sum(bit(i) for i in good) | picture.acks.get(state.me, 0)
    if mask == picture.acks.get(state.me, 0):
        return []
    if not at_once and len(good) < state.params.committee.n:
        return state.set_timer(ACK_TIMER, state.timing.collect)
    return state.submit(picture, Ack(state.params.sid, mask))
