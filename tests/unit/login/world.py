"""Five keepers' login services around one chain and one provider, in one process, without a network."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from authnet_core.crypto import ecdsa, ecies
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id
from authnet_core.protocol.session_binding import session_nonce
from authnet_core.protocol.views import (
    AccountView,
    AudienceView,
    EpochView,
    HandoverEndView,
    KeyView,
    MemberView,
    StatusView,
    VerifierView,
)
from p2p_dkg import ports
from p2p_dkg.login.receipt_log import ReceiptLog
from p2p_dkg.login.service import LoginService
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
        if path == "/handovers":
            numbers = [*self.former, self.epoch]
            return [HandoverEndView(epoch=e, outcome="switched", height=1, time_ms=0) for e in numbers if e > 1]
        if path.startswith("/epoch/"):
            return self.former.get(int(path.removeprefix("/epoch/")))
        if path == "/verifiers":
            return list(self.verifiers.values())
        assert path.startswith("/account/")
        key = self.accounts.get(bytes.fromhex(path.removeprefix("/account/").split("?")[0]))
        return None if key is None else AccountView(account_id=key.account_id, keys=(key,))

    def hand_over(self, members: tuple[int, ...], starts_s: float, grace_s: float = 300.0) -> None:
        """Another committee becomes current and serves from `starts_s` on."""
        before = self._epoch()
        assert before is not None
        starts_ms = int(starts_s * 1000)
        self.former[self.epoch] = msgspec.structs.replace(
            before, status="retired", serving_until_ms=starts_ms, grace_ends_ms=starts_ms + int(grace_s * 1000)
        )
        self.epoch, self.serving_from_ms, self.members = self.epoch + 1, starts_ms, members

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
