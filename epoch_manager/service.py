"""The process: parts wired together, each alive while the others wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import anyio

from authnet_core.errors import AuthnetError
from authnet_core.protocol.views import EpochView
from authnet_runtime.chain import ChainReader
from authnet_runtime.config import NodeConfig
from authnet_runtime.ethereum import Ethereum, Sender
from authnet_runtime.genesis import FIRST_EPOCH, derive_genesis
from authnet_runtime.lifetime import wait_for_end
from authnet_runtime.logs import get_logger
from authnet_runtime.metrics import render
from authnet_runtime.registry import Registry, Snapshot
from authnet_runtime.registry_state import EpochState, EpochStatus
from authnet_runtime.rpc import Connection, serve
from authnet_runtime.rpc_client import RpcClient
from epoch_manager.comet_keys import CometKeys, load_or_create, write_peers
from epoch_manager.files import load_eth_key, load_params, settle_genesis
from epoch_manager.handover import HandoverWatch
from epoch_manager.observer import Observer
from epoch_manager.registrar import OwnEntry, Registrar
from epoch_manager.selftest import SelfTests
from epoch_manager.state_sync import settle_trust
from epoch_manager.status import Status
from epoch_manager.watcher import Watcher

CHAIN_S = 10.0
RETRY_S = 0.25
_log = get_logger("epoch")


@dataclass(frozen=True, slots=True)
class Own:
    """What belongs to this node and is read before anything starts."""

    eth_key: bytes
    comet: CometKeys
    params: dict[str, int]

    def __repr__(self) -> str:
        return "Own(...)"


def load_own(config: NodeConfig) -> Own:
    """Read (and where allowed make) this node's files. Raises ConfigError before anything has begun."""
    for folder in (config.run, config.dir / "epoch"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Own(
        load_eth_key(config.eth_key),
        load_or_create(config.dir / "cometbft"),
        load_params(config.dir / "genesis_params.json", dev=config.toml.node.dev),
    )


def neighbours(epochs: Sequence[EpochState], in_charge: int = 0) -> list[EpochState]:
    """The newest started epoch and the one before it: a hand-over is between these two. Also the one in charge on the
    chain, which may have refused or given up later ones, and serves on if the owner called it off too late.

    Without a chain (`in_charge` 0) all that were called off in between count: one of them may be in charge. Who is new
    in the newest epoch dials everybody of them; the others need dial nobody new. Empty before the first.
    """
    newest = next((e for e in reversed(epochs) if e.status is EpochStatus.STARTED), None)
    if newest is None:
        return []
    wanted = {newest.epoch, newest.previous, in_charge or newest.epoch}
    if not in_charge:
        wanted |= set(range(newest.previous, newest.epoch))
    full = [e for e in epochs if e.status is not EpochStatus.OPEN and len(e.members) == e.n]
    return [e for e in reversed(full) if e.epoch in wanted]


class GenesisWriter:
    """Settles genesis.json from the first epoch; refuses by name to go on from another one."""

    def __init__(self, config: NodeConfig, params: dict[str, int], status: Status) -> None:
        self._config = config
        self._params = params
        self._status = status

    def accept(self, snapshot: Snapshot, in_charge: int = 0) -> bool:
        """Whether this snapshot fits the network's genesis; what does not is reported, never observed.

        A node that comes for a later epoch waits for its start: only then does it know whom its chain should dial.
        """
        started = [e for e in snapshot.epochs if e.status is EpochStatus.STARTED]
        first = next((e for e in started if e.epoch == FIRST_EPOCH), None)
        toml = self._config.toml
        if first is None or started[-1].epoch < toml.ethereum.epoch:
            return False
        try:
            derived = derive_genesis(
                first,
                network_id=toml.node.network_id,
                dev=toml.node.dev,
                eth_chain_id=toml.ethereum.chain_id,
                registry=toml.ethereum.registry,
                params=self._params,
            )
            # Before genesis.json: its appearance is what starts the chain.
            write_peers(self._config.dir / "cometbft", neighbours(snapshot.epochs, in_charge))
            if settle_genesis(self._config.genesis, derived):
                _log.info("genesis.written", members=len(first.members), block=first.started_block)
        except AuthnetError as problem:
            self._status.report("genesis", problem)
            return False
        self._status.clear("genesis")
        self._status.saw_genesis(derived)
        return True


async def run(config: NodeConfig, own: Own, supervised_fd: int | None) -> None:
    """Serve until the supervisor's pipe closes or a signal comes."""
    eth = config.toml.ethereum
    async with (
        Ethereum(eth.rpc) as ethereum,
        RpcClient(config.ops_sock) as keeper,
        ChainReader(config.read_sock) as chain,
    ):
        registry = Registry(ethereum, eth.registry)
        sender = Sender(ethereum, own.eth_key)
        status = Status(registry.address, eth.epoch, sender.address)
        genesis = GenesisWriter(config, own.params, status)
        observer = Observer(keeper, chain, status)

        async def check() -> None:
            await registry.check(eth.chain_id, config.toml.node.network_id, config.toml.node.dev)

        async def sink(snapshot: Snapshot) -> None:
            if not await _is_trust_settled(config, snapshot, status):
                return
            in_charge = await find_in_charge(chain) if config.genesis.exists() else 0
            if genesis.accept(snapshot, in_charge):
                observer.show(snapshot)

        watcher = Watcher(registry, check, config.dir / "epoch" / "journal.json", status, sink)
        registrar = Registrar(registry, sender, keeper, OwnEntry.of(config, own.comet), status)
        async with anyio.create_task_group() as group:
            handovers = HandoverWatch(chain)
            await group.start(lambda task_status: _serve_status(config, status, handovers, task_status))
            group.start_soon(watcher.run, eth.poll_ms / 1000)
            group.start_soon(registrar.run, eth.poll_ms / 1000)
            group.start_soon(observer.run)
            group.start_soon(handovers.run)
            group.start_soon(SelfTests(keeper, chain, status).run)
            await wait_for_end(supervised_fd)
            group.cancel_scope.cancel()


async def find_in_charge(chain: ChainReader) -> int:
    """The epoch in charge on a chain that has begun; 0 before the first, and if nothing answers for CHAIN_S."""
    with anyio.move_on_after(CHAIN_S):
        while True:
            try:
                current = await chain.query("/epoch/current", EpochView)
            except AuthnetError:  # it starts beside this process
                await anyio.sleep(RETRY_S)
            else:
                return current.epoch if current is not None else 0
    return 0


async def _is_trust_settled(config: NodeConfig, snapshot: Snapshot, status: Status) -> bool:
    """Whether a node that joins by state sync knows a block to begin from; true for all others."""
    try:
        await settle_trust(config, neighbours(snapshot.epochs))
    except AuthnetError as problem:
        status.report("state_sync", problem)
        return False
    status.clear("state_sync")
    return True


async def _serve_status(config: NodeConfig, status: Status, handovers: HandoverWatch, task_status: Any) -> None:
    async def on_status(_params: dict[str, Any], _caller: Connection) -> dict[str, Any]:
        return status.as_json(await handovers.picture())

    async def on_metrics(_params: dict[str, Any], _caller: Connection) -> str:
        return render()

    methods = {"status": on_status, "metrics": on_metrics}
    await serve(config.epoch_sock, methods, task_status=task_status)
