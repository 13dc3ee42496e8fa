"""Strategies of a dishonest dealer: dealings as good as they can be made in all but one respect."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from authnet_core.crypto import pok
from authnet_core.crypto.scalars import block_of, inner_product, row
from authnet_core.crypto.secp256k1 import Q, decompress, pub, scalar_bytes
from authnet_core.protocol.dkg import deal as dealing
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.deal import Dealing, Sharing, gamma_weights
from authnet_core.protocol.dkg.effects import Submit
from authnet_core.protocol.dkg.messages import Deal
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.picture import parse_deal
from authnet_core.protocol.views import SessionView
from tests.sim.liar import Act, Conduct, Liar, changed

Plaintexts: TypeAlias = tuple[bytes, ...]
Spoil: TypeAlias = Callable[[Liar, Plaintexts], Plaintexts]


def flipped(text: bytes, at: int) -> bytes:
    spoilt = bytearray(text)
    spoilt[at] ^= 1
    return bytes(spoilt)


def replaced(parts: tuple[bytes, ...], party: int, part: bytes) -> tuple[bytes, ...]:
    return (*parts[: party - 1], part, *parts[party:])


def _sharing(liar: Liar, seed: bytes) -> Sharing:
    return dealing.derive_sharing(liar.params, liar.index, seed)


def _honest_text(liar: Liar, sharing: Sharing) -> Plaintexts:
    return dealing.plaintexts_of(liar.params, sharing)


def _assembled(liar: Liar, sharing: Sharing, plaintexts: Plaintexts) -> Dealing:
    points64 = dealing.points_of(sharing)
    return dealing.assemble(liar.params, liar.index, sharing, plaintexts, points64)


def spoilt_shares(spoil: Callable[[bytes], bytes], *, all_victims: bool = False) -> Callable[[Liar], Conduct]:
    """The plaintexts of one victim, or of t, are not what they should be."""

    def strategy(liar: Liar) -> Conduct:
        def deal(seed: bytes) -> Dealing:
            sharing = _sharing(liar, seed)
            plaintexts = _honest_text(liar, sharing)
            for victim in liar.victims()[: None if all_victims else 1]:
                plaintexts = replaced(plaintexts, victim, spoil(plaintexts[victim - 1]))
            return _assembled(liar, sharing, plaintexts)

        return Conduct(deal=deal)

    return strategy


def spare_row_only(liar: Liar) -> Conduct:
    """The victim's share of the fallback's mask is bad, all shares of keys are good."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        plaintexts, victim = _honest_text(liar, sharing), liar.victims()[0]
        at = 32 * liar.params.rows + 31
        return _assembled(liar, sharing, replaced(plaintexts, victim, flipped(plaintexts[victim - 1], at)))

    return Conduct(deal=deal)


def _higher(liar: Liar, sharing: Sharing) -> Plaintexts:
    """Row 0 gets one more coefficient: every k+1 shares fit, no two k-subsets agree."""
    extra = (*sharing.columns, sharing.columns[0][:32] + bytes(32 * (liar.params.all_rows - 1)))
    return _honest_text(liar, Sharing(extra, sharing.e_secret, sharing.salt, sharing.contribution))


def wrong_degree(liar: Liar) -> Conduct:
    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        return _assembled(liar, sharing, _higher(liar, sharing))

    return Conduct(deal=deal)


def wrong_degree_fitted(liar: Liar) -> Conduct:
    """With a u that k honest receivers must accept."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        plaintexts = _higher(liar, sharing)
        return fitted(liar, _assembled(liar, sharing, plaintexts), plaintexts)

    return Conduct(deal=deal)


def _garbage(liar: Liar, sharing: Sharing) -> Plaintexts:
    return tuple(
        block_of([liar.rng.getrandbits(256) for _ in range(liar.params.all_rows)]) + sharing.contribution
        for _ in liar.params.parties
    )


def garbage(liar: Liar) -> Conduct:
    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        return _assembled(liar, sharing, _garbage(liar, sharing))

    return Conduct(deal=deal)


def garbage_fitted(liar: Liar) -> Conduct:
    """u is made after gamma, so that the shares of k honest receivers pass: all that a degree of k-1 can fit."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        plaintexts = _garbage(liar, sharing)
        return fitted(liar, _assembled(liar, sharing, plaintexts), plaintexts)

    return Conduct(deal=deal)


def fitted(liar: Liar, made: Dealing, plaintexts: Plaintexts) -> Dealing:
    """The dealing with a u through the values of k receivers, honest ones first."""
    params = liar.params
    weights = gamma_weights(params, liar.index, made.deal.root)
    order = sorted(params.parties, key=lambda j: (j in liar.world.liars, -j))
    shares = {j: plaintexts[j - 1][: 32 * params.all_rows] for j in order[: params.committee.k]}
    values = {j: inner_product(weights, s) + row(s, params.rows + 1) for j, s in shares.items()}
    u = tuple(scalar_bytes(c) for c in coefficients(values))
    return replace(made, deal=replace(made.deal, u=u))


def coefficients(values: Mapping[int, int]) -> list[int]:
    """Of the polynomial through these points, lowest first (Lagrange, multiplied out)."""
    total = [0] * len(values)
    for i, value in values.items():
        basis, bottom = [1], 1
        for j in values:
            if j != i:
                basis = [low - j * high for low, high in zip([0, *basis], [*basis, 0], strict=True)]
                bottom = bottom * (i - j) % Q
        factor = value * pow(bottom, -1, Q)
        total = [(t + factor * c) % Q for t, c in zip(total, basis, strict=True)]
    return total


def wrong_list(liar: Liar) -> Conduct:
    """The list that h_i fixes is not the shares' one."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        points64 = decompress(pub(7)) + dealing.points_of(sharing)[64:]
        return dealing.assemble(liar.params, liar.index, sharing, _honest_text(liar, sharing), points64)

    return Conduct(deal=deal)


def short_ciphertext(liar: Liar) -> Conduct:
    """The ciphertext of another than the reader is one byte short; leaves and root fit it."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        plaintexts, victim = _honest_text(liar, sharing), liar.victims()[0]
        return _assembled(liar, sharing, replaced(plaintexts, victim, plaintexts[victim - 1][:-1]))

    return Conduct(deal=deal)


def leaf_without_text(liar: Liar) -> Conduct:
    """One leaf has no ciphertext that anybody knows: the victim could not complain."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        made = _assembled(liar, sharing, _honest_text(liar, sharing))
        leaves = replaced(made.bundle.leaves, liar.victims()[0], liar.rng.randbytes(32))
        return _rerooted(liar, sharing, made, leaves)

    return Conduct(deal=deal)


def _rerooted(liar: Liar, sharing: Sharing, made: Dealing, leaves: tuple[bytes, ...]) -> Dealing:
    params, old = liar.params, made.deal
    root = strings.deal_root(params.sid, liar.index, old.e, old.list_hash, old.nonce_hash, leaves)
    gamma = gamma_weights(params, liar.index, root)
    u = tuple(scalar_bytes(inner_product(gamma, f) + row(f, params.rows + 1)) for f in sharing.columns)
    return replace(made, deal=replace(old, root=root, u=u), bundle=replace(made.bundle, leaves=leaves))


def wrong_root(liar: Liar) -> Conduct:
    """R_i of nothing."""

    def deal(seed: bytes) -> Dealing:
        sharing = _sharing(liar, seed)
        made = _assembled(liar, sharing, _honest_text(liar, sharing))
        return replace(made, deal=replace(made.deal, root=liar.rng.randbytes(32)))

    return Conduct(deal=deal)


def malformed(change: Callable[[Deal], Deal]) -> Callable[[Liar], Conduct]:
    """A DEAL that the chain must not take."""

    def strategy(liar: Liar) -> Conduct:
        def deal(seed: bytes) -> Dealing:
            made = dealing.make_dealing(liar.params, liar.index, seed)
            return replace(made, deal=change(made.deal))

        return Conduct(deal=deal)

    return strategy


def u_not_canonical(made: Deal) -> Deal:
    """The same polynomial, with a second text for a number: small ones only, so zero stands for it."""
    return replace(made, u=(*made.u[:-1], Q.to_bytes(32, "big")))


def u_too_long(made: Deal) -> Deal:
    return replace(made, u=(*made.u, bytes(31) + b"\x01"))


def without_proof(made: Deal) -> Deal:
    return replace(made, pok=flipped(made.pok, 60))


def _copy_victim(liar: Liar, view: SessionView) -> tuple[int, Deal] | None:
    """Another one's DEAL, from the mempool if it is not on chain yet: the copy may come first."""
    for sender, message in liar.world.mempool:
        if isinstance(message, Deal) and sender not in liar.world.liars:
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
        sharing = replace(_sharing(liar, liar.rng.randbytes(32)), e_secret=secret)
        return _assembled(liar, sharing, _honest_text(liar, sharing))

    return Conduct(deal=deal)


def replayed_proof(liar: Liar) -> Conduct:
    """The proof of knowledge is for another index, epoch and session."""

    def deal(seed: bytes) -> Dealing:
        made = dealing.make_dealing(liar.params, liar.index, seed)
        secret = _sharing(liar, seed).e_secret
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
