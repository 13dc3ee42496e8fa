"""The login service of the keeper: decides by its own chain view, its own clock and the token alone.

node_api only forwards. `commit` gives receipts (round one), `share` turns a token into this node's share,
sealed to the session key that n - t receipts, or the token itself, speak for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import trio

from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.jose_text import TokenText, read_token
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.accounts import account_id, canonical_id
from authnet_core.protocol.receipts import SignedReceipt, parse
from authnet_core.protocol.session_binding import session_nonce
from authnet_core.protocol.views import AccountView, KeyView, VerifierView
from p2p_dkg import ports
from p2p_dkg.login import metrics
from p2p_dkg.login.chain_facts import ChainFacts
from p2p_dkg.login.claims import BOUND, Claims, check_claims, equal_text, read_header
from p2p_dkg.login.committees import Committee
from p2p_dkg.login.jwks_fetch import HttpFetch
from p2p_dkg.login.key_ring import Fetch, KeyRing
from p2p_dkg.login.key_set import check_signature
from p2p_dkg.login.receipt_desk import ReceiptDesk
from p2p_dkg.login.receipt_log import ReceiptLog
from p2p_dkg.login.receipt_quorum import ReceiptCount
from p2p_dkg.login.release import Session, build_answer
from p2p_dkg.login.requests import MAX_RECEIPTS, ShareRequest, read_commit, read_point, read_share

Handler = Callable[[dict[str, Any], Any], Awaitable[dict[str, Any]]]
IS_NEW_MS = 10_000
_ASK_S = 3.0
"""A backstop: the mesh gives up sooner, with the answers it has."""
_ASKS_AT_ONCE = 16
_FORGET_EVERY_S = 30.0
NEW_KEYS_PER_USER = 10
"""New keys for one user between two rounds of forgetting: extensions are free to invent, the pool is everybody's."""


class LoginService:
    """Made once per keeper; `run` must be running for keys and committee to be known.

    `genesis_ms` is the chain's genesis time: no receipt can be older.
    """

    def __init__(
        self,
        outside: ports.LoginPorts,
        network_id: str,
        log: ReceiptLog,
        *,
        genesis_ms: int = 0,
        fetch: Fetch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outside = outside
        self._network_id = network_id
        self._clock = clock
        self._http = None if fetch else HttpFetch(dev=outside.dev)
        self._ring = KeyRing(fetch or self._fetch)
        self._facts = ChainFacts(outside.chain, outside.newest_block, clock)
        # Genesis time is an Ethereum block's: whole seconds, cut off. Registration lies before it, a committee after.
        self._facts.quiet_until_s = genesis_ms // 1000 + 1 if genesis_ms else 0
        self._facts.on_change = lambda: self._ring.follow(self._facts.verifiers)
        self._desk = ReceiptDesk(outside, network_id, self._facts, log, clock)
        self._new_keys: Counter[tuple[str, str]] = Counter()
        self._asks = trio.Semaphore(_ASKS_AT_ONCE)
        outside.answer_receipts(self.on_receipt_ask)

    def handlers(self) -> dict[str, Handler]:
        """Methods of api.sock."""
        return {
            "commit": lambda params, _caller: _counted("commit", self.commit(params)),
            "share": lambda params, _caller: _counted("share", self.share(params)),
        }

    async def run(self) -> None:
        """Follow chain and providers, forget old receipts; until cancelled."""
        async with AsyncExitStack() as stack:
            if self._http is not None:
                await stack.enter_async_context(self._http)
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(self._ring.run)
            nursery.start_soon(self._facts.run)
            while True:
                await trio.sleep(_FORGET_EVERY_S)
                self._new_keys.clear()
                await self._desk.forget_old()

    def on_receipt_ask(self, token_hash: bytes, temp_pub: bytes) -> ports.Receipt | None:
        """Another member's keeper asks for a receipt that this node has already given."""
        signed = self._desk.given(token_hash, temp_pub)
        if signed is None:
            return None
        return ports.Receipt(signed.text, signed.signature, self._outside.identity.pub, parse(signed.text).epoch)

    async def commit(self, params: dict[str, Any]) -> dict[str, Any]:
        """Bind a token's hash to a session key and say so."""
        request, token_hash, temp_pub = read_commit(params)
        signed, epoch, index = await self._desk.commit(token_hash, temp_pub, request.verifier, request.epoch)
        return signed.to_wire() | {"node_pub": self._outside.identity.pub.hex(), "node_index": index, "epoch": epoch}

    async def share(self, params: dict[str, Any]) -> dict[str, Any]:
        """Verify everything, then release this node's share."""
        request = read_share(params)
        record = await self._facts.verifier(request.verifier)
        claims, token = await self._verified(request, record)
        committee, index = self._place(request, claims)
        if claims.mode == BOUND:
            temp_pub = self._bound_key(request, token, record)
        else:
            temp_pub = await self._committed_key(request, record, committee, claims)
        key, is_new = await self._key_of(request, record, claims.user)
        # A share that is out can not be taken back: whose key it is must stand in a block whose successor is there.
        await self._outside.settled(key.assigned_ms)
        share = await self._outside.share_of(committee.epoch, key)
        service = self._outside.service_key(committee.epoch)
        if share is None or service is None or self._facts.find(committee.epoch) is None:
            raise AuthnetError(Code.SHARE_MISSING, "this node does not hold this committee's share of the key")
        session = Session(
            network_id=self._network_id,
            verifier=record.name,
            user=claims.user,
            extension=request.extension,
            temp_pub=temp_pub,
            epoch=committee.epoch,
            node_index=index,
            issued_s=int(self._clock()),
            lifetime_s=request.lifetime_s,
        )
        answer = build_answer(session, key, share, service, seal_nonce=request.nonce_enc)
        return answer | {"is_new": is_new}

    def _place(self, request: ShareRequest, claims: Claims) -> tuple[Committee, int]:
        """The committee this login belongs to, and this node's index in it. Raises EPOCH_MOVED, UNAVAILABLE."""
        committees, now_ms = self._facts.committees(), self._facts.now_ms()
        if claims.mode == BOUND:
            committee = committees.for_bound(request.epoch, now_ms)
        else:
            self._facts.require_fresh()
            committee = committees.for_token(request.epoch, claims.iat, now_ms)
        index = committee.index_of(self._outside.identity.pub)
        if index is None:
            committee.moved("this node is not in the committee that this login belongs to")
        return committee, index

    async def _verified(self, request: ShareRequest, record: VerifierView) -> tuple[Claims, TokenText]:
        """The token is the provider's word about this user: text, algorithm, key, signature, claims."""
        asked = canonical_id(record.case_rule, request.verifier_id)
        token = read_token(request.id_token)
        header = read_header(token, record)
        key = await self._ring.find(record.name, header.kid, header.algorithm)
        check_signature(token, key, header.algorithm)
        return check_claims(token, record, asked, self._clock()), token

    def _bound_key(self, request: ShareRequest, token: TokenText, record: VerifierView) -> bytes:
        """T of a one-round login: the provider has signed it into the token."""
        if request.receipts or not request.temp_pub:
            raise AuthnetError(Code.TOKEN_MODE, "this audience logs in in one round, without receipts")
        temp_pub = read_point("temp_pub", request.temp_pub)
        expected = session_nonce(self._network_id, record.name, temp_pub)
        if not equal_text(token.claims.get(record.session_claim), expected):
            raise AuthnetError(Code.TOKEN_UNBOUND, "the token is not bound to this session key")
        return temp_pub

    async def _committed_key(
        self, request: ShareRequest, record: VerifierView, committee: Committee, claims: Claims
    ) -> bytes:
        """T of a two-round login: n - t members have spoken for it before the token was shown."""
        if not request.receipts:
            raise AuthnetError(Code.TOKEN_MODE, "this audience logs in in two rounds, with receipts")
        if not self._desk.remembers(claims.iat):
            raise AuthnetError(Code.TOKEN_TOO_OLD, "receipts of tokens this old are no longer remembered")
        token_hash = keccak256(request.id_token.encode())
        count = ReceiptCount(committee.expect(token_hash, record.name, self._network_id), self._clock())
        count.add(request.signed_receipts())
        if count.decided() is None:
            await self._ask_others(count, token_hash)
        temp_pub = count.decided()
        if temp_pub is None:
            raise count.too_few()
        return temp_pub

    async def _ask_others(self, count: ReceiptCount, token_hash: bytes) -> None:
        """Once: other members' receipts already given for (hash, T), and this node's own."""
        temp_pub = count.leading()
        if temp_pub is None:
            return
        own = self._desk.given(token_hash, temp_pub)
        count.add([own] if own else [])
        if count.decided() is not None:
            return
        with trio.move_on_after(_ASK_S):
            async with self._asks:
                found = await self._outside.ask_receipts(count.expected.epoch, token_hash, temp_pub)
                count.add(SignedReceipt(r.data, r.signature) for r in found[:MAX_RECEIPTS])

    async def _key_of(self, request: ShareRequest, record: VerifierView, user: str) -> tuple[KeyView, bool]:
        """The account's key, assigned now if it has none. Whether it is new is read from the chain."""
        account = account_id(self._network_id, record.name, user, request.extension)
        path = f"/account/{account.hex()}?curve={request.curve}"
        view = await self._outside.chain.query(path, AccountView)
        keys = [key for key in view.keys if key.curve == request.curve] if view is not None else []
        if keys:
            return keys[0], self._facts.newest_block_ms() - keys[0].assigned_ms < IS_NEW_MS
        self._new_keys[record.name, user] += 1
        if self._new_keys[record.name, user] > NEW_KEYS_PER_USER:
            raise AuthnetError(Code.RATE_LIMITED, f"one user gets at most {NEW_KEYS_PER_USER} new keys in 30 s")
        assigned = await self._outside.assign(ports.AssignRequest(record.name, account, request.curve, "login"))
        return assigned.key, assigned.is_new

    async def _fetch(self, url: str) -> bytes:
        if self._http is None:
            raise AuthnetError(Code.UNAVAILABLE, "no HTTP client")
        return await self._http(url)


async def _counted(call: str, answer: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Count a call by the code it ends with."""
    outcome = Code.INTERNAL.value
    try:
        result = await answer
        outcome = "ok"
    except AuthnetError as refusal:
        outcome = refusal.code.value
        raise
    except trio.Cancelled:
        outcome = "cancelled"
        raise
    finally:
        metrics.LOGINS.labels(call=call, outcome=outcome).inc()
    return result
