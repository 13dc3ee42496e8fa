"""Strategies against complaints, the fallback and late recovery."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.crypto import dleq
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.protocol.dkg import complaint, strings
from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.messages import (
    Complain,
    FallbackList,
    Final,
    Recovery,
)
from authnet_core.protocol.views import SessionView
from tests.sim.liar import Act, Conduct, Liar
from tests.sim.lies_deal import flipped, replaced, spoilt_shares
from tests.sim.lies_talk import content, own_list

t_bad_shares = spoilt_shares(lambda text: flipped(text, 31), all_victims=True)
Alter = Callable[[Liar, Complain], Complain]


def false_complaint(alter: Alter) -> Callable[[Liar], Conduct]:
    """About every honest dealer, once: a true complaint's shape around something that is no offence."""

    def strategy(liar: Liar) -> Conduct:
        def seen(_view: SessionView) -> list[Act]:
            acts: list[Act] = []
            for dealer in liar.honest_dealers():
                bundle, dealt = liar.bundle_of(dealer), liar.deal_of(dealer)
                if bundle and dealt and liar.first(("complaint", dealer)):
                    honest = complaint.make_complaint(liar.params, liar.index, dealt, bundle, liar.ek)
                    acts.append(Submit(alter(liar, honest)))
            return acts

        return Conduct(seen=seen)

    return strategy


def no_offence(_liar: Liar, made: Complain) -> Complain:
    """The honest ciphertext with the right D."""
    return made


def altered_ciphertext(_liar: Liar, made: Complain) -> Complain:
    return replace(made, ciphertext=flipped(made.ciphertext, 3))


def altered_leaves(liar: Liar, made: Complain) -> Complain:
    """Ciphertext and leaf fit each other, the root does not."""
    ciphertext = flipped(made.ciphertext, 3)
    return replace(made, ciphertext=ciphertext, leaves=replaced(made.leaves, liar.index, leaf_of(ciphertext)))


def altered_d(liar: Liar, made: Complain) -> Complain:
    """Another D under the right D's proof: the plaintext is garbage."""
    return replace(made, shared=pub(liar.rng.randrange(1, Q)))


def forged_dleq(liar: Liar, made: Complain) -> Complain:
    """D of another secret, with a good proof for that secret."""
    dealt = liar.deal_of(made.dealer)
    assert dealt is not None
    context = strings.complaint_context(liar.params.chain_id, liar.params.sid, made.dealer, liar.index)
    shared, proof = dleq.prove(liar.rng.randrange(1, Q), dealt.e, context, bytes(32))
    return replace(made, shared=shared, dleq=proof)


def others_ciphertext(liar: Liar, made: Complain) -> Complain:
    """What the dealer sent to somebody else, opened with the own D."""
    bundle = liar.bundle_of(made.dealer)
    other = next(j for j in liar.others() if bundle and bundle.ciphertexts[j - 1] and j != made.dealer)
    return replace(made, ciphertext=bundle.ciphertexts[other - 1] if bundle else b"")


def of_another_deal(liar: Liar, made: Complain) -> Complain:
    """Signed about a DEAL that the dealer did not make."""
    return replace(made, deal_hash=bytes(32))


def misshapen(_liar: Liar, made: Complain) -> Complain:
    return replace(made, ciphertext=made.ciphertext[:-1], leaves=made.leaves[:-1])


def about_itself(liar: Liar) -> Conduct:
    """Accuses itself and, again and again, everybody."""

    def seen(view: SessionView) -> list[Act]:
        bundle, dealt = liar.bundle_of(liar.index), liar.deal_of(liar.index)
        if not bundle or not dealt:
            return []
        made = complaint.make_complaint(liar.params, liar.index, dealt, bundle, liar.ek)
        return [Submit(replace(made, dealer=i)) for i in view.deals]

    return Conduct(seen=seen)


def replayed_complaint(liar: Liar) -> Conduct:
    """What its victims complained, signed by the liar, and turned against other dealers."""

    def seen(_view: SessionView) -> list[Act]:
        heard = [m for _, _, m in liar.world.submitted if isinstance(m, Complain)]
        fresh = [m for m in heard if liar.first(("replayed", m.dealer))]
        return [Submit(replace(m, dealer=i)) for m in fresh for i in (m.dealer, *liar.honest_dealers())]

    return Conduct(deal=t_bad_shares(liar).deal, seen=seen)


def forged_recovery(liar: Liar, _to: int, message: Recovery) -> Recovery | None:
    """A D of no key of its own."""
    return replace(message, shared=pub(liar.rng.randrange(1, Q)))


def forged_recovery_proof(_liar: Liar, _to: int, message: Recovery) -> Recovery | None:
    return replace(message, dleq=flipped(message.dleq, 60))


def recovers_nobody(_liar: Liar, _to: int, _message: Recovery) -> Recovery | None:
    return None


def equivocates_recovery(liar: Liar, to: int, message: Recovery) -> Recovery | None:
    return replace(message, shared=pub(liar.rng.randrange(1, Q))) if to % 2 == 0 else message


def bad_share_and(change: Callable[[Liar, int, Recovery], Recovery | None]) -> Callable[[Liar], Conduct]:
    """Cheats t receivers, so that there is something to recover, and lies in the recovery."""

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            if isinstance(act, Send) and isinstance(act.message, Recovery):
                message = change(liar, act.to, act.message)
                return [Send(act.to, message)] if message else []
            return [act]

        return Conduct(deal=t_bad_shares(liar).deal, out=out)

    return strategy


def all_at_once(liar: Liar) -> Conduct:
    """Bad shares, no list and no FINAL: the others need recovery, then the fallback, then everyone's root."""

    def out(act: Act) -> list[Act]:
        return [] if own_list(liar, act) or isinstance(content(act), Final | FallbackList | Recovery) else [act]

    return Conduct(deal=t_bad_shares(liar).deal, out=out)


def unasked_recovery(liar: Liar) -> Conduct:
    """Gives its D about everyone to everyone, complaint or not."""

    def seen(view: SessionView) -> list[Act]:
        acts: list[Act] = []
        for dealer in view.deals:
            dealt = liar.deal_of(dealer)
            if dealt and view.q and liar.first(("unasked", dealer)):
                shared, proof = complaint.prove_shared(liar.params, dealer, liar.index, dealt.e, liar.ek)
                acts += liar.to_all(Recovery(liar.params.sid, dealer, shared, proof))
        return acts

    return Conduct(seen=seen)
