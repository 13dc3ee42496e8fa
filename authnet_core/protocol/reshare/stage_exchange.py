"""Bulk messages of a resharing: taking bundles and nonces in, asking for missing ones, serving others.

Limits come before work: sizes, one early bundle a dealer from the dealer itself, relayed ones only if asked for, a
peer's junk counted. Only members of the new committee are served. Functions of state, view and message.
"""

from authnet_core.protocol.reshare import check, records, stage_recovery, sums
from authnet_core.protocol.reshare.deal import nonces_of
from authnet_core.protocol.reshare.effects import ReshareEffect, Shelf
from authnet_core.protocol.reshare.messages import (
    SCALAR,
    Nonces,
    ReshareBundle,
    ReshareMessage,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import Party, Peer, Sender
from authnet_core.protocol.reshare.picture import Phase, Picture, bit
from authnet_core.protocol.reshare.stage_receive import acknowledge, complain, open_held
from authnet_core.protocol.reshare.stage_result import advance
from authnet_core.protocol.reshare.state import State, Want

SERVE_TIMER = "serve"


def take_bundle(state: State, sender: Sender, bundle: ReshareBundle) -> list[ReshareEffect]:
    """A bundle that came in."""
    if check.refuse_shape(state.params, bundle) or not _is_expected(state, sender, bundle):
        return []
    picture = state.picture
    if picture is None or bundle.dealer not in picture.deals:
        state.early[bundle.dealer] = (sender, bundle)  # from its dealer: nobody was asked for it yet
        return []
    return _keep(state, picture, sender, bundle)


def take_early(state: State, picture: Picture) -> list[ReshareEffect]:
    """Bundles that were ahead of our view of the chain."""
    effects: list[ReshareEffect] = []
    for dealer in [j for j in state.early if j in picture.deals]:
        sender, bundle = state.early.pop(dealer)
        if _is_expected(state, sender, bundle):
            effects += _keep(state, picture, sender, bundle)
    return effects


def _is_expected(state: State, sender: Sender, bundle: ReshareBundle) -> bool:
    """Of use, not held yet, and from the dealer or from a peer that was asked."""
    if state.new is None or not state.new.ek or state.has_result or Shelf.RETAINED in state.erased:
        return False
    want = WantReshareBundle(bundle.rid, bundle.dealer)
    return bundle.dealer not in state.bundles and (sender.old == bundle.dealer or state.was_asked(sender, want))


def _keep(state: State, picture: Picture, sender: Sender, bundle: ReshareBundle) -> list[ReshareEffect]:
    """Whatever R_j fixes is kept, good or bad: others may need it, and a bad share in it is evidence."""
    dealt = state.deal_of(picture, bundle.dealer)
    if dealt is None or picture.phase is Phase.FAILED:
        return []
    if reason := check.refuse_bundle(state.params, dealt, bundle):
        return state.blame_sender(sender, reason)
    state.bundles[bundle.dealer] = bundle
    state.fetcher.got(WantReshareBundle(bundle.rid, bundle.dealer))
    return [records.store_bundle(bundle), *after_bundle(state, picture)]


def after_bundle(state: State, picture: Picture) -> list[ReshareEffect]:
    """What a new bundle, or a new answer to the challenge, makes possible."""
    return [
        *open_held(state, picture),
        *complain(state, picture),
        *acknowledge(state, picture),
        *advance(state, picture),
    ]


def take_nonces(state: State, sender: Sender, message: Nonces) -> list[ReshareEffect]:
    """Nonces of a member: checked against N all at once; a member that lied is not asked again."""
    new = state.new
    if new is None or not new.bad_nonces.isdisjoint(sender.places) or state.has_result:
        return []
    if not state.lacking_nonces(new) or not state.was_asked(sender, WantNonces(message.rid)):
        return []
    if reason := sums.refuse_nonces(state.params, state.keys, message.nonces):
        new.bad_nonces.update(sender.places)
        return state.blame_sender(sender, reason) + _ask_nonces(state)
    if not new.nonces:
        new.nonces[:] = bytes(SCALAR * state.params.count)
    for at in state.lacking_nonces(new):
        new.nonces[at * SCALAR : (at + 1) * SCALAR] = message.nonces[at * SCALAR : (at + 1) * SCALAR]
    if state.lacking_nonces(new):
        return []
    state.fetcher.got(WantNonces(message.rid))
    return advance(state, state.picture) if state.picture else []


def _ask_nonces(state: State) -> list[ReshareEffect]:
    want = WantNonces(state.params.rid)
    return [state.send(place, want) for place in state.fetcher.ask(want, _nonce_places(state), 1)]


def _nonce_places(state: State) -> list[Peer]:
    """Whom to ask for nonces, never one that lied. Old members, of whom those that dealt have the batch; before them,
    once it is final, new members that hold it: they are still there when the old committee's grace is over."""
    picture, bad = state.picture, state.new.bad_nonces if state.new else set()
    dealt = picture.deals if picture else {}
    places = sorted(state.old_places(), key=lambda place: place.index not in dealt)
    if picture is not None and picture.phase is Phase.FINAL:
        places = [place for place in state.new_places() if place.index in picture.holders] + places
    return [place for place in places if place not in bad]


def missing_bundles(state: State, picture: Picture) -> list[Party]:
    """Dealers whose bundle this node needs and may still get."""
    new = state.new
    if new is None or not new.ek or state.has_result:
        return []
    return [j for j in picture.wanted_dealers if j not in state.bundles and state.deal_of(picture, j)]


def misses_nonces(state: State) -> bool:
    new = state.new
    return new is not None and bool(new.ek) and not state.has_result and bool(state.lacking_nonces(new))


def fetch(state: State, picture: Picture) -> list[ReshareEffect]:
    """Arm the timer while something is missing; what only asking brings, and all for a late node, is asked at once."""
    wanted = _wanted(state, picture)
    if not wanted:
        return []
    if state.late and not state.fetcher.armed:
        return fetch_now(state, picture)
    effects: list[ReshareEffect] = []
    for want, sources in wanted:
        if not isinstance(want, WantReshareBundle) and state.fetcher.is_new(want):
            effects += _ask(state, want, sources)
    return [*effects, *state.fetcher.arm()]


def fetch_now(state: State, picture: Picture) -> list[ReshareEffect]:
    """Ask for all that is missing."""
    state.fetcher.armed = False
    effects: list[ReshareEffect] = []
    for want, sources in _wanted(state, picture):
        effects += _ask(state, want, sources)
    if not effects:
        return []
    state.fetcher.back_off()
    return [*effects, *state.fetcher.arm()]


def _ask(state: State, want: Want, sources: list[Peer]) -> list[ReshareEffect]:
    """A recovery needs k' answers, so all are asked at once; nonces are whole, so one is."""
    width = {WantReshareRecovery: len(sources), WantNonces: 1}.get(type(want), 2)
    return [state.send(place, want) for place in state.fetcher.ask(want, sources, width)]


def _wanted(state: State, picture: Picture) -> list[tuple[Want, list[Peer]]]:
    """All that is missing, and who may have it: the origin first, then who said so on chain."""
    if picture.phase is Phase.FAILED or state.new is None:
        return []
    rid = state.params.rid
    wanted: list[tuple[Want, list[Peer]]] = []
    for j in missing_bundles(state, picture):
        having = {m for m, bits in picture.acks.items() if bits & bit(j)} | picture.holders
        origin = [Peer(True, j)] if state.old is None or state.old.me != j else []
        wanted.append((WantReshareBundle(rid, j), origin + [p for p in state.new_places() if p.index in having]))
    if misses_nonces(state):
        wanted.append((WantNonces(rid), _nonce_places(state)))
    for j in stage_recovery.missing_recoveries(state, picture):
        heard = state.new.recovered.get(j, {})
        wanted.append((WantReshareRecovery(rid, j), [p for p in state.new_places() if p.index not in heard]))
    return wanted


def serve(state: State, sender: Sender, want: Want) -> list[ReshareEffect]:
    """Give a member of the new committee what it asks for, if it is held."""
    picture = state.picture
    if picture is None or picture.phase is Phase.FAILED or sender.new is None or (sender, want) in state.served:
        return []
    found = _find(state, picture, sender, want)
    if found is None:
        return []
    state.served.add((sender, want))
    place = Peer(False, sender.new)
    return [state.send(place, found), *state.set_timer(SERVE_TIMER, state.timing.serve)]


def _find(state: State, picture: Picture, sender: Sender, want: Want) -> ReshareMessage | None:
    match want:
        case WantReshareBundle(dealer=dealer):
            return state.bundles.get(dealer)
        case WantReshareRecovery():
            return stage_recovery.answer(state, picture, sender, want)
        case WantNonces():
            rows = bytes(state.old.rows) if state.old is not None else b""
            if not rows and state.new is not None:
                rows = state.new.result or b""
            return Nonces(state.params.rid, nonces_of(rows)) if rows else None
