"""The ways in which a keeper lies while keys move to the next committee, as an old member or as a new one.

Each bends what leaves the machine of the real keeper; its own disk stays honest, so that it can stop lying at any time.
A liar as an old member is honest as a new one, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random

from authnet_core.crypto.hashing import tagged_hash
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import evaluate
from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.dkg.picture import bit
from authnet_core.protocol.reshare import check, stage_deal
from authnet_core.protocol.reshare.complaint import make_complaint
from authnet_core.protocol.reshare.deal import Dealing, make_dealing, shares_of
from authnet_core.protocol.reshare.effects import ReshareEffect, SendAllNew, SendNew, Submit
from authnet_core.protocol.reshare.messages import (
    Nonces,
    ReshareAck,
    ReshareBundle,
    ReshareComplain,
    ReshareHave,
    ReshareReady,
    ReshareRecovery,
    ReshareTest,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import ReshareParams
from authnet_core.protocol.reshare.picture import Picture
from authnet_core.protocol.reshare.state import OldState, State
from p2p_dkg.runner import reshares
from p2p_dkg.runner.reshare_driver import ReshareDriver
from tests.sim.reshare.dealers import bent_dealing, spoil
from tests.sim.reshare.estate import wide

Told = Callable[[State], str]
"""Names the lie of the moment, "" for none, to a machine with this state."""
Twist = Callable[[State, ReshareEffect], Iterator[ReshareEffect]]
FORGED = pub(7)
DEALINGS = {
    "wrong-constant": "wrong constant",
    "wrong-mask": "wrong mask",
    "one-bad-share": "bad share",
    "share-not-canonical": "not canonical",
    "garbage-bundle": "garbage",
    "wrong-degree-moved": "wrong degree",
}
COMPANY = "company"
"""Told to all old members: they deal sharings of another key that fit each other."""


def lie_in_resharings(told: Told, note: Callable[[str], None]) -> None:
    """Bend this process; `note` gets each lie as it is told."""
    _deal_badly(told, note)

    class LyingDriver(ReshareDriver):
        async def _carry_out_one(self, effect: ReshareEffect) -> None:
            lie = told(self.machine._state)
            twisted = list(TWISTS[lie](self.machine._state, effect)) if lie in TWISTS else [effect]
            if twisted != [effect]:
                note(f"{lie} {type(getattr(effect, 'message', effect)).__name__}")
            for each in twisted:
                await super()._carry_out_one(each)

    reshares.ReshareDriver = LyingDriver  # type: ignore[misc]


# ---- dealings


def _deal_badly(told: Told, note: Callable[[str], None]) -> None:
    """The honest deal is on disk, the bad one leaves."""
    original, refuse_own = stage_deal.deal_once, check.refuse_own
    bent: set[bytes] = set()

    def deal_once(state: State, picture: Picture) -> list[ReshareEffect]:
        had = state.old is None or state.old.deal is not None
        effects, old, lie = original(state, picture), state.old, told(state)
        if had or old is None or old.dealing is None or lie not in (*DEALINGS, COMPANY):
            return effects
        honest, bad = old.dealing, _bad_dealing(state, old, lie)
        old.dealing, old.deal = bad, bad.deal
        state.bundles[old.me] = bad.bundle
        bent.add(state.params.rid)
        note(f"{lie} deal")
        instead: dict[object, ReshareEffect] = {honest.deal: Submit(bad.deal), honest.bundle: SendAllNew(bad.bundle)}
        return [
            instead.get(effect.message, effect) if isinstance(effect, Submit | SendAllNew) else effect
            for effect in effects
        ]

    def refuse(params: ReshareParams, dealing: Dealing, gamma_seed: bytes, test: ReshareTest) -> str | None:
        return None if params.rid in bent else refuse_own(params, dealing, gamma_seed, test)

    stage_deal.deal_once = deal_once
    check.refuse_own = refuse


def _bad_dealing(state: State, old: OldState, lie: str) -> Dealing:
    shares, mask, seed = shares_of(bytes(old.rows)), bytes(old.mask_x), bytes(old.seed)
    if lie == COMPANY:
        return make_dealing(state.params, old.me, seed, spoil(shares[:32], _agreed(state, old.me)) + shares[32:], mask)
    victim = old.me % state.params.new.n + 1
    return bent_dealing(state.params, old.me, seed, (shares, mask), (DEALINGS[lie], victim))


def _agreed(state: State, me: int) -> int:
    """What a company adds to its shares of the first key: a sharing of 1 that all its members know."""
    return evaluate([1, *(n + 2 for n in range(state.params.old.k - 1))], me) % Q


# ---- what an old member says


def _own(state: State, message: object) -> bool:
    return isinstance(message, ReshareBundle) and state.old is not None and message.dealer == state.old.me


def _others(state: State) -> list[int]:
    """The other new members."""
    return [m for m in state.params.receivers if state.new is None or m != state.new.me]


def _no_bundle(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    if not (isinstance(effect, SendAllNew | SendNew) and _own(state, effect.message)):
        yield effect


def _few_bundles(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    """To k' receivers only; the others have to ask those."""
    few = state.params.new.k
    match effect:
        case SendAllNew(message) if _own(state, message):
            yield from (SendNew(m, message) for m in _others(state) if m <= few)
        case SendNew(to, message) if to > few and _own(state, message):
            return
        case _:
            yield effect


def _two_bundles(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    """Receivers with even indexes get another one."""
    match effect:
        case SendAllNew(ReshareBundle() as bundle) if _own(state, bundle):
            yield from (SendNew(m, _other(bundle) if m % 2 == 0 else bundle) for m in _others(state))
        case SendNew(to, ReshareBundle() as bundle) if to % 2 == 0 and _own(state, bundle):
            yield SendNew(to, _other(bundle))
        case _:
            yield effect


def _other(bundle: ReshareBundle) -> ReshareBundle:
    texts = tuple(text and bytes([text[0] ^ 1]) + text[1:] for text in bundle.ciphertexts)
    return replace(bundle, ciphertexts=texts, leaves=tuple(map(leaf_of, texts)))


def _random_test(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    match effect:
        case Submit(ReshareTest() as test):
            rng = Random(test.rid)
            yield Submit(replace(test, u=tuple(wide(rng.randrange(Q)) for _ in test.u)))
        case _:
            yield effect


def _test_off_by_one(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    match effect:
        case Submit(ReshareTest() as test):
            yield Submit(replace(test, u=(spoil(test.u[0], 1), *test.u[1:])))
        case _:
            yield effect


def _no_test(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    if not isinstance(effect, Submit) or not isinstance(effect.message, ReshareTest):
        yield effect


def _nonces(change: Callable[[State, bytes], bytes]) -> Twist:
    def twist(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
        match effect:
            case SendNew(to, Nonces(rid, nonces)):
                changed = change(state, nonces)
                yield from [SendNew(to, Nonces(rid, changed))] if changed else []
            case _:
                yield effect

    return twist


def _without(nonces: bytes, at: int) -> bytes:
    """As if that key had been upgraded: another one for each old member."""
    return nonces[: 32 * at] + bytes(32) + nonces[32 * (at + 1) :]


def _only_deals(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    """RDEAL, and then no word more as an old member."""
    match effect:
        case SendNew(_, Nonces()) | Submit(ReshareTest()):
            return
        case SendNew(_, message) | SendAllNew(message) if _own(state, message):
            return
        case _:
            yield effect


# ---- what a new member says


def _acks(change: Callable[[State, ReshareAck], list[ReshareAck]]) -> Twist:
    def twist(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
        match effect:
            case Submit(ReshareAck() as ack):
                yield from (Submit(changed) for changed in change(state, ack))
            case _:
                yield effect

    return twist


def _all_bits(state: State, _: ReshareAck) -> int:
    return sum(bit(j) for j in (state.picture.tests if state.picture else ()))


def _complains(spoil_it: Callable[[ReshareComplain], ReshareComplain]) -> Twist:
    """With an RACK complaints about all dealers whose shares are good."""

    def twist(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
        yield effect
        if isinstance(effect, Submit) and isinstance(effect.message, ReshareAck):
            yield from (Submit(spoil_it(made)) for made in _false_complaints(state))

    return twist


def _false_complaints(state: State) -> Iterator[ReshareComplain]:
    picture, new = state.picture, state.new
    if picture is None or new is None or not new.ek:
        return
    for j in sorted(new.plains.keys() & picture.tests.keys() & state.bundles.keys()):
        deal, test = picture.deals[j], picture.tests[j]
        yield make_complaint(state.params, new.me, deal, picture.gamma_seed, test, state.bundles[j], bytes(new.ek))


def _wrong_ready(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    match effect:
        case Submit(ReshareReady(rid)):
            yield Submit(ReshareReady(rid, bytes(31) + b"\1"))
        case _:
            yield effect


def _early_ready(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    """Says that it holds the batch before anybody can."""
    yield effect
    match effect:
        case Submit(ReshareAck(rid)):
            yield Submit(ReshareHave(rid))
            yield Submit(ReshareReady(rid, tagged_hash("made up", rid)))


def _never_ready(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    match effect:
        case Submit(ReshareReady() | ReshareHave()):
            return
        case _:
            yield effect


def _junk_recovery(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    match effect:
        case SendNew(to, ReshareRecovery() as recovery):
            yield SendNew(to, replace(recovery, shared=FORGED))
        case _:
            yield effect


def _late_complaint(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    is_complaint = isinstance(effect, Submit) and isinstance(effect.message, ReshareComplain)
    if not is_complaint or (state.picture is not None and state.picture.has_q):
        yield effect


def _begs(state: State, effect: ReshareEffect) -> Iterator[ReshareEffect]:
    """Asks everybody for D of dealers that it has nothing against."""
    yield effect
    match effect:
        case Submit(ReshareReady(rid)) if state.picture is not None:
            yield from (SendNew(m, WantReshareRecovery(rid, j)) for j in state.picture.q for m in _others(state))


OLD_TWISTS: dict[str, Twist] = {
    "no-bundle": _no_bundle,
    "few-bundles": _few_bundles,
    "two-bundles": _two_bundles,
    "random-test": _random_test,
    "test-off-by-one": _test_off_by_one,
    "no-test": _no_test,
    "wrong-nonces": _nonces(lambda _, nonces: nonces[:-32] + spoil(nonces[-32:], 1)),
    "zero-nonces": _nonces(lambda state, nonces: _without(nonces, state.old.me - 1 if state.old else 0)),
    "no-nonces": _nonces(lambda _, __: b""),
    "silent-after-rdeal": _only_deals,
}
NEW_TWISTS: dict[str, Twist] = {
    "forged-sum": _acks(lambda _, ack: [replace(ack, sum=FORGED)]),
    "no-acks": _acks(lambda _, __: []),
    "false-complaints": _complains(lambda made: made),
    "complaints-with-altered-d": _complains(lambda made: replace(made, shared=FORGED)),
    "complaints-with-altered-ciphertext": _complains(
        lambda made: replace(made, ciphertext=bytes(len(made.ciphertext)))
    ),
    "acks-all": _acks(lambda state, ack: [replace(ack, dealers=_all_bits(state, ack))]),
    "wrong-ready": _wrong_ready,
    "early-ready": _early_ready,
    "never-ready": _never_ready,
    "junk-recovery": _junk_recovery,
    "begs": _begs,
}
LATE_COMPLAINT = "late-complaint"
"""No lie: a member that is slow to complain, so that the dealer is in Q' and others have to help."""
TWISTS = OLD_TWISTS | NEW_TWISTS | {LATE_COMPLAINT: _late_complaint}
OLD_LIES = (*DEALINGS, *OLD_TWISTS)
NONCES = ("wrong-nonces", "zero-nonces", "no-nonces")
"""Told to a new member that is not an old one too."""
NEW_LIES = tuple(NEW_TWISTS)
NAMED = (
    *DEALINGS,
    "random-test",
    "test-off-by-one",
    *(lie for lie in NEW_LIES if lie.startswith(("false-", "complaints-"))),
)
"""What the chain convicts of; the rest costs time at most, and nobody can prove who is to blame for that."""
