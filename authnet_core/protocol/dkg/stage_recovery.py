"""COMPLAIN of step 2 and late recovery R of section 4: complain, ask, answer, interpolate. Functions of state and view.

D of a dealer opens what it dealt to this node, so `answer` is the one place that lets one out, and only for a dealer
that the chain has convicted in favour of who asks.
"""

from authnet_core.protocol.dkg import check, complaint, recovery
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.effects import Effect
from authnet_core.protocol.dkg.holdings import Verdict
from authnet_core.protocol.dkg.messages import Deal, Recovery, WantRecovery
from authnet_core.protocol.dkg.params import Party
from authnet_core.protocol.dkg.picture import Phase, Picture
from authnet_core.protocol.dkg.stage_keys import advance
from authnet_core.protocol.dkg.state import State


def complain(state: State, picture: Picture) -> list[Effect]:
    """COMPLAIN about each dealer whose own hashes fix a bad share for this node, until the chain has judged it."""
    if not state.ek or (state.barred and picture.phase is not Phase.FINAL):
        return []
    effects: list[Effect] = []
    for dealer in sorted(state.held.bad_shares):
        deal = state.deal_of(picture, dealer)
        if deal is None or dealer not in state.held.bundles or not _may_complain(state, picture, dealer):
            continue
        if dealer not in state.complaints:
            bundle = state.held.bundles[dealer]
            made = complaint.make_complaint(state.params, state.me, deal, bundle, bytes(state.ek))
            state.complaints[dealer] = made
        effects += state.submit(picture, state.complaints[dealer])
    return effects


def _may_complain(state: State, picture: Picture, dealer: Party) -> bool:
    if dealer == state.me or (dealer, state.me) in picture.judged or picture.phase is Phase.ABANDONED:
        return False
    # After FINAL a complaint has one use, a recovery, and the chain refuses those of more than t dealers.
    others = picture.convicts - {dealer}
    return picture.phase is not Phase.FINAL or (dealer in picture.q and len(others) < state.params.committee.t)


def missing_recoveries(state: State, picture: Picture) -> list[Party]:
    """Convicted dealers of Q that this node may get its shares of from the others."""
    if not state.ek or state.has_result:
        return []
    cheated = [i for i in sorted(state.held.bad_shares) if i not in state.held.plains]
    return [i for i in cheated if is_open(state, picture, i, state.me)]


def is_open(state: State, picture: Picture, dealer: Party, complainer: Party) -> bool:
    """R runs for an upheld complaint with a block behind it, about a dealer of Q, one of at most t; else never."""
    if not picture.may_reveal or picture.phase is Phase.ABANDONED or dealer not in picture.q:
        return False
    height = picture.upheld.get((dealer, complainer))
    return height is not None and picture.height > height and len(picture.convicts) <= state.params.committee.t


def answer(state: State, picture: Picture, sender: Party, want: WantRecovery) -> Recovery | None:
    """Own D with its proof for the upheld complainer, from a node that still has its encryption key."""
    deal = state.deal_of(picture, want.dealer)
    if not state.ek or deal is None or not is_open(state, picture, want.dealer, sender):
        return None
    shared, proof = complaint.prove_shared(state.params, want.dealer, state.me, deal.e, bytes(state.ek))
    return Recovery(state.params.sid, want.dealer, shared, proof)


def take(state: State, sender: Party, message: Recovery) -> list[Effect]:
    """Another receiver's D: decrypt its part of the bundle, keep it if it passes the test; k of them are enough."""
    picture, dealer = state.picture, message.dealer
    want = WantRecovery(message.sid, dealer)
    if picture is None or dealer not in missing_recoveries(state, picture):
        return []
    found = state.held.recovered.setdefault(dealer, {})
    deal = state.deal_of(picture, dealer)
    if deal is None or sender in found or not state.fetcher.was_asked(sender, want):
        return []
    if not complaint.verify_shared(state.params, dealer, sender, deal.e, message.shared, message.dleq):
        return state.blame(Verdict(sender, "recovery with no proof for its D"), sender)
    found[sender] = _open(state, deal, sender, message)
    good = {party: plain for party, plain in found.items() if plain is not None}
    if len(good) < state.params.committee.k:
        return []
    plain = recovery.interpolate_plain(good, state.me)
    if check.refuse_plaintext(state.params, dealer, state.me, deal, plain.shares + plain.contribution):
        return []
    state.held.plains[dealer] = plain
    del state.held.recovered[dealer]  # others' plaintexts have served
    state.fetcher.got(want)
    # After FINAL the shelf of shares is about to be shredded; the bundle and the complaint are enough to ask again.
    stores: list[Effect] = [] if picture.phase is Phase.FINAL else [state.share_store(dealer)]
    return [*stores, *advance(state, picture)]


def _open(state: State, deal: Deal, sender: Party, message: Recovery) -> Plain | None:
    """The sender's plaintext if it passes the test. If not, that is the dealer's doing, not the sender's."""
    dealer = message.dealer
    ciphertext = state.held.bundles[dealer].ciphertexts[sender - 1]
    plaintext = complaint.open_with(state.params, dealer, sender, deal.e, message.shared, ciphertext)
    if check.refuse_plaintext(state.params, dealer, sender, deal, plaintext):
        return None
    return check.split(state.params, plaintext)
