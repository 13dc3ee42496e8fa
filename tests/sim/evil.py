"""Dealings of a dishonest dealer that are as good as they can be made in all but one respect."""

from authnet_core.crypto.secp256k1 import decompress, pub
from authnet_core.protocol.dkg.deal import (
    Dealing,
    Sharing,
    assemble,
    derive_sharing,
    plaintexts_of,
    points_of,
)
from authnet_core.protocol.dkg.params import SessionParams

STRATEGIES = ("wrong degree", "one bad share", "wrong v", "wrong list", "garbage", "share not canonical")
HOPELESS = ("wrong degree", "garbage")
"""Nobody honest acknowledges these."""
CHEATING = ("one bad share", "wrong v", "share not canonical")
"""These leave the victim without its share."""


def evil_dealing(params: SessionParams, dealer: int, seed: bytes, strategy: str) -> Dealing:
    """A dealing with a good proof, root and u, and one lie. The victim is the next party."""
    sharing = derive_sharing(params, dealer, seed)
    plaintexts, points64 = plaintexts_of(params, sharing), points_of(sharing)
    victim = victim_of(params, dealer)
    match strategy:
        case "wrong degree":
            plaintexts = higher_degree(params, sharing)
        case "one bad share":
            plaintexts = replaced(plaintexts, victim, flipped(plaintexts[victim - 1], 31))
        case "wrong v":
            plaintexts = replaced(plaintexts, victim, flipped(plaintexts[victim - 1], -1))
        case "wrong list":
            points64 = decompress(pub(7)) + points64[64:]
        case "garbage":
            plaintexts = tuple(seed * (len(p) // 32) for p in plaintexts)
        case "share not canonical":
            plaintexts = replaced(plaintexts, victim, b"\xff" * 32 + plaintexts[victim - 1][32:])
    return assemble(params, dealer, sharing, plaintexts, points64)


def victim_of(params: SessionParams, dealer: int) -> int:
    return dealer % params.committee.n + 1


def flipped(text: bytes, at: int) -> bytes:
    spoilt = bytearray(text)
    spoilt[at] ^= 1
    return bytes(spoilt)


def replaced(parts: tuple[bytes, ...], party: int, part: bytes) -> tuple[bytes, ...]:
    return (*parts[: party - 1], part, *parts[party:])


def higher_degree(params: SessionParams, sharing: Sharing) -> tuple[bytes, ...]:
    """Row 0 gets one more coefficient: every k+1 shares fit, no two k-subsets agree."""
    extra = (*sharing.columns, sharing.columns[0][:32] + bytes(32 * (params.all_rows - 1)))
    return plaintexts_of(params, Sharing(extra, sharing.e_secret, sharing.salt, sharing.contribution))
