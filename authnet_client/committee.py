"""Finding the serving committee: the registry names the nodes, k of them say alike who serves now.

The registry contract is the root of trust (network.json names it); on a test network whose Ethereum node is
down, the front's list is taken instead. A list on which k nodes and the registry disagree is not used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from authnet_client.link import Link
from authnet_client.network import Network
from authnet_client.outcomes import Reports
from authnet_client.registry import NodeSet, read_node_set
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee as Sizes

MAX_NODES = 64
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
    registered, endpoints = await _candidates(link, network)
    if not 0 < len(endpoints) <= MAX_NODES:
        raise AuthnetError(Code.NETWORK_DOWN, "the registry lists no nodes yet")
    details = await _agreed_details(link, network, endpoints)
    _check_against_registry(details, registered)
    if not network.dev and not all(member.endpoint.startswith("https://") for member in details.members):
        raise AuthnetError(Code.NODES_DISAGREE, "the list names a node without https")
    members = {member.index: member for member in details.members}
    if sorted(members) != list(range(1, details.n + 1)) or details.n != len(details.members):
        raise AuthnetError(Code.NODES_DISAGREE, "the nodes' list skips or repeats an index")
    return ServingCommittee(network.network_id, details.epoch, details.k, details.t, members)


async def _candidates(link: Link, network: Network) -> tuple[NodeSet | None, dict[int, str]]:
    """The registry's list when it can be read, and endpoints to ask."""
    if network.eth_rpc and network.registry:
        try:
            listed = await read_node_set(link, network.eth_rpc, network.registry)
            if listed.nodes:
                return listed, {node.index: _with_scheme(node.endpoint, network) for node in listed.nodes}
        except AuthnetError as error:
            if not network.dev:
                raise AuthnetError(Code.NETWORK_DOWN, f"the registry can not be read: {error.message}") from None
    if not network.dev:
        raise AuthnetError(Code.NETWORK_DOWN, "the registry lists no nodes")
    url = f"{network.front.rstrip('/')}/fnd/node-details?network=authnet&verifier=&verifierId="
    nodes = (await link.get(url, FrontDetails)).nodeDetails
    pairs = zip(nodes.torusIndexes, nodes.torusNodeSSSEndpoints, strict=False)
    return None, {index: url.removesuffix("/sss/jrpc") for index, url in pairs}


async def _agreed_details(link: Link, network: Network, endpoints: dict[int, str]) -> Details:
    """The first answer that k nodes give alike."""
    need = Sizes.of(len(endpoints)).k
    reports = Reports(endpoints)
    votes: Counter[Details] = Counter()
    async for answer in link.ask(endpoints, lambda i: link.get(f"{endpoints[i]}/v1/node-details", Details)):
        if answer.value is None:
            reports.failed(answer.index, answer.error or AuthnetError(Code.INTERNAL), answer.ms)
            continue
        reports.ok(answer.index, answer.ms)
        if (answer.value.network_id, answer.value.chain_id) != (network.network_id, network.chain_id):
            reports.bad(answer.index, "belongs to another network")
            continue
        votes[answer.value] += 1
        if votes[answer.value] >= need:
            _check_sizes(answer.value, len(endpoints))
            return answer.value
    raise reports.failure("finding the committee", need)


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
    if registered.epoch != details.epoch:
        text = f"the nodes serve epoch {details.epoch}, the registry lists epoch {registered.epoch}"
        raise AuthnetError(Code.NODES_DISAGREE, text)
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
