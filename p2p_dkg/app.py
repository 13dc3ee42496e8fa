"""The keeper as a whole: opens the keystore, listens on its sockets, and runs until told to end.

ops.sock comes first: a node registers itself before any chain exists. The rest waits for the chain without polling
hard, and survives restarts of abci_app and CometBFT.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import cast

import msgspec
import trio
from anyio import to_thread

from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.json_text import NOT_JSON
from authnet_runtime.chain import ChainReader
from authnet_runtime.comet import CometRpc
from authnet_runtime.config import NodeConfig
from authnet_runtime.lifetime import wait_for_end
from authnet_runtime.logs import get_logger
from authnet_runtime.rpc import Handler, serve
from p2p_dkg.doors.api import api_methods
from p2p_dkg.doors.dev import DevDoor
from p2p_dkg.doors.exporting import ExportSigner
from p2p_dkg.doors.ops import OpsDoor
from p2p_dkg.doors.selftest import SelfTestDoor
from p2p_dkg.doors.state import KeeperState
from p2p_dkg.faults import FaultPoints
from p2p_dkg.keystore.shares import ShareShelf
from p2p_dkg.keystore.store import Keystore
from p2p_dkg.login.receipt_log import ReceiptLog
from p2p_dkg.login.service import LoginService
from p2p_dkg.network.mesh import Mesh
from p2p_dkg.ports import Assigned, AssignRequest, LoginPorts
from p2p_dkg.runner.assign import Assigner
from p2p_dkg.runner.erasure import Eraser
from p2p_dkg.runner.runner import Runner
from p2p_dkg.runner.submit import TxDesk
from p2p_dkg.runner.watch import ChainWatch
from p2p_dkg.selftest.points import PointDesk
from p2p_dkg.selftest.tester import SelfTester

_log = get_logger("keeper")
_NO_LOGIN = "the keeper has not seen the chain yet"


class _Genesis(msgspec.Struct):
    """The one field of genesis.json that is read here."""

    genesis_time: str


def allowed_uids(*users: str) -> frozenset[int]:
    """This process's own user and the named ones. Raises ConfigError for a user that does not exist."""
    found = {os.getuid()}
    for user in filter(None, users):
        try:
            found.add(pwd.getpwnam(user).pw_uid)
        except KeyError:
            raise ConfigError(f"user: there is no user {user!r}") from None
    return frozenset(found)


def genesis_ms(config: NodeConfig) -> int:
    """Genesis time of the chain, 0 if the file is not readable."""
    try:
        text = msgspec.json.decode(config.genesis.read_bytes(), type=_Genesis).genesis_time
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")[:19] + "+00:00").timestamp() * 1000)
    except (OSError, ValueError, *NOT_JSON):
        return 0


class Keeper:
    """All parts of one keeper, wired."""

    def __init__(self, config: NodeConfig, keystore: Keystore) -> None:
        toml = config.toml
        self._config, self._keystore = config, keystore
        faults = FaultPoints(toml.node.dev)
        self._chain = ChainReader(config.read_sock)
        self._comet = CometRpc(config.comet_sock)
        self._mesh = Mesh(keystore.transport_seed, toml.p2p.listen, keystore.identity.pub.hex())
        self._watch = ChainWatch(self._chain, keystore)
        self._desk = TxDesk(keystore.identity, self._comet, self._height, faults)
        self._runner = Runner(self._chain, self._watch, self._desk, keystore, self._mesh, faults)
        self._assigner = Assigner(self._chain, self._watch, self._desk, lambda: self._runner.membership.committees)
        self._watch.listeners.append(self._assigner.hint)
        self._state = KeeperState(keystore, self._mesh, self._runner, self._watch, dev=toml.node.dev)
        self._shares = ShareShelf(keystore, self._chain)
        rooms = (self._runner.sessions, self._runner.reshares)
        self._eraser = Eraser(self._chain, self._watch, self._desk, keystore, rooms, faults)
        self._ops = OpsDoor(keystore, self._mesh, self._runner, self._desk, self._state)
        # Made at the first start, before there is a chain: a log younger than the network gives no receipts at first.
        self._receipts = ReceiptLog(keystore.folder / "login", now_s=time.time())
        self._dev = DevDoor(self._chain, keystore, self._shares, self._state, config.passphrase_file)

    async def run(self, supervised_fd: int | None) -> None:
        """Serve until told to end. Raises ConfigError, or AuthnetError(FORK_SEEN)."""
        users = self._config.toml.user
        self._watch.require_no_fork()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._end, supervised_fd, nursery.cancel_scope)
            exports = ExportSigner(self._chain, self._keystore.identity)
            more = {"sign_export": exports.sign, "self_test": self._self_test().run}
            ops = self._ops.methods(self._dev) | more
            await nursery.start(partial(serve, self._config.ops_sock, ops, peers=allowed_uids(users.epoch_manager)))
            await nursery.start(self._mesh.run)
            api = api_methods(self._state, self._assign, _login_not_ready())
            await nursery.start(partial(serve, self._config.api_sock, api, peers=allowed_uids(users.node_api)))
            _log.info("keeper.listening", identity=self._keystore.identity.pub.hex(), peer_id=self._mesh.host.peer_id)
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(self._chain)
                await stack.enter_async_context(self._comet)
                nursery.start_soon(self._watch.run)
                nursery.start_soon(self._watch.compare, self._comet)
                await self._runner.bind(self._config.toml.node.network_id)
                # Before anything is signed, released or remembered on a chain that may be another one.
                await self._watch.check_history(self._comet)
                login = await to_thread.run_sync(self._open_login)
                api.update(login.handlers())
                self._state.logs_in = True
                nursery.start_soon(login.run)
                nursery.start_soon(self._eraser.run)
                await self._runner.run()

    async def _end(self, supervised_fd: int | None, scope: trio.CancelScope) -> None:
        await wait_for_end(supervised_fd)
        _log.info("keeper.ending")
        scope.cancel()

    def _height(self) -> int:
        newest = self._watch.newest
        return newest.height if newest is not None else 0

    def _service_open(self, epoch: int) -> Callable[[object], bytes] | None:
        service = self._keystore.epoch(epoch).service()
        return None if service is None else cast("Callable[[object], bytes]", service.open)

    async def _assign(self, request: AssignRequest) -> Assigned:
        return await self._assigner.assign(request)

    def _self_test(self) -> SelfTestDoor:
        membership = self._runner.membership
        desk = PointDesk(self._chain, self._shares, lambda: membership.committees)
        self._mesh.answer_points(desk.give)
        return SelfTestDoor(SelfTester(self._chain, desk, self._shares.batches, self._mesh), membership)

    def _open_login(self) -> LoginService:
        keystore = self._keystore
        folder = keystore.folder / "login"
        ports = LoginPorts(
            chain=self._chain,
            identity=keystore.identity,
            service_key=lambda epoch: keystore.epoch(epoch).service(),
            share_of=self._shares.share_of,
            service_open=self._service_open,
            assign=self._assign,
            ask_receipts=self._mesh.ask_receipts,
            answer_receipts=self._mesh.answer_receipts,
            newest_block=lambda: self._watch.newest,
            settled=self._watch.settle,
            folder=folder,
            continuous_since_ms=lambda: keystore.born_ms,
            dev=self._config.toml.node.dev,
        )
        network_id = self._config.toml.node.network_id
        return LoginService(ports, network_id, self._receipts, genesis_ms=genesis_ms(self._config))


def _login_not_ready() -> dict[str, Handler]:
    async def refuse(_: object, __: object) -> None:
        raise AuthnetError(Code.UNAVAILABLE, _NO_LOGIN)

    return {"commit": refuse, "share": refuse}


async def run_keeper(config: NodeConfig, keystore: Keystore, supervised_fd: int | None) -> None:
    """Run with an open keystore until told to end. Raises ConfigError or AuthnetError(FORK_SEEN)."""
    config.run.mkdir(mode=0o700, exist_ok=True)
    await Keeper(config, keystore).run(supervised_fd)
