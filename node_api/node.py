"""One node's door as its handlers see it, and the account questions both JSON-RPC and GET ask.

Reads the chain through `ChainView`, writes through `Keeper`; keeps nothing of its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id, canonical_id
from node_api.chain_view import ChainView
from node_api.keeper import Keeper
from node_api.limits import Limits

CURVES = ("secp256k1", "ed25519")
GENERATED = frozenset({"secp256k1"})
"""Curves whose keys the nodes make; accounts of the others exist by import only."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who is asked about: a verifier's user, optionally with an extension, and a curve."""

    verifier: str
    verifier_id: str
    extension: str = ""
    curve: str = "secp256k1"


@dataclass(frozen=True, slots=True)
class ResolvedKey:
    """The key of an account as the chain has it."""

    account_id: bytes
    index: int
    Y: str
    N: str
    created_ms: int
    is_new: bool
    upgraded: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """What every handler gets."""

    chain: ChainView
    keeper: Keeper
    limits: Limits
    endpoint: str
    """This node's public URL, by which the registry lists it."""
    max_body: int = 65_536
    body_timeout_s: float = 10.0

    async def identify(self, account: Account) -> bytes:
        """The account id, after the verifier's record said how the id is compared."""
        if account.curve not in CURVES:
            raise AuthnetError(Code.UNSUPPORTED_CURVE, "key_type: expected secp256k1 or ed25519")
        record = await self.chain.verifier(account.verifier)
        self.limits.admit_verifier(record.name, time.monotonic())
        canonical = canonical_id(record.case_rule, account.verifier_id)
        if len(account.extension) > 512:
            raise AuthnetError(Code.BAD_PARAMS, "extended_verifier_id: at most 512 characters")
        status = await self.chain.status()
        try:
            return account_id(status.network_id, record.name, canonical, account.extension)
        except UnicodeEncodeError:
            raise AuthnetError(Code.BAD_PARAMS, "extended_verifier_id: not valid Unicode") from None

    async def find(self, account: Account) -> ResolvedKey:
        """The key of an account that has one. Raises ACCOUNT_NOT_FOUND."""
        found = await self._look(account, await self.identify(account))
        if found is None:
            raise AuthnetError(Code.ACCOUNT_NOT_FOUND, "this account has no key yet")
        return found

    async def find_or_assign(self, account: Account) -> ResolvedKey:
        """The key of an account; the first question for a new account assigns it one."""
        wanted = await self.identify(account)
        found = await self._look(account, wanted)
        if found is not None:
            return found
        if account.curve not in GENERATED:
            raise AuthnetError(Code.ACCOUNT_NOT_FOUND, "keys of this curve exist by import only")
        self.limits.admit_new_key(time.monotonic())
        with self.limits.assigns.one():
            key = await self.keeper.assign(account.verifier, wanted, account.curve, "lookup")
        return ResolvedKey(wanted, key.index, key.Y, key.N, key.created_ms, self.chain.is_new(key.created_ms))

    async def _look(self, account: Account, wanted: bytes) -> ResolvedKey | None:
        key = await self.chain.key_of(wanted, account.curve)
        if key is None:
            return None
        new = self.chain.is_new(key.assigned_ms)
        return ResolvedKey(wanted, key.index, key.Y, key.N, key.assigned_ms, new, key.upgraded)

    async def index(self) -> int:
        """This node's party index in the serving committee; 0 while it is no member."""
        epoch = await self.chain.serving_epoch()
        for member in epoch.members:
            if member.endpoint.rstrip("/") == self.endpoint.rstrip("/"):
                return member.index
        status = await self.keeper.status()
        return int(status.get("node_index") or 0)
