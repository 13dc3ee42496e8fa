"""Step 6: which dealers count, and who is to blame. Pure functions that the chain calls too.

`u_at_0` maps each dealer to the constant u_j(0) of its RTEST.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import correct, interpolate, interpolate_at_zero
from authnet_core.protocol.reshare.params import Party
from authnet_core.protocol.reshare.strings import order_hash


def seeded_order(rid: bytes, dealers: Iterable[Party]) -> list[Party]:
    """The order in which Q' is looked for. The rid holds every new member's encryption key; who announces last can
    grind it, and gains no more than which of the good dealers count.
    """
    return sorted(dealers, key=lambda dealer: (order_hash(rid, dealer), dealer))


def choose_q(
    rid: bytes, candidates: Iterable[Party], u_at_0: Mapping[Party, int], total: bytes, k: int
) -> tuple[Party, ...]:
    """Q', ascending: the first k of the candidates, in seeded order, with W(0)*G = M. Empty if no k of them fit.

    `total` is M, 33 bytes. Combinations go in lexicographic order of the seeded one.
    """
    for chosen in combinations(seeded_order(rid, candidates), k):
        if fits({dealer: u_at_0[dealer] for dealer in chosen}, total):
            return tuple(sorted(chosen))
    return ()


def fits(u_at_0: Mapping[Party, int], total: bytes) -> bool:
    """Whether W(0)*G = M for the polynomial W through these values."""
    secret = interpolate_at_zero(u_at_0) % Q
    return secret != 0 and pub(secret) == total


def liars(u_at_0: Mapping[Party, int], k: int, t: int) -> tuple[Party, ...]:
    """Dealers off a W on which k + t agree: at least k of those are honest, so W is the true one. Else nobody is
    blamed: k dealers that lie together fit a polynomial too, and then it is open who does.
    """
    true = correct(u_at_0, k, k + t)
    if true is None:
        return ()
    return tuple(dealer for dealer, value in sorted(u_at_0.items()) if interpolate(true, dealer) != value % Q)
