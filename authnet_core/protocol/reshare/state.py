"""What the stages of one resharing share: parameters, holdings, and the bookkeeping of timers and submissions. Pure.

Secrets live here only; no repr shows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from authnet_core.protocol.dkg.check import copied_keys
from authnet_core.protocol.dkg.effects import Blame, Done, Erase, Outcome, SetTimer, Shelf, Submit
from authnet_core.protocol.dkg.fetching import Fetcher
from authnet_core.protocol.dkg.state import Timing
from authnet_core.protocol.dkg.submissions import Submissions
from authnet_core.protocol.reshare import check, deal, records, sums
from authnet_core.protocol.reshare.deal import Dealing
from authnet_core.protocol.reshare.effects import ReshareEffect, SendNew, SendOld
from authnet_core.protocol.reshare.messages import (
    ReshareBundle,
    ReshareChainMessage,
    ReshareComplain,
    ReshareDeal,
    ReshareMessage,
    ReshareTest,
    WantNonces,
    WantReshareBundle,
    WantReshareRecovery,
)
from authnet_core.protocol.reshare.params import Party, Peer, PublicKeys, ReshareParams, Sender
from authnet_core.protocol.reshare.picture import Picture

Want = WantReshareBundle | WantReshareRecovery | WantNonces


@dataclass(slots=True)
class OldState:
    """What this node has as a member of the old committee."""

    me: Party
    rows: bytearray = field(repr=False)
    """Share || nonce of each key, empty if this node lacks the batch."""
    mask_x: bytearray = field(repr=False)
    seed: bytearray = field(repr=False)
    dealing: Dealing | None = field(default=None, repr=False)
    deal: ReshareDeal | None = None
    """Own RDEAL as stored; without `dealing` if its secrets could not be derived again."""
    tested: ReshareTest | None = None
    """The answer to the one challenge."""
    barred: bool = False
    """The chain has a deal of ours that this disk does not know."""
    bundle_sent: bool = False

    @property
    def can_deal(self) -> bool:
        return bool(self.rows) and bool(self.mask_x)


@dataclass(slots=True)
class NewState:
    """What this node has as a member of the new committee."""

    me: Party
    ek: bytearray = field(repr=False)
    """Own encryption secret, empty if this node announced none or erased it."""
    plains: dict[Party, bytes] = field(default_factory=dict, repr=False)
    """Dealer -> own shares of its sharing, tested."""
    bad_shares: set[Party] = field(default_factory=set)
    """Dealers convicted by what they signed themselves."""
    recovered: dict[Party, dict[Party, bytes | None]] = field(default_factory=dict, repr=False)
    """Convicted dealer -> receiver -> its plaintext, None where that one is bad too."""
    nonces: bytearray = field(default_factory=bytearray, repr=False)
    """Checked against N; zeros where none came yet or there is none."""
    bad_nonces: set[Peer] = field(default_factory=set)
    """Members whose answer did not give N."""
    total: tuple[bytes, bytes] | None = None
    """(seed of the challenge, M)."""
    result: bytes | None = field(default=None, repr=False)
    """The KEPT record."""
    ready: bytes = b""
    """What READY carries, from the result's making on."""
    complaints: dict[Party, ReshareComplain] = field(default_factory=dict)


@dataclass(slots=True)
class State:
    """One node's state in one resharing."""

    params: ReshareParams
    keys: PublicKeys
    old: OldState | None
    new: NewState | None
    timing: Timing
    fetcher: Fetcher[Peer, Want]
    submissions: Submissions
    upgraded: set[int]
    """Positions of keys that have no nonce any more."""
    picture: Picture | None = None
    bundles: dict[Party, ReshareBundle] = field(default_factory=dict, repr=False)
    """Fit the chain's R_j, or own."""
    late: bool = False
    """This life met the resharing after its deal phase, so nothing is in flight to us."""
    gamma_at: int | None = None
    """Height of the first view that showed the challenge."""
    done: bool = False
    ended_at: int | None = None
    """Height at which the reason for erasing was first seen."""
    erased: set[Shelf] = field(default_factory=set)
    early: dict[Party, tuple[Sender, ReshareBundle]] = field(default_factory=dict, repr=False)
    served: set[tuple[Sender, ReshareMessage]] = field(default_factory=set)
    strikes: dict[Sender, int] = field(default_factory=dict)
    timers: set[str] = field(default_factory=set)
    proofs: dict[Party, tuple[ReshareDeal, str | None]] = field(default_factory=dict)

    def load(self, durable: Mapping[str, bytes]) -> None:
        """Take up what an earlier life stored; it was judged before. Raises ValueError for a record that is broken."""
        for dealer in self.params.dealers:
            if payload := durable.get(records.bundle_name(dealer)):
                self.bundles[dealer] = records.load_bundle(self.params, dealer, payload)
        if self.old is not None:
            self._load_old(self.old, durable)
        if self.new is not None:
            self.new.ready = durable.get(records.READY, b"")
            if self.new.ready or not self.new.ek:  # else a crash came between the two: they are made again
                self.new.result = durable.get(records.SHARES)

    def _load_old(self, old: OldState, durable: Mapping[str, bytes]) -> None:
        if payload := durable.get(records.TEST):
            old.tested = records.load_test(self.params, payload)
        if payload := durable.get(records.DEAL):
            seed, old.deal = records.load_deal(payload)
            old.seed[:] = seed
            if old.can_deal and (old.tested is None or old.me not in self.bundles):
                dealing = self.derive(old)
                if dealing.deal != old.deal:
                    raise ValueError("the stored deal can not be made again from its seed and these shares")
                old.dealing = dealing

    def derive(self, old: OldState) -> Dealing:
        """Own deal from seed and shares. Raises ValueError for shares that are none."""
        shares = deal.shares_of(bytes(old.rows))
        return deal.make_dealing(self.params, old.me, bytes(old.seed), shares, bytes(old.mask_x))

    def old_places(self) -> list[Peer]:
        """The other old members, each node starting elsewhere so that load spreads."""
        me, n = self.old.me if self.old else 0, self.params.old.n
        start = self.new.me if self.new else me
        places = [(start - 1 + step) % n + 1 for step in range(n)]
        return [Peer(True, j) for j in places if j != me]

    def new_places(self) -> list[Peer]:
        """The other new members, each node starting after itself."""
        me, n = self.new.me if self.new else 0, self.params.new.n
        places = [(me - 1 + step) % n + 1 for step in range(1, n + 1)]
        return [Peer(False, m) for m in places if m != me]

    def send(self, peer: Peer, message: ReshareMessage) -> ReshareEffect:
        return SendOld(peer.index, message) if peer.is_old else SendNew(peer.index, message)

    def was_asked(self, sender: Sender, want: Want) -> bool:
        return any(self.fetcher.was_asked(place, want) for place in sender.places)

    def deal_of(self, picture: Picture, dealer: Party) -> ReshareDeal | None:
        """The dealer's RDEAL if it is good in itself."""
        good = {j: dealt for j, dealt in picture.deals.items() if self._proof_is_good(j, dealt)}
        # Only deals with a good proof count as first owner: a copier can not make one, so it displaces nobody.
        if dealer not in good or dealer in copied_keys(good, picture.deal_heights):
            return None
        return good[dealer]

    def _proof_is_good(self, dealer: Party, dealt: ReshareDeal) -> bool:
        if self.proofs.get(dealer, (None,))[0] != dealt:
            self.proofs[dealer] = (dealt, check.refuse_deal(self.params, dealer, dealt))
        return self.proofs[dealer][1] is None

    def total_of(self, new: NewState, picture: Picture) -> bytes | None:
        """M under this challenge, computed once; None before there is a challenge."""
        if not picture.gamma_seed:
            return None
        if new.total is None or new.total[0] != picture.gamma_seed:
            total = sums.key_total(self.params, self.keys, picture.gamma_seed)
            if total is None:
                return None
            new.total = (picture.gamma_seed, total)
        return new.total[1]

    def lacking_nonces(self, new: NewState) -> list[int]:
        """Positions whose nonce is still to come."""
        absent = sums.absent(bytes(new.nonces)) if new.nonces else range(self.params.count)
        return [at for at in absent if at not in self.upgraded]

    def submit(self, picture: Picture, message: ReshareChainMessage) -> list[ReshareEffect]:
        """Submit, unless it waits for the chain to show it."""
        return [Submit(message)] if self.submissions.is_due(message, picture.height) else []

    def set_timer(self, name: str, delay_ms: int) -> list[ReshareEffect]:
        """Set a timer unless it runs."""
        if name in self.timers:
            return []
        self.timers.add(name)
        return [SetTimer(name, delay_ms)]

    def blame_dealer(self, dealer: Party, reason: str) -> list[ReshareEffect]:
        """Who passes on what a dealer spoilt is at no fault."""
        return [Blame(dealer, f"old member: {reason}")]

    def blame_sender(self, sender: Sender, reason: str) -> list[ReshareEffect]:
        """A strike: after a few its bulk messages are dropped unread."""
        self.strikes[sender] = self.strikes.get(sender, 0) + 1
        if sender.new is not None:
            return [Blame(sender.new, f"new member: {reason}")]
        return [Blame(sender.old or 0, f"old member: {reason}")]

    def erase(self, *shelves: Shelf) -> list[ReshareEffect]:
        """Forget and shred, each shelf once."""
        fresh = [shelf for shelf in shelves if shelf not in self.erased]
        for shelf in fresh:
            self.erased.add(shelf)
            self._forget(shelf)
        return [Erase(shelf) for shelf in fresh]

    def _forget(self, shelf: Shelf) -> None:
        match shelf:
            case Shelf.BRIEF:
                if self.old is not None:
                    wipe(self.old.seed)
                    wipe(self.old.mask_x)
                    self.old.dealing = None
                if self.new is not None:
                    self.new.plains.clear()
                    self.new.recovered.clear()
            case Shelf.RETAINED:
                if self.old is not None:
                    wipe(self.old.rows)
                if self.new is not None:
                    wipe(self.new.ek)
                    wipe(self.new.nonces)
                self.bundles.clear()
                self.early.clear()
            case Shelf.KEPT:
                if self.new is not None:
                    self.new.result = None

    def has_ended(self, picture: Picture) -> bool:
        """Erasing can not be taken back, so its reason must stand in a block whose successor is there."""
        if self.ended_at is None:
            self.ended_at = picture.height
        return picture.height > self.ended_at

    def settle(self, outcome: Outcome) -> list[ReshareEffect]:
        """Done, once."""
        if self.done:
            return []
        self.done = True
        return [Done(outcome)]

    @property
    def has_result(self) -> bool:
        """Whether own new shares are computed, or were and are burnt."""
        return Shelf.KEPT in self.erased or (self.new is not None and self.new.result is not None)


def wipe(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))
    secret.clear()
