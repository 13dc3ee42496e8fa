"""The SDK's face: one object for a network, kept for as long as there are calls to make.

    async with Client(Network.from_file("network.json")) as client:
        where = await client.resolve("google", "bob@example.com")
        login = await client.login("google", "bob@example.com", ask_provider_for_token)

Nothing here logs, and no secret is in an exception or a repr.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TypeVar
from urllib.parse import urlencode

import anyio
import msgspec

from authnet_client.committee import ServingCommittee, discover
from authnet_client.link import Link
from authnet_client.login import Login, LoginRequest
from authnet_client.network import Network
from authnet_client.outcomes import LoginOutcome, Resolution
from authnet_client.resolve import resolve
from authnet_client.session import LoginSession, TokenSource
from authnet_core.errors import AuthnetError, Code

TIMEOUT_S = 20.0
COMMITTEE_S = 300.0
RETRY_PAUSES_S = (0.0, 1.2, 1.2)
"""When a committee has left: at once, then when the second is over in which nobody gives receipts, then when the one is
in which a token still is the former committee's."""
MOVED = frozenset({Code.EPOCH_MOVED.value, Code.WRONG_EPOCH.value})
STALE = MOVED | {code.value for code in (Code.NOT_A_MEMBER, Code.NODES_DISAGREE, Code.TOO_FEW_NODES, Code.NETWORK_DOWN)}
"""Refusals after which the list of nodes may be an old one."""
T = TypeVar("T")


class DevToken(msgspec.Struct, frozen=True):
    id_token: str


class Client:
    """Use as an async context manager; works under asyncio and trio."""

    def __init__(self, network: Network, *, timeout_s: float = TIMEOUT_S) -> None:
        self.network = network
        self._link = Link(timeout_s)
        self._stack = AsyncExitStack()
        self._lock = anyio.Lock()
        self._committee: ServingCommittee | None = None
        self._found_at = 0.0

    async def __aenter__(self) -> Client:
        await self._stack.enter_async_context(self._link)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def committee(self) -> ServingCommittee:
        """Who serves now: asked for once, again after five minutes or when the nodes say so."""
        async with self._lock:
            now = anyio.current_time()
            if self._committee is None or now - self._found_at > COMMITTEE_S:
                self._committee = await discover(self._link, self.network)
                self._found_at = now
            return self._committee

    async def resolve(
        self, verifier: str, verifier_id: str, *, assign: bool = True, patience_s: float = 0.0
    ) -> Resolution:
        """The address of an account; a new account gets its key now unless `assign` is False."""

        async def once(committee: ServingCommittee) -> Resolution:
            return await resolve(self._link, committee, verifier, verifier_id, assign=assign, patience_s=patience_s)

        return await self._following(once)

    async def new_session(self, verifier: str) -> LoginSession:
        """For flows that leave the program: send `nonce` to the provider, then log in with the token."""
        return LoginSession.start(self.network.network_id, verifier)

    async def login(
        self,
        verifier: str,
        verifier_id: str,
        token: str | TokenSource,
        *,
        rounds: int | None = None,
        session: LoginSession | None = None,
        session_claim: str = "nonce",
        session_s: int = 86_400,
        patience_s: float = 0.0,
    ) -> LoginOutcome:
        """Get the account's key.

        With a token source (or a `session` whose nonce the token carries) one round is enough; a ready-made
        token takes two. `session_claim`: the claim that the verifier's record names for the nonce.
        """
        bindable = session is not None or not isinstance(token, str)
        rounds = rounds or (1 if bindable else 2)
        if rounds not in (1, 2) or (rounds == 1 and not bindable):
            text = "one round needs a token source, or the session that the token was asked for with"
            raise AuthnetError(Code.BAD_PARAMS, text)
        await self.committee()  # a user is sent to the provider only when somebody is there to log in at
        own = session or LoginSession.start(self.network.network_id, verifier)
        bound: str | None = await _fetch(token, own, rounds)
        if rounds == 1 and bound is not None:
            own.require_bound(bound, session_claim)

        async def once(committee: ServingCommittee) -> LoginOutcome:
            # A token that one committee may have seen is of no use at the next: a source is asked for another.
            nonlocal bound
            if bound is None:
                bound = await _fetch(token, own, rounds)
            request = LoginRequest(verifier, verifier_id, bound, rounds, session_s, patience_s)
            if rounds == 2 and not isinstance(token, str):
                bound = None
            return await Login(self._link, committee, own, request).run()

        return await self._following(once)

    def dev_tokens(self, verifier: str, verifier_id: str, **options: str) -> TokenSource:
        """Tokens of a test network's own identity provider. Raises NOT_DEV elsewhere."""
        if not self.network.dev or not self.network.front:
            raise AuthnetError(Code.NOT_DEV, "only a test network hands out tokens")

        async def fetch(nonce: str | None) -> str:
            query = {"verifier": verifier, "verifier_id": verifier_id, **options}
            query |= {"nonce": nonce} if nonce else {}
            url = f"{self.network.front.rstrip('/')}/dev/token?{urlencode(query)}"
            return (await self._link.get(url, DevToken)).id_token

        return fetch

    async def _following(self, call: Callable[[ServingCommittee], Awaitable[T]]) -> T:
        """Carry `call` out at the serving committee, and again at the next one when that took over meanwhile."""
        pauses = iter(RETRY_PAUSES_S)
        while True:
            committee = await self.committee()
            try:
                return await call(committee)
            except AuthnetError as error:
                pause = next(pauses, None)
                if not self._forget_if_stale(error) or pause is None:
                    raise
                await anyio.sleep(pause)
                if not await self._is_worth_a_retry(error, committee):
                    raise

    async def _is_worth_a_retry(self, error: AuthnetError, before: ServingCommittee) -> bool:
        """Whether the nodes named a successor, or there is one by now."""
        if _codes(error) & MOVED:
            return True
        try:
            return (await self.committee()).epoch != before.epoch
        except AuthnetError:
            return False

    def _forget_if_stale(self, error: AuthnetError) -> bool:
        """Some refusals mean that the list of nodes may be old: it is asked for again."""
        if not _codes(error) & STALE:
            return False
        self._committee = None
        return True


def _codes(error: AuthnetError) -> set[str]:
    """The refusal's code and those of the nodes behind it."""
    return {error.code.value, *(str(node.get("code")) for node in error.detail.get("nodes", ()))}


async def _fetch(token: str | TokenSource, session: LoginSession, rounds: int) -> str:
    return token if isinstance(token, str) else await token(session.nonce if rounds == 1 else None)
