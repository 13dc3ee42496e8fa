"""What this node holds of a session: accepted bundles, own tested shares, opened lists. Judges what comes in.

Pure. A verdict names the party at fault, if any: who sent bytes that the chain's hashes do not know is the sender's
fault, bytes that the hashes fix and that fail the test are the dealer's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from authnet_core.crypto.points import Point
from authnet_core.protocol.dkg import check, opening, records
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.messages import Bundle, Deal, Parts, PointList
from authnet_core.protocol.dkg.params import Party, SessionParams


@dataclass(frozen=True, slots=True)
class Verdict:
    """Refused for `reason`; the party at fault."""

    party: Party
    reason: str


@dataclass(slots=True)
class Holdings:
    """Grows while the session runs; `bad_shares` and `bad_lists` are dealers convicted by their own hashes.

    A bundle with a bad share for this node is kept: it is the evidence, and others may need it.
    """

    bundles: dict[Party, Bundle] = field(default_factory=dict, repr=False)
    plains: dict[Party, Plain] = field(default_factory=dict, repr=False)
    lists: dict[Party, PointList] = field(default_factory=dict, repr=False)
    points: dict[Party, list[Point | None]] = field(default_factory=dict, repr=False)
    """A_{i,b} for b < B at least, opened by the dealer or by the fallback."""
    bad_shares: set[Party] = field(default_factory=set)
    bad_lists: set[Party] = field(default_factory=set)
    parts: dict[tuple[Party, Party], Parts] = field(default_factory=dict, repr=False)
    """(dealer, holder) -> fallback list; fits the chain's hash, or own."""
    bad_parts: set[tuple[Party, Party]] = field(default_factory=set)
    recovered: dict[Party, dict[Party, Plain | None]] = field(default_factory=dict, repr=False)
    """Convicted dealer -> receiver -> its plaintext, None where that one is bad too."""

    def take_bundle(
        self, params: SessionParams, me: Party, deal: Deal, bundle: Bundle, ek_secret: bytes, sender: Party
    ) -> Verdict | None:
        """Accept a bundle for a deal that is good, or say who is at fault."""
        if reason := check.refuse_bundle(params, deal, bundle):
            return Verdict(sender, reason)
        plaintext = check.open_own(params, me, deal, bundle, ek_secret)
        self.bundles[bundle.dealer] = bundle
        if reason := check.refuse_plaintext(params, bundle.dealer, me, deal, plaintext):
            self.bad_shares.add(bundle.dealer)
            return Verdict(bundle.dealer, reason)
        self.plains[bundle.dealer] = check.split(params, plaintext)
        return None

    def take_list(self, params: SessionParams, deal: Deal, opened: PointList, sender: Party) -> Verdict | None:
        """Accept a point list of a dealer in Q, or say who is at fault."""
        if reason := opening.refuse_list(params, deal, opened):
            return Verdict(sender, reason)
        points = opening.parse_list(opened)
        if points is None:
            return Verdict(sender, "list with a point off the curve")
        if reason := opening.refuse_points(params, deal, opened, points):
            self.bad_lists.add(opened.dealer)
            return Verdict(opened.dealer, reason)
        self.lists[opened.dealer] = opened
        self.points[opened.dealer] = list(points)
        return None

    def reopen(self, params: SessionParams, me: Party, deals: Mapping[Party, Deal], ek_secret: bytes) -> list[Party]:
        """Shares again from stored bundles whose record of shares is gone or was never written; whose they are."""
        reopened = []
        for dealer, bundle in self.bundles.items():
            if dealer in self.plains or dealer in self.bad_shares or dealer not in deals:
                continue
            plaintext = check.open_own(params, me, deals[dealer], bundle, ek_secret)
            if check.refuse_plaintext(params, dealer, me, deals[dealer], plaintext):
                self.bad_shares.add(dealer)
            else:
                self.plains[dealer] = check.split(params, plaintext)
                reopened.append(dealer)
        return reopened

    def load(self, params: SessionParams, durable: Mapping[str, bytes]) -> None:
        """What an earlier life stored was judged before it was stored. Shares count only together with the bundle."""
        for dealer in params.parties:
            if payload := durable.get(records.bundle_name(dealer)):
                self.bundles[dealer] = records.load_bundle(params, dealer, payload)
                if shares := durable.get(records.share_name(dealer)):
                    self.plains[dealer] = check.split(params, shares)
            if payload := durable.get(records.list_name(dealer)):
                opened = records.load_list(params, dealer, payload)
                self.lists[dealer] = opened
                self.points[dealer] = list(opening.parse_list(opened) or [])
            for holder in params.parties:
                if payload := durable.get(records.parts_name(dealer, holder)):
                    self.parts[dealer, holder] = records.load_parts(params, dealer, holder, payload)

    def forget_shares(self) -> None:
        """Own shares of every dealer, and what others' plaintexts of convicts gave."""
        self.plains.clear()
        self.recovered.clear()
