"""Giving receipts: a token's hash is bound to one session key, then and only then this node signs so."""

from __future__ import annotations

from collections.abc import Callable

from authnet_core.crypto.secp256k1 import decompress
from authnet_core.errors import AuthnetError, Code
from authnet_core.protocol.receipts import Receipt, SignedReceipt
from p2p_dkg import ports
from p2p_dkg.login import metrics
from p2p_dkg.login.chain_facts import ChainFacts
from p2p_dkg.login.claims import SKEW_S
from p2p_dkg.login.committees import Committee
from p2p_dkg.login.receipt_log import Bound, ReceiptLog
from p2p_dkg.login.receipt_quorum import MAX_AGE_S


class ReceiptDesk:
    """The only place that signs receipts."""

    def __init__(
        self,
        outside: ports.LoginPorts,
        network_id: str,
        facts: ChainFacts,
        log: ReceiptLog,
        clock: Callable[[], float],
    ) -> None:
        self._outside = outside
        self._network_id = network_id
        self._facts = facts
        self._log = log
        self._clock = clock
        self._renewed: dict[bytes, tuple[int, int]] = {}
        """Hash -> (time, epoch) of the last receipt, where that is not the one in the log."""

    async def commit(
        self, token_hash: bytes, temp_pub: bytes, verifier: str, asked: int = 0
    ) -> tuple[SignedReceipt, int, int]:
        """Bind the hash and sign, as a member of the committee whose time it is. Returns receipt, epoch and index.

        `asked`: the epoch the request names, 0 for the serving one. Raises EPOCH_MOVED where that is not this node's.
        """
        record = await self._facts.verifier(verifier)
        self._facts.require_fresh()
        committee = self._facts.committees().for_receipt(asked, self._facts.clock_ms(), self._facts.now_ms())
        index = committee.index_of(self._outside.identity.pub)
        if index is None:
            committee.moved("this node is not in the serving committee")
        self._require_complete(committee)
        now_s, epoch = int(self._clock()), committee.epoch
        wanted = Bound(temp_pub, record.name, now_s, epoch)
        known = await self._log.bind(token_hash, wanted)
        if known != wanted:
            self._renewed[token_hash] = now_s, epoch
        metrics.RECEIPTS.labels(reason="commit").inc()
        return self._sign(token_hash, wanted, index), epoch, index

    def given(self, token_hash: bytes, temp_pub: bytes) -> SignedReceipt | None:
        """The receipt this node has already given for (hash, T), signed again just as it was. Makes none."""
        bound = self._log.find(token_hash)
        if bound is None or bound.temp_pub != temp_pub:
            return None
        given_s, epoch = self._renewed.get(token_hash, (bound.given_s, bound.epoch))
        committee = self._facts.find(epoch)
        index = None if committee is None else committee.index_of(self._outside.identity.pub)
        if index is None:
            return None
        metrics.RECEIPTS.labels(reason="ask").inc()
        return self._sign(token_hash, Bound(temp_pub, bound.verifier, given_s, epoch), index)

    async def forget_old(self) -> None:
        """Drop entries whose token no verifier takes any more."""
        now_s = self._clock()
        self._renewed = {h: r for h, r in self._renewed.items() if r[0] > now_s - 2 * MAX_AGE_S}
        # The earlier of two clocks: a wall clock that jumped ahead must not empty the log.
        now_s = min(now_s, self._facts.newest_block_ms() / 1000)
        if self._facts.verifiers:
            await self._log.prune(int(now_s) - self._kept_s())

    def remembers(self, iat: float) -> bool:
        """Whether the log still has every receipt of a token issued at `iat`."""
        return iat - SKEW_S >= self._log.horizon_s

    def _kept_s(self) -> int:
        return self._facts.longest_limit_s + 2 * SKEW_S

    def _require_complete(self, committee: Committee) -> None:
        if self._facts.quiet_until_s > self._log.quiet_until_s:
            self._log.note_quiet(self._facts.quiet_until_s)
        since_s = max(self._log.complete_since_s, self._outside.continuous_since_ms() / 1000)
        # Before the first committee no receipt can have been given, and none of this one before its time began, so
        # nothing can be missing: a node that has just joined serves at once.
        quiet_until_s = max(self._log.quiet_until_s, committee.view.serving_from_ms / 1000)
        if since_s > quiet_until_s and self._clock() < since_s + self._kept_s():
            raise AuthnetError(Code.RECEIPT_LOG_YOUNG, "this node can not prove its receipt log complete")

    def _sign(self, token_hash: bytes, bound: Bound, index: int) -> SignedReceipt:
        receipt = Receipt(
            token_hash=token_hash,
            temp_pub=decompress(bound.temp_pub),
            verifier=bound.verifier,
            time_s=bound.given_s,
            network_id=self._network_id,
            epoch=bound.epoch,
            node_index=index,
        )
        return SignedReceipt(receipt.text, self._outside.identity.sign_recoverable(receipt.digest))
