"""The exponent fallback on chain: for which dealers, until when, under which challenge (dkg.md section 4, F).

One challenge per (sid, dealer), ever: a second one over the same mask row would show shares.
"""

from __future__ import annotations

from msgspec.structs import replace

from abci_app.sessions.sessions import CERTIFIED, committee_of, count_openers, require_ek, require_phase
from abci_app.state import records as r
from authnet_core.errors import Code, Rejected
from authnet_core.protocol.dkg.strings import fallback_seed


def require_fallback(session: r.Session, member: int, dealer: int) -> r.Fallback:
    """The dealer's fallback that `member` may take part in now. Raises Rejected."""
    require_phase(session, CERTIFIED)
    require_ek(session, member)
    if dealer not in session.q:
        raise Rejected(Code.NOT_A_DEALER, "the dealer is not in Q")
    found = next((fallback for fallback in session.fallbacks if fallback.dealer == dealer), None)
    if found is None:
        raise Rejected(Code.WRONG_PHASE, "the dealer may still open its list, or has")
    if count_openers(session, dealer) > committee_of(session).t:
        raise Rejected(Code.WRONG_PHASE, "the dealer's points are open meanwhile")
    return found


def with_fallback(session: r.Session, changed: r.Fallback) -> r.Session:
    """`session` with the dealer's fallback replaced."""
    others = (changed if known.dealer == changed.dealer else known for known in session.fallbacks)
    return replace(session, fallbacks=tuple(others))


def begin(session: r.Session) -> r.Session:
    """At the deadline: an empty record for each dealer of Q that too few hold the list of. Once."""
    if session.fallbacks:
        return session
    committee = committee_of(session)
    silent = [dealer for dealer in session.q if count_openers(session, dealer) <= committee.t]
    nothing = (b"",) * committee.n
    return replace(session, fallbacks=tuple(r.Fallback(dealer, nothing, nothing) for dealer in silent))


def cut_off(session: r.Session, height: int) -> r.Session:
    """End of a block: where n-t hashes are in, the challenge is fixed over all of them. Not once it is needless."""
    committee = committee_of(session)
    for fallback in session.fallbacks:
        hashes = [(member, digest) for member, digest in enumerate(fallback.lists, start=1) if digest]
        opened = count_openers(session, fallback.dealer) > committee.t
        if fallback.seed or opened or len(hashes) < committee.quorum:
            continue
        seed = fallback_seed(session.sid, fallback.dealer, hashes)
        session = with_fallback(session, replace(fallback, seed=seed, seed_height=height))
    return session


def fallen(session: r.Session) -> list[int]:
    """Dealers whose points became open only after their challenge was fixed."""
    t = committee_of(session).t
    return [f.dealer for f in session.fallbacks if f.seed and count_openers(session, f.dealer) > t]
