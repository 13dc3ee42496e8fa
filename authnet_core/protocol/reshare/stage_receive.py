"""Step 5 of a resharing at a new member: test what came, acknowledge, complain. Functions of state and view."""

from authnet_core.protocol.reshare import check, complaint, strings
from authnet_core.protocol.reshare.effects import ReshareEffect
from authnet_core.protocol.reshare.messages import ReshareAck
from authnet_core.protocol.reshare.params import Party
from authnet_core.protocol.reshare.picture import Phase, Picture, bit
from authnet_core.protocol.reshare.state import NewState, State

ACK_TIMER = "ack"


def open_held(state: State, picture: Picture) -> list[ReshareEffect]:
    """Open and test every held bundle whose dealer has answered the challenge."""
    new = state.new
    if new is None or not new.ek or not picture.gamma_seed or state.has_result:
        return []
    effects: list[ReshareEffect] = []
    for dealer in sorted(set(picture.wanted_dealers) & set(picture.tests) & set(state.bundles)):
        if dealer not in new.plains and dealer not in new.bad_shares:
            effects += _test(state, new, picture, dealer)
    return effects


def _test(state: State, new: NewState, picture: Picture, dealer: Party) -> list[ReshareEffect]:
    dealt = state.deal_of(picture, dealer)
    bundle = state.bundles[dealer]
    # Also a bundle of an earlier life, or our own, must be the one that the chain knows: else it proves nothing.
    if dealt is None or strings.deal_root(state.params.rid, dealer, dealt.e, bundle.leaves) != dealt.root:
        return []
    plaintext = check.open_own(state.params, new.me, dealt, bundle, bytes(new.ek))
    test = picture.tests[dealer]
    if reason := check.refuse_plaintext(state.params, new.me, picture.gamma_seed, test, plaintext):
        new.bad_shares.add(dealer)
        return state.blame_dealer(dealer, reason)
    new.plains[dealer] = plaintext
    return []


def acknowledge(state: State, picture: Picture, *, at_once: bool = False) -> list[ReshareEffect]:
    """RACK every dealer whose share is good and whose bundle is stored, with M. Bits collect for a moment."""
    new = state.new
    if new is None or not new.ek or picture.phase is not Phase.ACK:
        return []
    good = [j for j in sorted(picture.tests) if j in new.plains]
    said = picture.acks.get(new.me, 0)
    mask = sum(bit(j) for j in good) | said
    if mask == said:
        return []
    if not at_once and len(good) < len(picture.tests):
        return state.set_timer(ACK_TIMER, state.timing.collect)
    total = state.total_of(new, picture)
    return [] if total is None else state.submit(picture, ReshareAck(state.params.rid, mask, total))


def complain(state: State, picture: Picture) -> list[ReshareEffect]:
    """RCOMPLAIN about each dealer whose own bytes fix a bad share for this node, until the chain has judged it."""
    new = state.new
    if new is None or not new.ek or not picture.gamma_seed or state.has_result:
        return []
    effects: list[ReshareEffect] = []
    for dealer in sorted(new.bad_shares & state.bundles.keys()):
        if not _may_complain(state, new, picture, dealer):
            continue
        dealt, test = state.deal_of(picture, dealer), picture.tests.get(dealer)
        if dealt is None or test is None:
            continue
        if dealer not in new.complaints:
            bundle, ek = state.bundles[dealer], bytes(new.ek)
            made = complaint.make_complaint(state.params, new.me, dealt, picture.gamma_seed, test, bundle, ek)
            new.complaints[dealer] = made
        effects += state.submit(picture, new.complaints[dealer])
    return effects


def _may_complain(state: State, new: NewState, picture: Picture, dealer: Party) -> bool:
    if (dealer, new.me) in picture.judged:
        return False
    if picture.phase is Phase.ACK:
        return True
    # Once Q' is fixed a complaint has one use, a recovery, and that is for at most t dealers of it.
    return picture.has_q and dealer in picture.q and len(picture.convicts - {dealer}) < state.params.old.t
