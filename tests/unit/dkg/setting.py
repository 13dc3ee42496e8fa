"""A small session from fixed numbers, for unit tests and vectors."""

from authnet_core.crypto.secp256k1 import pub
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.deal import Dealing, make_dealing
from authnet_core.protocol.dkg.params import SessionParams
from authnet_core.protocol.dkg.strings import committee_hash

CHAIN_ID = "vectors-1"
ABSENT = 5
"""The member without an encryption key."""


def filled(byte: int) -> bytes:
    return bytes([byte]) * 32


def ek_secret(member: int) -> bytes:
    return filled(0x10 + member)


def seed_of(dealer: int) -> bytes:
    return filled(0x40 + dealer)


def identity(member: int) -> bytes:
    return pub(filled(0x70 + member))


def make_params(rows: int = 2, counter: int = 3, absent: tuple[int, ...] = (ABSENT,)) -> SessionParams:
    committee = Committee.of(5)
    members = committee_hash(committee, [identity(j) for j in range(1, 6)])
    eks = tuple(b"" if j in absent else pub(ek_secret(j)) for j in range(1, 6))
    return SessionParams(CHAIN_ID, 1, counter, committee, members, rows, eks)


def make_dealings(params: SessionParams) -> dict[int, Dealing]:
    return {i: make_dealing(params, i, seed_of(i)) for i in params.parties}
