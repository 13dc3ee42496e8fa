"""The checked-in fallback and recovery: the code still makes them, and so do the formulas with other libraries."""

import hashlib
import json
from typing import Any

import pytest

from tests.unit.dkg import naive
from tests.unit.dkg.make_fallback_vectors import PATH, build

VECTOR: dict[str, Any] = json.loads(PATH.read_text())
SESSION: dict[str, Any] = json.loads(PATH.with_name("dkg_session.json").read_text())
SID = bytes.fromhex(SESSION["sid"])
F, R = VECTOR["fallback"], VECTOR["recovery"]


def rows_of(dealer: int) -> list[list[int]]:
    return naive.polynomials(bytes.fromhex(SESSION["dealers"][dealer - 1]["seed"]), SID, dealer, 4, 3)


def compressed(points64: str) -> list[bytes]:
    raw = bytes.fromhex(points64)
    return [bytes([2 + (raw[at + 63] & 1)]) + raw[at : at + 32] for at in range(0, len(raw), 64)]


def test_the_code_makes_the_checked_in_values() -> None:
    assert build() == VECTOR
    assert VECTOR["sid"] == SESSION["sid"]


def test_lists_hashes_and_challenge_by_hand() -> None:
    f, flat = rows_of(2), []
    for holder in F["holders"]:
        j = holder["holder"]
        points = [naive.point(naive.value(row, j)) for row in f[:3]]
        assert compressed(holder["points64"]) == points
        assert naive.H("parts", SID, 2, j, b"".join(points)).hex() == holder["list_hash"]
        flat += [j, bytes.fromhex(holder["list_hash"])]
    seed = naive.H("fallback", SID, 2, *flat)
    assert seed.hex() == F["seed"]
    assert naive.expand(seed, 32).hex() == F["gamma"]


def test_scalars_and_points_by_hand() -> None:
    f, raw = rows_of(2), bytes.fromhex(F["gamma"])
    gamma = [int.from_bytes(raw[at : at + 16], "big") for at in (0, 16)]
    for holder in F["holders"]:
        s = [naive.value(row, holder["holder"]) for row in f]
        w = (gamma[0] * s[0] + gamma[1] * s[1] + s[2]) % naive.Q
        assert int(holder["w"], 16) == w
        points = compressed(holder["points64"])
        assert naive.plus(naive.times(gamma[0], points[0]), naive.times(gamma[1], points[1]), points[2]) == naive.point(
            w
        )
    assert [compressed(a)[0] for a in F["A64"]] == [naive.point(row[0]) for row in f[:2]]
    assert "".join(F["A64"]) == SESSION["dealers"][1]["points64"][:256], "what the dealer's own list says"


@pytest.mark.parametrize("number", range(3))
def test_an_answer_of_a_recovery_by_hand(number: int) -> None:
    answer = R["answers"][number]
    h, dealer = answer["holder"], SESSION["dealers"][R["dealer"] - 1]
    ek, e, d = int(SESSION["ek_secrets"][h - 1], 16), bytes.fromhex(dealer["E"]), bytes.fromhex(answer["D"])
    assert naive.times(ek, e) == d
    context = naive.H("dleq", b"vectors-1", 1, SID, 3, h)
    assert context.hex() == answer["context"]
    c, z = int(answer["dleq"][:64], 16), int(answer["dleq"][64:], 16)
    first = naive.plus(naive.point(z), naive.times(-c, naive.point(ek)))
    second = naive.plus(naive.times(z, e), naive.times(-c, d))
    text = b"authnet/dleq/v1/challenge\x00"
    for part in (context, naive.point(ek), e, d, first, second):
        text += len(part).to_bytes(8, "big") + part
    assert int.from_bytes(hashlib.sha256(text).digest(), "big") % naive.Q == c
    key = naive.enc_key(SID, 3, h, e, naive.point(ek), d)
    plaintext = naive.ctr(key, bytes.fromhex(R["ciphertexts"][str(h)]))
    assert plaintext == b"".join(naive.value(row, h).to_bytes(32, "big") for row in rows_of(3)) + bytes.fromhex(R["v"])


def test_the_recovered_shares_by_hand() -> None:
    f, c = rows_of(3), [int(text, 16) for text in R["coefficients"]]
    for row, at in zip(f, range(0, 256, 64), strict=True):
        value = sum(w * naive.value(row, h) for w, h in zip(c, (2, 3, 4), strict=True)) % naive.Q
        assert value == naive.value(row, 1) == int(R["shares"][at : at + 64], 16)
