"""The exponent fallback F of section 4: own list and scalar, then the dealer's points. Functions of state and view.

The spare mask of a dealer is used under one seed, ever: it is on disk before an answer leaves, and a chain that shows
another seed, or one that its own list hashes do not give, is a fork: nothing is answered, nobody is blamed.
"""

from authnet_core.crypto.points import Point
from authnet_core.crypto.secp256k1 import parse_scalar
from authnet_core.crypto.shamir import correct, interpolate
from authnet_core.protocol.dkg import fallback, records, strings
from authnet_core.protocol.dkg.effects import Effect, Shelf
from authnet_core.protocol.dkg.holdings import Verdict
from authnet_core.protocol.dkg.messages import FallbackList, FallbackScalar, Parts, WantParts
from authnet_core.protocol.dkg.params import Party
from authnet_core.protocol.dkg.picture import Fallback, Phase, Picture
from authnet_core.protocol.dkg.stage_keys import advance
from authnet_core.protocol.dkg.state import State


def take_part(state: State, picture: Picture) -> list[Effect]:
    """Whatever each running fallback asks for and the holdings allow."""
    if not picture.may_reveal or picture.phase is Phase.ABANDONED:
        return []
    effects: list[Effect] = []
    for dealer, shown in picture.fallbacks.items():
        if is_forked(state, dealer, shown):
            continue
        if _may_answer(state, picture, dealer):
            effects += _submit_list(state, picture, dealer, shown)
            effects += _submit_scalar(state, picture, dealer, shown)
        effects += open_points(state, picture, dealer, shown)
    return effects


def _may_answer(state: State, picture: Picture, dealer: Party) -> bool:
    """While the dealer's list is not open, by a node that has its share and everything it signed on disk."""
    is_running = picture.phase is Phase.CERTIFIED and picture.openers(dealer) <= state.params.committee.t
    is_whole = not state.barred and Shelf.BRIEF not in state.erased
    return is_running and is_whole and bool(state.ek) and dealer in state.held.plains


def _submit_list(state: State, picture: Picture, dealer: Party, shown: Fallback) -> list[Effect]:
    """FALLBACK_LIST until the cut-off; the list is on disk before, since it must be served."""
    mine, is_listed = (dealer, state.me), state.me in shown.lists
    if shown.seed and not is_listed:
        return []
    effects: list[Effect] = []
    if mine not in state.held.parts:
        own = fallback.make_parts(state.params, dealer, state.me, state.held.plains[dealer])
        state.held.parts[mine] = own
        effects.append(records.store_parts(own))
    if is_listed:
        return effects
    digest = fallback.hash_of(state.held.parts[mine])
    return [*effects, *state.submit(picture, FallbackList(state.params.sid, dealer, digest))]


def _submit_scalar(state: State, picture: Picture, dealer: Party, shown: Fallback) -> list[Effect]:
    """FALLBACK_SCALAR under the one seed."""
    if state.me in shown.scalars or not is_settled(state, picture, dealer, shown):
        return []
    effects: list[Effect] = []
    if dealer not in state.spent:
        state.spent[dealer] = shown.seed
        effects.append(records.store_spare(dealer, shown.seed))
    w = fallback.answer(state.params, state.held.plains[dealer], shown.seed)
    return [*effects, *state.submit(picture, FallbackScalar(state.params.sid, dealer, w))]


def is_settled(state: State, picture: Picture, dealer: Party, shown: Fallback) -> bool:
    """The seed stands in a block whose successor is there, and is the one that the shown hashes give."""
    return bool(shown.seed) and picture.height > shown.seed_height and not is_forked(state, dealer, shown)


def is_forked(state: State, dealer: Party, shown: Fallback) -> bool:
    """Whether this can not be the chain that this node answered on, or one that keeps the rules."""
    if not shown.seed:
        return dealer in state.spent
    if state.spent.get(dealer, shown.seed) != shown.seed:
        return True
    return strings.fallback_seed(state.params.sid, dealer, sorted(shown.lists.items())) != shown.seed


def forks(state: State, picture: Picture) -> list[Party]:
    """Dealers whose fallback this node takes no part in, for `status`."""
    return [i for i, shown in picture.fallbacks.items() if is_forked(state, i, shown)]


def missing_parts(state: State, picture: Picture) -> list[tuple[Party, Party]]:
    """(dealer, holder) of the lists that this node may still need."""
    if not picture.may_reveal or state.has_result:
        return []
    known = state.held.parts.keys() | state.held.bad_parts
    return [
        (dealer, holder)
        for dealer, shown in picture.fallbacks.items()
        if dealer not in state.held.points and is_settled(state, picture, dealer, shown)
        for holder in sorted(shown.lists)
        if holder != state.me and (dealer, holder) not in known
    ]


def take(state: State, sender: Party, message: Parts) -> list[Effect]:
    """A fallback list that was asked for."""
    picture, place = state.picture, (message.dealer, message.holder)
    want = WantParts(message.sid, *place)
    if picture is None or len(message.points64) != state.params.parts_size:
        return []
    if place not in missing_parts(state, picture) or not state.fetcher.was_asked(sender, want):
        return []
    shown = picture.fallbacks[message.dealer]
    if fallback.hash_of(message) != shown.lists[message.holder]:
        return state.blame(Verdict(sender, "fallback list that does not fit its hash"), sender)
    if fallback.parse_parts(message.points64) is None:
        return state.blame(Verdict(sender, "fallback list with a point off the curve"), sender)
    state.held.parts[place] = message
    state.fetcher.got(want)
    return [*open_points(state, picture, message.dealer, shown), *advance(state, picture)]


def open_points(state: State, picture: Picture, dealer: Party, shown: Fallback) -> list[Effect]:
    """A_{i,b} from k good lists, which are stored, since OPENED says that they are served."""
    if dealer in state.held.points or state.has_result or not is_settled(state, picture, dealer, shown):
        return []
    arrived = sum((dealer, holder) in state.held.parts for holder in shown.lists)
    fixed = _polynomial(state, dealer, shown) if arrived >= state.params.committee.k else None
    if fixed is None:
        return []
    good = _good_lists(state, dealer, shown, fixed)
    if len(good) < state.params.committee.k:
        return []
    state.held.points[dealer] = fallback.interpolate_points(state.params, good)
    return [records.store_parts(state.held.parts[dealer, holder]) for holder in good if holder != state.me]


def _polynomial(state: State, dealer: Party, shown: Fallback) -> dict[Party, int] | None:
    """k of the w_j that fix the polynomial which k+t of them are on. The own share must be on it too."""
    committee = state.params.committee
    if dealer not in state.polynomials:
        fixed = correct(shown.scalars, committee.k, committee.k + committee.t)
        if fixed is None:
            return None
        plain = state.held.plains.get(dealer)
        own = None if plain is None else parse_scalar(fallback.answer(state.params, plain, shown.seed))
        if own is not None and interpolate(fixed, state.me) != own:
            return None
        state.polynomials[dealer] = fixed
    return state.polynomials[dealer]


def _good_lists(
    state: State, dealer: Party, shown: Fallback, fixed: dict[Party, int]
) -> dict[Party, list[Point | None]]:
    """k lists that fit the polynomial; one that does not is remembered and asked for no more."""
    good: dict[Party, list[Point | None]] = {}
    for holder in sorted(shown.lists):
        parts = state.held.parts.get((dealer, holder))
        if parts is None or len(good) == state.params.committee.k:
            continue
        points = fallback.parse_parts(parts.points64)
        if points is not None and fallback.is_good(state.params, points, shown.seed, interpolate(fixed, holder)):
            good[holder] = points
        else:
            state.held.bad_parts.add((dealer, holder))
            del state.held.parts[dealer, holder]
    return good
