"""Bulk messages of a session: taking bundles and lists in, asking for missing ones, serving others.

Limits come before work: sizes, one early message a dealer and kind from the dealer itself, relayed ones only if
asked for, a peer's junk counted. Functions of state, view and message.
"""

from collections.abc import Iterable

from authnet_core.protocol.dkg import check, records, stage_fallback, stage_recovery
from authnet_core.protocol.dkg.effects import Effect, Send, Shelf, Store
from authnet_core.protocol.dkg.fetching import Want
from authnet_core.protocol.dkg.holdings import Verdict
from authnet_core.protocol.dkg.messages import (
    Bundle,
    Message,
    PointList,
    WantBundle,
    WantList,
    WantParts,
    WantRecovery,
)
from authnet_core.protocol.dkg.params import Party
from authnet_core.protocol.dkg.picture import Phase, Picture, bit
from authnet_core.protocol.dkg.stage_deal import acknowledge
from authnet_core.protocol.dkg.stage_keys import advance
from authnet_core.protocol.dkg.state import State

SERVE_TIMER = "serve"


def take(state: State, sender: Party, message: Bundle | PointList) -> list[Effect]:
    """A bundle or list that came in."""
    if not _has_right_size(state, message) or not _is_expected(state, sender, message):
        return []
    picture = state.picture
    if picture is None or not _is_judgeable(picture, message):
        if sender == message.dealer:
            state.early[(type(message), sender)] = message
        return []
    return _judge(state, picture, sender, message)


def take_early(state: State, picture: Picture) -> list[Effect]:
    """Messages that were ahead of our view of the chain."""
    ready = [key for key, message in state.early.items() if _is_judgeable(picture, message)]
    effects: list[Effect] = []
    for key in ready:
        message = state.early.pop(key)
        if _is_expected(state, message.dealer, message):
            effects += _judge(state, picture, message.dealer, message)
    return effects


def _has_right_size(state: State, message: Bundle | PointList) -> bool:
    if isinstance(message, Bundle):
        return check.refuse_shape(state.params, message) is None
    return len(message.salt) == 32 and len(message.points64) == state.params.list_size


def _is_expected(state: State, sender: Party, message: Bundle | PointList) -> bool:
    """Not held yet, not convicted, and from the dealer or from a peer that was asked."""
    if state.has_result or Shelf.RETAINED in state.erased:
        return False
    dealer, held = message.dealer, state.held
    if isinstance(message, Bundle):
        useful = bool(state.ek) and dealer not in held.plains and dealer not in held.bad_shares
    else:
        useful = dealer not in held.points and dealer not in held.bad_lists
    return useful and (sender == dealer or state.fetcher.was_asked(sender, _want(message)))


def _want(message: Bundle | PointList) -> Want:
    kind = WantBundle if isinstance(message, Bundle) else WantList
    return kind(message.sid, message.dealer)


def _is_judgeable(picture: Picture, message: Bundle | PointList) -> bool:
    """A bundle needs the dealer's DEAL, a list needs Q."""
    if isinstance(message, Bundle):
        return message.dealer in picture.deals
    return bool(picture.q)


def _judge(state: State, picture: Picture, sender: Party, message: Bundle | PointList) -> list[Effect]:
    deal = state.deal_of(picture, message.dealer)
    if deal is None or picture.phase is Phase.ABANDONED:
        return []
    if isinstance(message, PointList):
        if message.dealer not in picture.q:
            return []
        if verdict := state.held.take_list(state.params, deal, message, sender):
            return state.blame(verdict, sender)
        stores = [records.store_list(message)]
    else:
        ek = bytes(state.ek)
        if verdict := state.held.take_bundle(state.params, state.me, deal, message, ek, sender):
            return _refuse_bundle(state, picture, message, verdict, sender)
        stores = _bundle_stores(state, picture, message)
    state.fetcher.got(_want(message))
    return [*stores, *acknowledge(state, picture), *advance(state, picture)]


def _bundle_stores(state: State, picture: Picture, bundle: Bundle) -> list[Store]:
    if picture.phase is Phase.FINAL:  # BRIEF is about to be shredded, and the bundle is enough
        return [records.store_bundle(bundle)]
    return [state.share_store(bundle.dealer), records.store_bundle(bundle)]


def _refuse_bundle(state: State, picture: Picture, bundle: Bundle, verdict: Verdict, sender: Party) -> list[Effect]:
    """A bundle with a bad share for this node is evidence: kept, served, complained about also after a crash."""
    blame = state.blame(verdict, sender)
    if bundle.dealer not in state.held.bad_shares:
        return blame
    state.fetcher.got(_want(bundle))
    return [records.store_bundle(bundle), *blame, *stage_recovery.complain(state, picture)]


def missing_bundles(state: State, picture: Picture) -> list[Party]:
    """Dealers whose bundle this node needs and may still get."""
    if not state.ek or state.has_result or picture.phase is Phase.ABANDONED:
        return []
    if picture.phase is Phase.DEAL and state.barred:
        return []
    refused = state.held.plains.keys() | state.held.bad_shares
    return [i for i in picture.wanted_dealers if i not in refused and state.deal_of(picture, i)]


def missing_lists(state: State, picture: Picture) -> list[Party]:
    """Dealers of Q whose list this node needs and may still get."""
    if not picture.may_reveal or state.has_result:
        return []
    refused = state.held.points.keys() | state.held.bad_lists
    return [i for i in picture.q if i not in refused]


def fetch(state: State, picture: Picture) -> list[Effect]:
    """Arm the timer while something is missing; a node that comes late, or that only asking can serve, asks at once."""
    wanted = _wanted(state, picture)
    if not wanted:
        return []
    if state.late and not state.fetcher.armed:
        return fetch_now(state, picture)
    effects: list[Effect] = []
    for want, sources in wanted:
        if isinstance(want, WantParts | WantRecovery) and state.fetcher.is_new(want):
            effects += _ask(state, want, sources)
    return effects + state.fetcher.arm()


def fetch_now(state: State, picture: Picture) -> list[Effect]:
    """Ask for all that is missing."""
    state.fetcher.armed = False
    effects: list[Effect] = []
    for want, sources in _wanted(state, picture):
        effects += _ask(state, want, sources)
    if not effects:
        return []
    state.fetcher.back_off()
    return effects + state.fetcher.arm()


def _ask(state: State, want: Want, sources: list[Party]) -> list[Effect]:
    """A recovery needs the answers of k, so all are asked at once."""
    width = len(sources) if isinstance(want, WantRecovery) else 2
    return [Send(peer, want) for peer in state.fetcher.ask(want, sources, width)]


def _wanted(state: State, picture: Picture) -> list[tuple[Want, list[Party]]]:
    """All that is missing, and who may have it: the origin first, then who said so on chain."""
    sid = state.params.sid
    wanted: list[tuple[Want, list[Party]]] = []
    for i in missing_bundles(state, picture):
        wanted.append((WantBundle(sid, i), _sources(state, picture, i, _having(picture.acks, i))))
    for i in missing_lists(state, picture):
        wanted.append((WantList(sid, i), _sources(state, picture, i, _having(picture.opened, i))))
    for i, holder in stage_fallback.missing_parts(state, picture):
        wanted.append((WantParts(sid, i, holder), _sources(state, picture, holder, _having(picture.opened, i))))
    for i in stage_recovery.missing_recoveries(state, picture):
        heard = state.held.recovered.get(i, {})
        wanted.append((WantRecovery(sid, i), [j for j in state.others() if j not in heard]))
    return wanted


def _having(bitmaps: dict[Party, int], dealer: Party) -> set[Party]:
    return {party for party, bits in bitmaps.items() if bits & bit(dealer)}


def _sources(state: State, picture: Picture, origin: Party, having: set[Party]) -> list[Party]:
    others: Iterable[Party] = (j for j in state.others() if j in having or j in picture.holders)
    return [j for j in dict.fromkeys((origin, *others)) if j != state.me]


def serve(state: State, sender: Party, want: Want) -> list[Effect]:
    """Give a member what it asks for, if it is held and public among members by now."""
    picture = state.picture
    if picture is None or picture.phase is Phase.ABANDONED or (sender, want) in state.served:
        return []
    found = _find(state, picture, sender, want)
    if found is None:
        return []
    state.served.add((sender, want))
    return [Send(sender, found), *state.set_timer(SERVE_TIMER, state.timing.serve)]


def _find(state: State, picture: Picture, sender: Party, want: Want) -> Message | None:
    match want:
        case WantBundle(dealer=dealer):
            return state.held.bundles.get(dealer)
        case WantList(dealer=dealer):
            return state.held.lists.get(dealer) if picture.may_reveal else None
        case WantParts(dealer=dealer, holder=holder):
            return state.held.parts.get((dealer, holder)) if picture.may_reveal else None
        case WantRecovery():
            return stage_recovery.answer(state, picture, sender, want)
