"""Keepers in one process: the real state machine as chain, real keystores and runners, members joined by a hub.

A block is made when transactions wait, or on demand. A keeper can lose its power at a named point and come back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import trio

from abci_app.abci.application import Application, InitialState
from abci_app.queries.queries import answer
from abci_app.queries.readsock import block_note
from abci_app.rules.genesis import parse
from abci_app.state import records as r
from abci_app.state.state import Block
from authnet_core.errors import AuthnetError, Code, number
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import SessionView
from authnet_core.wire import authnet_pb2 as pb
from authnet_runtime.chain import BlockNote
from p2p_dkg.doors.selftest import SelfTestDoor
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.shares import ShareShelf
from p2p_dkg.keystore.store import Keystore, open_keystore
from p2p_dkg.ports import AssignRequest
from p2p_dkg.runner.assign import Assigner
from p2p_dkg.runner.erasure import Eraser
from p2p_dkg.runner.runner import Runner
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.watch import ChainWatch
from p2p_dkg.selftest.points import PointDesk
from p2p_dkg.selftest.tester import SelfTester
from tests.component.keeper.hub import Hub, HubMesh

NETWORK, CHAIN = "test", "test-1"
START_MS = 1_700_000_000_000
_ABSENT = {Code.NOT_FOUND, Code.ACCOUNT_NOT_FOUND, Code.UNKNOWN_SESSION, Code.VERIFIER_UNKNOWN}


def iso(time_ms: int) -> str:
    """A header's time."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class PowerCut(Exception):
    """What a named point does here instead of ending the process."""


class CutPoints(FaultPoints):
    """Named points that raise PowerCut once."""

    def __init__(self) -> None:
        super().__init__(dev=False)
        self.point = ""
        self.passed: list[str] = []

    @property
    def armed(self) -> bool:
        return True

    def reach(self, name: str) -> None:
        self.passed.append(name)
        if name == self.point:
            self.point = ""
            raise PowerCut(name)


class Chain:
    """One Application that all keepers read and write: consensus is taken for granted here."""

    def __init__(self, folder: Path, observers: list[bytes], **params: int) -> None:
        self.app = Application(folder)
        self._born_with = (observers, params)
        self.blocks: list[tuple[list[bytes], int]] = []
        """What every block held, and its time."""
        names = ",".join(f'"{pub.hex()}"' for pub in observers)
        overrides = ",".join(f'"{name}":{value}' for name, value in params.items())
        state = (
            f'{{"network_id":"{NETWORK}","eth_chain_id":1,"registry":"0x00","dev":true,'
            f'"observers":[{names}],"params":{{{overrides}}}}}'
        )
        validators = tuple((bytes([j]) * 32, 1) for j in range(1, len(observers) + 1))
        self.app.init_chain(InitialState(CHAIN, START_MS, parse(state.encode()), r.ValidatorSet(validators)))
        self.height, self.time_ms = 0, START_MS
        self.mempool: list[bytes] = []
        self.results: dict[bytes, int] = {}
        self.included: list[tuple[int, str, bytes]] = []
        self.readers: list[Reader] = []
        self.headers: dict[int, dict[str, str]] = {}
        self.halted = False
        self.app.on_commit = lambda finalized: self._push(msgspec.convert(block_note(finalized), BlockNote))

    def _push(self, note: BlockNote) -> None:
        for reader in self.readers:
            reader.push(note)

    def block(self, step_ms: int = 200) -> None:
        """Make one block of everything that waits."""
        self.height += 1
        self.time_ms += step_ms
        self.headers[self.height] = {"time": iso(self.time_ms), "app_hash": self.app.meta.app_hash.hex().upper()}
        raws, self.mempool = self.mempool, []
        self.blocks.append((raws, self.time_ms))
        finalized = self.app.finalize_block(raws, Block(self.height, self.time_ms))
        for raw, outcome in zip(raws, finalized.outcomes, strict=True):
            body = pb.TxBody.FromString(pb.SignedTx.FromString(raw).body)
            if outcome.code is None:
                self.included.append((self.height, str(body.WhichOneof("kind")), raw))
        self.app.commit()

    def branch(self, folder: Path, keep: Callable[[pb.TxBody], bool]) -> Chain:
        """The same chain without the transactions that `keep` refuses: the other side of a fork."""
        observers, params = self._born_with
        other = Chain(folder, observers, **params)
        for raws, time_ms in self.blocks:
            other.mempool = [raw for raw in raws if keep(pb.TxBody.FromString(pb.SignedTx.FromString(raw).body))]
            other.block(time_ms - other.time_ms)
        return other

    async def run(self) -> None:
        """A block every 50 ms of real time."""
        while True:
            await trio.sleep(0.05)
            if not self.halted:
                self.block()

    def query(self, path: str, kind: Any) -> Any:
        """The value at `path`, None if absent."""
        found = answer(self.app.store, path)
        if found.refusal is None:
            return msgspec.convert(msgspec.json.decode(msgspec.json.encode(found.view)), kind, strict=False)
        if found.refusal.code in _ABSENT:
            return None
        raise found.refusal

    def deals(self, signer: bytes) -> list[bytes]:
        """Bodies of the DEAL transactions of a member that were executed."""
        signed = [pb.SignedTx.FromString(raw) for _, kind, raw in self.included if kind == "deal"]
        return [pb.TxBody.FromString(tx.body).deal.SerializeToString() for tx in signed if tx.signer == signer]


class Reader:
    """What a keeper sees as its ChainReader."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._notes: deque[BlockNote] = deque(maxlen=64)
        self._news = trio.Event()
        chain.readers.append(self)
        meta = chain.app.meta
        if meta.height:
            self.push(BlockNote(meta.height, meta.time_ms, meta.app_hash.hex(), is_first=True))

    def push(self, note: BlockNote) -> None:
        self._notes.append(note)
        self._news.set()

    async def query(self, path: str, type: Any, *, height: int = 0) -> Any:
        await trio.lowlevel.checkpoint()
        return self.chain.query(path, type)

    def move_to(self, chain: Chain) -> None:
        """What a keeper sees when its abci_app comes back with another state."""
        self.chain.readers.remove(self)
        self.chain = chain
        chain.readers.append(self)
        meta = chain.app.meta
        self.push(BlockNote(meta.height, meta.time_ms, meta.app_hash.hex(), is_first=True))

    async def blocks(self) -> AsyncIterator[BlockNote]:
        while True:
            while self._notes:
                yield self._notes.popleft()
            self._news = trio.Event()
            await self._news.wait()


class Comet:
    """What a keeper sees as its CometRpc."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.is_down = False

    async def broadcast(self, tx: bytes) -> tuple[int, str]:
        await trio.lowlevel.checkpoint()
        if self.is_down:
            raise AuthnetError(Code.UNAVAILABLE, "CometBFT does not answer")
        outcome = self.chain.app.check_tx(tx)
        if outcome.code is None:
            self.chain.mempool.append(tx)
        return (0, "") if outcome.code is None else (number(outcome.code), outcome.log)

    async def get(self, method: str, params: dict[str, str] | None = None) -> dict[str, Any]:
        await trio.lowlevel.checkpoint()
        height = int((params or {}).get("height", "0"))
        if method != "header" or height not in self.chain.headers:
            raise AuthnetError(Code.BAD_PARAMS, "not found")
        return {"header": self.chain.headers[height]}


@dataclass
class Node:
    """One keeper's parts, rebuilt at each start."""

    index: int
    folder: Path
    chain: Chain
    hub: Hub
    faults: CutPoints = field(default_factory=CutPoints)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    deaths: list[str] = field(default_factory=list)
    erases: bool = False
    """Whether it makes an end of former epochs: most tests still look at their shares."""

    def open(self) -> Keystore:
        passphrase = self.folder / "passphrase"
        if not passphrase.exists():
            self.folder.mkdir(mode=0o700, exist_ok=True)
            passphrase.write_text("test")
            passphrase.chmod(0o600)
        return open_keystore(self.folder / "keeper", NETWORK, passphrase, 2)

    def make_mesh(self) -> Any:
        """What carries this life's messages."""
        return HubMesh(self.hub, self.index, self.keystore.identity.pub.hex())

    async def run_mesh(self, *, task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await self.mesh.run()

    async def run(self) -> None:
        """One life: until cancelled or until its power is cut."""
        self.scope = trio.CancelScope()
        self.keystore = self.open()
        reader, self.comet = Reader(self.chain), Comet(self.chain)
        self.reader = reader
        chain: Any = reader
        comet: Any = self.comet
        self.mesh = self.make_mesh()
        mesh: Any = self.mesh
        self.watch = ChainWatch(chain, self.keystore)
        self.desk = TxDesk(self.keystore.identity, comet, lambda: self.chain.height, self.faults)
        self.runner = Runner(chain, self.watch, self.desk, self.keystore, mesh, self.faults)
        self.assigner = Assigner(chain, self.watch, self.desk, lambda: self.runner.membership.committees)
        rooms = (self.runner.sessions, self.runner.reshares)
        self.eraser = Eraser(chain, self.watch, self.desk, self.keystore, rooms, self.faults)
        self.watch.listeners.append(self.assigner.hint)
        shares = ShareShelf(self.keystore, chain)
        self.points = PointDesk(chain, shares, lambda: self.runner.membership.committees)
        self.mesh.answer_points(self.points.give)
        self.self_test = SelfTestDoor(SelfTester(chain, self.points, shares.batches, mesh), self.runner.membership)
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self.watch.run)
                    nursery.start_soon(self.watch.compare, comet)
                    await nursery.start(self.run_mesh)
                    await self.runner.bind(NETWORK)
                    if self.erases:
                        nursery.start_soon(self.eraser.run)
                    await self.runner.run()
        except* PowerCut as cut:
            leaf: BaseException = cut
            while isinstance(leaf, BaseExceptionGroup):
                leaf = leaf.exceptions[0]
            self.deaths.append(str(leaf))
        finally:
            reader.chain.readers.remove(reader)
            self.hub.meshes.pop(self.index, None)

    async def run_again(self) -> None:
        """Lives one after another, each death followed by a restart."""
        while True:
            deaths = len(self.deaths)
            await self.run()
            if len(self.deaths) == deaths:
                return

    async def assign(self, request: AssignRequest) -> Any:
        return await self.assigner.assign(request)

    @property
    def is_bound(self) -> bool:
        """Whether this life has seen the chain."""
        return getattr(self, "runner", None) is not None and self.runner.dev is not None

    @property
    def is_member(self) -> bool:
        """Whether this life knows its place in the committee."""
        return self.is_bound and self.runner.membership.index == self.index

    def holds(self, sid: str) -> bool:
        return self.is_bound and self.keystore.epoch(1).holds(bytes.fromhex(sid))


class World:
    """n keepers and their chain."""

    kind: type[Node] = Node

    def __init__(self, folder: Path, n: int = 5, **params: int) -> None:
        self.hub = Hub()
        self.committee = Committee.of(n)
        pubs = []
        self.nodes: dict[int, Node] = {}
        for index in range(1, n + 1):
            node = self.kind(index, folder / f"node{index}", None, self.hub)  # type: ignore[arg-type]
            pubs.append(node.open().identity.pub)
            self.nodes[index] = node
        small = {"first_rows": 4, "rows": 4, "pool_low": 10, "pool_high": 11, "sessions_in_flight": 1}
        self.pubs = pubs
        self.chain = Chain(folder / "chain", pubs, **{**small, **params})
        for node in self.nodes.values():
            node.chain = self.chain

    def peer_id(self, number: int) -> str:
        return f"peer{number}"

    def address(self, number: int) -> str:
        return f"/ip4/127.0.0.1/tcp/{9000 + number}"

    def start_epoch(self) -> None:
        """Let all observe the first epoch and a verifier."""
        members = [
            pb.Member(
                index=j, operator=f"0x{j:040x}", identity=pub, consensus=bytes([j]) * 32, peer_id=self.peer_id(j),
                p2p_addr=self.address(j), comet_addr=f"id{j}@127.0.0.1:1", endpoint="http://127.0.0.1:1",
            )
            for j, pub in enumerate(self.pubs, start=1)
        ]  # fmt: skip
        c = self.committee
        epoch = pb.Record(epoch=pb.EpochRecord(epoch=1, n=c.n, k=c.k, t=c.t, members=members))
        verifier = pb.Record(
            verifier=pb.VerifierRecord(
                name="mock", version=1, issuer="https://i.example", jwks_url="https://i.example/jwks",
                audiences=[pb.Audience(aud="a", mode="bound")], id_claim="sub", case_rule="exact",
                algorithms=["RS256"], iat_limit_s=120, session_claim="nonce",
            )
        )  # fmt: skip
        self.chain.block()
        for number_, record in ((0, epoch), (1, verifier)):
            for node in self.nodes.values():
                self.observe(node, number_, record)
            self.chain.block()

    def observe(self, node: Node, epoch: int, record: pb.Record) -> None:
        keystore = node.open()
        desk = TxDesk(keystore.identity, None, lambda: self.chain.height, CutPoints())  # type: ignore[arg-type]
        body = pb.TxBody(chain_id=CHAIN, version=1, epoch=epoch, expiry_height=self.chain.height + 20)
        body.observe.record = record.SerializeToString(deterministic=True)
        self.chain.mempool.append(desk._sign(body))

    def session(self, sid: str) -> SessionView | None:
        found: SessionView | None = self.chain.query(f"/session/{sid}", SessionView)
        return found


async def until(condition: Callable[[], bool], within: float = 30.0) -> None:
    """Wait for something that has no event of its own."""
    with trio.fail_after(within):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.02)
