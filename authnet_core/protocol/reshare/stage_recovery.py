"""Late recovery: a new member's shares of a dealer of Q' that the chain convicted in its favour.

D of a dealer opens what it dealt to this node, so `answer` is the one place that lets one out, and only for a dealer
that the chain has convicted in favour of who asks. Functions of state and view.
"""

from authnet_core.protocol.reshare import check, complaint, sums
from authnet_core.protocol.reshare.effects import ReshareEffect
from authnet_core.protocol.reshare.messages import ReshareDeal, ReshareRecovery, WantReshareRecovery
from authnet_core.protocol.reshare.params import Party, Sender
from authnet_core.protocol.reshare.picture import Picture
from authnet_core.protocol.reshare.stage_result import advance
from authnet_core.protocol.reshare.state import NewState, State


def missing_recoveries(state: State, picture: Picture) -> list[Party]:
    """Convicted dealers of Q' that this node may get its shares of from the others."""
    new = state.new
    if new is None or not new.ek or state.has_result:
        return []
    cheated = [j for j in sorted(new.bad_shares) if j not in new.plains]
    return [j for j in cheated if is_open(state, picture, j, new.me)]


def is_open(state: State, picture: Picture, dealer: Party, complainer: Party) -> bool:
    """It runs for an upheld complaint with a block behind it, about a dealer of Q', one of at most t; else never."""
    if not picture.has_q or dealer not in picture.q:
        return False
    height = picture.upheld.get((dealer, complainer))
    return height is not None and picture.height > height and len(picture.convicts) <= state.params.old.t


def answer(state: State, picture: Picture, sender: Sender, want: WantReshareRecovery) -> ReshareRecovery | None:
    """Own D with its proof for the upheld complainer, from a node that still has its encryption key."""
    new, dealt = state.new, state.deal_of(picture, want.dealer)
    if new is None or not new.ek or dealt is None or sender.new is None:
        return None
    if not is_open(state, picture, want.dealer, sender.new):
        return None
    shared, proof = complaint.prove_shared(state.params, want.dealer, new.me, dealt.e, bytes(new.ek))
    return ReshareRecovery(state.params.rid, want.dealer, shared, proof)


def take(state: State, sender: Sender, message: ReshareRecovery) -> list[ReshareEffect]:
    """Another receiver's D: decrypt its part of the bundle, keep it if it passes the test; k' of them are enough."""
    picture, new, dealer = state.picture, state.new, message.dealer
    want = WantReshareRecovery(message.rid, dealer)
    if picture is None or new is None or sender.new is None or dealer not in missing_recoveries(state, picture):
        return []
    found = new.recovered.setdefault(dealer, {})
    dealt = state.deal_of(picture, dealer)
    if dealt is None or sender.new in found or not state.was_asked(sender, want):
        return []
    if not complaint.verify_shared(state.params, dealer, sender.new, dealt.e, message.shared, message.dleq):
        return state.blame_sender(sender, "recovery with no proof for its D")
    found[sender.new] = _open(state, picture, dealt, sender.new, message)
    good = {party: plaintext for party, plaintext in found.items() if plaintext is not None}
    if len(good) < state.params.new.k or not _interpolate(state, new, picture, dealer, good):
        return []
    state.fetcher.got(want)
    return advance(state, picture)


def _open(state: State, picture: Picture, dealt: ReshareDeal, party: Party, message: ReshareRecovery) -> bytes | None:
    """The sender's plaintext if it passes the test. If not, that is the dealer's doing, not the sender's."""
    ciphertext = state.bundles[message.dealer].ciphertexts[party - 1]
    plaintext = complaint.open_with(state.params, message.dealer, party, dealt.e, message.shared, ciphertext)
    test = picture.tests[message.dealer]
    return None if check.refuse_plaintext(state.params, party, picture.gamma_seed, test, plaintext) else plaintext


def _interpolate(state: State, new: NewState, picture: Picture, dealer: Party, good: dict[Party, bytes]) -> bool:
    """Own shares of the dealer from k' tested plaintexts: it fixed them before the challenge, so any k' give them."""
    plaintext = sums.interpolate_plaintext(dict(sorted(good.items())[: state.params.new.k]), new.me)
    if check.refuse_plaintext(state.params, new.me, picture.gamma_seed, picture.tests[dealer], plaintext):
        return False
    new.plains[dealer] = plaintext
    del new.recovered[dealer]  # others' plaintexts have served
    return True
