"""The chain's record of one resharing as the machine reads it. Pure; a malformed deal or test is as good as none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from authnet_core.protocol.committee import Committee
from authnet_core.protocol.dkg.picture import bit
from authnet_core.protocol.reshare import check, strings
from authnet_core.protocol.reshare.messages import ReshareDeal, ReshareTest
from authnet_core.protocol.reshare.params import Party, ReshareParams
from authnet_core.protocol.views import ReshareDealView, ReshareView

__all__ = ["Phase", "Picture", "bit", "params_of", "read_view"]


class Phase(StrEnum):
    """Phases of chain state; each is a function of the transactions so far and of block time."""

    DEAL = "deal"
    TEST = "test"
    ACK = "ack"
    READY = "ready"
    FINAL = "final"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Picture:
    """One view, parsed. Bitmaps have bit (j - 1) for old dealer j."""

    phase: Phase
    height: int
    deals: dict[Party, ReshareDeal]
    deal_heights: dict[Party, int]
    dealers: tuple[Party, ...]
    """D."""
    gamma_seed: bytes
    """Seed of the challenge if it is the one that D gives, else empty."""
    is_forked: bool
    """The chain names a challenge that D does not give: nothing is answered to it."""
    tests: dict[Party, ReshareTest]
    acks: dict[Party, int]
    q: tuple[Party, ...]
    readies: dict[Party, str]
    hash: str
    holders: frozenset[Party]
    judged: frozenset[tuple[Party, Party]] = frozenset()
    """(dealer, complainer) of complaints on chain, whoever they convicted."""
    upheld: dict[tuple[Party, Party], int] = field(default_factory=dict)
    """(dealer, complainer) -> height, where the dealer was convicted."""

    @property
    def has_q(self) -> bool:
        return bool(self.q) and self.phase in (Phase.READY, Phase.FINAL)

    @property
    def convicts(self) -> frozenset[Party]:
        """Dealers of Q' with an upheld complaint."""
        return frozenset(dealer for dealer, _ in self.upheld if dealer in self.q)

    @property
    def wanted_dealers(self) -> tuple[Party, ...]:
        """Whose shares matter now."""
        match self.phase:
            case Phase.DEAL:
                return tuple(sorted(self.deals))
            case Phase.TEST:
                return self.dealers
            case Phase.ACK:
                return tuple(sorted(self.tests))
            case Phase.READY | Phase.FINAL:
                return self.q
            case Phase.FAILED:
                return ()


def read_view(params: ReshareParams, view: ReshareView, before: Picture | None = None) -> Picture:
    """Parse a view of this resharing. A deal never changes, so those of the picture before are taken over."""
    known = before.deals if before else {}
    read = {j: known.get(j) or _deal(params.rid, deal) for j, deal in sorted(view.deals.items()) if params.is_dealer(j)}
    deals = {j: deal for j, deal in read.items() if deal is not None}
    dealers = tuple(sorted(view.dealers))
    gamma_seed = _gamma_seed(params, view, dealers, deals)
    return Picture(
        phase=Phase(view.phase),
        height=view.height,
        deals=deals,
        deal_heights={j: deal.height for j, deal in view.deals.items()},
        dealers=dealers,
        gamma_seed=gamma_seed,
        is_forked=bool(view.gamma_seed) and not gamma_seed,
        tests=_tests(params, view, dealers),
        acks=dict(view.acks),
        q=tuple(sorted(view.q)),
        readies=dict(view.readies),
        hash=view.hash,
        holders=frozenset(view.holders),
        judged=frozenset((c.dealer, c.complainer) for c in view.complaints),
        upheld={(c.dealer, c.complainer): c.height for c in view.complaints if c.upheld},
    )


def _deal(rid: bytes, view: ReshareDealView) -> ReshareDeal | None:
    try:
        return ReshareDeal(rid, bytes.fromhex(view.e), bytes.fromhex(view.pok), bytes.fromhex(view.root))
    except ValueError:
        return None


def _gamma_seed(
    params: ReshareParams, view: ReshareView, dealers: tuple[Party, ...], deals: Mapping[Party, ReshareDeal]
) -> bytes:
    """Computed again: an answer to another challenge than D's would waste the mask, or worse."""
    if not view.gamma_seed or not dealers or any(j not in deals for j in dealers):
        return b""
    seed = strings.gamma_seed(params.rid, params.root, {j: deals[j].root for j in dealers})
    return seed if seed.hex() == view.gamma_seed else b""


def _tests(params: ReshareParams, view: ReshareView, dealers: tuple[Party, ...]) -> dict[Party, ReshareTest]:
    tests = {}
    for j in sorted(set(view.tests) & set(dealers)):
        try:
            u = tuple(bytes.fromhex(c) for c in view.tests[j])
            test = ReshareTest(params.rid, u, bytes.fromhex(view.gamma_seed))
        except ValueError:
            continue
        if check.refuse_test(params, test) is None:
            tests[j] = test
    return tests


def params_of(
    chain_id: str, old: tuple[Committee, bytes], new: tuple[Committee, bytes], view: ReshareView
) -> ReshareParams:
    """The parameters START_RESHARE froze, from (committee, its hash) of both epochs.

    Raises ValueError if they do not give the view's rid.
    """
    params = ReshareParams(
        chain_id=chain_id,
        from_epoch=view.from_epoch,
        old=old[0],
        old_hash=old[1],
        to_epoch=view.to_epoch,
        new=new[0],
        new_hash=new[1],
        curve=view.curve,
        first_index=view.first_index,
        count=view.count,
        root=bytes.fromhex(view.root),
        mask_index=view.mask_index,
        attempt=view.attempt,
        counter=view.counter,
        eks=tuple(bytes.fromhex(ek) for ek in view.eks),
    )
    if params.rid.hex() != view.rid:
        raise ValueError("the resharing's parameters do not give its rid")
    return params
