"""ops.sock: what epoch_manager and the operator may ask. Every signature is over fields checked here."""

from __future__ import annotations

from typing import Any

import msgspec

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import parse_fields, registration_digest
from authnet_core.wire import authnet_pb2 as pb
from authnet_core.wire.tx import decode_record
from authnet_runtime import metrics
from authnet_runtime.rpc import Connection, Handler
from p2p_dkg.doors.api import read_params, unhex
from p2p_dkg.doors.dev import DevDoor
from p2p_dkg.doors.state import KeeperState
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.runner.runner import Runner
from p2p_dkg.runner.submit import TxDesk

MAX_RECORD_BYTES = 65_536


class ObserveParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `observe` and `saw_epoch`."""

    record: str


class RejectParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Parameters of `reject`: the epoch that is to take over, and its record as this operator saw it."""

    epoch: int
    record_hash: str


class OpsDoor:
    """The methods of ops.sock."""

    def __init__(self, keystore: Keystore, mesh: Mesh, runner: Runner, desk: TxDesk, state: KeeperState) -> None:
        self._keystore, self._mesh, self._runner = keystore, mesh, runner
        self._desk, self._state = desk, state

    def methods(self, dev: DevDoor) -> dict[str, Handler]:
        """The table of ops.sock."""
        return {
            "observe": self._observe,
            "saw_epoch": self._saw_epoch,
            "reject": self._reject,
            "sign_registration": self._sign_registration,
            "identity": self._identity,
            "epoch": self._epoch,
            "drain": self._drain,
            "status": self._status,
            "metrics": self._metrics,
            "dev_shares": dev.shares,
            "dev_secrets": dev.secrets,
        }

    async def _observe(self, params: dict[str, Any], _: Connection) -> Any:
        raw = unhex("record", read_params(params, ObserveParams).record)
        if len(raw) > MAX_RECORD_BYTES:
            raise AuthnetError(Code.TOO_LARGE, f"a record has at most {MAX_RECORD_BYTES} bytes")
        decode_record(raw)
        if not self._desk.chain_id:
            raise AuthnetError(Code.UNAVAILABLE, "the chain is not there yet")
        ticket = await self._desk.send(self._runner.membership.body_epoch, "observe", pb.Observe(record=raw))
        if ticket.code is not None:
            raise AuthnetError(ticket.code, ticket.log)
        return {"tx_hash": ticket.tx_hash, "expiry_height": ticket.expiry_height}

    async def _reject(self, params: dict[str, Any], _: Connection) -> Any:
        """The operator's word against the next committee."""
        asked = read_params(params, RejectParams)
        body = pb.Reject(epoch=asked.epoch, record_hash=unhex("record_hash", asked.record_hash))
        ticket = await self._desk.send(self._runner.membership.body_epoch, "reject", body)
        if ticket.code is not None:
            raise AuthnetError(ticket.code, ticket.log)
        return {"tx_hash": ticket.tx_hash, "expiry_height": ticket.expiry_height}

    async def _saw_epoch(self, params: dict[str, Any], _: Connection) -> Any:
        raw = unhex("record", read_params(params, ObserveParams).record)
        if len(raw) > MAX_RECORD_BYTES:
            raise AuthnetError(Code.TOO_LARGE, f"a record has at most {MAX_RECORD_BYTES} bytes")
        record = decode_record(raw)
        if record.WhichOneof("kind") != "epoch":
            raise AuthnetError(Code.BAD_PARAMS, "record: is not of an epoch")
        return {"epoch": record.epoch.epoch, "is_new": await self._runner.saw_epoch(record.epoch)}

    async def _sign_registration(self, params: dict[str, Any], _: Connection) -> Any:
        request = parse_fields(params)
        own = (self._keystore.identity.pub.hex(), self._mesh.host.peer_id)
        if (request.registration.identity, request.registration.peer_id) != own:
            raise AuthnetError(Code.FORBIDDEN, "this node signs only for its own identity and peer id")
        digest = registration_digest(request)
        return {"signature": self._keystore.identity.sign_recoverable(digest).hex()}

    async def _identity(self, _: dict[str, Any], __: Connection) -> Any:
        return {"identity_pub": self._keystore.identity.pub.hex(), "peer_id": self._mesh.host.peer_id}

    async def _epoch(self, _: dict[str, Any], __: Connection) -> Any:
        membership = self._runner.membership
        if membership.epoch is None:
            raise AuthnetError(Code.UNAVAILABLE, "the network has no committee yet")
        return {"epoch": msgspec.to_builtins(membership.epoch), "node_index": membership.index or 0}

    async def _drain(self, _: dict[str, Any], __: Connection) -> Any:
        self._runner.sessions.draining = self._runner.reshares.draining = True
        return {"draining": True, "sessions": [driver.show() for driver in self._runner.sessions.drivers]}

    async def _status(self, _: dict[str, Any], __: Connection) -> Any:
        return self._state.show()

    async def _metrics(self, _: dict[str, Any], __: Connection) -> Any:
        return metrics.render()
