"""k-1 lying nodes in the client's eyes: the right address or a coded refusal, never a wrong address; liars are named.

Real node_api servers over scripted chains and keepers; before k-1 of them stands a front that lies. At 5 and 9 the
honest are k and decide; at 6 they are k-1 too, so nobody is believed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from authnet_client import Client, Network
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from tests.component.api import lying_front as lies
from tests.component.api.lying_front import Asked, Lie, LyingFront, lying_fronts
from tests.component.api.scripted import ScriptedNet, scripted_network
from tests.component.api.scripted_chain import VERIFIER

pytestmark = pytest.mark.anyio
USER = "bob@x.y"
PATIENCE_S = 30
"""For slow machines: a call ends as soon as all nodes have answered."""
WIDE = "rate_per_s = 100000\nburst = 100000"
COULD_NOT_TELL = {Code.NODES_DISAGREE, Code.TOO_FEW_NODES}


@pytest.fixture(scope="module", params=[5, 6, 9])
async def running(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedNet]:
    async with scripted_network(request.param, WIDE) as network:
        yield network


@pytest.fixture
def net(running: ScriptedNet) -> ScriptedNet:
    running.forget()
    return running


class Court:
    """A client that talks to k-1 nodes through fronts, and what is true."""

    def __init__(self, net: ScriptedNet, client: Client, fronts: dict[int, LyingFront]) -> None:
        self.net, self.client, self.fronts = net, client, fronts

    @property
    def k(self) -> int:
        return self.net.chain.committee.k

    @property
    def liars(self) -> tuple[int, ...]:
        return tuple(sorted(self.fronts))

    @property
    def honest_decide(self) -> bool:
        return self.net.chain.committee.n - len(self.fronts) >= self.k

    def tell(self, lie: Lie) -> None:
        for front in self.fronts.values():
            front.lie = lie

    @property
    def lied(self) -> bool:
        return all(front.lied for front in self.fronts.values())

    async def address(self) -> str:
        """The true one, asked for before anybody lies: the account has its key at all nodes from then on."""
        return (await self.client.resolve(VERIFIER, USER, patience_s=PATIENCE_S)).address

    async def log_in(self, rounds: int = 1) -> Any:
        source = self.client.dev_tokens(VERIFIER, USER)
        return await self.client.login(VERIFIER, USER, source, rounds=rounds, patience_s=PATIENCE_S)


@contextmanager
def court_of(net: ScriptedNet, client: Client, committee: Any, count: int) -> Iterator[Court]:
    """The first `count` nodes answer through fronts."""
    with lying_fronts({j: net.endpoints[j] for j in range(1, count + 1)}) as fronts:
        moved = {
            j: msgspec.structs.replace(member, endpoint=fronts[j].url if j in fronts else member.endpoint)
            for j, member in committee.members.items()
        }
        client._committee = replace(committee, members=moved)
        yield Court(net, client, fronts)


@pytest.fixture
async def court(net: ScriptedNet) -> AsyncIterator[Court]:
    async with Client(net.network, timeout_s=60) as client:
        with court_of(net, client, await client.committee(), net.chain.committee.k - 1) as made:
            yield made


async def refused(call: Any) -> AuthnetError:
    with pytest.raises(AuthnetError) as caught:
        await call
    return caught.value


ABOUT_ADDRESSES = [lies.other_y, lies.other_n, lies.thiefs_address, lies.another_node, lies.garbage, lies.absent]


@pytest.mark.parametrize("lie", ABOUT_ADDRESSES)
async def test_no_lie_of_k_minus_one_nodes_changes_an_address(court: Court, lie: Lie) -> None:
    address = await court.address()
    court.tell(lie)
    if court.honest_decide:
        found = await court.client.resolve(VERIFIER, USER, patience_s=PATIENCE_S)
        assert found.address == address
        assert set(found.agreed).isdisjoint(court.liars)
        codes = {node.index: node.code for node in found.nodes if not node.ok}
        expected = "ACCOUNT_NOT_FOUND" if lie is lies.absent else "BAD_NODE_ANSWER"
        assert codes == dict.fromkeys(court.liars, expected), "the liars are named, and nobody else"
    else:
        refusal = await refused(court.client.resolve(VERIFIER, USER, patience_s=PATIENCE_S))
        assert refusal.code in COULD_NOT_TELL
        assert {node["index"] for node in refusal.detail["nodes"]} >= set(court.liars)
    assert court.lied


async def test_anothers_key_in_this_accounts_name_is_not_believed(court: Court) -> None:
    address = await court.address()
    other = await court.client.resolve(VERIFIER, "mallory@x.y")

    def swapped(asked: Asked) -> tuple[int, Any]:
        if not asked.is_resolve:
            return lies.truth(asked)
        fields = {name: getattr(other, name) for name in ("key_index", "Y", "N", "final_pub", "address")}
        return asked.status, asked.answer | fields

    court.tell(swapped)
    if court.honest_decide:
        found = await court.client.resolve(VERIFIER, USER, patience_s=PATIENCE_S)
        assert found.address == address != other.address
        assert found.disagreed == court.liars
    else:
        assert (await refused(court.client.resolve(VERIFIER, USER, patience_s=PATIENCE_S))).code in COULD_NOT_TELL
    assert court.lied


async def test_an_account_that_is_there_is_not_taken_for_absent(court: Court) -> None:
    """k-1 equal refusals are no fact, at whatever size."""
    address = await court.address()
    court.tell(lies.absent)
    if court.honest_decide:
        assert (await court.client.resolve(VERIFIER, USER, assign=False)).address == address
    else:
        assert (await refused(court.client.resolve(VERIFIER, USER, assign=False))).code is Code.TOO_FEW_NODES


async def test_what_all_nodes_refuse_is_believed(court: Court) -> None:
    assert (await refused(court.client.resolve(VERIFIER, USER, assign=False))).code is Code.ACCOUNT_NOT_FOUND


IN_LOGINS = [lies.wrong_share, lies.false_key, lies.wrong_nonce, lies.share_of_nobody, lies.garbage]


@pytest.mark.parametrize("lie", IN_LOGINS)
async def test_no_lie_of_k_minus_one_nodes_makes_a_login_give_another_key(court: Court, lie: Lie) -> None:
    address = await court.address()
    court.tell(lie)
    if court.honest_decide:
        done = await court.log_in()
        assert done.address == address == eip55_address(pub(bytes.fromhex(done.private_key)))
        codes = {node.index: node.code for node in done.nodes if not node.ok}
        expected = "SHARE_MISSING" if lie is lies.share_of_nobody else "BAD_NODE_ANSWER"
        assert codes == dict.fromkeys(court.liars, expected)
    else:
        refusal = await refused(court.log_in())
        assert refusal.code in COULD_NOT_TELL
    assert court.lied


@pytest.mark.parametrize("lie", IN_LOGINS)
async def test_the_same_in_two_rounds_with_t_liars(net: ScriptedNet, lie: Lie) -> None:
    async with Client(net.network, timeout_s=60) as client:
        with court_of(net, client, await client.committee(), net.chain.committee.t) as court:
            address = await court.address()
            court.tell(lie)
            done = await court.log_in(rounds=2)
            assert done.address == address
            assert {node.index for node in done.nodes if not node.ok} == set(court.liars)
            assert court.lied


async def test_receipts_that_prove_something_else_end_in_a_refusal_that_names_the_liars(court: Court) -> None:
    await court.address()
    court.tell(lies.junk_receipt)
    refusal = await refused(court.log_in(rounds=2))
    assert refusal.code in COULD_NOT_TELL
    assert {node["index"] for node in refusal.detail["nodes"]} == set(court.liars)
    assert {node["code"] for node in refusal.detail["nodes"]} == {"BAD_NODE_ANSWER"}


async def test_a_receipt_refused_by_k_minus_one_liars_is_no_fact_about_the_token(court: Court) -> None:
    def duplicate(asked: Asked) -> tuple[int, Any]:
        if asked.method != "CommitmentRequest":
            return lies.truth(asked)
        refusal = {
            "code": -32000,
            "message": "x",
            "data": "Duplicate token found",
            "authnet": {"code": "DUPLICATE_TOKEN"},
        }
        return 200, {"jsonrpc": "2.0", "id": 1, "error": refusal}

    await court.address()
    court.tell(duplicate)
    assert (await refused(court.log_in(rounds=2))).code is Code.TOO_FEW_NODES


@pytest.mark.parametrize("change", ["endpoint", "identity", "service_key"])
async def test_liars_can_not_put_their_own_keys_or_addresses_into_the_committee(net: ScriptedNet, change: str) -> None:
    """The list of nodes itself comes from k equal answers."""

    def lie(asked: Asked) -> tuple[int, Any]:
        if not asked.path.startswith("/v1/node-details"):
            return lies.truth(asked)
        value = "http://127.0.0.1:9" if change == "endpoint" else pub(lies.FALSE_KEY).hex()
        members = [member | {change: value} for member in asked.answer["members"]]
        return asked.status, asked.answer | {"members": members}

    k = net.chain.committee.k
    true_ones = dict(net.endpoints)
    with lying_fronts({j: net.endpoints[j] for j in range(1, k)}) as fronts:
        for front in fronts.values():
            front.lie = lie
        net.endpoints.update({j: front.url for j, front in fronts.items()})
        try:
            async with Client(Network("scripted", "scripted-1", front=net.network.front, dev=True)) as client:
                if len(true_ones) - len(fronts) >= k:
                    committee = await client.committee()
                    told = {getattr(member, change) for member in committee.members.values()}
                    assert told.isdisjoint({"http://127.0.0.1:9", pub(lies.FALSE_KEY).hex()})
                else:
                    assert (await refused(client.committee())).code in COULD_NOT_TELL
        finally:
            net.endpoints.update(true_ones)


async def test_k_liars_do_change_the_address_and_nobody_says_otherwise(net: ScriptedNet) -> None:
    """The test of the test: these lies are good enough to be believed when k nodes tell them."""
    async with Client(net.network, timeout_s=60) as client:
        with court_of(net, client, await client.committee(), net.chain.committee.k) as court:
            address = await court.address()
            court.tell(lies.other_y)
            assert (await client.resolve(VERIFIER, USER)).address != address
            court.tell(lies.false_key)
            assert (await court.log_in()).address != address
            court.tell(lies.absent)
            assert (await refused(client.resolve(VERIFIER, USER))).code is Code.ACCOUNT_NOT_FOUND
