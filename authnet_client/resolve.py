"""Look-up: ask all nodes, believe what k of them say alike and what adds up."""

from __future__ import annotations

import time
from collections import defaultdict
from urllib.parse import quote, urlencode

import anyio
import msgspec

from authnet_client.committee import ServingCommittee
from authnet_client.link import Answer, Link
from authnet_client.outcomes import Reports, Resolution
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import add
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import CASE_RULES, account_id, canonical_id


class ResolveAnswer(msgspec.Struct, frozen=True):
    """/v1/resolve of a node."""

    account_id: str
    key_index: int
    Y: str
    N: str
    final_pub: str
    address: str
    is_new: bool
    height: int
    node_index: int


Claim = tuple[str, int, str, str]


class Look:
    """One look-up: pure bookkeeping over the answers as they come."""

    def __init__(self, committee: ServingCommittee, verifier: str, verifier_id: str) -> None:
        self._committee, self._verifier, self._id = committee, verifier, verifier_id
        self._started = time.perf_counter()
        self._accounts = {
            account_id(committee.network_id, verifier, canonical_id(rule, verifier_id)).hex() for rule in CASE_RULES
        }
        self._votes: dict[Claim, dict[int, ResolveAnswer]] = defaultdict(dict)
        self.reports = Reports(committee.members)
        self._ms = 0.0

    def add(self, answer: Answer[ResolveAnswer]) -> None:
        """Count one node's answer."""
        if answer.value is None:
            self.reports.failed(answer.index, answer.error or AuthnetError(Code.INTERNAL), answer.ms)
            return
        self.reports.ok(answer.index, answer.ms)
        wrong = self._wrong(answer.index, answer.value)
        if wrong:
            self.reports.bad(answer.index, wrong)
            return
        value = answer.value
        self._votes[value.account_id, value.key_index, value.Y, value.N][answer.index] = value
        if not self._ms and self._winner() is not None:
            self._ms = (time.perf_counter() - self._started) * 1000

    def _wrong(self, index: int, value: ResolveAnswer) -> str:
        """Why an answer can not be true whatever the chain says; empty when it can."""
        if value.node_index != index:
            return f"answers as node {value.node_index}"
        if value.account_id not in self._accounts:
            return "answers for another account"
        try:
            final = add(bytes.fromhex(value.Y), bytes.fromhex(value.N))
        except ValueError:
            return "Y or N is no point of the curve"
        if final is None or final.hex() != value.final_pub or eip55_address(final) != value.address:
            return "its address is not the one of Y + N"
        return ""

    def _winner(self) -> Claim | None:
        # Two claims can not both have k of n votes: k > n / 2.
        return next((c for c, votes in self._votes.items() if len(votes) >= self._committee.k), None)

    @property
    def is_decided(self) -> bool:
        return self._winner() is not None

    def result(self) -> Resolution:
        """Raises the error that says best why there is no answer."""
        claim = self._winner()
        if claim is None:
            if len(self._votes) > 1:
                text = "the nodes give different keys for this account"
                raise AuthnetError(Code.NODES_DISAGREE, text, nodes=self._by_claim())
            raise self.reports.failure("a look-up", self._committee.k)
        votes = self._votes[claim]
        for other, voters in self._votes.items():
            for index in voters if other != claim else ():
                self.reports.bad(index, "gives another key than k other nodes")
        first = next(iter(votes.values()))
        return Resolution(
            verifier=self._verifier,
            id=self._id,
            account_id=first.account_id,
            key_index=first.key_index,
            Y=first.Y,
            N=first.N,
            final_pub=first.final_pub,
            address=first.address,
            is_new=2 * sum(v.is_new for v in votes.values()) > len(votes),
            height=max(v.height for v in votes.values()),
            agreed=tuple(sorted(votes)),
            disagreed=self.reports.bad_nodes(),
            ms=round(self._ms, 1),
            nodes=self.reports.all(),
        )

    def _by_claim(self) -> list[dict[str, object]]:
        return [
            {"index": index, "code": Code.NODES_DISAGREE.value, "message": f"key {claim[1]}"}
            for claim, votes in self._votes.items()
            for index in sorted(votes)
        ]


async def resolve(
    link: Link,
    committee: ServingCommittee,
    verifier: str,
    verifier_id: str,
    *,
    assign: bool = True,
    patience_s: float = 0.0,
) -> Resolution:
    """The account's address. Waits for k equal answers, then at most `patience_s` more for the others."""
    look = Look(committee, verifier, verifier_id)
    path = f"/v1/resolve/{quote(verifier, safe='')}/{quote(verifier_id, safe='')}"
    path += "" if assign else f"?{urlencode({'assign': 0})}"

    def url(index: int) -> str:
        return f"{committee.members[index].endpoint}{path}"

    answers = link.ask(committee.members, lambda i: link.get(url(i), ResolveAnswer))
    async for answer in answers:
        look.add(answer)
        if look.is_decided:
            break
    if patience_s:
        with anyio.move_on_after(patience_s):
            async for answer in answers:
                look.add(answer)
    return look.result()
