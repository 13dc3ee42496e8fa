"""The contract as our own code uses it, on a real Ethereum node: accepted, refused by name, read at a block."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.registration import registration_digest
from authnet_runtime.ethereum import Ethereum
from authnet_runtime.genesis import build_genesis
from authnet_runtime.registry import NEVER_S, Registry, registration_fields
from authnet_runtime.registry_state import AudienceState, EpochStatus
from localnet.registry_admin import RegistryAdmin
from tests.component.epoch.eth_net import ETH_CHAIN_ID, MOCK_GOOGLE, OWNER_KEY, Anvil, FakeNode, fake_nodes, mine

pytestmark = pytest.mark.anyio


async def refused(coroutine: object) -> AuthnetError:
    with pytest.raises(AuthnetError) as refusal:
        await coroutine  # type: ignore[misc]
    assert refusal.value.code is Code.REGISTRY_REFUSED
    return refusal.value


async def error_of(coroutine: object) -> str:
    """Name of the contract's error."""
    return str((await refused(coroutine)).detail["error"])


async def test_contract_and_python_sign_the_same_digest(registry: Registry, nodes: list[FakeNode]) -> None:
    entry = nodes[2].entry()
    asked = registry.call("registrationDigest", 1, entry.operator, registration_fields(entry))
    on_chain = await registry.ethereum.call(asked)
    assert on_chain == registration_digest(registry.signing_request(ETH_CHAIN_ID, entry))


async def test_members_are_read_back_in_party_order(registry: Registry, nodes: list[FakeNode]) -> None:
    for node in reversed(nodes):
        await node.register(registry)
    epoch = await registry.epoch(1)
    assert epoch is not None
    assert epoch.status is EpochStatus.STARTED
    assert list(epoch.members) == [node.entry() for node in nodes]


async def test_refusals_have_the_names_of_the_contracts_errors(registry: Registry, nodes: list[FakeNode]) -> None:
    stranger = fake_nodes(9)[8]
    assert await error_of(stranger.register(registry)) == "NotAllowed"
    await nodes[0].register(registry)
    assert await error_of(nodes[0].register(registry)) == "AlreadyRegistered"
    stolen = replace(nodes[1].entry(), consensus=nodes[0].entry().consensus)
    assert await error_of(nodes[1].register(registry, stolen)) == "KeyInUse"
    assert await error_of(nodes[1].register(registry, replace(nodes[1].entry(), endpoint="ftp://x"))) == "BadAddress"
    assert await error_of(nodes[1].register(registry, nodes[1].entry(epoch=4))) == "UnknownEpoch"
    changed = replace(nodes[0].entry(), peer_id="other")
    assert await error_of(nodes[0].register(registry, changed, update=True)) == "KeyChanged"
    for node in nodes[1:]:
        await node.register(registry)
    assert await error_of(nodes[0].register(registry, update=True)) == "EpochHasStarted"


async def test_a_forged_signature_is_refused(registry: Registry, nodes: list[FakeNode], admin: RegistryAdmin) -> None:
    node, other = nodes[0], nodes[1]
    entry = node.entry()
    elsewhere = await admin.deploy("testnet")
    forgeries = [
        other.sign(registry, entry),
        node.sign(elsewhere, entry),
        node.sign(registry, entry, eth_chain_id=1),
        node.sign(registry, replace(entry, epoch=2)),
        node.sign(registry, replace(entry, operator=other.operator)),
        node.sign(registry, replace(entry, endpoint="http://127.0.0.1:1")),
        bytes(65),
        node.sign(registry, entry)[:64],
    ]
    for forged in forgeries:
        assert await error_of(node.register(registry, entry, forged)) == "BadIdentitySignature"
    stolen = replace(entry, operator=other.operator)
    assert await error_of(other.register(registry, stolen, node.sign(registry, entry))) == "BadIdentitySignature"


async def test_only_the_owner_administers(registry: Registry, nodes: list[FakeNode], ethereum: Ethereum) -> None:
    thief = RegistryAdmin(ethereum, nodes[0].operator_key)
    assert await error_of(thief.announce_epoch(registry, Committee.of(5))) == "OwnableUnauthorizedAccount"
    assert await error_of(thief.add_verifier(registry, replace(MOCK_GOOGLE, name="x"))) == "OwnableUnauthorizedAccount"
    assert await error_of(thief.change_verifier(registry, MOCK_GOOGLE)) == "NotVerifierOwner"


async def test_an_epoch_runs_from_announcement_to_start(admin: RegistryAdmin, nodes: list[FakeNode]) -> None:
    registry = await admin.deploy("testnet")
    await admin.fund([node.operator for node in nodes])
    number = await admin.announce_epoch(registry, Committee.of(5), start_when_full=False)
    await admin.whitelist(registry, number, [node.operator for node in nodes])
    assert await error_of(admin.start_epoch(registry, number)) == "EpochNotFull"
    for node in nodes:
        await node.register(registry)
    started = await admin.start_epoch(registry, number)
    assert started is not None
    assert started.status is EpochStatus.STARTED
    successor = await admin.announce_epoch(registry, Committee.of(9))
    await admin.abort_epoch(registry, successor)
    assert await error_of(admin.abort_epoch(registry, number)) == "CannotAbort"


async def test_a_change_of_a_verifier_waits_out_the_delay(own_anvil: Anvil) -> None:
    async with Ethereum(own_anvil.url) as ethereum:
        owner = RegistryAdmin(ethereum, OWNER_KEY)
        registry = await owner.deploy("testnet", change_delay_s=3600)
        await owner.add_verifier(registry, MOCK_GOOGLE)
        changed = replace(MOCK_GOOGLE, jwks_url="http://127.0.0.1:1/jwks")
        await owner.change_verifier(registry, changed)
        assert await error_of(owner.change_verifier(registry, changed)) == "ChangePending"
        assert [v.version for v in await registry.verifiers()] == [1]
        due = await registry.next_change_s(MOCK_GOOGLE.name)
        latest = await ethereum.block("latest")
        assert latest is not None
        assert due == pytest.approx(latest.time_s + 3600, abs=5)
        await ethereum.request("evm_increaseTime", hex(3601))
        await mine(ethereum)
        (verifier,) = await registry.verifiers()
        assert (verifier.version, verifier.jwks_url) == (2, "http://127.0.0.1:1/jwks")
        assert await registry.next_change_s(MOCK_GOOGLE.name) == NEVER_S


async def test_what_never_changes_about_a_verifier(registry: Registry, admin: RegistryAdmin) -> None:
    copy = replace(MOCK_GOOGLE, name="copy")
    assert await error_of(admin.add_verifier(registry, copy)) == "AudienceTaken"
    assert await error_of(admin.add_verifier(registry, MOCK_GOOGLE)) == "VerifierNameTaken"
    other_mode = replace(MOCK_GOOGLE, audiences=(AudienceState(aud="torus", mode="bound"),))
    assert await error_of(admin.change_verifier(registry, other_mode)) == "AudienceModeFixed"
    await admin.remove_verifier(registry, MOCK_GOOGLE.name)
    assert (await registry.verifiers())[0].removed
    assert await error_of(admin.add_verifier(registry, MOCK_GOOGLE)) == "VerifierNameTaken"
    assert await error_of(admin.change_verifier(registry, MOCK_GOOGLE)) == "VerifierRemoved"


async def test_many_verifiers_come_in_pages(registry: Registry, admin: RegistryAdmin) -> None:
    for i in range(33):
        extra = replace(MOCK_GOOGLE, name=f"v{i}", audiences=(AudienceState(aud=f"a{i}", mode="bound"),))
        await admin.add_verifier(registry, extra)
    names = [verifier.name for verifier in await registry.verifiers()]
    assert names == [MOCK_GOOGLE.name, *(f"v{i}" for i in range(33))]


async def test_reads_are_pinned_to_a_block(registry: Registry, nodes: list[FakeNode], ethereum: Ethereum) -> None:
    before = await ethereum.block("latest")
    assert before is not None
    await nodes[0].register(registry)
    then = await registry.epoch(1, before)
    now = await registry.epoch(1)
    assert then is not None
    assert now is not None
    assert (len(then.members), len(now.members)) == (0, 1)


async def test_genesis_needs_a_finalized_start(registry: Registry, nodes: list[FakeNode], anvil: Anvil) -> None:
    with pytest.raises(AuthnetError) as early:
        await build_genesis(anvil.url, registry.address)
    assert early.value.code in (Code.EPOCH_NOT_STARTED, Code.UNAVAILABLE)
    for node in nodes:
        await node.register(registry)
    await mine(registry.ethereum)
    first = await build_genesis(anvil.url, registry.address)
    await mine(registry.ethereum, 5)
    assert await build_genesis(anvil.url, registry.address) == first


async def test_a_foreign_contract_or_chain_is_named(registry: Registry, ethereum: Ethereum) -> None:
    await registry.check(ETH_CHAIN_ID, "testnet", True)
    for arguments in ((1, "testnet", True), (ETH_CHAIN_ID, "other", True), (ETH_CHAIN_ID, "testnet", False)):
        with pytest.raises(ConfigError) as mismatch:
            await registry.check(*arguments)
        assert mismatch.value.code is Code.REGISTRY_MISMATCH
    with pytest.raises(AuthnetError) as missing:
        await Registry(ethereum, "0x" + "12" * 20).check(ETH_CHAIN_ID, "testnet", True)
    assert missing.value.code is Code.REGISTRY_MISSING


async def test_an_operator_without_money_is_told_so(registry: Registry, nodes: list[FakeNode]) -> None:
    await registry.ethereum.request("anvil_setBalance", nodes[0].operator, "0x0")
    with pytest.raises(AuthnetError, match=r"(?i)insufficient funds|gas") as refusal:
        await nodes[0].register(registry)
    assert refusal.value.code is Code.UNAVAILABLE


async def test_an_ethereum_that_is_not_there_is_unavailable() -> None:
    async with Ethereum("http://127.0.0.1:9") as nowhere:
        with pytest.raises(AuthnetError) as refusal:
            await nowhere.block("finalized")
    assert refusal.value.code is Code.UNAVAILABLE
