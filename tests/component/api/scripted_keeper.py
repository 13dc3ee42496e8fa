"""A keeper that follows a script: real shares in the real formats, no token checked. Can be told to lie or refuse."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from authnet_core.crypto import ecies
from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress, pub, scalar_bytes
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id, canonical_id
from authnet_core.protocol.receipts import Receipt
from authnet_runtime import rpc
from tests.component.api.scripted_chain import NETWORK_ID, ScriptedChain

Lie = Callable[[dict[str, Any]], dict[str, Any]]


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def scripted_token(user: str, nonce: str | None = None) -> str:
    """Shaped like a token; the scripted keepers do not check signatures."""
    claims = {"sub": user, "iat": int(time.time()), "jti": random.random()} | ({"nonce": nonce} if nonce else {})
    parts = ({"alg": "RS256", "kid": "scripted"}, claims)
    return ".".join(b64url(json.dumps(part).encode()) for part in parts) + "." + b64url(bytes(64))


def seal(point: bytes, plaintext: bytes) -> dict[str, str]:
    box = ecies.encrypt(point, plaintext)
    return {
        "iv": box.iv.hex(),
        "ephem": box.ephem_public_key.hex(),
        "mac": box.mac.hex(),
        "ciphertext": box.ciphertext.hex(),
    }


@dataclass
class ScriptedKeeper:
    """One node's keeper. `lies` change its answers, `refusals` replace them, `calls` is what it was asked."""

    index: int
    chain: ScriptedChain
    identity: bytes
    service: bytes
    lies: dict[str, Lie] = field(default_factory=dict)
    refusals: dict[str, AuthnetError] = field(default_factory=dict)
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    committed: dict[str, str] = field(default_factory=dict)

    def methods(self) -> dict[str, rpc.Handler]:
        actions = {
            "status": self._status,
            "commit": self._commit,
            "share": self._share,
            "assign": self._assign,
            "metrics": self._metrics,
        }
        return {name: self._scripted(name, action) for name, action in actions.items()}

    def _scripted(self, name: str, action: Callable[[dict[str, Any]], Any]) -> rpc.Handler:
        async def handler(params: dict[str, Any], connection: rpc.Connection) -> Any:
            self.calls.append((name, params))
            if name in self.held:
                await self.held[name].wait()
            if name in self.refusals:
                raise self.refusals[name]
            answer = action(params)
            return self.lies[name](answer) if name in self.lies else answer

        return handler

    def _status(self, params: dict[str, Any]) -> dict[str, Any]:
        return {"node_index": self.index, "login_ready": True}

    def _metrics(self, params: dict[str, Any]) -> str:
        return "# HELP scripted_keeper_total x\n# TYPE scripted_keeper_total counter\nscripted_keeper_total 2.0\n"

    def _commit(self, params: dict[str, Any]) -> dict[str, Any]:
        if self.committed.setdefault(params["token_hash"], params["temp_pub"]) != params["temp_pub"]:
            raise AuthnetError(Code.DUPLICATE_TOKEN, "this token is committed to another session key")
        receipt = Receipt(
            token_hash=bytes.fromhex(params["token_hash"]),
            temp_pub=decompress(bytes.fromhex(params["temp_pub"])),
            verifier=params["verifier"],
            time_s=int(time.time()),
            network_id=NETWORK_ID,
            epoch=self.chain.epoch,
            node_index=self.index,
        )
        return {
            "data": receipt.text,
            "signature": sign_recoverable(self.identity, receipt.digest).hex(),
            "node_pub": pub(self.identity).hex(),
            "node_index": self.index,
        }

    def _share(self, params: dict[str, Any]) -> dict[str, Any]:
        user = canonical_id("ascii-lower", params["verifier_id"])
        account = account_id(NETWORK_ID, params["verifier"], user, params["extension"]).hex()
        key = self.chain.assign(account)
        point = self._session_key(params)
        xy = decompress(point).hex()
        token = json.dumps(
            {
                "exp": int(time.time()) + params["session_s"],
                "temp_key_x": xy[:64],
                "temp_key_y": xy[64:],
                "verifier_name": params["verifier"],
                "verifier_id": user,
            }
        ).encode()
        signature = sign_recoverable(self.service, keccak256(base64.b64encode(token)))
        nonce = scalar_bytes(key.nonce)
        sealed_nonce = {"nonce_sealed": seal(point, nonce)} if params["nonce_enc"] else {"nonce": nonce.hex()}
        return {
            "index": key.index,
            "Y": key.y,
            "N": key.n,
            "share": seal(point, scalar_bytes(key.share(self.index))),
            "session_token": seal(point, token),
            "session_token_sig": seal(point, signature),
            "node_index": self.index,
            "service_pub": pub(self.service).hex(),
            "is_new": True,
            "upgraded": False,
            "created_ms": self.chain.time_ms,
            "epoch": self.chain.epoch,
        } | sealed_nonce

    def _session_key(self, params: dict[str, Any]) -> bytes:
        if "temp_pub" in params:
            return bytes.fromhex(params["temp_pub"])
        votes = [receipt["data"].split("\x1c") for receipt in params["receipts"]]
        return bytes([2 + int(votes[0][3][-1], 16) % 2]) + bytes.fromhex(votes[0][2])

    def _assign(self, params: dict[str, Any]) -> dict[str, Any]:
        key = self.chain.assign(params["account_id"])
        at = self.chain.assigned[params["account_id"]][1]
        return {"index": key.index, "Y": key.y, "N": key.n, "created_ms": at, "is_new": True}
