"""A node that stays, comes or goes: which epochs it registers for, when its chain may start, whom it dials."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import Registration
from authnet_core.protocol.views import EpochView
from authnet_runtime.config import NodeConfig, parse_node
from authnet_runtime.ethereum import BlockRef, Sender
from authnet_runtime.registry import NEVER_S, Registry, Snapshot
from authnet_runtime.registry_state import EpochState, EpochStatus
from authnet_runtime.rpc_client import RpcClient
from epoch_manager import service
from epoch_manager.comet_keys import CometKeys, load_or_create, write_peers
from epoch_manager.registrar import OwnEntry, Registrar
from epoch_manager.service import GenesisWriter, find_in_charge, neighbours
from epoch_manager.status import Status
from tests.unit.epoch.test_genesis import epoch

OWN = "0x" + "ee" * 20
IDENTITY = epoch().members[0].identity
COMET = CometKeys("ab" * 32, "cd" * 20)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def entry(number: int) -> Registration:
    return Registration(
        epoch=number,
        operator=OWN,
        identity=IDENTITY,
        consensus=COMET.consensus,
        peer_id="peer",
        comet_id=COMET.comet_id,
        p2p_addr="/ip4/127.0.0.1/tcp/1",
        comet_addr="127.0.0.1:2",
        endpoint="http://127.0.0.1:3",
    )


def stage(number: int, status: EpochStatus, *, invited: bool = False, registered: bool = False) -> EpochState:
    made = epoch()
    members = tuple(replace(member, epoch=number) for member in made.members)
    operators = tuple(member.operator for member in members)
    if registered:
        members = (*members[:-1], entry(number))
    elif status is EpochStatus.OPEN:
        members = members[:-1]
    if invited or registered:
        operators = (*operators, OWN)
    return replace(
        made, epoch=number, previous=number - 1, status=status, members=members, operators=operators, n=made.n
    )


class Contract:
    """What the registrar reads; what it would send goes to `sent`."""

    def __init__(self, *epochs: EpochState) -> None:
        self.epochs = {e.epoch: e for e in epochs}
        self.pending: dict[int, EpochState] = {}

    async def last_epoch(self) -> int:
        return max(self.epochs, default=0)

    async def epoch(self, number: int, at: BlockRef | None = None) -> EpochState | None:
        """All of it is final, but for what `pending` has of the newest block."""
        return (self.pending if at is None else {}).get(number, self.epochs.get(number))


class FixedSender:
    address = OWN


class Recording(Registrar):
    def __init__(self, contract: Contract, status: Status) -> None:
        self.contract = contract
        own = OwnEntry(COMET, "/ip4/127.0.0.1/tcp/1", "127.0.0.1:2", "http://127.0.0.1:3")
        super().__init__(
            cast(Registry, contract), cast(Sender, FixedSender()), cast(RpcClient, FixedKeeper()), own, status
        )
        self.sent: list[int] = []

    async def _send(self, entry: Registration, *, update: bool) -> None:
        assert not update
        self.sent.append(entry.epoch)


class FixedKeeper:
    async def call(self, method: str, *_: Any) -> dict[str, str]:
        assert method == "identity"
        return {"identity_pub": IDENTITY, "peer_id": "peer"}


def rig(first: int, *epochs: EpochState) -> tuple[Recording, Status]:
    status = Status("0xregistry", first, OWN, finalized=BlockRef(9, "0xfinal", 0))
    return Recording(Contract(*epochs), status), status


@pytest.mark.anyio
async def test_a_member_registers_for_a_later_epoch_that_allows_it() -> None:
    registrar, status = rig(1, stage(1, EpochStatus.STARTED, registered=True), stage(2, EpochStatus.OPEN, invited=True))
    assert not await registrar.step()
    assert registrar.sent == [2]
    assert (status.epoch, status.registered) == (2, False)


@pytest.mark.anyio
async def test_a_member_that_is_not_asked_again_stays_what_it_is() -> None:
    first = stage(1, EpochStatus.STARTED, registered=True)
    for later in (EpochStatus.OPEN, EpochStatus.STARTED, EpochStatus.ABORTED):
        registrar, status = rig(1, first, stage(2, later))
        assert await registrar.step() is (later is not EpochStatus.OPEN)
        assert registrar.sent == []
        assert (status.epoch, status.registered) == (1, True)


@pytest.mark.anyio
async def test_a_node_of_a_later_epoch_waits_for_it_and_looks_at_no_former_one() -> None:
    registrar, status = rig(2, stage(1, EpochStatus.STARTED))
    assert not await registrar.step()
    assert (status.epoch, status.registered, registrar.sent) == (2, False, [])
    registrar, status = rig(2, stage(1, EpochStatus.STARTED), stage(2, EpochStatus.STARTED, registered=True))
    assert await registrar.step()
    assert status.registered


@pytest.mark.anyio
async def test_an_epoch_is_left_behind_when_its_start_is_final() -> None:
    """A re-organisation may take the start back, and this node's entry with it."""
    first, open_again = stage(1, EpochStatus.STARTED, registered=True), stage(2, EpochStatus.OPEN, invited=True)
    registrar, _ = rig(1, first, open_again)
    registrar.contract.pending[2] = stage(2, EpochStatus.STARTED, registered=True)
    assert not await registrar.step()
    assert registrar.sent == []
    del registrar.contract.pending[2]
    assert not await registrar.step()
    assert registrar.sent == [2]


@pytest.mark.anyio
async def test_a_rewritten_registry_is_looked_at_from_the_first_epoch_on() -> None:
    first = stage(1, EpochStatus.STARTED, registered=True)
    registrar, status = rig(1, first, stage(2, EpochStatus.STARTED, registered=True))
    assert await registrar.step()
    registrar.contract.epochs[2] = stage(2, EpochStatus.OPEN, invited=True)
    status.rescan("reorg")
    assert not await registrar.step()
    assert registrar.sent == [2]


@pytest.mark.anyio
async def test_an_epoch_called_off_gives_way_to_the_next() -> None:
    registrar, _ = rig(2, stage(2, EpochStatus.ABORTED, invited=True), stage(3, EpochStatus.OPEN, invited=True))
    assert not await registrar.step()
    assert registrar.sent == [3]


@pytest.mark.anyio
async def test_a_start_without_this_node_is_named() -> None:
    registrar, _ = rig(2, stage(2, EpochStatus.STARTED))
    with pytest.raises(AuthnetError) as caught:
        await registrar.step()
    assert caught.value.code is Code.NOT_A_MEMBER


def config_of(folder: Path, first: int) -> NodeConfig:
    (folder / "epoch").mkdir(exist_ok=True)
    return parse_node(
        f"""
[node]
network_id = "testnet"
[ethereum]
rpc = "http://127.0.0.1:1"
registry = "0x{"11" * 20}"
chain_id = 31337
epoch = {first}
[p2p]
listen = "/ip4/127.0.0.1/tcp/9000"
[api]
listen = "127.0.0.1:9001"
endpoint = "http://127.0.0.1:9001"
[cometbft]
p2p = "127.0.0.1:9002"
""",
        folder,
    )


def snapshot(*epochs: EpochState) -> Snapshot:
    return Snapshot(BlockRef(9, "0x9", 9), epochs, (), NEVER_S)


def test_a_joining_node_s_chain_waits_for_its_epoch_and_starts_from_the_first(tmp_path: Path) -> None:
    load_or_create(tmp_path / "cometbft")
    config = config_of(tmp_path, 2)
    first, later = stage(1, EpochStatus.STARTED), stage(2, EpochStatus.OPEN)
    writer = GenesisWriter(config, {}, Status("0xregistry", 2, OWN))
    assert not writer.accept(snapshot(first, later))
    assert not config.genesis.exists()
    assert writer.accept(snapshot(first, stage(2, EpochStatus.STARTED)))
    other = config_of(tmp_path, 1)
    assert GenesisWriter(other, {}, Status("0xregistry", 1, OWN)).accept(snapshot(first)), "the same genesis"


def test_the_last_two_committees_are_dialled(tmp_path: Path) -> None:
    def named(number: int, previous: int) -> EpochState:
        members = tuple(
            replace(m, comet_id=f"{number:02x}{i:038x}", comet_addr=f"127.0.0.{number}:{i}")
            for i, m in enumerate(epoch().members)
        )
        return replace(epoch(), epoch=number, previous=previous, members=members)

    found = neighbours([named(1, 0), named(2, 1), named(4, 2)])
    assert [e.epoch for e in found] == [4, 2]
    load_or_create(tmp_path)
    write_peers(tmp_path, found)
    lines = (tmp_path / "config" / "peers.txt").read_text().split()
    assert len(lines) == 2 * epoch().n
    assert lines[0] == f"{4:02x}{0:038x}@127.0.0.4:0"
    moved = replace(found[0], members=(replace(found[1].members[0], comet_addr="127.0.0.9:1"), *found[0].members[1:]))
    write_peers(tmp_path, [moved, found[1]])
    assert f"{2:02x}{0:038x}@127.0.0.9:1" in (tmp_path / "config" / "peers.txt").read_text().split()
    assert len((tmp_path / "config" / "peers.txt").read_text().split()) == 2 * epoch().n - 1


def test_those_in_charge_are_dialled_whatever_the_registry_says() -> None:
    """Else a chain whose nodes are started again one by one comes apart."""
    first, second = stage(1, EpochStatus.STARTED), stage(2, EpochStatus.STARTED)
    refused, following = stage(3, EpochStatus.STARTED), stage(4, EpochStatus.STARTED)
    assert [e.epoch for e in neighbours([first, second, refused, following], 2)] == [4, 3, 2]
    late = stage(2, EpochStatus.ABORTED)
    assert [e.epoch for e in neighbours([first, late], 2)] == [2, 1]
    assert [e.epoch for e in neighbours([first, second, stage(3, EpochStatus.OPEN)], 2)] == [2, 1]
    assert neighbours([stage(1, EpochStatus.OPEN)]) == []


def test_a_committee_that_was_called_off_too_late_is_dialled_by_who_has_no_chain_yet() -> None:
    """It may be in charge on the chain: the registry names the one before it as that of the next."""
    first, late = stage(1, EpochStatus.STARTED), stage(2, EpochStatus.ABORTED)
    never_full = replace(late, epoch=3, members=late.members[1:])
    following = replace(stage(4, EpochStatus.STARTED), previous=1)
    assert [e.epoch for e in neighbours([first, late, never_full, following])] == [4, 2, 1]


@pytest.mark.anyio
async def test_a_chain_that_starts_beside_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "RETRY_S", 0.001)
    monkeypatch.setattr(service, "CHAIN_S", 0.1)
    answers = [AuthnetError(Code.UNAVAILABLE, "not yet")] * 3

    async def query(*_: Any) -> Any:
        if answers:
            raise answers.pop()
        return EpochView(epoch=7, n=5, k=3, t=1, status="serving", members=(), committee_hash="")

    chain: Any = SimpleNamespace(query=query)
    assert await find_in_charge(chain) == 7
    answers[:] = [AuthnetError(Code.UNAVAILABLE, "never")] * 10_000
    assert await find_in_charge(chain) == 0


NO_PLACES = ("x", "x:", ":5", "x:65536", "x:+5", "::1:5", "tcp://x:5", "y@x:5", 'x:5"', "x:5\\", "x:5,y:6", "x:5\n", "")


def test_a_member_whose_address_is_none_stops_nobody_s_chain(tmp_path: Path) -> None:
    """CometBFT starts with no such address, and with no config.toml that it can not read."""
    load_or_create(tmp_path)
    for wrong in NO_PLACES:
        members = epoch().members
        found = replace(epoch(), members=(replace(members[0], comet_addr=wrong), *members[1:]))
        write_peers(tmp_path, [found])
        lines = (tmp_path / "config" / "peers.txt").read_text().split("\n")
        assert lines == [*(f"{m.comet_id}@{m.comet_addr}" for m in members[1:]), ""], wrong
    for right in ("node-1.example.org:26656", "127.0.0.1:0", "[::1]:65535", "my_host:5"):
        moved = replace(epoch(), members=(replace(epoch().members[0], comet_addr=right),))
        write_peers(tmp_path, [moved])
        assert (tmp_path / "config" / "peers.txt").read_text().endswith(f"@{right}\n")
