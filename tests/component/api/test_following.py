"""The SDK across a switch: whom it finds while one committee hands over, and how a login that was begun before ends."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import httpx
import pytest

from authnet_client import Client, Network
from authnet_client.registry import decode_epoch
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from tests.component.api.scripted import ScriptedNet, scripted_network, until
from tests.component.api.scripted_chain import VERIFIER
from tests.component.api.scripted_registry import abi_epoch, abi_node_set, get_epoch

pytestmark = pytest.mark.anyio
USER = "bob@x.y"
NOBODY = [f"127.0.0.1:{port}" for port in range(1, 6)]
STRANGERS = [pub(31337 + i) for i in range(5)]


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[ScriptedNet]:
    async with scripted_network(5, "rate_per_s = 100000\nburst = 100000") as network:
        yield network


@pytest.fixture
async def net(running: ScriptedNet) -> ScriptedNet:
    running.forget()
    await switch(running, 1)
    return running


async def switch(net: ScriptedNet, epoch: int) -> None:
    """The chain's committee is `epoch`, and every node's door says so."""
    net.chain.epoch = epoch
    await net.chain.block(events=[{"type": "epoch_phase", "attributes": {}}])
    async with httpx.AsyncClient(trust_env=False) as http:
        for endpoint in net.endpoints.values():

            async def says_so(url: str = f"{endpoint}/v1/node-details") -> bool:
                return bool((await http.get(url)).json()["epoch"] == epoch)

            await until(says_so)


def rooted(net: ScriptedNet) -> Network:
    front = net.network.front
    return Network("scripted", "scripted-1", front=front, eth_rpc=f"{front}/eth", registry="0x00", dev=True)


def own(net: ScriptedNet) -> tuple[list[str], list[bytes]]:
    return list(net.endpoints.values()), [pub(keeper.identity) for keeper in net.keepers.values()]


def hosts(urls: list[str]) -> list[str]:
    return [url.removeprefix("http://") for url in urls]


def list_epochs(net: ScriptedNet, first: tuple[list[str], list[bytes]], second: tuple[list[str], list[bytes]]) -> None:
    """The registry has started epoch 2 of `second` after epoch 1 of `first`."""
    net.registry = abi_node_set(2, hosts(second[0]), second[1])
    net.epochs = {get_epoch(2): abi_epoch(2, 1, *second), get_epoch(1): abi_epoch(1, 0, *first)}


def test_an_epoch_of_the_registry_is_decoded() -> None:
    raw = abi_epoch(7, 5, ["https://a.example", "https://b.example/x"], [pub(3), pub(4)])
    epoch, previous = decode_epoch(raw)
    assert (epoch.epoch, previous) == (7, 5)
    listed = [(node.index, node.endpoint, node.identity) for node in epoch.nodes]
    assert listed == [(1, "https://a.example", pub(3).hex()), (2, "https://b.example/x", pub(4).hex())]
    for size in range(0, len(raw), 32):
        with pytest.raises(ValueError):  # noqa: PT011 (each cut has its own text)
            decode_epoch(raw[:size])


async def test_while_the_next_committee_is_to_come_the_present_one_is_used(net: ScriptedNet) -> None:
    list_epochs(net, own(net), (NOBODY, STRANGERS))
    async with Client(rooted(net)) as client:
        committee = await client.committee()
        assert (committee.epoch, {i: m.endpoint for i, m in committee.members.items()}) == (1, net.endpoints)
        assert (await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))).private_key


async def test_after_the_switch_the_next_one_is_used_though_the_former_is_gone(net: ScriptedNet) -> None:
    list_epochs(net, (NOBODY, STRANGERS), own(net))
    await switch(net, 2)
    async with Client(rooted(net)) as client:
        assert (await client.committee()).epoch == 2
        assert (await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=2)).private_key


async def test_the_word_of_the_next_committee_alone_does_not_count_against_the_present_one(net: ScriptedNet) -> None:
    """The same five in both epochs: what they say is what counts, not what the owner announced."""
    list_epochs(net, own(net), own(net))
    for epoch in (1, 2):
        await switch(net, epoch)
        async with Client(rooted(net)) as client:
            assert (await client.committee()).epoch == epoch


async def test_requests_name_their_epoch(net: ScriptedNet) -> None:
    async with Client(rooted(net)) as client:
        await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=2)
    named = {params["epoch"] for keeper in net.keepers.values() for name, params in keeper.calls if name != "status"}
    assert named == {1}


def refuse(net: ScriptedNet, call: str) -> None:
    for keeper in net.keepers.values():
        keeper.refusals[call] = AuthnetError(Code.EPOCH_MOVED, "another committee serves now", epoch=2)


@pytest.mark.parametrize(("rounds", "call"), [(1, "share"), (2, "commit"), (2, "share")])
async def test_a_login_begun_before_the_switch_ends_well_within_its_call(
    net: ScriptedNet, rounds: int, call: str
) -> None:
    list_epochs(net, own(net), own(net))
    refuse(net, call)

    async def asked() -> bool:
        return any(name == call for keeper in net.keepers.values() for name, _ in keeper.calls)

    async def take_over() -> None:
        await until(asked)
        await switch(net, 2)
        for keeper in net.keepers.values():
            keeper.refusals.clear()

    async with Client(rooted(net)) as client, anyio.create_task_group() as group:
        group.start_soon(take_over)
        done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=rounds)
        assert done.private_key
        assert (await client.committee()).epoch == 2
    assert (len(net.tokens) > 1) is (rounds == 2), "what the former committee may have seen is not shown to the next"
    assert len(set(net.tokens)) == len(net.tokens)


async def test_a_committee_that_stays_away_is_said_so_soon(net: ScriptedNet) -> None:
    refuse(net, "share")
    async with Client(net.network) as client:
        with anyio.fail_after(8), pytest.raises(AuthnetError) as caught:
            await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    assert caught.value.code is Code.EPOCH_MOVED


async def test_an_answer_for_another_epoch_is_not_used(net: ScriptedNet) -> None:
    async with Client(rooted(net)) as client:
        net.keepers[2].lies["share"] = lambda answer: answer | {"epoch": 2}
        done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), patience_s=2)
    assert 2 in done.bad_nodes
