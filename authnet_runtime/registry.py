"""Reads the registry contract at a given block, and builds the calls that write to it.

Reads are pinned to a block hash, so that a re-organisation in the middle gives an error, never a mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from authnet_core.crypto.secp256k1 import decompress
from authnet_core.errors import AuthnetError, Code, ConfigError
from authnet_core.protocol.registration import Registration, SigningRequest
from authnet_runtime import contract
from authnet_runtime.contract import Call
from authnet_runtime.ethereum import BlockRef, Ethereum, coded
from authnet_runtime.registry_state import EpochState, VerifierState, read_epoch, read_verifier

NEVER_S = 2**63
_PAGE = 32


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that nodes care about, at one block."""

    block: BlockRef
    epochs: tuple[EpochState, ...]
    verifiers: tuple[VerifierState, ...]
    next_due_s: int
    """Block time at which an announced change of a verifier takes effect; it emits nothing then."""


def registration_fields(entry: Registration) -> dict[str, Any]:
    """The contract's `Registration` struct."""
    point = decompress(bytes.fromhex(entry.identity))
    return {
        "identityX": int.from_bytes(point[:32], "big"),
        "identityY": int.from_bytes(point[32:], "big"),
        "consensus": bytes.fromhex(entry.consensus),
        "peerId": entry.peer_id,
        "cometId": bytes.fromhex(entry.comet_id),
        "p2pAddress": entry.p2p_addr,
        "cometAddress": entry.comet_addr,
        "endpoint": entry.endpoint,
    }


class Registry:
    """The contract at one address. Every method raises AuthnetError (UNAVAILABLE, REGISTRY_REFUSED)."""

    def __init__(self, ethereum: Ethereum, address: str) -> None:
        self.ethereum = ethereum
        self.address = address.lower()

    def call(self, name: str, *arguments: Any) -> Call:
        """A call of one of the contract's functions, to be sent or asked."""
        return contract.call(self.address, name, *arguments)

    async def check(self, eth_chain_id: int, network_id: str, dev: bool) -> None:
        """Raise ConfigError if this is another Ethereum, no registry, or another network's registry."""
        found = await self.ethereum.chain_id()
        if found != eth_chain_id:
            text = f"ethereum.chain_id: {eth_chain_id} is configured, the node is on {found}"
            raise ConfigError(text, Code.REGISTRY_MISMATCH)
        if not await self.ethereum.has_code(self.address):
            raise AuthnetError(Code.REGISTRY_MISSING, f"there is no contract at {self.address}")
        name = await self._read("networkId")
        if name != network_id:
            text = f"node.network_id: {network_id!r} is configured, the registry is {name!r}'s"
            raise ConfigError(text, Code.REGISTRY_MISMATCH)
        if await self._read("dev") != dev:
            raise ConfigError(f"node.dev: {dev} is configured, the registry says otherwise", Code.REGISTRY_MISMATCH)

    async def network(self) -> tuple[str, bool]:
        """(network id, dev), fixed when the contract was deployed."""
        if not await self.ethereum.has_code(self.address):
            raise AuthnetError(Code.REGISTRY_MISSING, f"there is no contract at {self.address}")
        name = await self._read("networkId")
        return name, await self._read("dev")

    async def last_epoch(self, at: BlockRef | None = None) -> int:
        """Highest epoch number announced."""
        return int(await self._read("lastEpoch", at=at))

    async def epoch(self, number: int, at: BlockRef | None = None) -> EpochState | None:
        """One epoch at a block (newest by default), None if it was never announced."""
        try:
            raw = await self._read("getEpoch", number, at=at)
        except AuthnetError as refusal:
            if refusal.detail.get("error") == "UnknownEpoch":
                return None
            raise
        with coded("getEpoch"):  # a status or a mode that no registry of ours has
            return read_epoch(raw)

    async def verifiers(self, at: BlockRef | None = None) -> tuple[VerifierState, ...]:
        """Verifier records in force at a block, in the order they were added."""
        found: list[VerifierState] = []
        while True:
            page = await self._read("getVerifiers", len(found), _PAGE, at=at)
            with coded("getVerifiers"):
                found += [read_verifier(raw) for raw in page]
            if len(page) < _PAGE:
                return tuple(found)

    async def snapshot(self, at: BlockRef) -> Snapshot:
        """Every epoch and verifier at `at`."""
        numbers = range(1, await self.last_epoch(at) + 1)
        epochs = [await self.epoch(number, at) for number in numbers]
        verifiers = await self.verifiers(at)
        due = [await self.next_change_s(verifier.name, at) for verifier in verifiers]
        return Snapshot(at, tuple(e for e in epochs if e is not None), verifiers, min(due, default=NEVER_S))

    async def next_change_s(self, verifier: str, at: BlockRef | None = None) -> int:
        """When the announced change of a verifier takes effect, NEVER_S if there is none."""
        raw = await self._read("getPending", verifier, at=at)
        return int(raw.effectiveAt) if raw.number else NEVER_S

    async def has_changed(self, first: int, last: int) -> bool:
        """Whether the contract emitted anything in blocks first..last."""
        where = {"address": self.address, "fromBlock": hex(first), "toBlock": hex(last)}
        return bool(await self.ethereum.request("eth_getLogs", where))

    def signing_request(self, eth_chain_id: int, entry: Registration) -> SigningRequest:
        """What the keeper is asked to sign for `entry`."""
        return SigningRequest(eth_chain_id=eth_chain_id, registry=self.address, registration=entry)

    def register_call(self, entry: Registration, signature: bytes, *, update: bool = False) -> Call:
        """The `register` (or `updateAddresses`) transaction's call."""
        name = "updateAddresses" if update else "register"
        return self.call(name, entry.epoch, registration_fields(entry), signature)

    async def _read(self, name: str, *arguments: Any, at: BlockRef | None = None) -> Any:
        return await self.ethereum.call(self.call(name, *arguments), at)
