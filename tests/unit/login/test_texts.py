"""Fixed texts: what existing clients and other implementers compute must come out here too."""

from __future__ import annotations

import hashlib

import pytest

from authnet_core.crypto.ecdsa import sign_recoverable
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.jose_text import check_ed25519_signature, check_rsa_signature, encode_part
from authnet_core.crypto.secp256k1 import decompress, pub
from authnet_core.errors import AuthnetError, Code, DecodeError
from authnet_core.protocol.receipts import Receipt, SignedReceipt, parse
from authnet_core.protocol.session_binding import session_nonce

T = pub(bytes([0x22]) * 32)
L = 2**252 + 27742317777372353535851937790883648493


def receipt() -> Receipt:
    return Receipt(keccak256(b"abc"), decompress(T), "google", 1_700_000_000, "authnet-1", 1, 3)


def test_receipt_text() -> None:
    fields = receipt().text.split("\x1c")
    assert fields == [
        "mug00",
        "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45",
        T[1:].hex(),
        decompress(T)[32:].hex(),
        "google",
        "1700000000",
        "authnet-1",
        "1",
        "3",
    ]
    assert parse(receipt().text) == receipt()


def test_receipt_signature_is_that_of_existing_networks() -> None:
    short = "\x1c".join(("mug00", keccak256(b"abc").hex(), "aa", "bb", "google", "1700000000"))
    digest = keccak256(short.encode())
    assert digest.hex() == "dd3450fdb72fec3ef00d8342710467c176b31ff3f9bb62dbefacbb245dc65326"
    assert sign_recoverable(bytes([0x11]) * 32, digest).hex() == (
        "83e208d4e39ee69cb1a2ba6c2903052bd302839dd2d363bd36361b57d22fee8f"
        "2b04aa3152f4d787afde9a293418be61bcdb4f3d6737ac7db49439ae97e86be9"
        "1c"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mug00", "MUG00"),
        ("\x1c1\x1c3", "\x1c01\x1c3"),
        ("\x1c1\x1c3", "\x1c1\x1c-3"),
        ("\x1c1\x1c3", "\x1c1\x1c3\x1c"),
        ("\x1c1\x1c3", "\x1c1"),
        ("1700000000", "+1700000000"),
        ("1700000000", "17e8"),
        ("1700000000", "\u0661"),
        ("1700000000", "1" * 16),
        ("google", "goo gle"),
        ("google", ""),
        ("4e03", "4E03"),
        ("4e03", "4e0"),
    ],
)
def test_a_receipt_has_one_text(old: str, new: str) -> None:
    assert old in receipt().text
    with pytest.raises(DecodeError):
        parse(receipt().text.replace(old, new))


@pytest.mark.parametrize("signature", ["", "00" * 64, "00" * 66, "AA" * 65, "zz" * 65, "0x" + "00" * 64, 5, None])
def test_a_receipt_s_signature_is_65_bytes_of_lowercase_hex(signature: object) -> None:
    with pytest.raises(DecodeError):
        SignedReceipt.from_wire({"data": receipt().text, "signature": signature})


def test_session_nonce() -> None:
    parts = [b"authnet/session/v1", (9).to_bytes(8, "big"), b"authnet-1", (6).to_bytes(8, "big"), b"google", T]
    assert session_nonce("authnet-1", "google", T) == encode_part(hashlib.sha256(b"".join(parts)).digest())
    assert len(session_nonce("authnet-1", "google", T)) == 43
    # Lengths in front: no two pairs of names run together into one text.
    assert session_nonce("authnet-1g", "oogle", T) != session_nonce("authnet-1", "google", T)


@pytest.mark.parametrize("size", [0, 32, 64, 65])
def test_session_nonce_takes_a_compressed_point(size: int) -> None:
    with pytest.raises(ValueError, match="33 bytes"):
        session_nonce("n", "v", bytes(size))


@pytest.mark.parametrize(
    ("signature", "good"),
    [
        (b"\x00\x00\x01", True),
        (b"\x0f\xff\xfe", True),
        (b"\x0f\xff\xff", False),
        (b"\x1f\xff\xff", False),
        (b"\x01\x00", False),
        (b"\x00\x00\x00\x01", False),
        (b"", False),
    ],
)
def test_rsa_signature_has_one_form(signature: bytes, good: bool) -> None:
    if good:
        check_rsa_signature(signature, 0x0FFFFF)
        return
    with pytest.raises(AuthnetError) as refusal:
        check_rsa_signature(signature, 0x0FFFFF)
    assert refusal.value.code == Code.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    ("s", "size", "good"), [(0, 32, True), (L - 1, 32, True), (L, 32, False), (L + 5, 32, False), (1, 31, False)]
)
def test_ed25519_signature_has_one_form(s: int, size: int, good: bool) -> None:
    signature = bytes(32) + s.to_bytes(size, "little")
    if good:
        check_ed25519_signature(signature)
        return
    with pytest.raises(AuthnetError) as refusal:
        check_ed25519_signature(signature)
    assert refusal.value.code == Code.TOKEN_SIGNATURE
