"""Step 5: own shares of the new keys, as small linear combinations of the dealers' shares.

Super-invertible extraction (Hirt, Nielsen): the rows (alpha_i^l) of distinct alphas; any |Q| - (k-1) unknown dealers'
secrets make all m outputs unknown. alpha belongs to the committee index. Pure.
"""

from collections.abc import Mapping, Sequence

from authnet_core.crypto.scalars import rows_of
from authnet_core.crypto.secp256k1 import Q
from authnet_core.protocol.dkg.params import Party, SessionParams, alpha


def outputs(params: SessionParams, q: Sequence[Party]) -> int:
    """m = |Q| - (k-1)."""
    return len(q) - params.committee.k + 1


def powers(q: Sequence[Party], output: int) -> list[int]:
    """alpha_i^l for i in Q; 0^0 is 1."""
    return [alpha(party) ** output for party in q]


def extract_shares(params: SessionParams, q: Sequence[Party], shares: Mapping[Party, bytes]) -> list[int]:
    """Own share of the key at position l*B + b, from own shares of every dealer in Q."""
    columns = [rows_of(shares[party][: 32 * params.rows]) for party in q]
    extracted = []
    for output in range(outputs(params, q)):
        weights = powers(q, output)
        extracted += [sum(w * s for w, s in zip(weights, row, strict=True)) % Q for row in zip(*columns, strict=True)]
    return extracted
