"""Five keepers' login services around one chain and one provider, in one process, without a network."""

from __future__ import annotations

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from authnet_core.crypto import ecies
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.session_binding import session_nonce
from authnet_core.protocol.views import KeyView
from p2p_dkg import ports
from p2p_dkg.login.receipt_log import ReceiptLog
from p2p_dkg.login.service import LoginService
from tests.unit.login import provider
from tests.unit.login.chain import BORN_MS, NETWORK, Chain, Key, secret, verifier


@dataclass
class Keeper:
    """One node's login service with fakes around it."""

    index: int
    world: World
    folder: Path
    missing: bool = False
    continuous_since_ms: int = 0
    asks: int = 0
    asked_epochs: list[int] = field(default_factory=list)
    source: ports.ReceiptSource | None = None

    def __post_init__(self) -> None:
        self.identity = Key(secret(self.index))
        self.start()

    def start(self, capacity: int = 1_000_000) -> None:
        self.log = ReceiptLog(self.folder, now_s=self.world.log_born_s, capacity=capacity)
        self.service = LoginService(
            self.outside(),
            NETWORK,
            self.log,
            genesis_ms=self.world.genesis_ms,
            fetch=self.world.fetch,
            clock=self.world.clock,
        )

    def outside(self) -> ports.LoginPorts:
        chain = self.world.chain
        return ports.LoginPorts(
            chain=chain,  # type: ignore[arg-type]
            identity=self.identity,
            service_key=self.service_key,
            share_of=self.share_of,
            service_open=lambda _epoch: None,
            assign=chain.assign,
            ask_receipts=self.ask,
            answer_receipts=self.answer,
            newest_block=chain.newest_block,  # type: ignore[arg-type]
            settled=chain.settled,
            folder=self.folder,
            continuous_since_ms=lambda: self.continuous_since_ms,
            dev=False,
        )

    def service_key(self, epoch: int) -> Key:
        return Key(secret(100 * epoch + self.index))

    def answer(self, source: ports.ReceiptSource) -> None:
        self.source = source

    async def share_of(self, epoch: int, key: KeyView) -> ports.KeyShare | None:
        await trio.lowlevel.checkpoint()
        if self.missing:
            return None
        x = (epoch - 1) * 1_000_000 + self.index * 10_000 + key.index
        return ports.KeyShare(x=x, nonce=None if key.upgraded else 77)

    async def ask(self, epoch: int, token_hash: bytes, temp_pub: bytes) -> list[ports.Receipt]:
        self.asks += 1
        self.asked_epochs.append(epoch)
        others = [k for k in self.world.keepers if k is not self and k.source is not None]
        answers = [k.source(token_hash, temp_pub) for k in others if k.source is not None]
        return [answer for answer in answers if answer is not None]

    async def commit(self, token: str, session: Session, **changes: Any) -> dict[str, Any]:
        params = {
            "token_hash": keccak256(token.encode()).hex(),
            "temp_pub": session.pub.hex(),
            "verifier": "google",
        } | changes
        return await self.service.handlers()["commit"](params, None)

    async def share(self, token: str, receipts: list[Any] | None = None, **changes: Any) -> dict[str, Any]:
        params = {
            "verifier": "google",
            "verifier_id": "alice",
            "id_token": token,
            "receipts": receipts or [],
        } | changes
        return await self.service.handlers()["share"](params, None)


class Session:
    """A client's session key."""

    def __init__(self, number: int = 500) -> None:
        self.secret = secret(number)
        self.pub = pub(self.secret)

    def nonce(self, verifier_name: str = "google") -> str:
        return session_nonce(NETWORK, verifier_name, self.pub)

    def open(self, sealed: dict[str, str]) -> bytes:
        return ecies.decrypt(
            self.secret,
            ecies.Ecies(
                bytes.fromhex(sealed["iv"]),
                bytes.fromhex(sealed["ephem"]),
                bytes.fromhex(sealed["mac"]),
                bytes.fromhex(sealed["ciphertext"]),
            ),
        )


class World:
    """Everything; `now` is the wall clock of all keepers."""

    def __init__(
        self, folder: Path, n: int = 5, *, spare: int = 0, log_born_s: float = 900.0, genesis_ms: int = BORN_MS
    ) -> None:
        self.now = time.time()
        self.log_born_s = log_born_s
        self.genesis_ms = genesis_ms
        self.chain = Chain(n, self.clock, {"google": verifier()})
        self.published = provider.key_set()
        self.provider_down = False
        self.fetches = 0
        self.all_fetched = trio.Event()
        self.keepers: list[Keeper] = []
        for j in range(1, n + spare + 1):
            self.keepers.append(Keeper(j, self, folder / f"node-{j}"))
        self.chain.give_key(account_id(NETWORK, "google", "alice"))

    def clock(self) -> float:
        return self.now

    async def fetch(self, url: str) -> bytes:
        self.fetches += 1
        if self.fetches >= len(self.keepers):
            self.all_fetched.set()
        await trio.lowlevel.checkpoint()
        if self.provider_down:
            raise AuthnetError(Code.UNAVAILABLE, "down")
        return self.published

    def token(self, alg: str = "RS256", *, header: dict[str, Any] | None = None, **changes: Any) -> str:
        return provider.sign(provider.claims(self.now, **changes), alg, header=header)

    def bound_token(self, session: Session, alg: str = "RS256", **changes: Any) -> str:
        return self.token(alg, **({"aud": "authnet", "nonce": session.nonce()} | changes))

    async def pass_time(self, seconds: float) -> None:
        """Let the wall clock and the chain go on."""
        self.now += seconds
        await self.read_chain()

    async def read_chain(self) -> None:
        """What every keeper does at a new block."""
        for keeper in self.keepers:
            await keeper.service._facts.refresh()

    async def commit_all(self, token: str, session: Session, **changes: Any) -> list[dict[str, Any]]:
        return [await keeper.commit(token, session, **changes) for keeper in self.keepers]

    def keeper(self, number: int) -> Keeper:
        return self.keepers[number - 1]


@asynccontextmanager
async def running(folder: Path, n: int = 5, **options: Any) -> AsyncIterator[World]:
    """A world whose services have read the chain and the provider's keys."""
    world = World(folder, n, **options)
    async with trio.open_nursery() as nursery:
        for keeper in world.keepers:
            nursery.start_soon(keeper.service.run)
        await ready(world)
        yield world
        nursery.cancel_scope.cancel()
    for keeper in world.keepers:
        keeper.log.close()


async def ready(world: World) -> None:
    with trio.fail_after(10):
        await world.all_fetched.wait()
        await trio.testing.wait_all_tasks_blocked()


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test; pytest sees its fixtures."""

    @functools.wraps(test)
    def call(**fixtures: Any) -> None:
        trio.run(functools.partial(test, **fixtures))

    return call


async def refused(code: Code, call: Awaitable[Any]) -> AuthnetError:
    """The call is refused with this very code."""
    with pytest.raises(AuthnetError) as caught:
        await call
    assert caught.value.code == code, f"{caught.value.code}: {caught.value.message}"
    return caught.value
