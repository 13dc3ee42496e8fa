"""Tagged hashes, expansion, proofs of knowledge and Shamir interpolation."""

import hashlib
from itertools import combinations

import pytest
from Crypto.Cipher import AES
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

from authnet_core.crypto import hashing, pok, shamir
from authnet_core.crypto.secp256k1 import Q, pub

CONTEXT = b"authnet-1 epoch 1 counter 2 member 3"


def test_tagged_hash_by_hand() -> None:
    by_hand = b"t\x00" + (2).to_bytes(8, "big") + b"ab" + (8).to_bytes(8, "big") + (7).to_bytes(8, "big")
    assert hashing.tagged_hash("t", b"ab", 7) == hashlib.sha256(by_hand).digest()


def test_tagged_hash_keeps_parts_apart() -> None:
    values = {
        hashing.tagged_hash("t", b"ab", b"c"),
        hashing.tagged_hash("t", b"a", b"bc"),
        hashing.tagged_hash("t", b"abc"),
        hashing.tagged_hash("t", b"abc", b""),
        hashing.tagged_hash("u", b"abc"),
    }
    assert len(values) == 5


def test_tagged_hash_refuses_a_negative_integer() -> None:
    with pytest.raises(OverflowError):
        hashing.tagged_hash("t", -1)


def test_keccak_is_not_sha3() -> None:
    assert hashing.keccak256(b"abc").hex() == "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"
    assert hashing.keccak256(b"abc") != hashlib.sha3_256(b"abc").digest()


def test_expand_and_hkdf_against_another_library() -> None:
    key = bytes(range(32))
    other = AES.new(key, AES.MODE_CTR, nonce=b"", initial_value=bytes(16)).encrypt(bytes(100))
    assert hashing.expand(key, 100) == other
    assert hashing.expand(key, 10) == other[:10]
    assert hashing.hkdf_sha256(b"secret", b"salt", b"context") == HKDF(
        b"secret", 32, b"salt", SHA256, context=b"context"
    )


def test_a_proof_verifies_for_its_context_only() -> None:
    proof = pok.prove(7, CONTEXT, b"seed")
    assert len(proof) == pok.PROOF_SIZE
    assert pok.verify(pub(7), CONTEXT, proof)
    assert not pok.verify(pub(7), CONTEXT + b"!", proof)
    assert not pok.verify(pub(8), CONTEXT, proof)


def test_proofs_are_deterministic_and_never_share_a_nonce() -> None:
    assert pok.prove(7, CONTEXT, b"seed") == pok.prove((7).to_bytes(32, "big"), CONTEXT, b"seed")
    nonces = {pok.prove(s, c, n)[:33] for s in (7, 8) for c in (b"a", b"b") for n in (b"x", b"y")}
    assert len(nonces) == 8


def test_changed_proofs_are_refused_without_an_exception() -> None:
    proof = pok.prove(7, CONTEXT, b"seed")
    for at in range(len(proof)):
        assert not pok.verify(pub(7), CONTEXT, proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :])
    response = int.from_bytes(proof[33:], "big")
    for bad in (b"", proof[:-1], proof + b"\x00", proof[:33] + bytes(32), proof[:33] + Q.to_bytes(32, "big")):
        assert not pok.verify(pub(7), CONTEXT, bad)
    if response + Q < 2**256:
        assert not pok.verify(pub(7), CONTEXT, proof[:33] + (response + Q).to_bytes(32, "big"))
    assert not pok.verify(b"junk", CONTEXT, proof)


def shares_of(secret: int, n: int = 5) -> dict[int, int]:
    return {j: shamir.evaluate([secret, 1234, 999], j) for j in range(1, n + 1)}


def test_every_k_subset_gives_the_secret() -> None:
    shares = shares_of(42)
    for chosen in combinations(shares, 3):
        assert shamir.interpolate_at_zero({j: shares[j] for j in chosen}) == 42
        assert shamir.interpolate({j: shares[j] for j in chosen}, 5) == shares[5]


def test_an_index_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        shamir.lagrange([1, 2, 2])


def test_wrong_shares_are_found() -> None:
    shares = shares_of(42)
    shares[1] += 1
    opened = shamir.find_subset(shares, 3, pub(42))
    assert opened is not None
    assert (opened.secret, opened.used) == (42, (2, 3, 4))
    assert shamir.misfits(shares, opened) == (1,)
    assert "42" not in repr(opened)


def test_no_subset_opens_when_too_many_lie() -> None:
    shares = shares_of(42)
    shares[1], shares[2], shares[3] = 1, 2, 3
    assert shamir.find_subset(shares, 3, pub(42)) is None
    assert shamir.find_subset({1: 5, 2: 6}, 3, pub(42)) is None
    assert shamir.find_subset({1: 0, 2: 0, 3: 0}, 3, pub(42)) is None
