"""The SDK's face: one object for a network, kept for as long as there are calls to make.

    async with Client(Network.from_file("network.json")) as client:
        where = await client.resolve("google", "bob@example.com")
        login = await client.login("google", "bob@example.com", ask_provider_for_token)

Nothing here logs, and no secret is in an exception or a repr.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
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
_STALE = frozenset({Code.EPOCH_MOVED, Code.WRONG_EPOCH, Code.NOT_A_MEMBER, Code.NODES_DISAGREE})


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
        committee = await self.committee()
        try:
            return await resolve(self._link, committee, verifier, verifier_id, assign=assign, patience_s=patience_s)
        except AuthnetError as error:
            self._forget_if_stale(error)
            raise

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
        committee = await self.committee()
        session = session or LoginSession.start(self.network.network_id, verifier)
        if not isinstance(token, str):
            token = await token(session.nonce if rounds == 1 else None)
        if rounds == 1:
            session.require_bound(token, session_claim)
        request = LoginRequest(verifier, verifier_id, token, rounds, session_s, patience_s)
        try:
            return await Login(self._link, committee, session, request).run()
        except AuthnetError as error:
            self._forget_if_stale(error)
            raise

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

    def _forget_if_stale(self, error: AuthnetError) -> None:
        """Some refusals mean that the list of nodes may be old: the next call asks for it again."""
        codes = {error.code.value, *(node.get("code") for node in error.detail.get("nodes", ()))}
        if codes & {code.value for code in _STALE}:
            self._committee = None
