"""Steps 7 to 9 of a resharing: own new shares, READY or RHAVE, and erasing. Functions of state and view."""

from authnet_core.protocol.dkg.effects import Outcome, Shelf, Store
from authnet_core.protocol.reshare import choose, records, strings, sums
from authnet_core.protocol.reshare.deal import nonces_of
from authnet_core.protocol.reshare.effects import ReshareEffect
from authnet_core.protocol.reshare.messages import SCALAR, ReshareHave, ReshareReady
from authnet_core.protocol.reshare.picture import Phase, Picture
from authnet_core.protocol.reshare.state import NewState, State

GRACE_TIMER = "grace"


def advance(state: State, picture: Picture) -> list[ReshareEffect]:
    """Whatever the phase asks for and the holdings allow."""
    if not picture.has_q:
        return []
    effects: list[ReshareEffect] = []
    if state.new is not None:
        effects += compute_if_complete(state, state.new, picture)
    if picture.phase is Phase.FINAL:
        return effects + _settle(state, picture)
    if state.new is not None:
        effects += _sign_ready(state, state.new, picture)
    return effects


def take_own_nonces(state: State) -> None:
    """A node of both committees has them."""
    if state.new is not None and state.old is not None and state.old.rows and not state.new.nonces:
        state.new.nonces[:] = nonces_of(bytes(state.old.rows))


def is_misled(state: State, new: NewState, picture: Picture) -> bool:
    """Whether the chain's Q' is not one whose W gives this node's own M: then the keys might change."""
    total = state.total_of(new, picture)
    if not picture.has_q or total is None:
        return False
    known = set(picture.q) <= set(picture.tests) and len(picture.q) == state.params.old.k
    return not known or not choose.fits(_constants(picture), total)


def _constants(picture: Picture) -> dict[int, int]:
    return {j: int.from_bytes(picture.tests[j].u[0], "big") for j in picture.q}


def compute_if_complete(state: State, new: NewState, picture: Picture) -> list[ReshareEffect]:
    """Step 7, and the record stored, as soon as the shares of all of Q' and all nonces are held."""
    if state.has_result or not new.ek or any(j not in new.plains for j in picture.q) or state.lacking_nonces(new):
        return []
    total = state.total_of(new, picture)
    if total is None or is_misled(state, new, picture):
        return []
    shares = sums.new_shares(state.params, {j: new.plains[j] for j in picture.q})
    new.result = sums.kept_rows(shares, bytes(new.nonces) or bytes(SCALAR * state.params.count))
    u = {j: picture.tests[j].u for j in picture.q}
    new.ready = strings.ready_hash(state.params.rid, state.params.root, picture.q, total, u)
    return [Store(records.SHARES, new.result, Shelf.KEPT), Store(records.READY, new.ready, Shelf.RETAINED)]


def _sign_ready(state: State, new: NewState, picture: Picture) -> list[ReshareEffect]:
    """READY says that the signer's own shares and nonces are on disk: the stores precede it."""
    if new.result is None or not new.ready or new.me in picture.readies:
        return []
    return state.submit(picture, ReshareReady(state.params.rid, new.ready))


def _settle(state: State, picture: Picture) -> list[ReshareEffect]:
    """After n'-t' equal READY: RHAVE if late, and erase in time."""
    effects = state.set_timer(GRACE_TIMER, state.timing.grace)
    new = state.new
    if new is None:
        effects += state.settle(Outcome.HELD)
    elif new.result is not None and new.ready.hex() != picture.hash:
        # Such shares do not go with the others': they must not be served. Bundles stay, for the operator.
        return effects + state.erase(Shelf.KEPT) + state.settle(Outcome.CONFLICT)
    elif new.result is not None:
        if new.me not in picture.holders and picture.readies.get(new.me) != picture.hash:
            effects += state.submit(picture, ReshareHave(state.params.rid))
        effects += state.settle(Outcome.HELD)
    everybody = picture.holders >= set(state.params.receivers)
    if everybody and (new is None or new.result is not None) and state.has_ended(picture):
        effects += state.erase(Shelf.BRIEF, Shelf.RETAINED)
    return effects


def abandon(state: State, picture: Picture) -> list[ReshareEffect]:
    """The rid and its mask are burnt: nothing of it is used, everything is erased."""
    return drop(state) if state.has_ended(picture) else []


def drop(state: State) -> list[ReshareEffect]:
    """Erase everything of this resharing."""
    return state.erase(Shelf.KEPT, Shelf.BRIEF, Shelf.RETAINED) + state.settle(Outcome.ABANDONED)


def forget_nonce(state: State, position: int) -> list[ReshareEffect]:
    """The key was upgraded: no keeper keeps its nonce, here or in what this node would hand on."""
    state.upgraded.add(position)
    at = position * SCALAR
    if state.old is not None and state.old.rows:
        state.old.rows[2 * at + SCALAR : 2 * at + 2 * SCALAR] = sums.ZERO
    new = state.new
    if new is None:
        return []
    if new.nonces:
        new.nonces[at : at + SCALAR] = sums.ZERO
    if new.result is None:
        return []
    new.result = new.result[: 2 * at + SCALAR] + sums.ZERO + new.result[2 * at + 2 * SCALAR :]
    return [Store(records.SHARES, new.result, Shelf.KEPT)]
