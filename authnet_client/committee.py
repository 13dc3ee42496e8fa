"""Finding the serving committee: the registry names the nodes, k of them say alike who serves now.

The registry contract is the root of trust (network.json names it); on a test network whose Ethereum node is
down, the front's list is taken instead. A list on which k nodes and the registry disagree is not used. While one
committee hands over to the next, the registry's newest one does not serve yet: the one before it is asked too.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
import msgspec

from authnet_client.link import Answer, Link
from authnet_client.network import Network
from authnet_client.outcomes import Reports
from authnet_client.registry import NodeSet, read_epochs
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee as Sizes

MAX_NODES = 64
PATIENCE_S = 0.5
"""How long a former committee's word is waited for when its successor already says that it serves."""
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class Member(msgspec.Struct, frozen=True):
    """One node: where it answers, and the keys that its receipts and session tokens are checked with."""

    index: int
    endpoint: str
    identity: str
    service_key: str = ""


class Details(msgspec.Struct, frozen=True):
    """/v1/node-details of a node."""

    network_id: str
    chain_id: str
    epoch: int
    n: int
    k: int
    t: int
    members: tuple[Member, ...]


class TorusNodes(msgspec.Struct, frozen=True):
    torusNodeSSSEndpoints: tuple[str, ...]  # noqa: N815 (the wire's name)
    torusIndexes: tuple[int, ...]  # noqa: N815


class FrontDetails(msgspec.Struct, frozen=True):
    nodeDetails: TorusNodes  # noqa: N815


@dataclass(frozen=True, slots=True)
class ServingCommittee:
    """Who answers, by party index."""

    network_id: str
    epoch: int
    k: int
    t: int
    members: dict[int, Member]

    @property
    def n(self) -> int:
        return len(self.members)


async def discover(link: Link, network: Network) -> ServingCommittee:
    """The committee that serves now. Raises NETWORK_DOWN, TOO_FEW_NODES or NODES_DISAGREE."""
    candidates = await _candidates(link, network)
    if not candidates or not all(0 < len(c.endpoints) <= MAX_NODES for c in candidates):
        raise AuthnetError(Code.NETWORK_DOWN, "the registry lists no nodes yet")
    details, candidate = await Search(link, network, candidates).run()
    _check_against_registry(details, candidate.registered)
    if not network.dev and not all(member.endpoint.startswith("https://") for member in details.members):
        raise AuthnetError(Code.NODES_DISAGREE, "the list names a node without https")
    members = {member.index: member for member in details.members}
    if sorted(members) != list(range(1, details.n + 1)) or details.n != len(details.members):
        raise AuthnetError(Code.NODES_DISAGREE, "the nodes' list skips or repeats an index")
    return ServingCommittee(network.network_id, details.epoch, details.k, details.t, members)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A committee that may serve: its endpoints by party index, and the registry's record if it could be read."""

    endpoints: dict[int, str]
    registered: NodeSet | None = None

    @property
    def need(self) -> int:
        """k: so many of its members are believed about themselves."""
        return Sizes.of(len(self.endpoints)).k

    def is_meant(self, details: Details) -> bool:
        return self.registered is None or self.registered.epoch == details.epoch


async def _candidates(link: Link, network: Network) -> list[Candidate]:
    """The registry's newest committees, newest first, when it can be read; else, on a test network, the front's."""
    if network.eth_rpc and network.registry:
        try:
            listed = [each for each in await read_epochs(link, network.eth_rpc, network.registry) if each.nodes]
            if listed:
                return [
                    Candidate({node.index: _with_scheme(node.endpoint, network) for node in each.nodes}, each)
                    for each in listed
                ]
        except AuthnetError as error:
            if not network.dev:
                raise AuthnetError(Code.NETWORK_DOWN, f"the registry can not be read: {error.message}") from None
    if not network.dev:
        raise AuthnetError(Code.NETWORK_DOWN, "the registry lists no nodes")
    url = f"{network.front.rstrip('/')}/fnd/node-details?network=authnet&verifier=&verifierId="
    nodes = (await link.get(url, FrontDetails)).nodeDetails
    pairs = zip(nodes.torusIndexes, nodes.torusNodeSSSEndpoints, strict=False)
    return [Candidate({index: url.removesuffix("/sss/jrpc") for index, url in pairs})]


class Search:
    """Asks all members of all candidates who serves; believes the oldest committee that says so of itself.

    During a hand-over the registry's newest committee does not serve yet. Its owner alone chose it, so its word does
    not count against that of the one before it; after the switch that one says itself that it has left. When the
    former nodes are gone, the newest is believed after a moment.
    """

    def __init__(self, link: Link, network: Network, candidates: list[Candidate]) -> None:
        self._link, self._network, self._candidates = link, network, candidates
        places = dict.fromkeys(url for each in candidates for url in each.endpoints.values())
        self._urls = dict(enumerate(places, start=1))
        self._reports = Reports(self._urls)
        self._said: dict[str, Details | None] = {}

    async def run(self) -> tuple[Details, Candidate]:
        """Raises TOO_FEW_NODES, NODES_DISAGREE or NETWORK_DOWN."""
        answers = self._link.ask(self._urls, lambda i: self._link.get(f"{self._urls[i]}/v1/node-details", Details))
        found: tuple[Details, Candidate] | None = None
        with anyio.CancelScope() as patience:
            async for answer in answers:
                self._take(answer)
                found = self._believed()
                if found is not None and self._is_settled(found[1]):
                    break
                if found is not None and patience.deadline == math.inf:
                    patience.deadline = anyio.current_time() + PATIENCE_S
        if found is None:
            need = min(candidate.need for candidate in self._candidates)
            self._name_strangers()
            raise self._reports.failure("finding the committee", need)
        _check_sizes(found[0], len(found[1].endpoints))
        return found

    def _take(self, answer: Answer[Details]) -> None:
        url, value = self._urls[answer.index], answer.value
        self._said[url] = None
        if value is None:
            self._reports.failed(answer.index, answer.error or AuthnetError(Code.INTERNAL), answer.ms)
            return
        self._reports.ok(answer.index, answer.ms)
        if (value.network_id, value.chain_id) != (self._network.network_id, self._network.chain_id):
            self._reports.bad(answer.index, "belongs to another network")
            return
        self._said[url] = value

    def _name_strangers(self) -> None:
        """Nodes that say an epoch serves in which the registry does not list them."""
        for index, url in self._urls.items():
            details = self._said.get(url)
            own = [each for each in self._candidates if url in each.endpoints.values()]
            if details is not None and not any(candidate.is_meant(details) for candidate in own):
                self._reports.bad(index, f"says that epoch {details.epoch} serves; the registry has it in another")

    def _believed(self) -> tuple[Details, Candidate] | None:
        """The oldest candidate of whose members k say alike that it serves."""
        for candidate in reversed(self._candidates):
            votes = Counter(
                details
                for url in candidate.endpoints.values()
                if (details := self._said.get(url)) is not None and candidate.is_meant(details)
            )
            details, count = votes.most_common(1)[0] if votes else (None, 0)
            if details is not None and count >= candidate.need:
                return details, candidate
        return None

    def _is_settled(self, chosen: Candidate) -> bool:
        """Whether no older committee can still say that it serves."""
        older = self._candidates[self._candidates.index(chosen) + 1 :]
        return all(self._may_say(candidate) < candidate.need for candidate in older)

    def _may_say(self, candidate: Candidate) -> int:
        """How many of its members say that it serves, or have not said anything yet."""
        said = [self._said.get(url, candidate) for url in candidate.endpoints.values()]
        return sum(isinstance(each, Candidate) or (each is not None and candidate.is_meant(each)) for each in said)


def _check_sizes(details: Details, n: int) -> None:
    if details.epoch < 1:
        raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
    sizes = Sizes.of(n)
    if (details.n, details.k, details.t) != (n, sizes.k, sizes.t):
        raise AuthnetError(Code.NODES_DISAGREE, "the nodes' list has another size than the registry's")


def _check_against_registry(details: Details, registered: NodeSet | None) -> None:
    """Endpoints and identity keys must be the registry's, else the nodes could hand over to anybody."""
    if registered is None:
        return
    listed = {node.index: (_without_scheme(node.endpoint), node.identity) for node in registered.nodes}
    for member in details.members:
        if listed.get(member.index) != (_without_scheme(member.endpoint), member.identity):
            text = f"node {member.index} is not the one that the registry lists"
            raise AuthnetError(Code.NODES_DISAGREE, text)


def _without_scheme(endpoint: str) -> str:
    """The registry lists host, port and path: old clients put https in front of it."""
    return endpoint.split("://", 1)[-1].rstrip("/")


def _with_scheme(endpoint: str, network: Network) -> str:
    host = urlsplit(f"//{_without_scheme(endpoint)}").hostname or ""
    scheme = "http" if network.dev and host in _LOOPBACK else "https"
    return f"{scheme}://{_without_scheme(endpoint)}"
