"""A chain that follows a script: answers read.sock in the real formats, runs no consensus."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import msgspec

from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.crypto.shamir import evaluate
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.committee import Committee
from authnet_core.protocol.views import AudienceView, EpochView, KeyView, MemberView, VerifierView
from authnet_runtime import rpc

NETWORK_ID = "scripted"
VERIFIER = "mock-google"


@dataclass
class ScriptedKey:
    """One key, known whole, as only a test may."""

    index: int
    coefficients: list[int]
    nonce: int

    @property
    def y(self) -> str:
        return pub(self.coefficients[0]).hex()

    @property
    def n(self) -> str:
        return pub(self.nonce).hex()

    @property
    def final(self) -> int:
        return (self.coefficients[0] + self.nonce) % Q

    def share(self, index: int) -> int:
        return evaluate(self.coefficients, index)


@dataclass
class ScriptedChain:
    """What all nodes' read.sock answer from."""

    committee: Committee
    members: list[MemberView] = field(default_factory=list)
    keys: list[ScriptedKey] = field(default_factory=list)
    assigned: dict[str, tuple[int, int]] = field(default_factory=dict)
    height: int = 10
    time_ms: int = 1_700_000_000_000
    epoch: int = 1
    queries: list[str] = field(default_factory=list)
    listeners: list[rpc.Connection] = field(default_factory=list)
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def assign(self, account: str) -> ScriptedKey:
        if account not in self.assigned:
            coefficients = [self.rng.randrange(1, Q) for _ in range(self.committee.k)]
            self.keys.append(ScriptedKey(len(self.keys), coefficients, self.rng.randrange(1, Q)))
            self.assigned[account] = (len(self.keys) - 1, self.time_ms)
        return self.keys[self.assigned[account][0]]

    def view(self, account: str) -> KeyView:
        index, at = self.assigned[account]
        key = self.keys[index]
        return KeyView(
            index=index,
            curve="secp256k1",
            Y=key.y,
            N=key.n,
            sid="00" * 32,
            position=index,
            epoch=1,
            free=False,
            account_id=account,
            assigned_ms=at,
        )

    def note(self, events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
        return {
            "height": self.height,
            "time_ms": self.time_ms,
            "app_hash": "00" * 32,
            "events": events or [],
        }

    async def block(self, seconds: float = 1.0, events: list[dict[str, Any]] | None = None) -> None:
        """Commit a block and tell every subscriber."""
        self.height += 1
        self.time_ms += int(seconds * 1000)
        for connection in self.listeners:
            await connection.notify("block", self.note(events))

    def methods(self) -> dict[str, rpc.Handler]:
        async def query(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.queries.append(params["path"])
            return {"height": self.height, "value": msgspec.to_builtins(self._read(params["path"]))}

        async def subscribe(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.listeners.append(connection)
            return self.note()

        async def metrics(params: dict[str, Any], connection: rpc.Connection) -> str:
            return "# HELP scripted_chain x\n# TYPE scripted_chain gauge\nscripted_chain 1.0\n"

        return {"query": query, "subscribe": subscribe, "metrics": metrics}

    def _read(self, path: str) -> Any:
        place, _, _ = path.partition("?")
        parts = place.strip("/").split("/")
        match parts:
            case ["status"]:
                return {
                    "chain_id": f"{NETWORK_ID}-1",
                    "network_id": NETWORK_ID,
                    "dev": True,
                    "height": self.height,
                    "time_ms": self.time_ms,
                    "app_hash": "00" * 32,
                    "epoch": self.epoch,
                }
            case ["epoch", _]:
                c = self.committee
                return EpochView(
                    epoch=self.epoch,
                    n=c.n,
                    k=c.k,
                    t=c.t,
                    status="serving",
                    members=tuple(self.members),
                    committee_hash="11" * 32,
                )
            case ["verifier", name] if name == VERIFIER:
                return verifier_record()
            case ["verifier", _]:
                raise AuthnetError(Code.VERIFIER_UNKNOWN, "no such verifier")
            case ["account", account] if account in self.assigned and "secp256k1" in path:
                return {"account_id": account, "keys": [self.view(account)]}
            case ["account", _]:
                raise AuthnetError(Code.ACCOUNT_NOT_FOUND, "no key")
            case ["key", "by-pub", point]:
                for account in self.assigned:
                    if point == self.view(account).Y:
                        return self.view(account)
                raise AuthnetError(Code.NOT_FOUND, "no such key")
        raise AuthnetError(Code.UNKNOWN_PATH, path)


def verifier_record() -> VerifierView:
    return VerifierView(
        name=VERIFIER,
        version=1,
        issuer="http://127.0.0.1",
        jwks_url="http://127.0.0.1/jwks",
        audiences=(AudienceView(aud="torus", mode="two-round"), AudienceView(aud="authnet", mode="bound")),
        id_claim="sub",
        case_rule="ascii-lower",
        algorithms=("RS256",),
        iat_limit_s=120,
    )
