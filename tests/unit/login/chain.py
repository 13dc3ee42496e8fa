"""What abci_app would answer to login services: accounts, verifiers, the committee in charge and former ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from authnet_core.crypto import ecdsa
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.views import (
    AccountView,
    AudienceView,
    EpochView,
    KeyView,
    MemberView,
    StatusView,
    VerifierView,
)
from p2p_dkg import ports
from tests.unit.login import provider

NETWORK = "test-net"
LIMIT_S = 120
BORN_MS = 1_000_000
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


def secret(number: int) -> bytes:
    return (number + 1).to_bytes(32, "big")


@dataclass(frozen=True)
class Key:
    secret_bytes: bytes

    @property
    def pub(self) -> bytes:
        return pub(self.secret_bytes)

    def sign(self, digest: bytes) -> bytes:
        return ecdsa.sign(self.secret_bytes, digest)

    def sign_recoverable(self, digest: bytes) -> bytes:
        return ecdsa.sign_recoverable(self.secret_bytes, digest)


@dataclass
class Block:
    height: int
    time_ms: int


def verifier(name: str = "google", **changes: Any) -> VerifierView:
    facts: dict[str, Any] = {
        "name": name,
        "version": 1,
        "issuer": provider.ISSUER,
        "jwks_url": provider.JWKS_URL,
        "audiences": (AudienceView(aud="torus", mode="two-round"), AudienceView(aud="authnet", mode="bound")),
        "id_claim": "sub",
        "case_rule": "exact",
        "algorithms": ALGORITHMS,
        "iat_limit_s": LIMIT_S,
    }
    return VerifierView(**(facts | changes))


@dataclass
class Chain:
    """What abci_app would answer, the same to every keeper."""

    n: int
    clock: Callable[[], float]
    verifiers: dict[str, VerifierView] = field(default_factory=dict)
    accounts: dict[bytes, KeyView] = field(default_factory=dict)
    epoch: int = 1
    serving_from_ms: int = 0
    members: tuple[int, ...] = ()
    """Numbers of the keepers in the current committee, in the order of their party indexes; none: 1 .. n."""
    former: dict[int, EpochView] = field(default_factory=dict)
    lag_s: float = 0.0
    down: bool = False
    assigned: list[bytes] = field(default_factory=list)
    waited_for: list[int] = field(default_factory=list)
    """Block times whose successor a keeper waited for."""
    no_block_after: bool = False
    _heights: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def newest_block(self) -> Block:
        return Block(next(self._heights), int((self.clock() - self.lag_s) * 1000))

    async def query(self, path: str, type: Any) -> Any:
        if self.down:
            raise AuthnetError(Code.UNAVAILABLE, "read.sock does not answer")
        if path == "/status":
            return StatusView(
                chain_id="c",
                network_id=NETWORK,
                dev=False,
                height=1,
                time_ms=self.newest_block().time_ms,
                app_hash="",
                epoch=self.epoch,
            )
        if path == "/epoch/current":
            return self._epoch()
        if path.startswith("/epoch/"):
            return self.former.get(int(path.removeprefix("/epoch/")))
        if path == "/verifiers":
            return list(self.verifiers.values())
        assert path.startswith("/account/")
        key = self.accounts.get(bytes.fromhex(path.removeprefix("/account/").split("?")[0]))
        return None if key is None else AccountView(account_id=key.account_id, keys=(key,))

    def hand_over(self, members: tuple[int, ...], starts_s: float, grace_s: float = 300.0, called_off: int = 0) -> None:
        """Another committee becomes current and serves from `starts_s` on. So many before it never came."""
        before = self._epoch()
        assert before is not None
        starts_ms = int(starts_s * 1000)
        self.former[self.epoch] = msgspec.structs.replace(
            before, status="retired", serving_until_ms=starts_ms, grace_ends_ms=starts_ms + int(grace_s * 1000)
        )
        self.epoch, self.serving_from_ms, self.members = self.epoch + called_off + 1, starts_ms, members

    def _epoch(self) -> EpochView | None:
        if not self.epoch:
            return None
        numbers = self.members or tuple(range(1, self.n + 1))
        members = tuple(
            MemberView(
                index=j,
                operator="",
                identity=Key(secret(number)).pub.hex(),
                consensus="",
                peer_id="",
                p2p_addr="",
                comet_addr="",
                endpoint=f"https://node{number}",
            )
            for j, number in enumerate(numbers, start=1)
        )
        return EpochView(
            epoch=self.epoch,
            n=len(numbers),
            k=len(numbers) // 2 + 1,
            t=(len(numbers) + 3) // 4 - 1,
            status="serving",
            members=members,
            committee_hash="",
            serving_from_ms=self.serving_from_ms,
            previous=max(self.former, default=0),
        )

    async def settled(self, time_ms: int) -> None:
        await trio.lowlevel.checkpoint()
        self.waited_for.append(time_ms)
        if self.no_block_after:
            raise AuthnetError(Code.CHAIN_STALE, "no block has come after the one that assigned the key")

    async def assign(self, request: ports.AssignRequest) -> ports.Assigned:
        assert request.purpose == "login"
        await trio.lowlevel.checkpoint()
        if request.account_id not in self.accounts:
            self.assigned.append(request.account_id)
            self.give_key(request.account_id, assigned_ms=int(self.clock() * 1000))
        return ports.Assigned(self.accounts[request.account_id], is_new=True)

    def give_key(self, account: bytes, **changes: Any) -> KeyView:
        index = len(self.accounts)
        facts: dict[str, Any] = {
            "index": index,
            "curve": "secp256k1",
            "Y": pub(1000 + index).hex(),
            "N": pub(2000 + index).hex(),
            "sid": "aa",
            "position": index,
            "epoch": self.epoch,
            "free": False,
            "account_id": account.hex(),
            "assigned_ms": BORN_MS,
        }
        self.accounts[account] = KeyView(**(facts | changes))
        return self.accounts[account]
