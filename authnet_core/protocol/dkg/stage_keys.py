"""Steps 4 to 8 of a session: reveal, open, compute, FINAL or HAVE, KEYS, erase. Functions of state and view."""

from authnet_core.protocol.dkg import keys, opening, records
from authnet_core.protocol.dkg.batch import Batch, compute_batch
from authnet_core.protocol.dkg.effects import Done, Effect, Outcome, Send, Shelf, Submit
from authnet_core.protocol.dkg.messages import Final, Have, Opened
from authnet_core.protocol.dkg.picture import Phase, Picture, bit
from authnet_core.protocol.dkg.state import State

OPENED_TIMER, GRACE_TIMER, KEYS_TIMER = "opened", "grace", "keys/"


def reveal_own_list(state: State, picture: Picture) -> list[Effect]:
    """Steps 4 and 6: own A_{i,b} leave the node only when Q is fixed, for good, and this node is in it."""
    if not picture.may_reveal or state.me not in picture.q or state.dealing is None or state.barred:
        return []
    effects: list[Effect] = []
    own = state.dealing.points
    if state.me not in state.held.lists:
        state.held.lists[state.me] = own
        state.held.points[state.me] = list(opening.parse_list(own) or [])
        effects.append(records.store_list(own))
    if not state.list_sent and picture.phase is not Phase.FINAL:
        state.list_sent = True
        waiting = [j for j in state.others() if not picture.opened.get(j, 0) & bit(state.me)]
        effects += [Send(j, own) for j in waiting]
    return effects


def advance(state: State, picture: Picture) -> list[Effect]:
    """Whatever the phase asks for and the holdings allow."""
    if picture.phase in (Phase.DEAL, Phase.ABANDONED):
        return []
    effects = compute_if_complete(state, picture)
    match picture.phase:
        case Phase.CERTIFIED:
            effects += tell_opened(state, picture)
        case Phase.OPENED:
            effects += sign_final(state, picture)
        case Phase.FINAL:
            effects += settle(state, picture)
    return effects


def tell_opened(state: State, picture: Picture, *, at_once: bool = False) -> list[Effect]:
    """OPENED for every dealer of Q whose list, or fallback lists, are good and stored: who says so serves them."""
    if picture.phase is not Phase.CERTIFIED or not picture.may_reveal or state.barred:
        return []
    good = [i for i in picture.q if i in state.held.points]
    mask = sum(bit(i) for i in good) | picture.opened.get(state.me, 0)
    if mask == picture.opened.get(state.me, 0):
        return []
    if not at_once and len(good) < len(picture.q):
        return state.set_timer(OPENED_TIMER, state.timing.collect)
    return state.submit(picture, Opened(state.params.sid, mask))


def compute_if_complete(state: State, picture: Picture) -> list[Effect]:
    """Steps 5 and 7, and both records stored, as soon as shares and lists of all of Q are held."""
    complete = all(i in state.held.plains and i in state.held.points for i in picture.q)
    if state.has_result or not picture.may_reveal or not complete or not state.ek:
        return []
    state.batch = compute_batch(state.params, picture.q, state.held.plains, state.held.points)
    return [] if is_conflict(state.batch, picture) else state.batch.stores()


def is_conflict(batch: Batch, picture: Picture) -> bool:
    """Whether n-t members signed other keys than these."""
    return picture.phase is Phase.FINAL and batch.keys.root.hex() != picture.root


def sign_final(state: State, picture: Picture) -> list[Effect]:
    """FINAL says that the signer's own shares and nonces are on disk: the stores precede it."""
    if state.batch is None or state.barred or state.me in picture.finals:
        return []
    return state.submit(picture, Final(state.params.sid, state.batch.keys.root))


def settle(state: State, picture: Picture) -> list[Effect]:
    """After FINAL: HAVE if late, post the keys, and erase in time."""
    effects = state.set_timer(GRACE_TIMER, state.timing.grace)
    if state.batch is None:
        return effects
    if is_conflict(state.batch, picture):
        # Such shares open no key on chain: they must not be served. Bundles and lists stay, for the operator.
        return effects + state.erase(Shelf.KEPT) + _done(state, Outcome.CONFLICT)
    if state.me not in picture.holders and picture.finals.get(state.me) != picture.root:
        effects += state.submit(picture, Have(state.params.sid))
    effects += _done(state, Outcome.HELD)
    for chunk in range(state.batch.keys.chunks):
        if chunk not in picture.chunks:
            delay = keys.posting_delay(state.params.committee.n, chunk, state.me)
            effects += state.set_timer(f"{KEYS_TIMER}{chunk}", 1_000 * delay)
    return effects + _erase_when_all_hold(state, picture)


def post_keys(state: State, picture: Picture, chunk: int) -> list[Effect]:
    """KEYS of one chunk if nobody has posted it; again a round later if that did not get through."""
    if state.batch is None or picture.phase is not Phase.FINAL or chunk in picture.chunks:
        return []
    effects = state.set_timer(f"{KEYS_TIMER}{chunk}", 1_000 * state.params.committee.n)
    return [Submit(keys.chunk_message(state.params.sid, state.batch.keys, chunk)), *effects]


def abandon(state: State, picture: Picture) -> list[Effect]:
    """The sid is burnt: nothing of it is used, everything is erased."""
    if not state.has_ended(picture):
        return []
    return state.erase(Shelf.KEPT, Shelf.BRIEF, Shelf.RETAINED) + _done(state, Outcome.ABANDONED)


def _erase_when_all_hold(state: State, picture: Picture) -> list[Effect]:
    everybody = picture.holders >= set(state.params.parties)
    if state.batch is None or not everybody or len(picture.chunks) < state.batch.keys.chunks:
        return []
    return state.erase(Shelf.BRIEF, Shelf.RETAINED) if state.has_ended(picture) else []


def _done(state: State, outcome: Outcome) -> list[Effect]:
    if state.done:
        return []
    state.done = True
    return [Done(outcome)]
