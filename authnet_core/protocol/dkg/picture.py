"""The chain's record of one session as the machine reads it. Pure; a malformed deal is as good as none."""

from dataclasses import dataclass, field
from enum import StrEnum

from authnet_core.crypto.secp256k1 import parse_scalar
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.messages import Deal
from authnet_core.protocol.dkg.params import Party, SessionParams
from authnet_core.protocol.views import DealView, FallbackView, SessionView


class Phase(StrEnum):
    """Phases of chain state; each is a function of the transactions so far and of block time."""

    DEAL = "deal"
    CERTIFIED = "certified"
    OPENED = "opened"
    FINAL = "final"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Fallback:
    """The exponent fallback of one dealer as the chain has it: hashes of lists, the seed of gamma', w_j."""

    lists: dict[Party, bytes]
    seed: bytes
    """Empty until the cut-off."""
    seed_height: int
    scalars: dict[Party, int]


@dataclass(frozen=True, slots=True)
class Picture:
    """One view, parsed. Bitmaps have bit (i - 1) for dealer i."""

    phase: Phase
    height: int
    deals: dict[Party, Deal]
    deal_heights: dict[Party, int]
    acks: dict[Party, int]
    q: tuple[Party, ...]
    q_height: int
    opened: dict[Party, int]
    finals: dict[Party, str]
    root: str
    chunks: frozenset[int]
    holders: frozenset[Party]
    judged: frozenset[tuple[Party, Party]] = frozenset()
    """(dealer, complainer) of complaints on chain, whoever they convicted."""
    upheld: dict[tuple[Party, Party], int] = field(default_factory=dict)
    """(dealer, complainer) -> height, where the dealer was convicted."""
    fallbacks: dict[Party, Fallback] = field(default_factory=dict)
    left_out: frozenset[Party] = frozenset()
    """Who may not deal in this session."""

    @property
    def may_reveal(self) -> bool:
        """Step 4: Q is fixed and the block after it, whose header carries that app hash, is there."""
        fixed = self.phase in (Phase.CERTIFIED, Phase.OPENED, Phase.FINAL)
        return fixed and bool(self.q) and self.height >= self.q_height + 1

    @property
    def convicts(self) -> frozenset[Party]:
        """Dealers of Q with an upheld complaint."""
        return frozenset(dealer for dealer, _ in self.upheld if dealer in self.q)

    def openers(self, dealer: Party) -> int:
        """How many members say that they have the dealer's list."""
        return sum(bits >> (dealer - 1) & 1 for bits in self.opened.values())

    @property
    def wanted_dealers(self) -> tuple[Party, ...]:
        """Whose shares matter now: everybody's who dealt, later those of Q."""
        return tuple(sorted(self.deals)) if self.phase is Phase.DEAL else self.q


def bit(party: Party) -> int:
    return 1 << (party - 1)


def parse_deal(sid: bytes, view: DealView) -> Deal | None:
    """The deal in a view, or None if its hex is broken."""
    try:
        return Deal(
            sid=sid,
            e=bytes.fromhex(view.e),
            pok=bytes.fromhex(view.pok),
            root=bytes.fromhex(view.root),
            list_hash=bytes.fromhex(view.list_hash),
            nonce_hash=bytes.fromhex(view.nonce_hash),
            u=tuple(bytes.fromhex(scalar) for scalar in view.u),
        )
    except ValueError:
        return None


def parse_fallback(params: SessionParams, view: FallbackView) -> Fallback | None:
    """The fallback in a view, or None if its hex is broken."""
    try:
        return Fallback(
            lists={j: bytes.fromhex(digest) for j, digest in view.lists.items() if params.is_party(j)},
            seed=bytes.fromhex(view.seed),
            seed_height=view.seed_height,
            scalars={j: parse_scalar(bytes.fromhex(w)) for j, w in view.scalars.items() if params.is_party(j)},
        )
    except ValueError:
        return None


def read_view(params: SessionParams, view: SessionView, before: Picture | None = None) -> Picture:
    """Parse a view of this session. A deal never changes, so those of the picture before are taken over."""
    known = before.deals if before else {}
    deals = {
        party: known.get(party) or parse_deal(params.sid, deal)
        for party, deal in view.deals.items()
        if params.is_party(party)
    }
    fallbacks = {i: parse_fallback(params, fallback) for i, fallback in view.fallbacks.items()}
    return Picture(
        phase=Phase(view.phase),
        height=view.height,
        deals={party: deal for party, deal in deals.items() if deal is not None},
        deal_heights={party: deal.height for party, deal in view.deals.items()},
        acks=dict(view.acks),
        q=tuple(sorted(view.q)),
        q_height=view.q_height,
        opened=dict(view.opened),
        finals=dict(view.finals),
        root=view.root,
        chunks=frozenset(view.chunks),
        holders=frozenset(view.holders),
        left_out=frozenset(view.left_out),
        judged=frozenset((c.dealer, c.complainer) for c in view.complaints),
        upheld={(c.dealer, c.complainer): c.height for c in view.complaints if c.upheld},
        fallbacks={i: fallback for i, fallback in sorted(fallbacks.items()) if fallback is not None and i in view.q},
    )


def params_of(chain_id: str, committee: Committee, committee_hash: bytes, view: SessionView) -> SessionParams:
    """The parameters START froze. Raises ValueError if they do not give the view's sid."""
    params = SessionParams(
        chain_id=chain_id,
        epoch=view.epoch,
        counter=view.counter,
        committee=committee,
        committee_hash=committee_hash,
        rows=view.rows,
        eks=tuple(bytes.fromhex(ek) for ek in view.eks),
        curve=view.curve,
    )
    if params.sid.hex() != view.sid:
        raise ValueError("the session's parameters do not give its sid")
    return params
