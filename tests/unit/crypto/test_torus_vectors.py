"""ECIES, ECDSA, keccak and addresses against vectors made with the published npm clients."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from authnet_core.crypto import ecdsa, ecies
from authnet_core.crypto.address import eip55_address
from authnet_core.crypto.hashing import keccak256
from authnet_core.crypto.secp256k1 import Q, decompress, ecdh_x, pub

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "crypto_torus.json").read_text())
SECRET = bytes.fromhex(VECTORS["secret"])
DIGEST = bytes.fromhex(VECTORS["ecdsa"]["digest"])


def sealed() -> ecies.Ecies:
    v = VECTORS["ecies"]
    return ecies.encrypt(
        pub(SECRET),
        bytes.fromhex(v["plaintext"]),
        ephemeral=bytes.fromhex(v["ephemeral_secret"]),
        iv=bytes.fromhex(v["iv"]),
    )


def test_key_and_address() -> None:
    assert decompress(pub(SECRET)).hex() == VECTORS["x"] + VECTORS["y"]
    assert eip55_address(pub(SECRET)) == VECTORS["address"]


def test_ecies() -> None:
    v, message = VECTORS["ecies"], sealed()
    assert ecdh_x(SECRET, pub(bytes.fromhex(v["ephemeral_secret"]))).hex() == v["shared_x"]
    assert (message.ciphertext.hex(), message.mac.hex()) == (v["ciphertext"], v["mac"])
    assert message.ephem_public_key.hex().startswith(v["ephemeral_public_starts"])
    assert ecies.decrypt(SECRET, message).hex() == v["plaintext"]


def test_ecies_draws_its_own_randomness() -> None:
    first, second = (ecies.encrypt(pub(SECRET), b"x") for _ in range(2))
    assert first.iv != second.iv
    assert first.ephem_public_key != second.ephem_public_key


@pytest.mark.parametrize("plaintext", [b"", b"a", b"b" * 16, b"c" * 1000])
def test_ecies_round_trip(plaintext: bytes) -> None:
    assert ecies.decrypt(SECRET, ecies.encrypt(pub(SECRET), plaintext)) == plaintext


def test_ecies_opens_what_senders_that_strip_leading_zeros_made() -> None:
    ephemeral = next(e for e in ((i).to_bytes(32, "big") for i in range(1, 5000)) if ecdh_x(e, pub(SECRET))[0] == 0)
    original = ecies._keys
    try:
        ecies._keys = lambda shared: original(shared.lstrip(b"\x00"))
        message = ecies.encrypt(pub(SECRET), b"old", ephemeral=ephemeral)
    finally:
        ecies._keys = original
    assert ecies.decrypt(SECRET, message) == b"old"


def _flip(raw: bytes) -> bytes:
    return bytes([raw[0] ^ 1]) + raw[1:]


@pytest.mark.parametrize("field", ["iv", "ephem_public_key", "mac", "ciphertext"])
def test_ecies_refuses_any_changed_part(field: str) -> None:
    message = sealed()
    with pytest.raises(ValueError, match=r"MAC|ECIES|point"):
        ecies.decrypt(SECRET, replace(message, **{field: _flip(getattr(message, field))}))


@pytest.mark.parametrize("changes", [{"iv": b""}, {"ciphertext": b""}, {"ciphertext": b"x" * 17}, {"mac": b""}])
def test_ecies_refuses_wrong_lengths(changes: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"MAC|ECIES"):
        ecies.decrypt(SECRET, replace(sealed(), **changes))


def test_ecies_refuses_another_receiver() -> None:
    with pytest.raises(ValueError, match="MAC"):
        ecies.decrypt(b"\x12" * 32, sealed())


def test_recoverable_signature() -> None:
    v = VECTORS["ecdsa"]
    assert keccak256(bytes.fromhex(v["message"])) == DIGEST
    signature = ecdsa.sign_recoverable(SECRET, DIGEST)
    assert signature.hex() == v["signature"]
    assert ecdsa.verify_recoverable(pub(SECRET), DIGEST, signature)
    assert ecdsa.recover(DIGEST, signature) == pub(SECRET)
    assert ecdsa.sign(SECRET, DIGEST) == signature[:64]
    assert ecdsa.verify(pub(SECRET), DIGEST, signature[:64])


def test_the_twin_with_high_s_is_refused() -> None:
    signature = ecdsa.sign_recoverable(SECRET, DIGEST)
    high = (Q - int.from_bytes(signature[32:64], "big")).to_bytes(32, "big")
    twin = signature[:32] + high + bytes([55 - signature[64]])
    assert not ecdsa.verify(pub(SECRET), DIGEST, twin[:64])
    assert ecdsa.recover(DIGEST, twin) is None
    assert not ecdsa.verify_recoverable(pub(SECRET), DIGEST, twin)


def test_bad_signatures_are_refused_without_an_exception() -> None:
    good, public = ecdsa.sign_recoverable(SECRET, DIGEST), pub(SECRET)
    other_v = good[:64] + bytes([55 - good[64]])
    for bad in (b"", good[:64], good + b"\x00", bytes(65), b"\xff" * 65, good[:64] + b"\x00", other_v):
        assert not ecdsa.verify_recoverable(public, DIGEST, bad)
    for bad in (b"", good, bytes(64), b"\xff" * 64, _flip(good[:64])):
        assert not ecdsa.verify(public, DIGEST, bad)
    assert not ecdsa.verify(pub(3), DIGEST, good[:64])
    assert not ecdsa.verify(b"junk", DIGEST, good[:64])
    assert not ecdsa.verify(public, DIGEST[:31], good[:64])


@pytest.mark.parametrize(
    ("secret", "digest"), [(bytes(32), DIGEST), (b"x", DIGEST), (SECRET, b""), (b"\xff" * 32, DIGEST)]
)
def test_signing_refuses_what_is_no_key_or_digest(secret: bytes, digest: bytes) -> None:
    with pytest.raises(ValueError, match=r"secret scalar|32-byte"):
        ecdsa.sign(secret, digest)
