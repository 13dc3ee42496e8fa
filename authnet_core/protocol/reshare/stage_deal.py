"""Steps 2 and 4 of a resharing at an old member: deal once, answer one challenge. Functions of state and view."""

from authnet_core.protocol.reshare import check, records
from authnet_core.protocol.reshare.deal import Dealing, answer
from authnet_core.protocol.reshare.effects import ReshareEffect, SendAllNew, SendNew
from authnet_core.protocol.reshare.picture import Phase, Picture, bit
from authnet_core.protocol.reshare.state import OldState, State


def deal_once(state: State, picture: Picture) -> list[ReshareEffect]:
    """One RDEAL for a (rid, j), ever: stored before anything leaves, and made again from what was stored."""
    old = state.old
    if old is None:
        return []
    dealt = picture.deals.get(old.me)
    if dealt is not None and dealt != old.deal:
        old.barred = True  # a lost or restored disk: never a second deal, and no answer for one that is not ours
    if picture.phase in (Phase.FINAL, Phase.FAILED) or old.barred:
        return []
    effects: list[ReshareEffect] = []
    if picture.phase is Phase.DEAL and old.can_deal and old.deal is None:
        dealing = state.derive(old)
        old.dealing, old.deal = dealing, dealing.deal
        effects.append(records.store_deal(bytes(old.seed), dealing.deal))
    if old.dealing is not None and old.me not in state.bundles:
        state.bundles[old.me] = old.dealing.bundle
        effects.append(records.store_bundle(old.dealing.bundle))
    if old.deal is not None and dealt is None and picture.phase is Phase.DEAL and old.me in state.bundles:
        effects += state.submit(picture, old.deal)
    return effects + _send_bundle(state, old, picture)


def _send_bundle(state: State, old: OldState, picture: Picture) -> list[ReshareEffect]:
    """To all new members once in a life; later to those only that have not said that they hold it."""
    bundle = state.bundles.get(old.me)
    counts = picture.phase is Phase.DEAL or old.me in picture.dealers
    if old.bundle_sent or bundle is None or not counts:
        return []
    old.bundle_sent = True
    if not picture.acks:
        return [SendAllNew(bundle)]
    me = state.new.me if state.new else None
    waiting = [m for m in state.params.receivers if m != me and not picture.acks.get(m, 0) & bit(old.me)]
    return [SendNew(m, bundle) for m in waiting]


def answer_once(state: State, picture: Picture) -> list[ReshareEffect]:
    """RTEST under the challenge that the chain fixed, once the block after it is there. A mask meets one, ever:
    the answer is on disk first, and there is none to a second challenge whatever the chain shows."""
    old = state.old
    if picture.gamma_seed and state.gamma_at is None:
        state.gamma_at = picture.height
    if old is None or old.barred or picture.phase is not Phase.TEST or not picture.gamma_seed:
        return []
    if old.me not in picture.dealers or old.me in picture.tests:
        return []
    if state.gamma_at is None or picture.height <= state.gamma_at:
        return []
    if old.tested is not None:
        return state.submit(picture, old.tested) if old.tested.gamma_seed == picture.gamma_seed else []
    if old.dealing is None:
        return []
    return _answer(state, old, old.dealing, picture)


def _answer(state: State, old: OldState, dealing: Dealing, picture: Picture) -> list[ReshareEffect]:
    test = answer(state.params, dealing.sharing, picture.gamma_seed)
    if reason := check.refuse_own(state.params, dealing, picture.gamma_seed, test):
        raise RuntimeError(f"own deal fails its own test: {reason}")
    old.tested, old.dealing = test, None
    return [records.store_test(test), *state.submit(picture, test)]
