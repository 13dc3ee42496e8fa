"""Strategies of a dealer that uses another's: copies of DEALs and E, proofs and dealings from elsewhere."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.crypto import pok
from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.dkg import deal as dealing
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Submit
from authnet_core.protocol.dkg.messages import Deal
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import parse_deal
from authnet_core.protocol.views import SessionView
from tests.sim.liar import Act, Conduct, Liar, changed
from tests.sim.lies_deal import assembled, honest_text, sharing_of


def _copy_victim(liar: Liar, view: SessionView) -> tuple[int, Deal] | None:
    """Another one's DEAL, as soon as it was submitted: the copy may be on chain first."""
    for _, sender, message in liar.world.submitted:
        if isinstance(message, Deal):
            return sender, message
    found = ((i, parse_deal(liar.params.sid, d)) for i, d in view.deals.items() if i not in liar.world.liars)
    return next(((i, d) for i, d in found if d is not None), None)


def _copier(make: Callable[[Liar, int, Deal], Deal]) -> Callable[[Liar], Conduct]:
    """Deals nothing of its own; submits what it makes of another's DEAL and sends that one's bundle as its own."""

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            return [] if isinstance(act, Submit) and isinstance(act.message, Deal) else [act]

        def seen(view: SessionView) -> list[Act]:
            found = _copy_victim(liar, view)
            if view.phase != "deal" or found is None:
                return []
            victim, original = found
            acts: list[Act] = [Submit(make(liar, victim, original))] if liar.first(("copied", victim)) else []
            bundle = liar.bundle_of(victim)
            if bundle is not None and liar.first(("copied bundle", victim)):
                acts += liar.to_all(changed(bundle, dealer=liar.index))
            return acts

        return Conduct(out=out, seen=seen)

    return strategy


def _same_deal(_liar: Liar, _victim: int, original: Deal) -> Deal:
    return original


def _own_root(liar: Liar, victim: int, original: Deal) -> Deal:
    """The copied E under a root that fits the copied bundle: with a proof this would make the honest complain, and a
    complaint shows ek_j * E, which opens what the copied dealer sent."""
    bundle = liar.bundle_of(victim)
    leaves = bundle.leaves if bundle else tuple(liar.rng.randbytes(32) for _ in liar.params.parties)
    root = strings.deal_root(liar.params.sid, liar.index, original.e, original.list_hash, original.nonce_hash, leaves)
    return replace(original, root=root)


copied_deal = _copier(_same_deal)
copied_e = _copier(_own_root)


def shared_e(liar: Liar) -> Conduct:
    """Accomplices use one E, each with a good proof."""

    def deal(_seed: bytes) -> Dealing:
        secret = int.from_bytes(strings.dkg_hash("one e", liar.params.sid), "big") % Q
        sharing = replace(sharing_of(liar, liar.rng.randbytes(32)), e_secret=secret)
        return assembled(liar, sharing, honest_text(liar, sharing))

    return Conduct(deal=deal)


def replayed_proof(liar: Liar) -> Conduct:
    """The proof of knowledge is for another index, epoch and session."""

    def deal(seed: bytes) -> Dealing:
        made = dealing.make_dealing(liar.params, liar.index, seed)
        secret = sharing_of(liar, seed).e_secret
        contexts = [strings.deal_context(liar.params.chain_id, liar.params.sid, party) for party in liar.others()]
        return replace(made, deal=replace(made.deal, pok=pok.prove(secret, liar.rng.choice(contexts), seed)))

    return Conduct(deal=deal)


def elsewhere(params: SessionParams, **changes: int) -> SessionParams:
    """The same committee and keys in another session or epoch."""
    return replace(params, **changes)  # type: ignore[arg-type]


def replayed_dealing(**changes: int) -> Callable[[Liar], Conduct]:
    """A whole dealing made for another session or epoch, relabelled: hashes and keys are of the other one."""

    def strategy(liar: Liar) -> Conduct:
        def deal(seed: bytes) -> Dealing:
            other = elsewhere(liar.params, **changes)
            made, sid = dealing.make_dealing(other, liar.index, seed), liar.params.sid
            return Dealing(
                replace(made.deal, sid=sid), replace(made.bundle, sid=sid), replace(made.points, sid=sid),
                made.plaintexts,
            )  # fmt: skip

        return Conduct(deal=deal)

    return strategy


def dealing_of_another_index(liar: Liar) -> Conduct:
    """A dealing made as if by the next party; the proof is the liar's own."""

    def deal(seed: bytes) -> Dealing:
        other = liar.others()[0]
        made = dealing.make_dealing(liar.params, other, seed)
        secret = dealing.derive_sharing(liar.params, other, seed).e_secret
        context = strings.deal_context(liar.params.chain_id, liar.params.sid, liar.index)
        return Dealing(
            replace(made.deal, pok=pok.prove(secret, context, seed)),
            replace(made.bundle, dealer=liar.index),
            replace(made.points, dealer=liar.index),
            made.plaintexts,
        )

    return Conduct(deal=deal)
