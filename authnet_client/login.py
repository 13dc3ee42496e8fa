"""Login: one round with a bound token, two with any other (retrieval.md sections 2, 3 and 5)."""

from __future__ import annotations

import time
from dataclasses import dataclass

import anyio

from authnet_client.committee import ServingCommittee
from authnet_client.link import Answers, Link
from authnet_client.opening import OpenedKey, Opening
from authnet_client.outcomes import LoginOutcome, Reports
from authnet_client.session import LoginSession
from authnet_client.wire import CommitAnswer, ShareAnswer, commitment_request, share_request
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.ecdsa import verify_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import Q, add, decompress, pub, scalar_bytes
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.protocol.accounts import CASE_RULES, canonical_id
from authnet_core.protocol.receipts import parse


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Who logs in, and how. The token is a secret until the nodes have it."""

    verifier: str
    verifier_id: str
    token: str
    rounds: int
    session_s: int = 86_400
    patience_s: float = 0.0
    """How long to wait, when the key is open, for the answers of further nodes."""

    def __repr__(self) -> str:
        return f"LoginRequest({self.verifier!r}, rounds={self.rounds})"


class Login:
    """One login at one committee."""

    def __init__(self, link: Link, committee: ServingCommittee, session: LoginSession, request: LoginRequest) -> None:
        self._link, self._committee = link, committee
        self._session, self._request = session, request
        self._reports = Reports(committee.members)
        users = frozenset(canonical_id(rule, request.verifier_id) for rule in CASE_RULES)
        self._opening = Opening(committee, session, self._reports, users)
        self._started = time.perf_counter()

    async def run(self) -> LoginOutcome:
        """Raises the error that says best why there is no key."""
        body = self._share_body(await self._receipts() if self._request.rounds == 2 else None)
        answers = self._ask_shares(body)
        async for answer in answers:
            self._take(answer.index, answer.ms, answer.value, answer.error)
            if self._opening.opened is not None:
                break
        opened = self._opening.opened
        if opened is None:
            raise self._reports.failure("a login", self._committee.k)
        ms = (time.perf_counter() - self._started) * 1000
        await self._hear_the_rest(answers)
        return self._outcome(opened, ms)

    async def _receipts(self) -> list[dict[str, str]]:
        """Round one: receipts of n - t nodes for this token's hash and this session key."""
        committee, reports = self._committee, Reports(self._committee.members)
        token_hash = keccak256(self._request.token.encode())
        body = commitment_request(token_hash, self._session.temp_pub, self._request.verifier, committee.epoch)
        need, receipts = committee.n - committee.t, []
        async for answer in self._link.ask(
            committee.members, lambda i: self._link.rpc(self._url(i), body, CommitAnswer), first=need
        ):
            if answer.value is None:
                reports.failed(answer.index, answer.error or AuthnetError(Code.INTERNAL), answer.ms)
                continue
            reports.ok(answer.index, answer.ms)
            wrong = self._wrong_receipt(answer.index, answer.value, token_hash)
            if wrong:
                reports.bad(answer.index, wrong)
                continue
            receipts.append(_echo(answer.value))
            if len(receipts) >= need:
                return receipts
        raise reports.failure("the first round of a two-round login", need)

    def _wrong_receipt(self, index: int, answer: CommitAnswer, token_hash: bytes) -> str:
        """Why a receipt is useless; empty when it is good. Junk must not push out the receipts that count."""
        try:
            receipt = parse(answer.data)
            signature = bytes.fromhex(answer.signature)
        except (DecodeError, ValueError):
            return "its receipt is none"
        said = (receipt.token_hash, receipt.temp_pub, receipt.verifier, receipt.network_id)
        asked = (
            token_hash,
            decompress(self._session.temp_pub),
            self._request.verifier,
            self._committee.network_id,
        )
        if said != asked:
            return "its receipt is for another token or session"
        if receipt.node_index != index or receipt.epoch != self._committee.epoch:
            return "its receipt is of another node or epoch"
        identity = bytes.fromhex(self._committee.members[index].identity)
        return "" if verify_recoverable(identity, receipt.digest, signature) else "its receipt is not signed by it"

    def _share_body(self, receipts: list[dict[str, str]] | None) -> bytes:
        request = self._request
        return share_request(
            request.verifier,
            request.verifier_id,
            request.token,
            temp_pub=None if receipts else self._session.temp_pub,
            receipts=receipts,
            session_s=request.session_s,
            epoch=self._committee.epoch,
        )

    def _ask_shares(self, body: bytes) -> Answers[ShareAnswer]:
        committee = self._committee
        # Who waits for further answers wants every liar named: all are asked.
        first = None if self._request.patience_s else committee.n - committee.t
        return self._link.ask(committee.members, lambda i: self._link.rpc(self._url(i), body, ShareAnswer), first=first)

    def _take(self, index: int, ms: float, value: ShareAnswer | None, error: AuthnetError | None) -> None:
        if value is None:
            self._reports.failed(index, error or AuthnetError(Code.INTERNAL), ms)
            return
        self._reports.ok(index, ms)
        self._opening.add(index, value)

    async def _hear_the_rest(self, answers: Answers[ShareAnswer]) -> None:
        """For a little while: more liars may be named, more session tokens collected."""
        if not self._request.patience_s:
            return
        with anyio.move_on_after(self._request.patience_s):
            async for answer in answers:
                self._take(answer.index, answer.ms, answer.value, answer.error)

    def _outcome(self, opened: OpenedKey, ms: float) -> LoginOutcome:
        final = (opened.postbox + (opened.nonce or 0)) % Q
        final_pub = pub(final) if opened.nonce is not None and final else _sum(opened)
        return LoginOutcome(
            verifier=self._request.verifier,
            id=self._request.verifier_id,
            address=eip55_address(final_pub),
            Y=opened.Y.hex(),
            N=opened.N.hex(),
            final_pub=final_pub.hex(),
            rounds=self._request.rounds,
            session_tokens=self._opening.session_tokens(time.time()),
            nodes=self._reports.all(),
            bad_nodes=self._reports.bad_nodes(),
            ms=round(ms, 1),
            private_key="" if opened.nonce is None else scalar_bytes(final).hex(),
            postbox_key=scalar_bytes(opened.postbox).hex(),
            session_key=self._session.secret.hex(),
        )

    def _url(self, index: int) -> str:
        return f"{self._committee.members[index].endpoint}/sss/jrpc"


def _sum(opened: OpenedKey) -> bytes:
    total = add(opened.Y, opened.N)
    if total is None:
        raise AuthnetError(Code.NODES_DISAGREE, "Y and N cancel out")
    return total


def _echo(answer: CommitAnswer) -> dict[str, str]:
    return {
        "data": answer.data,
        "signature": answer.signature,
        "nodepubx": answer.nodepubx,
        "nodepuby": answer.nodepuby,
    }
