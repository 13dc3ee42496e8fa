"""What a session's result must be, from all secrets of a run: slow, plain and independent of the machine's own checks.

A dealing is fixed by the ciphertexts under its root. Who may count on it are the receivers whose plaintext passes the
test, written here once more on plain integers; k of them give every polynomial.
"""

import hashlib
from functools import cached_property

from authnet_core.crypto.hashing import aes256_ctr, hkdf_sha256
from authnet_core.crypto.secp256k1 import Q, mul_secret
from authnet_core.crypto.shamir import interpolate
from authnet_core.protocol.dkg.messages import Bundle, Deal
from tests.sim.world import World
from tests.unit.dkg import naive


class Truth:
    """The judge's view of one run."""

    def __init__(self, world: World) -> None:
        self.world, self.params = world, world.params
        self.secrets = {j: world.nodes[j].secret for j in world.params.parties if world.params.eks[j - 1]}
        self._plain: dict[tuple[int, int], bytes | None] = {}

    def deal(self, dealer: int) -> Deal:
        return self.world.chain.deals[dealer][0]

    def bundle(self, dealer: int) -> Bundle | None:
        """The bundle that fits the dealer's root, whoever holds it."""
        deal = self.deal(dealer)
        for node in self.world.nodes.values():
            stored = node.written.get(f"bundle/{dealer}")
            bundle = self._parse(dealer, stored) if stored else None
            if bundle and self._root(deal, dealer, bundle.leaves) == deal.root:
                return bundle
        return None

    def _parse(self, dealer: int, stored: bytes) -> Bundle | None:
        size, at, parts = self.params.plaintext_size, 0, []
        for ek in self.params.eks:
            parts.append(stored[at : at + size] if ek else b"")
            at += size if ek else 0
        leaves = tuple(hashlib.sha256(part).digest() if part else bytes(32) for part in parts)
        return Bundle(self.params.sid, dealer, leaves, tuple(parts)) if at == len(stored) else None

    def _root(self, deal: Deal, dealer: int, leaves: tuple[bytes, ...]) -> bytes:
        return naive.H("root", self.params.sid, dealer, deal.e, deal.list_hash, deal.nonce_hash, *leaves)

    def plaintext(self, dealer: int, receiver: int) -> bytes | None:
        """What the dealer fixed for the receiver, decrypted, whether good or not."""
        bundle, deal = self.bundle(dealer), self.deal(dealer)
        if bundle is None or receiver not in self.secrets:
            return None
        return self.decrypt(deal, dealer, receiver, bundle.ciphertexts[receiver - 1])

    def decrypt(self, deal: Deal, dealer: int, receiver: int, ciphertext: bytes) -> bytes:
        shared = mul_secret(self.secrets[receiver], deal.e)
        context = naive.H("enc", dealer, receiver, deal.e, self.params.eks[receiver - 1])
        return aes256_ctr(hkdf_sha256(shared, self.params.sid, context), ciphertext)

    def passes(self, dealer: int, receiver: int, plaintext: bytes | None) -> bool:
        """The whole test of dkg.md step 2 on plain integers."""
        rows, deal = self.params.all_rows, self.deal(dealer)
        if plaintext is None or len(plaintext) != 32 * (rows + 1):
            return False
        numbers = [int.from_bytes(plaintext[32 * b : 32 * b + 32], "big") for b in range(rows)]
        if any(number >= Q for number in numbers):
            return False
        if naive.H("v", self.params.sid, dealer, plaintext[32 * rows :]) != deal.nonce_hash:
            return False
        stream = naive.expand(naive.H("gamma", self.params.sid, dealer, deal.root), 16 * (rows - 1))
        gamma = [int.from_bytes(stream[16 * b : 16 * b + 16], "big") for b in range(rows - 1)]
        left = sum(g * s for g, s in zip(gamma, numbers, strict=False)) + numbers[-1]
        return left % Q == naive.value([int.from_bytes(c, "big") for c in deal.u], receiver)

    def good_plaintext(self, dealer: int, receiver: int) -> bytes | None:
        if (dealer, receiver) not in self._plain:
            plaintext = self.plaintext(dealer, receiver)
            self._plain[dealer, receiver] = plaintext if self.passes(dealer, receiver, plaintext) else None
        return self._plain[dealer, receiver]

    @cached_property
    def honest(self) -> list[int]:
        return [j for j in self.secrets if j not in self.world.liars]

    def good_receivers(self, dealer: int) -> list[int]:
        """Honest receivers whose plaintext passes."""
        return [j for j in self.honest if self.good_plaintext(dealer, j)]

    def shares(self, dealer: int, receiver: int) -> list[int]:
        """f_{i,b}(receiver) for the key rows, by interpolation from k good honest receivers (receiver 0: f(0))."""
        good = self.good_receivers(dealer)[: self.params.committee.k]
        texts = {j: self.good_plaintext(dealer, j) or b"" for j in good}
        return [
            interpolate({j: int.from_bytes(text[32 * b : 32 * b + 32], "big") for j, text in texts.items()}, receiver)
            for b in range(self.params.rows)
        ]

    @cached_property
    def nonces(self) -> list[int]:
        """From v_i of Q: the same in every good plaintext, as c_i binds it."""
        q = self.world.chain.q
        contributions = [(self.good_plaintext(i, self.good_receivers(i)[0]) or b"")[-32:] for i in q]
        root = naive.H("S", self.params.sid, *contributions)
        positions = [(output, b) for output in range(self.outputs) for b in range(self.params.rows)]
        return [int.from_bytes(naive.H("nonce", root, b, output), "big") % Q for output, b in positions]

    @property
    def outputs(self) -> int:
        return len(self.world.chain.q) - self.params.committee.k + 1

    def key_shares(self, receiver: int) -> list[int]:
        """Share of the key at position l*B + b at an index; at 0 the key itself."""
        q = self.world.chain.q
        dealt = {i: self.shares(i, receiver) for i in q}
        return [
            sum(_alpha(i) ** output * dealt[i][b] for i in q) % Q
            for output in range(self.outputs)
            for b in range(self.params.rows)
        ]

    def shared_points(self) -> set[bytes]:
        """D_ij of honest dealers and honest receivers: each opens one share that nobody else may see."""
        dealt = [(node.index, deal[32:65]) for node in self.world.honest for deal in node.deals_sent]
        return {mul_secret(self.secrets[j], e) for i, e in dealt for j in self.honest if j != i}

    def is_offence(self, dealer: int, receiver: int) -> bool:
        """Whether what the dealer fixed for the receiver fails the test."""
        bundle = self.bundle(dealer)
        return bundle is not None and self.good_plaintext(dealer, receiver) is None


def _alpha(party: int) -> int:
    """0, 1, -1, 2, -2, ..."""
    return [0, 1, -1, 2, -2, 3, -3, 4, -4][party - 1]
