"""Users beside the faults: new accounts, one- and two-round logins, and a thief. Every answer is checked.

Speaks to the network from outside only, through the SDK; holds the keys of its own made-up users.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import anyio
import httpx

from authnet_client import Client, LoginOutcome, Resolution
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.secp256k1 import pub
from authnet_core.errors import AuthnetError, Code
from localnet.chaos.lights import Light
from localnet.chaos.record import LOGINS, Account, Record
from localnet.chaos.tokens import VERIFIER, Thief
from localnet.places import Places

LOOK_UP, NEW_ACCOUNT = "look-up", "new account"
CLIENT_S = 6.0
"""A node that does not answer is given up after this."""
THIEF_S = 10.0
PAUSE_S = 0.4
NEW_EVERY_S = 2.0
"""A node assigns one new account a second to one address."""
SETTLE_S = 2.0
"""What was under way when the last node went may still come to its end."""
FIRST_ACCOUNTS = 3


class Load:
    """All users. `client` and `record` belong to the caller."""

    def __init__(self, places: Places, client: Client, record: Record) -> None:
        self._places, self._client, self._record = places, client, record
        self._thief = Thief(client, record)

    async def begin(self) -> None:
        """The first accounts, before anything is broken. Raises AuthnetError."""
        while len(self._record.accounts) < FIRST_ACCOUNTS:
            self._learn(await self._client.resolve(VERIFIER, _somebody()))

    async def run(self) -> None:
        """Until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._again, NEW_EVERY_S, self._look_up_somebody_new)
            group.start_soon(self._again, PAUSE_S, self._look_up_again)
            group.start_soon(self._again, PAUSE_S, lambda: self.log_in(1))
            group.start_soon(self._again, PAUSE_S, lambda: self.log_in(2))
            group.start_soon(self._steal)

    async def log_in(self, rounds: int) -> bool:
        """One login of a known user; whether it succeeded."""
        account = self._anybody()
        tokens = self._client.dev_tokens(VERIFIER, account.user)

        async def call() -> None:
            self._check_login(account, await self._client.login(VERIFIER, account.user, tokens, rounds=rounds))

        return await self._timed(LOGINS[rounds - 1], call)

    def _anybody(self) -> Account:
        return secrets.choice(list(self._record.accounts.values()))

    async def _again(self, pause_s: float, act: Callable[[], Awaitable[object]]) -> None:
        while True:
            await act()
            await anyio.sleep(pause_s)

    async def _look_up_somebody_new(self) -> None:
        user = _somebody()
        await self._timed(NEW_ACCOUNT, lambda: self._resolve(user))

    async def _look_up_again(self) -> None:
        user = self._anybody().user
        await self._timed(LOOK_UP, lambda: self._resolve(user, assign=False))

    async def _resolve(self, user: str, *, assign: bool = True) -> None:
        self._learn(await self._client.resolve(VERIFIER, user, assign=assign))

    def _learn(self, found: Resolution) -> None:
        self._record.learn(Account(found.id, found.address, found.Y))

    def _check_login(self, account: Account, done: LoginOutcome) -> None:
        """The key that came out opens the address that was looked up."""
        opened = eip55_address(pub(bytes.fromhex(done.private_key)))
        self._record.learn(Account(account.user, opened, done.Y))

    async def _timed(self, what: str, call: Callable[[], Awaitable[None]]) -> bool:
        record, begun, code = self._record, self._record.now(), ""
        try:
            await call()
        except AuthnetError as refusal:
            code = refusal.code.value
        except Exception as error:
            # A client that falls over is a finding of the run, not its end.
            code = f"UNCODED {type(error).__name__}"
        record.check(Light.CODES, code != Code.INTERNAL and not code.startswith("UNCODED"), f"{what}: {code}")
        record.sample(what, begun, code)
        self._check_stop(what, begun, code)
        return not code

    def _check_stop(self, what: str, begun: float, code: str) -> None:
        """With more than t nodes out there are no blocks, and with more than t silent no two-round logins."""
        since = {NEW_ACCOUNT: self._record.halted_s, LOGINS[1]: self._record.silent_s}.get(what)
        if since is not None and begun > since + SETTLE_S:
            self._record.check(Light.STOPS, bool(code), f"{what} succeeded with too few nodes")

    async def _steal(self) -> None:
        async with httpx.AsyncClient(timeout=THIEF_S, trust_env=False) as http:
            while True:
                for node in self._places.indexes:
                    await self._steal_at(http, node)
                    await anyio.sleep(PAUSE_S)

    async def _steal_at(self, http: httpx.AsyncClient, node: int) -> None:
        try:
            attempt = await self._thief.attempt(self._anybody())
        except AuthnetError:
            return  # the identity provider or the committee's list is not to be had now
        url = f"http://127.0.0.1:{self._places.ports(node).api}/sss/jrpc"
        await self._thief.try_at(http, node, url, attempt)


def _somebody() -> str:
    return f"chaos-{secrets.token_hex(6)}@example.com"
