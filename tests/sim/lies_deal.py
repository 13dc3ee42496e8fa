"""Strategies of a dishonest dealer: dealings as good as they can be made in all but one respect."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from authnet_core.crypto.scalars import block_of, inner_product, row
from authnet_core.crypto.secp256k1 import Q, decompress, pub, scalar_bytes
from authnet_core.protocol.dkg import deal as dealing
from authnet_core.protocol.dkg import strings
from authnet_core.protocol.dkg.deal import Dealing, Sharing, gamma_weights
from authnet_core.protocol.dkg.messages import Deal
from tests.sim.evil import flipped, higher_degree, replaced
from tests.sim.liar import Conduct, Liar

Plaintexts: TypeAlias = tuple[bytes, ...]
Spoil: TypeAlias = Callable[[Liar, Plaintexts], Plaintexts]


def sharing_of(liar: Liar, seed: bytes) -> Sharing:
    return dealing.derive_sharing(liar.params, liar.index, seed)


def honest_text(liar: Liar, sharing: Sharing) -> Plaintexts:
    return dealing.plaintexts_of(liar.params, sharing)


def assembled(liar: Liar, sharing: Sharing, plaintexts: Plaintexts) -> Dealing:
    points64 = dealing.points_of(sharing)
    return dealing.assemble(liar.params, liar.index, sharing, plaintexts, points64)


def spoilt_shares(spoil: Callable[[bytes], bytes], *, all_victims: bool = False) -> Callable[[Liar], Conduct]:
    """The plaintexts of one victim, or of t, are not what they should be."""

    def strategy(liar: Liar) -> Conduct:
        def deal(seed: bytes) -> Dealing:
            sharing = sharing_of(liar, seed)
            plaintexts = honest_text(liar, sharing)
            for victim in liar.victims()[: None if all_victims else 1]:
                plaintexts = replaced(plaintexts, victim, spoil(plaintexts[victim - 1]))
            return assembled(liar, sharing, plaintexts)

        return Conduct(deal=deal)

    return strategy


def spare_row_only(liar: Liar) -> Conduct:
    """The victim's share of the fallback's mask is bad, all shares of keys are good."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        plaintexts, victim = honest_text(liar, sharing), liar.victims()[0]
        at = 32 * liar.params.rows + 31
        return assembled(liar, sharing, replaced(plaintexts, victim, flipped(plaintexts[victim - 1], at)))

    return Conduct(deal=deal)


def share_not_canonical(liar: Liar) -> Conduct:
    """The victim's share of row 0 is the small number 5, written as q + 5: the sum of the test does not tell."""

    def deal(seed: bytes) -> Dealing:
        sharing, victim = sharing_of(liar, seed), liar.victims()[0]
        rest = sum(row(column, 0) * victim**power for power, column in enumerate(sharing.columns) if power)
        constant = scalar_bytes(5 - rest)
        sharing = replace(sharing, columns=(constant + sharing.columns[0][32:], *sharing.columns[1:]))
        plaintexts = honest_text(liar, sharing)
        text = (Q + 5).to_bytes(32, "big") + plaintexts[victim - 1][32:]
        return assembled(liar, sharing, replaced(plaintexts, victim, text))

    return Conduct(deal=deal)


def guessed_gamma(liar: Liar) -> Conduct:
    """Wrong degree in row 0, made up for in the mask of the test, for a gamma that is guessed before R_i is fixed."""

    def deal(seed: bytes) -> Dealing:
        sharing, rows = sharing_of(liar, seed), liar.params.rows
        gamma = int.from_bytes(gamma_weights(liar.params, liar.index, bytes(32))[:16], "big")
        top = [1] + [0] * rows + [-gamma]
        extra = Sharing((*sharing.columns, block_of(top)), sharing.e_secret, sharing.salt, sharing.contribution)
        return assembled(liar, sharing, honest_text(liar, extra))

    return Conduct(deal=deal)


def wrong_degree(liar: Liar) -> Conduct:
    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        return assembled(liar, sharing, higher_degree(liar.params, sharing))

    return Conduct(deal=deal)


def wrong_degree_fitted(liar: Liar) -> Conduct:
    """With a u that k honest receivers must accept."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        plaintexts = higher_degree(liar.params, sharing)
        return fitted(liar, assembled(liar, sharing, plaintexts), plaintexts)

    return Conduct(deal=deal)


def _garbage(liar: Liar, sharing: Sharing) -> Plaintexts:
    return tuple(
        block_of([liar.rng.getrandbits(256) for _ in range(liar.params.all_rows)]) + sharing.contribution
        for _ in liar.params.parties
    )


def garbage(liar: Liar) -> Conduct:
    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        return assembled(liar, sharing, _garbage(liar, sharing))

    return Conduct(deal=deal)


def garbage_for_few(liar: Liar) -> Conduct:
    """Fitted to k receivers, the liars among them: fewer than k honest ones could be convinced."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        plaintexts = _garbage(liar, sharing)
        return fitted(liar, assembled(liar, sharing, plaintexts), plaintexts, honest_first=False)

    return Conduct(deal=deal)


def garbage_fitted(liar: Liar) -> Conduct:
    """u is made after gamma, so that the shares of k honest receivers pass: all that a degree of k-1 can fit."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        plaintexts = _garbage(liar, sharing)
        return fitted(liar, assembled(liar, sharing, plaintexts), plaintexts)

    return Conduct(deal=deal)


def fitted(liar: Liar, made: Dealing, plaintexts: Plaintexts, *, honest_first: bool = True) -> Dealing:
    """The dealing with a u through the values of k receivers, honest ones or accomplices first."""
    params = liar.params
    weights = gamma_weights(params, liar.index, made.deal.root)
    order = sorted(params.parties, key=lambda j: ((j in liar.world.liars) is honest_first, -j))
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
        sharing = sharing_of(liar, seed)
        points64 = decompress(pub(7)) + dealing.points_of(sharing)[64:]
        return dealing.assemble(liar.params, liar.index, sharing, honest_text(liar, sharing), points64)

    return Conduct(deal=deal)


def zeroed(*powers: int) -> Callable[[Liar], Conduct]:
    """Row 0 has zero for these coefficients, honestly dealt: its constant is a point at infinity that no list can
    show, so the fallback must; with all of them zero every share is."""

    def strategy(liar: Liar) -> Conduct:
        def deal(seed: bytes) -> Dealing:
            sharing = sharing_of(liar, seed)
            columns = tuple(
                bytes(32) + column[32:] if power in powers else column for power, column in enumerate(sharing.columns)
            )
            zero = replace(sharing, columns=columns)
            points64 = dealing.points_of(sharing)
            return dealing.assemble(liar.params, liar.index, zero, honest_text(liar, zero), points64)

        return Conduct(deal=deal)

    return strategy


def constant_rows(liar: Liar) -> Conduct:
    """Polynomials of degree 0: every share of a row is the same, and a test of degree k-1 passes."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        flat = replace(sharing, columns=(sharing.columns[0], *(bytes(len(c)) for c in sharing.columns[1:])))
        return assembled(liar, flat, honest_text(liar, flat))

    return Conduct(deal=deal)


def short_ciphertext(liar: Liar) -> Conduct:
    """The ciphertext of another than the reader is one byte short; leaves and root fit it."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        plaintexts, victim = honest_text(liar, sharing), liar.victims()[0]
        return assembled(liar, sharing, replaced(plaintexts, victim, plaintexts[victim - 1][:-1]))

    return Conduct(deal=deal)


def leaf_without_text(liar: Liar) -> Conduct:
    """One leaf has no ciphertext that anybody knows: the victim could not complain."""

    def deal(seed: bytes) -> Dealing:
        sharing = sharing_of(liar, seed)
        made = assembled(liar, sharing, honest_text(liar, sharing))
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
        sharing = sharing_of(liar, seed)
        made = assembled(liar, sharing, honest_text(liar, sharing))
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
