"""A keeper and a chain reduced to what the epoch manager asks of them, on real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from authnet_core.crypto import ecdsa, secp256k1
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import parse_fields, registration_digest
from authnet_core.wire.authnet_pb2 import EpochRecord, VerifierRecord
from authnet_core.wire.tx import decode_record
from authnet_runtime.config import NodeConfig, parse_node
from authnet_runtime.rpc import Connection, serve
from tests.component.epoch.eth_net import FakeNode


class FakeChain:
    """Shows a record as soon as one keeper observed it; `refuse` gives the next observations a code."""

    def __init__(self) -> None:
        self.epochs: dict[int, EpochRecord] = {}
        self.verifiers: dict[str, VerifierRecord] = {}
        self.observed: list[bytes] = []
        self.told: dict[int, EpochRecord] = {}
        self.in_charge = 0
        """The current epoch, where it is not the newest one observed."""
        self.phases: dict[int, str] = {}
        """Status of an epoch where it is not `serving`."""
        self.refuse: Code | None = None
        self.applies = True

    async def observe(self, params: dict[str, Any], _caller: Connection) -> dict[str, Any]:
        if self.refuse is not None:
            raise AuthnetError(self.refuse, "so it was planted")
        raw = bytes.fromhex(params["record"])
        record = decode_record(raw)
        self.observed.append(raw)
        if self.applies and record.WhichOneof("kind") == "epoch":
            self.epochs[record.epoch.epoch] = record.epoch
        elif self.applies:
            self.verifiers[record.verifier.name] = record.verifier
        return {}

    async def saw_epoch(self, params: dict[str, Any], _caller: Connection) -> dict[str, Any]:
        record = decode_record(bytes.fromhex(params["record"])).epoch
        self.told[record.epoch] = record
        return {}

    async def query(self, params: dict[str, Any], _caller: Connection) -> dict[str, Any]:
        _, kind, *rest = params["path"].split("/")
        name = rest[0] if rest else ""
        if name == "current":
            name = str(self.in_charge or max(self.epochs, default=0))
        if kind == "epoch" and (epoch := self.epochs.get(int(name))) is not None:
            value = {"epoch": epoch.epoch, "n": epoch.n, "k": epoch.k, "t": epoch.t}
            value |= {"status": self.phases.get(epoch.epoch, "serving")}
            return {"height": 1, "value": value | {"members": [], "committee_hash": ""}}
        if kind == "verifier" and (found := self.verifiers.get(name)) is not None:
            value = {"name": name, "version": found.version, "issuer": found.issuer, "jwks_url": found.jwks_url}
            value |= {"audiences": [], "id_claim": found.id_claim, "case_rule": found.case_rule}
            return {"height": 1, "value": value | {"algorithms": [], "iat_limit_s": found.iat_limit_s}}
        raise AuthnetError(Code.NOT_FOUND, "absent")

    async def subscribe(self, _params: dict[str, Any], _caller: Connection) -> dict[str, Any]:
        return {"height": 1, "time_ms": 0, "app_hash": "", "events": []}


def write_node(folder: Path, node: FakeNode, *, rpc: str, registry: str, extra: str = "") -> NodeConfig:
    """A node's folder as the supervisor leaves it, keys of the operator included."""
    folder.mkdir(parents=True, exist_ok=True)
    text = f"""
[node]
network_id = "testnet"
dev = true
[ethereum]
rpc = "{rpc}"
registry = "{registry}"
chain_id = 31337
poll_ms = 50
[p2p]
listen = "/ip4/127.0.0.1/tcp/{9000 + node.number}"
[api]
listen = "127.0.0.1:{9200 + node.number}"
endpoint = "http://127.0.0.1:{9200 + node.number}"
[cometbft]
p2p = "127.0.0.1:{9100 + node.number}"
{extra}"""
    (folder / "node.toml").write_text(text)
    (folder / "eth.key").write_text(node.operator_key.hex() + "\n")
    (folder / "eth.key").chmod(0o600)
    (folder / "run").mkdir(exist_ok=True)
    return parse_node(text, folder)


@asynccontextmanager
async def fake_keeper(config: NodeConfig, node: FakeNode, chain: FakeChain | None = None) -> AsyncIterator[None]:
    """ops.sock of a keeper that holds `node`'s identity key, and read.sock of `chain`."""

    async def identity(_params: dict[str, Any], _caller: Connection) -> dict[str, str]:
        return {"identity_pub": secp256k1.pub(node.identity_key).hex(), "peer_id": node.entry().peer_id}

    async def sign(params: dict[str, Any], _caller: Connection) -> dict[str, str]:
        request = parse_fields(params)
        return {"signature": ecdsa.sign_recoverable(node.identity_key, registration_digest(request)).hex()}

    methods: dict[str, Any] = {"identity": identity, "sign_registration": sign}
    if chain is not None:
        methods["observe"] = chain.observe
        methods["saw_epoch"] = chain.saw_epoch
    async with anyio.create_task_group() as group:
        await group.start(lambda task_status: serve(config.ops_sock, methods, task_status=task_status))
        if chain is not None:
            reads = {"query": chain.query, "subscribe": chain.subscribe}
            await group.start(lambda task_status: serve(config.read_sock, reads, task_status=task_status))
        yield
        group.cancel_scope.cancel()


async def until(what: str, ready: Any, seconds: float = 60.0) -> None:
    """Wait until `ready()` (may be a coroutine function) is true."""
    with anyio.move_on_after(seconds):
        while True:
            answer = ready()
            if hasattr(answer, "__await__"):
                answer = await answer
            if answer:
                return
            await anyio.sleep(0.02)
    raise AssertionError(f"not within {seconds:g} s: {what}")
