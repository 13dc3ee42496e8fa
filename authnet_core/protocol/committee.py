"""Committee sizes and thresholds (architecture.md section 1)."""

from __future__ import annotations

from dataclasses import dataclass

SUPPORTED_SIZES = (5, 6, 9)
"""Here CometBFT's quorum, floor(2n/3)+1, equals n-t, so a fork needs k double signers."""


@dataclass(frozen=True, slots=True)
class Committee:
    """n nodes, k shares rebuild a key, t byzantine nodes are tolerated."""

    n: int
    k: int
    t: int

    @staticmethod
    def of(n: int) -> Committee:
        """Return the committee of size `n` with k = floor(n/2)+1 and t = ceil(n/4)-1."""
        return Committee(n, n // 2 + 1, (n + 3) // 4 - 1)

    @property
    def quorum(self) -> int:
        """n - t: acks, receipts, equal roots and equal observations needed."""
        return self.n - self.t

    @property
    def is_sound(self) -> bool:
        """n >= k + 2t, n > 3t and k > t: what the proofs of dkg.md rest on."""
        return self.n >= self.k + 2 * self.t and self.n > 3 * self.t and self.k > self.t >= 0

    @property
    def is_fork_safe(self) -> bool:
        """Fewer than k double signers can not fork the chain: CometBFT's quorum is n - t."""
        return self.n * 2 // 3 + 1 == self.quorum and self.n - 2 * self.t >= self.k
