"""Registers this node for its epoch, once the owner has allowed its operator, and for every later one that does.

The operator's Ethereum key pays the gas and has no other power: the contract wants a signature of the node's
identity key over every field, which only the keeper can give.
"""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.registration import Registration
from authnet_runtime.config import NodeConfig
from authnet_runtime.ethereum import Sender
from authnet_runtime.logs import get_logger
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import EpochState, EpochStatus
from authnet_runtime.rpc_client import RpcClient
from epoch_manager.comet_keys import CometKeys
from epoch_manager.status import Status

RETRY_S = 5.0
"""After a refusal by the contract or the keeper."""
SETTLED_S = 2.0
"""With nothing left to do, the next epoch is looked for this often."""
_log = get_logger("registrar")


@dataclass(frozen=True, slots=True)
class OwnEntry:
    """What the node's files say about it; the keeper knows the rest."""

    comet: CometKeys
    p2p: str
    comet_addr: str
    endpoint: str

    @staticmethod
    def of(config: NodeConfig, comet: CometKeys) -> OwnEntry:
        toml = config.toml
        comet_addr = toml.cometbft.announce or toml.cometbft.p2p
        return OwnEntry(comet, toml.p2p.announce or toml.p2p.listen, comet_addr, toml.api.endpoint)


class Registrar:
    """Brings the contract's entry of this node to what the node is. Raises nothing out of `run`."""

    def __init__(self, registry: Registry, sender: Sender, keeper: RpcClient, own: OwnEntry, status: Status) -> None:
        self._registry = registry
        self._sender = sender
        self._keeper = keeper
        self._own = own
        self._status = status
        self._first = self._next = status.epoch
        self._rescans = 0

    async def run(self, poll_s: float) -> None:
        """Forever: a later epoch may have this operator too."""
        while True:
            pause = poll_s
            try:
                if await self.step():
                    pause = max(poll_s, SETTLED_S)
                self._status.clear("registration")
            except AuthnetError as problem:
                self._status.report("registration", problem)
                pause = poll_s if problem.code is Code.UNAVAILABLE else max(poll_s, RETRY_S)
            await anyio.sleep(pause)

    async def step(self) -> bool:
        """Do what can be done now; whether there is nothing left to do until a new epoch opens. Raises AuthnetError.

        The epoch of the configuration is the first one that is looked at; of those after it, every one that allows
        this operator is registered for. An epoch is left behind when it is closed in a finalized block: a
        re-organisation that takes the closing back may have taken this node's entry with it.
        """
        if self._rescans != self._status.rescans:
            self._rescans, self._next = self._status.rescans, self._first
        last = await self._registry.last_epoch()
        if last < self._next and not self._status.registered:
            return False
        for number in range(self._next, last + 1):
            epoch = await self._registry.epoch(number)
            if epoch is None or not await self._settle(epoch, is_last=number == last):
                return False
            if number == self._next and await self._is_final(epoch):
                self._next += 1
        return self._next > last

    async def _is_final(self, epoch: EpochState) -> bool:
        """Whether the finalized block has the epoch closed as the newest one has it."""
        block = self._status.finalized
        try:
            known = await self._registry.epoch(epoch.epoch, block) if block is not None else None
        except AuthnetError:  # the contract is younger, or the block is pruned
            return False
        return known is not None and known.status is epoch.status

    async def _settle(self, epoch: EpochState, *, is_last: bool) -> bool:
        """Whether nothing more can be done about this epoch."""
        present = next((m for m in epoch.members if m.operator == self._sender.address), None)
        is_invited = self._sender.address in epoch.operators
        if present is not None or is_invited or not self._status.registered:
            self._status.take_epoch(epoch)
        if present is not None:
            return await self._compare(epoch, present)
        if epoch.status is not EpochStatus.OPEN:
            if is_last and not self._status.registered:
                text = f"epoch {epoch.epoch} is {epoch.status.name.lower()} without operator {self._sender.address}"
                raise AuthnetError(Code.NOT_A_MEMBER, text)
            return True
        if is_invited and len(epoch.members) < epoch.n:
            await self._send(await self._entry(epoch.epoch), update=False)
        return False

    async def _compare(self, epoch: EpochState, present: Registration) -> bool:
        """Keys must be ours; addresses are corrected while they can be."""
        entry = await self._entry(epoch.epoch)
        if present.keys != entry.keys:
            text = f"operator {entry.operator} is registered in epoch {epoch.epoch} with keys this node does not have"
            raise AuthnetError(Code.REGISTRATION_CONFLICT, text)
        self._status.registered = True
        if epoch.status is not EpochStatus.OPEN:
            return True
        if present != entry:
            await self._send(entry, update=True)
        return False

    async def _entry(self, epoch: int) -> Registration:
        identity = await self._keeper.call("identity")
        return Registration(
            epoch=epoch,
            operator=self._sender.address,
            identity=str(identity["identity_pub"]),
            consensus=self._own.comet.consensus,
            peer_id=str(identity["peer_id"]),
            comet_id=self._own.comet.comet_id,
            p2p_addr=self._own.p2p,
            comet_addr=self._own.comet_addr,
            endpoint=self._own.endpoint,
        )

    async def _send(self, entry: Registration, *, update: bool) -> None:
        what = "updateAddresses" if update else "register"
        chain_id = await self._registry.ethereum.chain_id()
        request = self._registry.signing_request(chain_id, entry)
        fields = {
            "eth_chain_id": request.eth_chain_id,
            "registry": request.registry,
            "registration": {name: getattr(entry, name) for name in entry.__struct_fields__},
        }
        answer = await self._keeper.call("sign_registration", fields)
        call = self._registry.register_call(entry, bytes.fromhex(answer["signature"]), update=update)
        await self._sender.wait(what, await self._sender.send(call))
        _log.info("registration.sent", call=what, epoch=entry.epoch, operator=entry.operator)
