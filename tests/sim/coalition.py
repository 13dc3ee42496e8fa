"""Everything that some nodes know together about one session, and what can be computed from it.

The table holds all a coalition ever stored, received or could have fetched, and the chain's record. From it: every
ciphertext that any known secret opens; every key that any interpolation of known shares gives; and, since all that is
known about an honest dealer's polynomials is linear (shares, u_i, answers of the fallback), by linear algebra mod q
whether a key, or any combination of keys, is determined at all. The last is no search: it misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING

from authnet_core.crypto.scalars import row
from authnet_core.crypto.secp256k1 import Q, mul_secret, pub, scalar_bytes
from authnet_core.crypto.shamir import interpolate_at_zero
from authnet_core.protocol.dkg import check, complaint, fallback, records
from authnet_core.protocol.dkg.check import Plain
from authnet_core.protocol.dkg.deal import derive_sharing, gamma_weights
from authnet_core.protocol.dkg.extract import outputs
from authnet_core.protocol.dkg.messages import Bundle, Complain, Deal, Message, Recovery
from authnet_core.protocol.dkg.params import Party, SessionParams, alpha
from authnet_core.protocol.dkg.picture import Picture, read_view

if TYPE_CHECKING:
    from tests.sim.world import World

Vector = list[int]


class Span:
    """Linear functionals mod q that are known; grows by elimination."""

    def __init__(self) -> None:
        self._pivots: dict[int, Vector] = {}

    def reduced(self, vector: Vector) -> Vector:
        """What of `vector` is not known."""
        rest = [value % Q for value in vector]
        for at, known in sorted(self._pivots.items()):
            if rest[at]:
                factor = rest[at]
                rest = [(mine - factor * theirs) % Q for mine, theirs in zip(rest, known, strict=True)]
        return rest

    def add(self, vector: Vector) -> bool:
        """Whether it was news."""
        rest = self.reduced(vector)
        at = next((at for at, value in enumerate(rest) if value), None)
        if at is None:
            return False
        inverse = pow(rest[at], -1, Q)
        self._pivots[at] = [value * inverse % Q for value in rest]
        return True


@dataclass
class Table:
    """What lies on the table of a coalition after a session."""

    params: SessionParams
    picture: Picture
    members: frozenset[Party]
    ek_secrets: dict[Party, bytes] = field(repr=False)
    disks: dict[Party, Mapping[str, bytes]] = field(repr=False)
    """All that each member ever stored, under the machine's record names."""
    bundles: list[Bundle] = field(repr=False)
    """Of all dealers: a member is sent them and may fetch them."""
    shared: list[tuple[Party, Party, bytes]] = field(default_factory=list, repr=False)
    """(dealer, receiver, D) out of complaints on chain and recoveries sent to a member."""
    plains: dict[tuple[Party, Party], Plain] = field(default_factory=dict, repr=False)
    """(dealer, receiver) -> what could be opened. Filled by `open_all`."""

    def open_all(self) -> Table:
        """Try every secret at hand on every ciphertext it could fit, and read the disks."""
        for dealer, receiver, secret in self._guesses():
            self._try(dealer, receiver, secret)
        for member, disk in self.disks.items():
            for dealer in self.picture.deals:
                stored = disk.get(records.share_name(dealer))
                if stored is not None:
                    self.plains.setdefault((dealer, member), check.split(self.params, stored))
        return self

    def _guesses(self) -> Iterator[tuple[Party, Party, bytes]]:
        everybody = [j for j in self.params.parties if self.params.eks[j - 1]]
        made: list[tuple[Party, Party, bytes]] = list(self.shared)
        for j, ek in self.ek_secrets.items():
            made += [(i, j, mul_secret(ek, deal.e)) for i, deal in self.picture.deals.items()]
        for i, disk in self.disks.items():
            if records.DEAL in disk and i in self.picture.deals:
                e = derive_sharing(self.params, i, disk[records.DEAL][:32]).e_secret
                made += [(i, j, mul_secret(e, self.params.eks[j - 1])) for j in everybody]
        for dealer, receiver, secret in made:
            # A D is made for one pair; that it opens no other pair's bytes is tried, not assumed.
            yield from ((dealer, j, secret) for j in everybody)
            yield from ((i, receiver, secret) for i in self.picture.deals if i != dealer)

    def _try(self, dealer: Party, receiver: Party, secret: bytes) -> None:
        deal, bundle = self.picture.deals[dealer], self._fitting.get(dealer)
        if (dealer, receiver) in self.plains or bundle is None:
            return
        plaintext = complaint.open_with(self.params, dealer, receiver, deal.e, secret, bundle.ciphertexts[receiver - 1])
        if not check.refuse_plaintext(self.params, dealer, receiver, deal, plaintext):
            self.plains[dealer, receiver] = check.split(self.params, plaintext)

    @cached_property
    def _fitting(self) -> dict[Party, Bundle]:
        """Per dealer the bytes that its R_i fixes."""
        deals = self.picture.deals
        known = (bundle for bundle in self.bundles if bundle.dealer in deals)
        return {b.dealer: b for b in known if not check.refuse_bundle(self.params, deals[b.dealer], b)}

    def receivers_opened(self, dealer: Party) -> set[Party]:
        """Whose shares of this dealer are on the table."""
        return {j for i, j in self.plains if i == dealer}

    # -- keys by search

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """(position, l, b) of every key of the session."""
        for output in range(outputs(self.params, self.picture.q)):
            for b in range(self.params.rows):
                yield output * self.params.rows + b, output, b

    def opened_keys(self, points: Mapping[int, bytes]) -> dict[int, int]:
        """position -> private key, of the keys that any candidate opens. `points`: position -> Y."""
        found = {}
        for position, output, b in self.positions():
            for secret in self._candidates(position, output, b):
                if secret and pub(scalar_bytes(secret)) == points[position]:
                    found[position] = secret
        return found

    def _candidates(self, position: int, output: int, b: int) -> set[int]:
        own = {
            j: int.from_bytes(records.share_at(disk[records.SHARES], position).share, "big")
            for j, disk in self.disks.items()
            if records.SHARES in disk
        }
        tried = {interpolate_at_zero({j: own[j] for j in some}) for some in _subsets(own)}
        for number in (b, self.params.rows, self.params.rows + 1):
            rows = {i: self._row_at_zero(i, number) for i in self.picture.q}
            if all(value is not None for value in rows.values()):
                tried.add(sum(alpha(i) ** output * (value or 0) for i, value in rows.items()) % Q)
        answers = {i: int.from_bytes(self.picture.deals[i].u[0], "big") for i in self.picture.q}
        tried.add(sum(alpha(i) ** output * value for i, value in answers.items()) % Q)
        return tried

    def _row_at_zero(self, dealer: Party, number: int) -> int | None:
        known = {j: row(self.plains[dealer, j].shares, number) for j in self.receivers_opened(dealer)}
        return interpolate_at_zero(known) if known else None

    # -- keys by algebra

    def determined(self) -> tuple[list[int], int]:
        """(positions of keys that follow from what is known, how many further combinations of keys do)."""
        honest = [i for i in self.picture.q if i not in self.members]
        spans = {i: self._known_of(i) for i in honest}
        unknown = {p: self._unknown_part(honest, spans, output, b) for p, output, b in self.positions()}
        alone = [position for position, vector in unknown.items() if not any(vector)]
        together = Span()
        dependent = sum(not together.add(vector) for vector in unknown.values())
        return alone, dependent - len(alone)

    def _unknown_part(self, honest: Iterable[Party], spans: Mapping[Party, Span], output: int, b: int) -> Vector:
        """The key as a functional of the honest dealers' coefficients, less what is known of each."""
        parts: Vector = []
        for i in honest:
            weight = alpha(i) ** output
            parts += spans[i].reduced(self._functional({b: weight}, [1] + [0] * (self.params.committee.k - 1)))
        return parts

    def _known_of(self, dealer: Party) -> Span:
        """All linear facts about a dealer's coefficients: shares on the table, u_i, answers of the fallback."""
        params, span = self.params, Span()
        k = params.committee.k
        for j in self.receivers_opened(dealer):
            for number in range(params.all_rows):
                span.add(self._functional({number: 1}, _powers(j, k)))
        deal: Deal = self.picture.deals[dealer]
        test = dict(enumerate(_numbers(gamma_weights(params, dealer, deal.root))))
        for r in range(k):
            span.add(self._functional(test | {params.rows + 1: 1}, [int(at == r) for at in range(k)]))
        shown = self.picture.fallbacks.get(dealer)
        if shown is not None and shown.seed:
            asked = dict(enumerate(_numbers(fallback.weights(params, shown.seed)))) | {params.rows: 1}
            for j in shown.scalars:
                span.add(self._functional(asked, _powers(j, k)))
        return span

    def _functional(self, rows: Mapping[int, int], powers: Vector) -> Vector:
        """sum_b weight_b * f_b, evaluated by `powers`, over the coefficients of all rows."""
        zero = [0] * len(powers)
        blocks = ([weight * p % Q for p in powers] if (weight := rows.get(b)) else zero for b in range(self._all))
        return [value for block in blocks for value in block]

    @property
    def _all(self) -> int:
        return self.params.all_rows


def table_of(world: World, members: Iterable[Party]) -> Table:
    """The table of these parties after a simulated session."""
    chosen = frozenset(members)
    sent = [(each.sender, each.to, each.message) for each in world.wire]
    complaints = [(who, said) for _, who, said in world.submitted if isinstance(said, Complain)]
    complaints += [(who, said) for (_, who), said in world.chain.evidence.items()]
    openings = [(said.dealer, who, said.shared) for who, said in complaints]
    openings += [(m.dealer, sender, m.shared) for sender, to, m in sent if isinstance(m, Recovery) and to in chosen]
    return Table(
        params=world.params,
        picture=read_view(world.params, world.chain.view()),
        members=chosen,
        ek_secrets={j: world.nodes[j].secret for j in chosen if world.params.eks[j - 1]},
        disks={j: dict(world.nodes[j].written) for j in chosen},
        bundles=_distinct(message for _, _, message in sent),
        shared=openings,
    )


def _distinct(bundles: Iterable[Message]) -> list[Bundle]:
    return list(dict.fromkeys(bundle for bundle in bundles if isinstance(bundle, Bundle)))


def _subsets(own: Mapping[Party, int]) -> Iterator[tuple[Party, ...]]:
    for size in range(1, len(own) + 1):
        yield from combinations(sorted(own), size)


def _powers(at: int, k: int) -> Vector:
    return [pow(at, r, Q) for r in range(k)]


def _numbers(weights: bytes) -> Vector:
    return [int.from_bytes(weights[at : at + 16], "big") for at in range(0, len(weights), 16)]
