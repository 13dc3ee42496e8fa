"""The registry owner's side for a local network: deploy, announce the first epoch, allow operators, add verifiers.

Talks to Ethereum only. A production owner does the same through its multisig.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_runtime.contract import Call, deployment
from authnet_runtime.eth_transaction import created_address
from authnet_runtime.ethereum import Ethereum, Sender
from authnet_runtime.registry import Registry
from authnet_runtime.registry_state import CASE_RULES, MODES, ZERO_ADDRESS, EpochState, VerifierState

GAS = 10_000_000
"""Enough for any call here; a fixed limit lets a whole set-up be sent without waiting for blocks in between."""
GAS_MONEY_WEI = 10**19


@dataclass(frozen=True, slots=True)
class NetworkSetup:
    """What the owner decides when a network begins. `operators[j - 1]` becomes party j."""

    network_id: str
    operators: tuple[str, ...]
    verifiers: tuple[VerifierState, ...]
    dev: bool = True
    change_delay_s: int = 0
    notice_s: int = 0
    fund: bool = True


def verifier_arguments(state: VerifierState) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contract's `Identity` and `Terms` structs."""
    identity = {
        "name": state.name,
        "issuer": state.issuer,
        "idClaim": state.id_claim,
        "sessionClaim": state.session_claim,
        "caseRule": CASE_RULES.index(state.case_rule),
    }
    return identity, verifier_terms(state)


def verifier_terms(state: VerifierState) -> dict[str, Any]:
    """The contract's `Terms` struct."""
    return {
        "jwksUrl": state.jwks_url,
        "audiences": [{"aud": a.aud, "mode": MODES.index(a.mode)} for a in state.audiences],
        "algorithms": list(state.algorithms),
        "iatLimitS": state.iat_limit_s,
        "owner": state.owner,
    }


class RegistryAdmin:
    """The owner's key at one Ethereum node. Methods raise AuthnetError and return once mined."""

    def __init__(self, ethereum: Ethereum, owner_key: bytes) -> None:
        self._eth = ethereum
        self._sender = Sender(ethereum, owner_key)

    @property
    def owner(self) -> str:
        return self._sender.address

    async def deploy(self, network_id: str, *, dev: bool = True, change_delay_s: int = 0) -> Registry:
        """Deploy a registry owned by this key."""
        registry, sent = await self._send_deploy(network_id, dev, change_delay_s)
        await self._sender.wait("deploy", sent)
        return registry

    async def set_up(self, setup: NetworkSetup) -> Registry:
        """Everything that a new network needs, sent at once and mined together: epoch 1 starts when it is full."""
        registry, deployed = await self._send_deploy(setup.network_id, setup.dev, setup.change_delay_s)
        sent = [("deploy", deployed)]
        if setup.fund:
            sent += [("fund", await self._sender.transfer(to, GAS_MONEY_WEI)) for to in setup.operators]
        committee = Committee.of(len(setup.operators))
        calls = [
            registry.call("announceEpoch", committee.n, committee.k, committee.t, setup.notice_s, True),
            registry.call("allowOperators", 1, setup.operators),
            *(registry.call("addVerifier", *self._verifier(verifier)) for verifier in setup.verifiers),
        ]
        sent += [(call.name, await self._sender.send(call, GAS)) for call in calls]
        for what, transaction in sent:
            await self._sender.wait(what, transaction)
        return registry

    async def fund(self, addresses: Sequence[str], wei: int = GAS_MONEY_WEI) -> None:
        """Send each address ether for its gas."""
        sent = [await self._sender.transfer(address, wei) for address in addresses]
        for transaction in sent:
            await self._sender.wait("fund", transaction)

    async def announce_epoch(
        self, registry: Registry, committee: Committee, *, notice_s: int = 0, start_when_full: bool = True
    ) -> int:
        """Open the next epoch for registration, return its number."""
        size = (committee.n, committee.k, committee.t)
        await self._do(registry.call("announceEpoch", *size, notice_s, start_when_full))
        return await registry.last_epoch()

    async def open_epoch(
        self, registry: Registry, epoch: int, committee: Committee, operators: Sequence[str], *, notice_s: int = 0
    ) -> None:
        """Announce `epoch` and allow its operators at once; it starts when they have all registered.

        Raises REGISTRY_REFUSED if the next number is another one, or with the contract's error; then nothing was sent.
        """
        last = await registry.last_epoch()
        if last + 1 != epoch:
            raise AuthnetError(Code.REGISTRY_REFUSED, f"the registry's next epoch is {last + 1}, not {epoch}")
        # The first is estimated, so that a refusal names its reason; the second can not be before the first is mined.
        announce = registry.call("announceEpoch", committee.n, committee.k, committee.t, notice_s, True)
        allow = registry.call("allowOperators", epoch, operators)
        sent = [(call.name, await self._sender.send(call, gas)) for call, gas in ((announce, 0), (allow, GAS))]
        for what, transaction in sent:
            await self._sender.wait(what, transaction)

    async def whitelist(self, registry: Registry, epoch: int, operators: Sequence[str]) -> None:
        """Allow operators to register; their order is the order of the parties."""
        await self._do(registry.call("allowOperators", epoch, operators))

    async def remove_operator(self, registry: Registry, epoch: int, operator: str) -> None:
        """Take an operator out of an epoch that has not started."""
        await self._do(registry.call("removeOperator", epoch, operator))

    async def start_epoch(self, registry: Registry, epoch: int) -> EpochState | None:
        """Freeze a full epoch that does not start by itself."""
        await self._do(registry.call("startEpoch", epoch))
        return await registry.epoch(epoch)

    async def abort_epoch(self, registry: Registry, epoch: int) -> None:
        """Call the newest epoch off."""
        await self._do(registry.call("abortEpoch", epoch))

    async def add_verifier(self, registry: Registry, state: VerifierState) -> None:
        """Add a provider under a new name."""
        await self._do(registry.call("addVerifier", *self._verifier(state)))

    async def change_verifier(self, registry: Registry, state: VerifierState) -> None:
        """Announce new terms of a verifier; what never changes is ignored here."""
        terms = self._verifier(state)[1]
        await self._do(registry.call("changeVerifier", state.name, terms))

    async def remove_verifier(self, registry: Registry, name: str) -> None:
        """Announce the end of a verifier."""
        await self._do(registry.call("removeVerifier", name))

    async def withdraw_change(self, registry: Registry, name: str) -> None:
        """Take an announced change back."""
        await self._do(registry.call("withdrawVerifierChange", name))

    async def _do(self, call: Call) -> None:
        await self._sender.wait(call.name, await self._sender.send(call))

    async def _send_deploy(self, network_id: str, dev: bool, delay_s: int) -> tuple[Registry, str]:
        nonce = await self._sender.next_nonce()
        sent = await self._sender.send(deployment(network_id, dev, self.owner, delay_s), GAS)
        return Registry(self._eth, created_address(self.owner, nonce)), sent

    def _verifier(self, state: VerifierState) -> tuple[dict[str, Any], dict[str, Any]]:
        identity, terms = verifier_arguments(state)
        owner = self.owner if state.owner == ZERO_ADDRESS else state.owner
        return identity, terms | {"owner": owner}
