"""Strategies against the exponent fallback: lists, scalars and hashes that lie, about the own dealing and others."""

from collections.abc import Callable
from dataclasses import replace

from authnet_core.crypto.points import combine, compress_block, parse_points64, point64
from authnet_core.crypto.secp256k1 import decompress, pub, scalar_bytes
from authnet_core.protocol.dkg import fallback, strings
from authnet_core.protocol.dkg.effects import Send, Submit
from authnet_core.protocol.dkg.messages import FallbackList, FallbackScalar, Parts, PointList
from authnet_core.protocol.views import SessionView
from tests.sim.evil import flipped
from tests.sim.liar import Act, Conduct, Liar
from tests.sim.lies_talk import content, fitted_points, own_list


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


def _fitted_parts(liar: Liar, _to: int, message: Parts) -> Parts | None:
    """Other points that fit w, chosen when gamma' is known."""
    seed = liar.view.fallbacks[message.dealer].seed
    if not seed:
        return message
    gamma = fallback.weights(liar.params, bytes.fromhex(seed))[:16]
    return replace(message, points64=fitted_points(message.points64, gamma, liar.params.rows))


parts_fitted_to_gamma = fallback_lie(parts=_fitted_parts)
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


def list_after_the_challenge(liar: Liar) -> Conduct:
    """Keeps its list and its hash until the challenge is there, and gives a hash that is chosen after it."""

    def out(act: Act) -> list[Act]:
        return [] if own_list(liar, act) or isinstance(content(act), FallbackList) else [act]

    def seen(view: SessionView) -> list[Act]:
        fixed = [i for i, shown in view.fallbacks.items() if shown.seed and liar.first(("after", i))]
        return [Submit(FallbackList(liar.params.sid, i, liar.rng.randbytes(32))) for i in fixed]

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
