"""Requests for a share that no node may answer with one, each wrong in a single way."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from authnet_client import Client, LoginSession
from authnet_client.session import TokenSource
from authnet_client.wire import session_coordinates, share_request
from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import decompress
from authnet_core.errors import Code
from authnet_core.json_text import NOT_JSON
from authnet_core.protocol.receipts import Receipt
from localnet.chaos.lights import Light
from localnet.chaos.record import Account, Record

VERIFIER = "mock-google"
STRANGER = "mallory@example.com"
WHAT = "bad token"


class RpcReply(msgspec.Struct):
    """A node's answer, as far as it matters whether it gave something away."""

    result: Any = None
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """What goes to a node."""

    name: str
    body: bytes


class Thief:
    """Makes the attempts for one victim at a time."""

    def __init__(self, client: Client, record: Record) -> None:
        self._client, self._record = client, record
        self._makers: tuple[tuple[str, Callable[[str], Awaitable[bytes]]], ...] = (
            ("signed by a stranger", lambda user: self._bound(user, bad="1")),
            ("expired", lambda user: self._bound(user, exp_in="-120")),
            ("not signed", lambda user: self._bound(user, alg="none")),
            ("HS256 with the public key", lambda user: self._bound(user, alg="HS256-pub")),
            ("for another audience", lambda user: self._bound(user, aud="somebody-else")),
            ("somebody else's", lambda user: self._bound(user, owner=STRANGER)),
            ("bound to another session", self._other_session),
            ("without receipts", self._without_receipts),
            ("with forged receipts", self._forged_receipts),
        )
        self._turn = 0

    async def attempt(self, victim: Account) -> Attempt:
        """The next one. Raises AuthnetError when the identity provider does not answer."""
        name, make = self._makers[self._turn % len(self._makers)]
        self._turn += 1
        return Attempt(name, await make(victim.user))

    async def try_at(self, http: httpx.AsyncClient, node: int, url: str, attempt: Attempt) -> None:
        """Ask one node, and look whether it gave anything."""
        begun = self._record.now()
        try:
            reply = await http.post(url, content=attempt.body, headers={"content-type": "application/json"})
            answer = msgspec.json.decode(reply.content, type=RpcReply)
        except httpx.HTTPError:
            self._record.sample(WHAT, begun, "UNREACHABLE")
            return
        except NOT_JSON:
            self._record.sample(WHAT, begun, "NO_JSON")
            self._record.check(Light.CODES, False, f"node {node} answers a bad token with no JSON")
            return
        code = _code(answer)
        self._record.sample(WHAT, begun, code)
        kept = answer.result is None
        self._record.check(Light.TOKENS, kept, f"node {node} answered a token that was {attempt.name}")
        known = code in Code.__members__ and code != Code.INTERNAL
        self._record.check(Light.CODES, not kept or known, f"node {node}: a token {attempt.name}: {code or 'no code'}")

    def _session(self) -> LoginSession:
        return LoginSession.start(self._client.network.network_id, VERIFIER)

    def _source(self, user: str, **wish: str) -> TokenSource:
        return self._client.dev_tokens(VERIFIER, user, **wish)

    async def _bound(self, user: str, owner: str = "", **wish: str) -> bytes:
        session = self._session()
        token = await self._source(owner or user, **wish)(session.nonce)
        return share_request(VERIFIER, user, token, temp_pub=session.temp_pub)

    async def _other_session(self, user: str) -> bytes:
        token = await self._source(user)(self._session().nonce)
        return share_request(VERIFIER, user, token, temp_pub=self._session().temp_pub)

    async def _without_receipts(self, user: str) -> bytes:
        token = await self._source(user)(None)
        return share_request(VERIFIER, user, token, temp_pub=self._session().temp_pub)

    async def _forged_receipts(self, user: str) -> bytes:
        """Receipts for the thief's session that the thief has signed in every node's name."""
        token, session = await self._source(user)(None), self._session()
        committee = await self._client.committee()
        forged = [self._forged(token, session, committee.epoch, index) for index in committee.members]
        return share_request(VERIFIER, user, token, receipts=forged)

    def _forged(self, token: str, session: LoginSession, epoch: int, index: int) -> dict[str, str]:
        network_id = self._client.network.network_id
        coordinates = decompress(session.temp_pub)
        receipt = Receipt(
            token_hash=keccak256(token.encode()),
            temp_pub=coordinates,
            verifier=VERIFIER,
            time_s=int(time.time()),
            network_id=network_id,
            epoch=epoch,
            node_index=index,
        )
        place = session_coordinates(session.temp_pub)
        signature = sign_recoverable(session.secret, receipt.digest).hex()
        pub = {"nodepubx": place["temppubx"], "nodepuby": place["temppuby"]}
        return {"data": receipt.text, "signature": signature, **pub}


def _code(answer: RpcReply) -> str:
    if answer.error is None:
        return ""
    facts = answer.error.get("authnet")
    return str(facts.get("code", "")) if isinstance(facts, dict) else ""
