"""The SDK against real node_api servers whose keepers and chain follow a script: honest, lying, slow and dead nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import combinations
from typing import Any

import anyio
import pytest

from authnet_client import Client, LoginSession, Network, link
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import Q, pub, scalar_bytes
from authnet_core.errors import AuthnetError, Code
from tests.component.api.scripted import ScriptedNet, scripted_network
from tests.component.api.scripted_chain import VERIFIER
from tests.component.api.scripted_keeper import scripted_token, seal
from tests.component.api.scripted_registry import abi_epoch, abi_node_set, get_epoch

pytestmark = pytest.mark.anyio
USER = "bob@x.y"
WIDE = "rate_per_s = 100000\nburst = 100000"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[ScriptedNet]:
    async with scripted_network(5, WIDE) as network:
        yield network


@pytest.fixture(scope="module")
async def shared(running: ScriptedNet) -> AsyncIterator[Client]:
    async with Client(running.network, timeout_s=10) as one:
        yield one


@pytest.fixture
def net(running: ScriptedNet) -> ScriptedNet:
    running.forget()
    return running


@pytest.fixture
def client(net: ScriptedNet, shared: Client) -> Client:
    return shared


def off_by_one(answer: dict[str, Any]) -> dict[str, Any]:
    """A keeper that seals a wrong share: it needs T, which the scripted keeper reads from its own call."""
    return answer | {"share": answer["share"] | {"ciphertext": answer["share"]["ciphertext"][::-1]}}


def wrong_share(net: ScriptedNet, index: int) -> None:
    """Node `index` hands out a well-sealed share of another polynomial."""
    keeper = net.keepers[index]

    def lie(answer: dict[str, Any]) -> dict[str, Any]:
        point = keeper._session_key(keeper.calls[-1][1])
        return answer | {"share": seal(point, scalar_bytes(12345 + index))}

    keeper.lies["share"] = lie


async def test_an_address_is_known_before_the_first_login(net: ScriptedNet, client: Client) -> None:
    found = await client.resolve(VERIFIER, USER)
    assert len(found.agreed) >= 3
    assert found.is_new
    done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    assert done.address == found.address
    assert eip55_address(pub(bytes.fromhex(done.private_key))) == found.address


@pytest.mark.parametrize("rounds", [1, 2])
async def test_login_gives_the_key(
    net: ScriptedNet, client: Client, rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "HEDGE_S", 60.0)
    done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=rounds)
    key = net.chain.keys[0]
    assert int(done.private_key, 16) == key.final
    assert int(done.postbox_key, 16) == key.coefficients[0]
    assert (done.Y, done.N, done.rounds) == (key.y, key.n, rounds)
    assert len(done.session_tokens) == 3
    assert done.bad_nodes == ()
    committed = [name for keeper in net.keepers.values() for name, _ in keeper.calls if name == "commit"]
    assert len(committed) == (4 if rounds == 2 else 0), "n - t of them"


async def test_one_round_asks_for_a_bound_token_and_two_rounds_do_not(net: ScriptedNet, client: Client) -> None:
    asked: list[str | None] = []

    async def source(nonce: str | None) -> str:
        asked.append(nonce)
        return scripted_token(USER, nonce)

    await client.login(VERIFIER, USER, source)
    await client.login(VERIFIER, USER, source, rounds=2)
    assert asked[0]
    assert asked[1] is None


async def test_a_ready_token_takes_two_rounds(net: ScriptedNet, client: Client) -> None:
    assert (await client.login(VERIFIER, USER, scripted_token(USER))).rounds == 2
    with pytest.raises(AuthnetError) as caught:
        await client.login(VERIFIER, USER, scripted_token(USER), rounds=1)
    assert caught.value.code is Code.BAD_PARAMS


async def test_a_session_that_left_the_program_logs_in_with_its_token(net: ScriptedNet, client: Client) -> None:
    session = await client.new_session(VERIFIER)
    token = scripted_token(USER, session.nonce)
    done = await client.login(VERIFIER, USER, token, session=session)
    assert done.rounds == 1
    assert done.session_key == session.secret.hex()


async def test_a_token_bound_to_a_thief_s_session_is_sent_nowhere(net: ScriptedNet, client: Client) -> None:
    thief = LoginSession.start("scripted", VERIFIER)

    async def source(nonce: str | None) -> str:
        return scripted_token(USER, thief.nonce)

    with pytest.raises(AuthnetError) as caught:
        await client.login(VERIFIER, USER, source)
    assert caught.value.code is Code.TOKEN_UNBOUND
    assert all(keeper.calls == [] for keeper in net.keepers.values())


@pytest.mark.parametrize("liars", [*combinations(range(1, 6), 1), (1, 2), (4, 5)])
async def test_wrong_shares_are_found_and_their_nodes_named(
    net: ScriptedNet, client: Client, liars: tuple[int, ...]
) -> None:
    for index in liars:
        wrong_share(net, index)
    done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), patience_s=5)
    assert int(done.private_key, 16) == net.chain.keys[0].final
    assert done.bad_nodes == liars
    assert [node.code for node in done.nodes if not node.ok] == ["BAD_NODE_ANSWER"] * len(liars)


async def test_three_wrong_shares_of_five_give_no_key_and_say_so(net: ScriptedNet, client: Client) -> None:
    for index in (1, 2, 3):
        wrong_share(net, index)
    with pytest.raises(AuthnetError) as caught:
        await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    assert caught.value.code in (Code.NODES_DISAGREE, Code.TOO_FEW_NODES)


@pytest.mark.parametrize(
    "lie",
    [
        off_by_one,
        lambda answer: answer | {"Y": pub(5).hex()},
        lambda answer: answer | {"N": pub(5).hex()},
        lambda answer: answer | {"node_index": 1},
        lambda answer: answer | {"share": answer["session_token"]},
        lambda answer: answer | {"nonce_sealed": answer["share"]},
    ],
)
@pytest.mark.parametrize("rounds", [1, 2])
async def test_a_lying_keeper_does_not_stop_a_login(net: ScriptedNet, client: Client, lie: Any, rounds: int) -> None:
    net.keepers[2].lies["share"] = lie
    source = client.dev_tokens(VERIFIER, USER)
    done = await client.login(VERIFIER, USER, source, rounds=rounds, patience_s=5)
    assert int(done.private_key, 16) == net.chain.keys[0].final
    assert set(done.bad_nodes) <= {2}


@pytest.mark.parametrize(
    "lie",
    [
        lambda answer: answer | {"data": "junk"},
        lambda answer: answer | {"signature": "00" * 65},
        lambda answer: answer | {"data": answer["data"].replace("scripted", "elsewhere")},
        lambda answer: answer | {"data": answer["data"][:-1] + "4"},
        lambda answer: answer | {"signature": answer["signature"][:-2]},
    ],
)
async def test_junk_receipts_are_not_counted(net: ScriptedNet, client: Client, lie: Any) -> None:
    net.keepers[1].lies["commit"] = lie
    done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=2)
    assert int(done.private_key, 16) == net.chain.keys[0].final
    calls = [call for keeper in net.keepers.values() for call in keeper.calls]
    sent = next(params for name, params in calls if name == "share")
    indexes = {receipt["data"].split("\x1c")[-1] for receipt in sent["receipts"]}
    assert indexes == {"2", "3", "4", "5"}, "exactly the good ones"


async def test_two_junk_receipts_leave_too_few_and_are_named(net: ScriptedNet, client: Client) -> None:
    for index in (1, 2):
        net.keepers[index].lies["commit"] = lambda answer: answer | {"data": "junk"}
    with pytest.raises(AuthnetError, match="first round") as caught:
        await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=2)
    assert {node["index"] for node in caught.value.detail["nodes"]} >= {1, 2}
    assert all(name != "share" for keeper in net.keepers.values() for name, _ in keeper.calls)


@pytest.mark.parametrize(
    "code", [Code.TOKEN_EXPIRED, Code.TOKEN_SIGNATURE, Code.TOKEN_MODE, Code.QUOTA_EXCEEDED, Code.EPOCH_MOVED]
)
async def test_what_the_nodes_refuse_alike_is_the_error(net: ScriptedNet, client: Client, code: Code) -> None:
    for keeper in net.keepers.values():
        keeper.refusals["share"] = AuthnetError(code, "the reason")
    with pytest.raises(AuthnetError, match="the reason") as caught:
        await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    assert caught.value.code is code
    assert [node["code"] for node in caught.value.detail["nodes"]] == [code.value] * 5


async def test_an_unknown_verifier(net: ScriptedNet, client: Client) -> None:
    for call in (
        client.resolve("no-such", USER),
        client.login("no-such", USER, client.dev_tokens("no-such", USER)),
    ):
        with pytest.raises(AuthnetError) as caught:
            await call
        assert caught.value.code is Code.VERIFIER_UNKNOWN


async def test_resolve_without_assignment(net: ScriptedNet, client: Client) -> None:
    with pytest.raises(AuthnetError) as caught:
        await client.resolve(VERIFIER, USER, assign=False)
    assert caught.value.code is Code.ACCOUNT_NOT_FOUND
    assert net.chain.assigned == {}


async def test_a_lying_node_does_not_change_the_address(net: ScriptedNet, client: Client) -> None:
    net.keepers[4].lies["assign"] = lambda answer: answer | {"Y": pub(31337).hex()}
    found = await client.resolve(VERIFIER, USER, patience_s=5)
    assert net.chain.keys[0].y == found.Y
    # Node 4 only gets to lie if its chain had no key when it was asked.
    assert set(found.disagreed) <= {4}
    assert 4 not in found.agreed or found.disagreed == ()


async def test_nobody_waits_for_a_slow_node(net: ScriptedNet, client: Client) -> None:
    held = net.keepers[5].held["share"] = asyncio.Event()
    with anyio.fail_after(8):
        done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    held.set()
    assert next(node for node in done.nodes if node.index == 5).code == "UNANSWERED"


async def test_a_client_for_one_call_leaves_nothing_running(net: ScriptedNet) -> None:
    held = net.keepers[5].held["share"] = asyncio.Event()
    async with Client(net.network) as client:
        await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER))
    assert [task for task in asyncio.all_tasks() if "authnet_client" in task.get_name()] == []
    held.set()


async def test_errors_of_the_caller_are_not_wrapped(net: ScriptedNet) -> None:
    async def use() -> None:
        async with Client(net.network) as client:
            await client.resolve(VERIFIER, USER)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await use()


async def test_dev_tokens_are_for_test_networks(net: ScriptedNet) -> None:
    serious = Network("net", "net-1", registry="0x00", eth_rpc="http://127.0.0.1:1")
    with pytest.raises(AuthnetError) as caught:
        Client(serious).dev_tokens(VERIFIER, USER)
    assert caught.value.code is Code.NOT_DEV


async def test_another_network_s_nodes_are_not_believed(net: ScriptedNet) -> None:
    other = Network("other", "other-1", front=net.network.front, dev=True)
    async with Client(other) as client:
        with pytest.raises(AuthnetError, match="another network") as caught:
            await client.resolve(VERIFIER, USER)
    assert caught.value.code is Code.NODES_DISAGREE


def _hosts(net: ScriptedNet) -> list[str]:
    return [url.removeprefix("http://") for url in net.endpoints.values()]


def _identities(net: ScriptedNet) -> list[bytes]:
    return [pub(keeper.identity) for keeper in net.keepers.values()]


def rooted(net: ScriptedNet, **changes: Any) -> Network:
    """The network with the registry as the root of trust."""
    fields = {"front": net.network.front, "eth_rpc": f"{net.network.front}/eth", "registry": "0x00", "dev": True}
    return Network("scripted", "scripted-1", **(fields | changes))


async def test_the_registry_names_the_nodes(net: ScriptedNet) -> None:
    async with Client(rooted(net, front="")) as client:
        committee = await client.committee()
        assert {i: m.endpoint for i, m in committee.members.items()} == net.endpoints


def first_epoch(net: ScriptedNet) -> bytes:
    """Epoch 1 as somebody else's."""
    return abi_epoch(1, 0, ["http://127.0.0.1:9"] * 5, [pub(31337 + i) for i in range(5)])


@pytest.mark.parametrize(
    ("registry", "code"),
    [
        (lambda net: abi_node_set(1, _hosts(net), [*_identities(net)[:4], pub(31337)]), Code.NODES_DISAGREE),
        (lambda net: abi_node_set(2, _hosts(net), _identities(net)), Code.NODES_DISAGREE),
        (lambda net: abi_node_set(1, _hosts(net)[::-1], _identities(net)), Code.NODES_DISAGREE),
        (lambda net: abi_node_set(1, _hosts(net)[:4], _identities(net)[:4]), Code.NODES_DISAGREE),
    ],
)
async def test_nodes_that_are_not_the_registry_s_are_not_used(net: ScriptedNet, registry: Any, code: Code) -> None:
    net.registry = registry(net)
    net.epochs = {get_epoch(2): abi_epoch(2, 1, _hosts(net), _identities(net)), get_epoch(1): first_epoch(net)}
    async with Client(rooted(net)) as client:
        with pytest.raises(AuthnetError) as caught:
            await client.resolve(VERIFIER, USER)
    assert caught.value.code is code


async def test_outside_of_dev_a_registry_that_can_not_be_read_is_no_network(net: ScriptedNet) -> None:
    for changes in ({"eth_rpc": "http://127.0.0.1:9"}, {}):
        net.registry = b"junk"
        async with Client(rooted(net, dev=False, **changes)) as client:
            with pytest.raises(AuthnetError, match="registry") as caught:
                await client.resolve(VERIFIER, USER)
        assert caught.value.code is Code.NETWORK_DOWN
    async with Client(rooted(net)) as client:
        assert await client.resolve(VERIFIER, USER), "a test network may fall back to its front"


async def test_a_network_that_is_not_there(net: ScriptedNet) -> None:
    async with Client(Network("n", "n-1", front="http://127.0.0.1:9", dev=True)) as client:
        with pytest.raises(AuthnetError) as caught:
            await client.resolve(VERIFIER, USER)
    assert caught.value.code is Code.NETWORK_DOWN


async def test_as_many_nodes_may_die_as_promised() -> None:
    """One dead of five: all works. Two: one round works, two rounds say why not. Three: nothing does."""
    async with scripted_network(5, WIDE) as net, Client(net.network) as client:
        source = client.dev_tokens(VERIFIER, USER)
        await client.login(VERIFIER, USER, source, rounds=2)
        for dead, (one, two) in ((5, (True, True)), (4, (True, False)), (3, (False, False))):
            net.kill(dead)
            for rounds, works in ((1, one), (2, two)):
                if works:
                    assert (await client.login(VERIFIER, USER, source, rounds=rounds)).private_key
                    continue
                with pytest.raises(AuthnetError, match=f"node {dead}: ") as caught:
                    await client.login(VERIFIER, USER, source, rounds=rounds)
                assert caught.value.code is Code.TOO_FEW_NODES
        with pytest.raises(AuthnetError) as caught:
            await client.resolve(VERIFIER, USER)
        assert caught.value.code is Code.TOO_FEW_NODES


@pytest.mark.parametrize("n", [6, 9])
async def test_other_committee_sizes(n: int) -> None:
    async with scripted_network(n, WIDE) as net, Client(net.network) as client:
        for rounds in (1, 2):
            done = await client.login(VERIFIER, USER, client.dev_tokens(VERIFIER, USER), rounds=rounds)
            assert int(done.private_key, 16) % Q == net.chain.keys[0].final
        assert len((await client.resolve(VERIFIER, USER)).agreed) == n // 2 + 1
