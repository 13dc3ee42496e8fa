"""Sessions as the transaction rules see them: finding one, its phases, who holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

from msgspec.structs import replace

from abci_app.reshare import batches
from abci_app.rules.members import get_party
from abci_app.sessions.pool import set_held_by_all
from abci_app.state import records as r
from abci_app.state import tables
from abci_app.state.bits import bit
from abci_app.state.state import Reader, State
from authnet_core.crypto.secp256k1 import parse_scalar
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.committee import Committee

DEAL: Final = "deal"
CERTIFIED: Final = "certified"
OPENED: Final = "opened"
FINAL: Final = "final"
ABANDONED: Final = "abandoned"
SECP256K1: Final = "secp256k1"

T = TypeVar("T")


def get_session(state: Reader, signer: bytes, sid: bytes) -> tuple[r.Epoch, r.Session, int]:
    """The epoch, the session and the signer's party index in it. Raises Rejected."""
    epoch, member = get_party(state, signer)
    session = state.get(tables.session(sid)) if len(sid) == 32 else None
    if session is None:
        raise Rejected(Code.UNKNOWN_SESSION, "no such session")
    if session.epoch != epoch.epoch:
        raise Rejected(Code.WRONG_EPOCH, f"the session is of epoch {session.epoch}")
    return epoch, session, member


def require_phase(session: r.Session, *phases: str) -> None:
    """Raise Rejected unless the session is in one of `phases`."""
    if session.phase not in phases:
        raise Rejected(Code.WRONG_PHASE, f"the session is {session.phase}, not {' or '.join(phases)}")


def require_ek(session: r.Session, member: int) -> None:
    """Raise Rejected for a member that announced no encryption key: it can not hold shares of the session."""
    if not session.eks[member - 1]:
        raise Rejected(Code.NO_ENCKEY, "the member had no encryption key when the session started")


def require_new_bits(known: int, bitmap: int, n: int) -> None:
    """Raise Rejected unless `bitmap` is of n parties and says something new. Bitmaps only gain bits."""
    if bitmap >> n:
        raise Rejected(Code.MALFORMED, f"the bitmap has bits beyond party {n}")
    if bitmap & ~known == 0:
        raise Rejected(Code.NO_NEW_BITS, "these bits are set already")


def require_scalars(u: Sequence[bytes], k: int) -> None:
    """Raise Rejected unless these are the k coefficients of a test polynomial."""
    if len(u) != k:
        raise Rejected(Code.MALFORMED, f"u must have {k} scalars")
    for scalar in u:
        try:
            parse_scalar(scalar)
        except ValueError:
            raise Rejected(Code.MALFORMED, "u has a scalar that is not canonical") from None


def with_item(items: tuple[T, ...], party: int, item: T) -> tuple[T, ...]:
    """`items` with `item` for `party`."""
    return (*items[: party - 1], item, *items[party:])


def committee_of(session: r.Session) -> Committee:
    return Committee.of(len(session.eks))


def count_openers(session: r.Session, dealer: int) -> int:
    """Members that hold and serve the dealer's points."""
    return sum(bitmap >> (dealer - 1) & 1 for bitmap in session.opened)


def upheld_dealers(session: r.Session) -> set[int]:
    """Dealers that a complaint of this session convicted."""
    return {complaint.dealer for complaint in session.complaints if complaint.upheld}


def is_held_by_all(session: r.Session) -> bool:
    return session.holders == (1 << len(session.eks)) - 1


def add_holder(state: State, session: r.Session, member: int) -> None:
    """Count `member` among the holders; when all hold, the session's keys are assigned first."""
    session = replace(session, holders=session.holders | bit(member))
    state.put(tables.session(session.sid), session)
    batches.add_holder(state, session.epoch, session.first_index, member)
    if is_held_by_all(session):
        set_held_by_all(state, session.curve, session.first_index)
        without(state, tables.RETAINED_SESSIONS, session.sid)
        state.delete(tables.dealt(session.sid))


def without(state: State, place: tables.Slot[r.SessionList], sid: bytes) -> None:
    """Take a session off a list."""
    sids = state.need(place).sids
    if sid in sids:
        state.put(place, r.SessionList(tuple(other for other in sids if other != sid)))
