"""Strategies against complaints, the fallback and late recovery."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.crypto import dleq
from authnet_core.crypto.points import combine, compress_block, parse_points64, point64
from authnet_core.crypto.secp256k1 import Q, decompress, pub, scalar_bytes
from authnet_core.protocol.dkg import complaint, strings
from authnet_core.protocol.dkg.deal import leaf_of
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.messages import (
    Complain,
    FallbackList,
    FallbackScalar,
    Final,
    Parts,
    PointList,
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
    """What others complained, signed by the liar; and turned against other dealers."""

    def seen(_view: SessionView) -> list[Act]:
        heard = [m for sender, m in liar.world.mempool if isinstance(m, Complain) and sender != liar.index]
        fresh = [m for m in heard if liar.first(("replayed", m.dealer))]
        return [Submit(replace(m, dealer=i)) for m in fresh for i in (m.dealer, *liar.honest_dealers())]

    return Conduct(seen=seen)


def forged_recovery(liar: Liar, _to: int, message: Recovery) -> Recovery | None:
    """A D of no key of its own."""
    return replace(message, shared=pub(liar.rng.randrange(1, Q)))


def forged_recovery_proof(_liar: Liar, _to: int, message: Recovery) -> Recovery | None:
    return replace(message, dleq=flipped(message.dleq, 60))


def recovers_nobody(_liar: Liar, _to: int, _message: Recovery) -> Recovery | None:
    return None


def equivocates_recovery(liar: Liar, to: int, message: Recovery) -> Recovery | None:
    return replace(message, shared=pub(liar.rng.randrange(1, Q))) if to % 2 else message


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


def fallback_lie(
    list_hash: Callable[[Liar, FallbackList], FallbackList | None] | None = None,
    parts: Callable[[Liar, int, Parts], Parts | None] | None = None,
    scalar: Callable[[Liar, FallbackScalar], FallbackScalar | None] | None = None,
) -> Callable[[Liar], Conduct]:
    """Keeps its list, so that the fallback must give its points, and lies in it: about itself and everybody else."""

    def strategy(liar: Liar) -> Conduct:
        def out(act: Act) -> list[Act]:
            if own_list(liar, act):
                return []
            match content(act):
                case FallbackList() as message if list_hash:
                    changed_list = list_hash(liar, message)
                    return [Submit(changed_list)] if changed_list else []
                case FallbackScalar() as message if scalar:
                    changed_scalar = scalar(liar, message)
                    return [Submit(changed_scalar)] if changed_scalar else []
                case Parts() as message if parts and message.holder == liar.index and isinstance(act, Send):
                    changed_parts = parts(liar, act.to, message)
                    return [Send(act.to, changed_parts)] if changed_parts else []
            return [act]

        return Conduct(out=out)

    return strategy


def _bent(parts: Parts, row: int) -> Parts:
    """One point of the list is another point of the curve."""
    wrong, row = decompress(pub(7)), row % (len(parts.points64) // 64)
    return replace(parts, points64=parts.points64[: 64 * row] + wrong + parts.points64[64 * row + 64 :])


def wrong_parts(row: int) -> Callable[[Liar], Conduct]:
    """A wrong P under a hash that fits it."""

    def hashed(liar: Liar, message: FallbackList) -> FallbackList | None:
        true = liar.parts_of(message.dealer)
        if true is None:
            return message
        points33 = compress_block(_bent(true, row).points64)
        digest = strings.parts_hash(message.sid, message.dealer, liar.index, points33)
        return replace(message, list_hash=digest)

    return fallback_lie(hashed, lambda _liar, _to, message: _bent(message, row))


def _even_only(_liar: Liar, to: int, message: Parts) -> Parts | None:
    return _bent(message, 0) if to % 2 else message


def _off_curve(_liar: Liar, _to: int, message: Parts) -> Parts | None:
    return replace(message, points64=flipped(message.points64, 40))


def _off_by_one(_liar: Liar, message: FallbackScalar) -> FallbackScalar | None:
    return replace(message, w=scalar_bytes(int.from_bytes(message.w, "big") + 1))


def _alien_hash(liar: Liar, message: FallbackList) -> FallbackList | None:
    return replace(message, list_hash=liar.rng.randbytes(32))


equivocates_parts = fallback_lie(parts=_even_only)
parts_off_curve = fallback_lie(parts=_off_curve)
parts_of_no_hash = fallback_lie(list_hash=_alien_hash)
serves_no_parts = fallback_lie(parts=lambda *_: None)
wrong_scalar = fallback_lie(scalar=_off_by_one)
scalar_not_canonical = fallback_lie(scalar=lambda _liar, message: replace(message, w=b"\xff" * 32))


def wrong_parts_and_scalar(liar: Liar) -> Conduct:
    """List and scalar bent by the same amount, so that they fit each other for any challenge: P_{j,B} + G and w + 1."""
    true_parts = liar.parts_of

    def bent(parts: Parts) -> Parts:
        return shifted(parts, liar.params.rows)

    def hashed(_liar: Liar, message: FallbackList) -> FallbackList | None:
        true = true_parts(message.dealer)
        if true is None:
            return message
        digest = strings.parts_hash(message.sid, message.dealer, liar.index, compress_block(bent(true).points64))
        return replace(message, list_hash=digest)

    return fallback_lie(hashed, lambda _liar, _to, message: bent(message), _off_by_one)(liar)


def shifted(parts: Parts, row: int) -> Parts:
    """The point of a row moved by G."""
    point, one = parse_points64(parts.points64[64 * row : 64 * row + 64] + decompress(pub(1)))
    moved = point64(combine([point, one]))
    return replace(parts, points64=parts.points64[: 64 * row] + moved + parts.points64[64 * row + 64 :])


def hurried_fallback(liar: Liar) -> Conduct:
    """Hashes and scalars for every dealer before there is a fallback or a challenge, and twice; keeps its list."""

    def out(act: Act) -> list[Act]:
        return [] if own_list(liar, act) else [act]

    def seen(view: SessionView) -> list[Act]:
        sid, seeds = liar.params.sid, sum(bool(fallback.seed) for fallback in view.fallbacks.values())
        if not liar.first((view.phase, len(view.fallbacks), seeds)):
            return []
        lists: list[Act] = [Submit(FallbackList(sid, i, liar.rng.randbytes(32))) for i in view.deals]
        return lists + [Submit(FallbackScalar(sid, i, liar.rng.randbytes(31).rjust(32, b"\0"))) for i in view.deals]

    return Conduct(out=out, seen=seen)


def own_list_in_fallback(liar: Liar) -> Conduct:
    """Keeps its list until the challenge is there, then shows it to some: both ways must give the same points."""

    def out(act: Act) -> list[Act]:
        if own_list(liar, act) and not liar.view.fallbacks:
            liar.once.add(content(act))
            return []
        return [act]

    def seen(view: SessionView) -> list[Act]:
        kept = next((m for m in liar.once if isinstance(m, PointList)), None)
        fallback = view.fallbacks.get(liar.index)
        if not kept or not fallback or not fallback.seed or not liar.first("shown"):
            return []
        return [Send(to, kept) for to in liar.others()[: liar.params.committee.t + 1]]

    return Conduct(out=out, seen=seen)
