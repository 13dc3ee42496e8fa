"""What the stages of one session share: parameters, holdings, and the bookkeeping of timers and submissions. Pure.

Secrets live here and in `holdings.py` only; no repr shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from authnet_core.protocol.dkg import check, deal, records
from authnet_core.protocol.dkg.batch import Batch
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.effects import Blame, Effect, Erase, SetTimer, Shelf, Store, Submit
from authnet_core.protocol.dkg.fetching import Fetcher, Want
from authnet_core.protocol.dkg.holdings import Holdings, Verdict
from authnet_core.protocol.dkg.messages import Bundle, ChainMessage, Complain, Deal, Message, PointList
from authnet_core.protocol.dkg.params import Party, SessionParams
from authnet_core.protocol.dkg.picture import Phase, Picture
from authnet_core.protocol.dkg.submissions import Submissions

STRIKES = 16
"""Bulk messages that do not fit the chain's hashes, after which a peer's are dropped unread."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Pauses in milliseconds; safety rests on none of them."""

    collect: int = 60
    """A bitmap waits this long for more bits, unless it is full."""
    fetch_first: int = 300
    fetch_last: int = 3_000
    serve: int = 1_000
    """A peer gets the same bulk message once in this time."""
    grace: int = 60_000
    resubmit_blocks: int = 2


@dataclass(slots=True)
class State:
    """One node's state in one session."""

    params: SessionParams
    me: Party
    timing: Timing
    ek: bytearray = field(repr=False)
    """Own encryption secret, empty if this node announced none or erased it."""
    seed: bytearray = field(repr=False)
    fetcher: Fetcher[Party, Want]
    submissions: Submissions
    picture: Picture | None = None
    dealing: Dealing | None = field(default=None, repr=False)
    own_stored: bool = False
    """Own bundle and shares are on disk: a crash may have come right after the deal's own record."""
    held: Holdings = field(default_factory=Holdings, repr=False)
    batch: Batch | None = field(default=None, repr=False)
    barred: bool = False
    """The chain has a deal of ours that this disk does not know."""
    late: bool = False
    """This life met the session after its deal phase, so nothing is in flight to us."""
    bundle_sent: bool = False
    list_sent: bool = False
    done: bool = False
    ended_at: int | None = None
    """Height at which the reason for erasing was first seen."""
    erased: set[Shelf] = field(default_factory=set)
    early: dict[tuple[type[Message], Party], Bundle | PointList] = field(default_factory=dict, repr=False)
    served: set[tuple[Party, Message]] = field(default_factory=set)
    strikes: dict[Party, int] = field(default_factory=dict)
    timers: set[str] = field(default_factory=set)
    complaints: dict[Party, Complain] = field(default_factory=dict)
    spent: dict[Party, bytes] = field(default_factory=dict)
    """Dealer -> the one seed under which its spare mask was used; on disk before an answer leaves."""
    polynomials: dict[Party, dict[Party, int]] = field(default_factory=dict)
    """Dealer -> k values w_j that fix the polynomial of its fallback."""
    proofs: dict[Party, tuple[Deal, str | None]] = field(default_factory=dict)

    def load(self, durable: Mapping[str, bytes]) -> None:
        """Take up what an earlier life stored. Raises ValueError for a deal that its seed does not give."""
        self.held.load(self.params, durable)
        for dealer in self.params.parties:
            if seed := durable.get(records.spare_name(dealer)):
                self.spent[dealer] = seed
        stored = durable.get(records.DEAL)
        if stored is None:
            return
        self.seed[:] = stored[:32]
        dealing = deal.make_dealing(self.params, self.me, bytes(self.seed))
        if dealing.deal.encode() != stored[32:]:
            raise ValueError("the stored deal can not be made again from its seed")
        own_stored = self.me in self.held.plains
        self.adopt(dealing)
        self.own_stored = own_stored

    def adopt(self, dealing: Dealing) -> None:
        """Own deal: own bundle and own shares."""
        self.dealing, self.own_stored = dealing, False
        self.held.bundles[self.me] = dealing.bundle
        self.held.plains[self.me] = check.split(self.params, dealing.plaintexts[self.me - 1])

    def share_store(self, dealer: Party) -> Store:
        plain = self.held.plains[dealer]
        return Store(records.share_name(dealer), plain.shares + plain.contribution, Shelf.BRIEF)

    def others(self) -> list[Party]:
        """The other members, each node starting after itself so that load spreads."""
        n = self.params.committee.n
        return [(self.me - 1 + step) % n + 1 for step in range(1, n)]

    def deal_of(self, picture: Picture, dealer: Party) -> Deal | None:
        """The dealer's DEAL if it is good in itself."""
        good = {i: dealt for i, dealt in picture.deals.items() if self._proof_is_good(i, dealt)}
        # Only deals with a good proof count as first owner: a copier can not make one, so it displaces nobody.
        if dealer not in good or dealer in check.copied_keys(good, picture.deal_heights):
            return None
        return good[dealer]

    def _proof_is_good(self, dealer: Party, dealt: Deal) -> bool:
        if self.proofs.get(dealer, (None,))[0] != dealt:
            self.proofs[dealer] = (dealt, check.refuse_deal(self.params, dealer, dealt))
        return self.proofs[dealer][1] is None

    def set_timer(self, name: str, delay_ms: int) -> list[Effect]:
        """Set a timer unless it runs."""
        if name in self.timers:
            return []
        self.timers.add(name)
        return [SetTimer(name, delay_ms)]

    def submit(self, picture: Picture, message: ChainMessage) -> list[Effect]:
        """Submit, unless it waits for the chain to show it."""
        return [Submit(message)] if self.submissions.is_due(message, picture.height) else []

    def blame(self, verdict: Verdict, sender: Party) -> list[Effect]:
        """Who passes on what a dealer spoilt is at no fault."""
        if verdict.party == sender:
            self.strikes[sender] = self.strikes.get(sender, 0) + 1
        return [Blame(verdict.party, verdict.reason)]

    def erase(self, *shelves: Shelf) -> list[Effect]:
        """Forget and shred, each shelf once."""
        fresh = [shelf for shelf in shelves if shelf not in self.erased]
        for shelf in fresh:
            self.erased.add(shelf)
            self._forget(shelf)
        return [Erase(shelf) for shelf in fresh]

    def _forget(self, shelf: Shelf) -> None:
        match shelf:
            case Shelf.BRIEF:
                self.seed[:] = bytes(len(self.seed))
                self.dealing = None
                self.held.forget_shares()
            case Shelf.RETAINED:
                self.ek[:] = bytes(len(self.ek))
                self.ek.clear()
                self.held = Holdings()
                self.early.clear()
            case Shelf.KEPT:
                self.batch = None

    def has_ended(self, picture: Picture) -> bool:
        """Erasing can not be taken back, so its reason must stand in a block whose successor is there."""
        if self.ended_at is None:
            self.ended_at = picture.height
        return picture.height > self.ended_at

    @property
    def has_result(self) -> bool:
        """Whether the batch is computed, or was and is burnt."""
        return self.batch is not None or Shelf.KEPT in self.erased

    @property
    def is_active(self) -> bool:
        """Whether this node may take part before the session is final."""
        return not self.barred and self.picture is not None and self.picture.phase is not Phase.ABANDONED
