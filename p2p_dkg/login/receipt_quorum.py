"""Counting receipts: which session key T have n - t distinct members of this epoch spoken for?

With n - t receipts for T, a thief with b bad nodes gathers at most b + t others' words for his own T, too few
(retrieval.md section 2). Pure: who is a member and what time it is are arguments. Junk is skipped, not refused:
one bad node's answer among the first ones must not cost a login.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from authnet_core.crypto.ecdsa import verify
from authnet_core.crypto.secp256k1 import compress
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.protocol.receipts import Receipt, SignedReceipt, parse

MAX_AGE_S = 120
AHEAD_S = 60
"""How far another node's clock may run ahead."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What every receipt of one login must say."""

    token_hash: bytes
    verifier: str
    network_id: str
    epoch: int
    identities: dict[int, bytes]
    """Party index -> identity key."""
    quorum: int


@dataclass(slots=True)
class ReceiptCount:
    """Valid receipts of one login, by T and member."""

    expected: Expected
    now_s: float
    voices: dict[bytes, set[int]] = field(default_factory=dict)
    """T compressed -> members that gave a valid receipt for it."""

    def add(self, receipts: Iterable[SignedReceipt]) -> None:
        """Check and count receipts until T is decided."""
        for signed in receipts:
            try:
                receipt = parse(signed.text)
                temp_pub = compress(receipt.temp_pub)
            except (DecodeError, ValueError):
                continue
            voices = self.voices.get(temp_pub, set())
            if receipt.node_index in voices or not self._says(receipt) or not self._signed(receipt, signed):
                continue
            self.voices.setdefault(temp_pub, voices).add(receipt.node_index)
            if self.decided() is not None:
                return

    def decided(self) -> bytes | None:
        """T, once enough members have spoken for it."""
        for temp_pub, voices in self.voices.items():
            if len(voices) >= self.expected.quorum:
                return temp_pub
        return None

    def leading(self) -> bytes | None:
        """The T with the most valid receipts so far."""
        return max(self.voices, key=lambda t: len(self.voices[t]), default=None)

    def too_few(self) -> AuthnetError:
        """The refusal, with how many there are."""
        found = max((len(v) for v in self.voices.values()), default=0)
        needed = self.expected.quorum
        return AuthnetError(
            Code.RECEIPTS_TOO_FEW, f"{found} of {needed} needed receipts are valid", found=found, needed=needed
        )

    def _says(self, receipt: Receipt) -> bool:
        want = self.expected
        age_s = self.now_s - receipt.time_s
        return (
            receipt.token_hash == want.token_hash
            and receipt.verifier == want.verifier
            and receipt.network_id == want.network_id
            and receipt.epoch == want.epoch
            and -AHEAD_S <= age_s <= MAX_AGE_S
        )

    def _signed(self, receipt: Receipt, signed: SignedReceipt) -> bool:
        identity = self.expected.identities.get(receipt.node_index)
        return identity is not None and verify(identity, receipt.digest, signed.signature[:64])
