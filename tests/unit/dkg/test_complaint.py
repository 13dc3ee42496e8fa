"""Who a complaint convicts: the cheating dealer, or whoever complains about a right dealing. And the vectors."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authnet_core.crypto import dleq
from authnet_core.crypto.secp256k1 import Q, pub
from authnet_core.protocol.dkg import check
from authnet_core.protocol.dkg.complaint import (
    is_about,
    judge,
    make_complaint,
    malformed,
    open_with,
    prove_shared,
    verify_shared,
)
from authnet_core.protocol.dkg.messages import Complain
from tests.sim.evil import CHEATING, HOPELESS, evil_dealing, victim_of
from tests.unit.dkg import naive
from tests.unit.dkg.make_complaint_vectors import COMPLAINER, DEALER, PATH, build
from tests.unit.dkg.setting import ABSENT, ek_secret, make_dealings, make_params, seed_of

PARAMS = make_params()
GOOD = make_dealings(PARAMS)
RIGHT = GOOD[DEALER]
VECTOR: dict[str, Any] = json.loads(PATH.read_text())
FALSE = make_complaint(PARAMS, COMPLAINER, RIGHT.deal, RIGHT.bundle, ek_secret(COMPLAINER))


@pytest.mark.parametrize("strategy", [*CHEATING, *HOPELESS])
def test_a_cheating_dealer_is_convicted_by_its_victim(strategy: str) -> None:
    dealing = evil_dealing(PARAMS, DEALER, seed_of(DEALER), strategy)
    victim = victim_of(PARAMS, DEALER)
    made = make_complaint(PARAMS, victim, dealing.deal, dealing.bundle, ek_secret(victim))
    assert malformed(PARAMS, made) is None
    judgement = judge(PARAMS, dealing.deal, victim, made)
    assert judgement.convict_is_dealer
    plaintext = check.open_own(PARAMS, victim, dealing.deal, dealing.bundle, ek_secret(victim))
    assert judgement.reason == check.refuse_plaintext(PARAMS, DEALER, victim, dealing.deal, plaintext)


@pytest.mark.parametrize("receiver", [j for j in PARAMS.parties if j not in (DEALER, ABSENT)])
def test_who_complains_about_a_right_dealing_is_convicted(receiver: int) -> None:
    made = make_complaint(PARAMS, receiver, RIGHT.deal, RIGHT.bundle, ek_secret(receiver))
    assert judge(PARAMS, RIGHT.deal, receiver, made).convict_is_dealer is False


def lies() -> dict[str, Complain]:
    """Well-formed complaints about a right dealing that try to make it look wrong."""
    flipped = bytes([FALSE.ciphertext[0] ^ 1]) + FALSE.ciphertext[1:]
    own_leaf = hashlib.sha256(flipped).digest()
    leaves = (*FALSE.leaves[: COMPLAINER - 1], own_leaf, *FALSE.leaves[COMPLAINER:])
    other_d, other_proof = prove_shared(PARAMS, DEALER, COMPLAINER, GOOD[1].deal.e, ek_secret(COMPLAINER))
    return {
        "another ciphertext": replace(FALSE, ciphertext=flipped),
        "another ciphertext and its leaf": replace(FALSE, ciphertext=flipped, leaves=leaves),
        "other leaves": replace(FALSE, leaves=tuple(reversed(FALSE.leaves))),
        "another dealer's leaves": replace(FALSE, leaves=GOOD[1].bundle.leaves),
        "another receiver's ciphertext": replace(FALSE, ciphertext=RIGHT.bundle.ciphertexts[0]),
        "another D": replace(FALSE, shared=pub(5)),
        "minus D": replace(FALSE, shared=bytes([FALSE.shared[0] ^ 1]) + FALSE.shared[1:]),
        "D that is no point": replace(FALSE, shared=bytes(33)),
        "D of another E": replace(FALSE, shared=other_d, dleq=other_proof),
        "D of another ek": forged(7),
        "proof of zeros": replace(FALSE, dleq=bytes(64)),
        "proof beyond q": replace(FALSE, dleq=FALSE.dleq[:32] + (Q + 1).to_bytes(32, "big")),
        "proof for another receiver": replace(
            FALSE, dleq=prove_shared(PARAMS, DEALER, 1, RIGHT.deal.e, ek_secret(COMPLAINER))[1]
        ),
        "proof for another session": replace(
            FALSE, dleq=prove_shared(make_params(counter=4), DEALER, 3, RIGHT.deal.e, ek_secret(3))[1]
        ),
    }


def forged(secret: int) -> Complain:
    shared, proof = prove_shared(PARAMS, DEALER, COMPLAINER, RIGHT.deal.e, secret.to_bytes(32, "big"))
    return replace(FALSE, shared=shared, dleq=proof)


@pytest.mark.parametrize("name", lies())
def test_no_lie_convicts_an_honest_dealer(name: str) -> None:
    assert malformed(PARAMS, lies()[name]) is None
    assert judge(PARAMS, RIGHT.deal, COMPLAINER, lies()[name]).convict_is_dealer is False


def altered(made: Complain, name: str, at: int, flip: int) -> Complain:
    """`made` with one byte of one of its fields changed."""
    if name == "leaves":
        block = bytearray(b"".join(made.leaves))
        block[at % len(block)] ^= flip
        return replace(made, leaves=tuple(bytes(block[i : i + 32]) for i in range(0, len(block), 32)))
    raw = bytearray(getattr(made, name))
    raw[at % len(raw)] ^= flip
    changes: dict[str, Any] = {name: bytes(raw)}
    return replace(made, **changes)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(("shared", "dleq", "ciphertext", "leaves")),
    at=st.integers(0, 4096),
    flip=st.integers(1, 255),
)
def test_any_altered_byte_of_an_upheld_complaint_convicts_the_complainer(name: str, at: int, flip: int) -> None:
    dealing = evil_dealing(PARAMS, DEALER, seed_of(DEALER), "one bad share")
    made = make_complaint(PARAMS, COMPLAINER, dealing.deal, dealing.bundle, ek_secret(COMPLAINER))
    assert judge(PARAMS, dealing.deal, COMPLAINER, altered(made, name, at, flip)).convict_is_dealer is False


SIZE = PARAMS.plaintext_size
COMPLAINS = st.builds(
    Complain,
    sid=st.one_of(st.just(PARAMS.sid), st.binary(max_size=40)),
    dealer=st.integers(0, 7),
    shared=st.one_of(st.just(FALSE.shared), st.binary(min_size=33, max_size=33), st.binary(max_size=70)),
    dleq=st.one_of(st.just(FALSE.dleq), st.binary(min_size=64, max_size=64), st.binary(max_size=70)),
    ciphertext=st.one_of(
        st.sampled_from(RIGHT.bundle.ciphertexts), st.binary(min_size=SIZE, max_size=SIZE), st.binary(max_size=SIZE + 1)
    ),
    leaves=st.one_of(
        st.just(FALSE.leaves),
        st.lists(st.one_of(st.sampled_from(FALSE.leaves), st.binary(max_size=33)), max_size=6).map(tuple),
    ),
    deal_hash=st.one_of(st.just(FALSE.deal_hash), st.binary(max_size=33)),
)


@settings(max_examples=200, deadline=None)
@given(complainer=st.integers(0, 7), complain=COMPLAINS)
def test_foreign_bytes_never_raise_and_never_convict_an_honest_dealer(complainer: int, complain: Complain) -> None:
    malformed(PARAMS, complain)
    dealer = complain.dealer if 1 <= complain.dealer <= 5 else DEALER
    assert judge(PARAMS, GOOD[dealer].deal, complainer, complain).convict_is_dealer is False


@pytest.mark.parametrize("complainer", [0, 6, DEALER, ABSENT])
def test_only_a_receiver_with_a_key_can_convict(complainer: int) -> None:
    dealing = evil_dealing(PARAMS, DEALER, seed_of(DEALER), "garbage")
    made = make_complaint(PARAMS, COMPLAINER, dealing.deal, dealing.bundle, ek_secret(COMPLAINER))
    assert judge(PARAMS, dealing.deal, complainer, made).convict_is_dealer is False


MALFORMED: dict[str, dict[str, Any]] = {
    "other session": {"sid": bytes(32)},
    "dealer 0": {"dealer": 0},
    "dealer 6": {"dealer": 6},
    "short D": {"shared": FALSE.shared[:-1]},
    "long proof": {"dleq": FALSE.dleq + b"\x00"},
    "short proof": {"dleq": b""},
    "short ciphertext": {"ciphertext": FALSE.ciphertext[:-1]},
    "long ciphertext": {"ciphertext": FALSE.ciphertext + b"\x00"},
    "no ciphertext": {"ciphertext": b""},
    "a leaf less": {"leaves": FALSE.leaves[:-1]},
    "a leaf more": {"leaves": (*FALSE.leaves, bytes(32))},
    "short leaf": {"leaves": (b"", *FALSE.leaves[1:])},
    "no deal hash": {"deal_hash": b""},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_complaints_are_told(name: str) -> None:
    assert malformed(PARAMS, replace(FALSE, **MALFORMED[name])) is not None


def test_a_complaint_says_which_deal_it_is_about() -> None:
    """A dealer that signs a second, right DEAL must not turn the complaint about its first into a lie."""
    cheat = evil_dealing(PARAMS, DEALER, seed_of(DEALER), "one bad share")
    made = make_complaint(PARAMS, COMPLAINER, cheat.deal, cheat.bundle, ek_secret(COMPLAINER))
    assert is_about(cheat.deal, made)
    assert not is_about(RIGHT.deal, made)
    assert not is_about(replace(cheat.deal, u=RIGHT.deal.u), made)


def test_nobody_complains_with_another_key_than_the_session_s() -> None:
    with pytest.raises(ValueError, match="encryption key"):
        make_complaint(PARAMS, COMPLAINER, RIGHT.deal, RIGHT.bundle, ek_secret(1))


def test_a_published_d_opens_what_the_receiver_can_open_and_nothing_else() -> None:
    shared, proof = prove_shared(PARAMS, DEALER, COMPLAINER, RIGHT.deal.e, ek_secret(COMPLAINER))
    e, ciphertexts = RIGHT.deal.e, RIGHT.bundle.ciphertexts
    assert verify_shared(PARAMS, DEALER, COMPLAINER, e, shared, proof)
    opened = open_with(PARAMS, DEALER, COMPLAINER, e, shared, ciphertexts[COMPLAINER - 1])
    assert opened == RIGHT.plaintexts[COMPLAINER - 1]
    assert open_with(PARAMS, DEALER, 1, e, shared, ciphertexts[0]) != RIGHT.plaintexts[0]
    others = [(0, 3), (6, 3), (1, 3), (DEALER, 0), (DEALER, 1), (DEALER, ABSENT), (DEALER, 6)]
    assert not any(verify_shared(PARAMS, i, j, e, shared, proof) for i, j in others)
    assert not verify_shared(PARAMS, DEALER, COMPLAINER, b"", shared, proof)
    assert not verify_shared(PARAMS, DEALER, COMPLAINER, e, b"", b"")


def test_nothing_of_a_complaint_is_in_its_repr_but_what_is_short() -> None:
    assert FALSE.ciphertext.hex() not in repr(FALSE)


def test_the_code_makes_the_checked_in_complaints() -> None:
    assert build() == VECTOR


@pytest.mark.parametrize("name", ["upheld", "false"])
def test_a_complaint_by_hand(name: str) -> None:
    v = {key: bytes.fromhex(value) for key, value in VECTOR[name].items() if key in ("E", "D", "R", "context", "proof")}
    ek, sid = bytes.fromhex(VECTOR["EK"]), bytes.fromhex(VECTOR["sid"])
    assert v["D"] == naive.times(int.from_bytes(ek_secret(COMPLAINER), "big"), v["E"])
    assert v["context"] == naive.H("dleq", b"vectors-1", 1, sid, DEALER, COMPLAINER)
    c, z = int.from_bytes(v["proof"][:32], "big"), int.from_bytes(v["proof"][32:], "big")
    first = naive.plus(naive.point(z), naive.times(-c, ek))
    second = naive.plus(naive.times(z, v["E"]), naive.times(-c, v["D"]))
    raw = b"authnet/dleq/v1/challenge\x00"
    for part in (v["context"], ek, v["E"], v["D"], first, second):
        raw += len(part).to_bytes(8, "big") + part
    assert int.from_bytes(hashlib.sha256(raw).digest(), "big") % naive.Q == c
    whole = [VECTOR[name][part] for part in ("E", "pok", "R", "h", "c")] + VECTOR[name]["u"]
    assert VECTOR[name]["deal_hash"] == naive.H("deal", sid + bytes.fromhex("".join(whole))).hex()
    assert dleq.verify(ek, v["E"], v["D"], v["context"], v["proof"])
    key = naive.enc_key(sid, DEALER, COMPLAINER, v["E"], ek, v["D"])
    plaintext = naive.ctr(key, bytes.fromhex(VECTOR[name]["ciphertext"]))
    rows = [int.from_bytes(plaintext[at : at + 32], "big") for at in range(0, 128, 32)]
    gamma = naive.gammas(sid, DEALER, v["R"], 3)
    left = (sum(g * share for g, share in zip(gamma, rows, strict=False)) + rows[3]) % naive.Q
    passes = left == naive.value([int(u, 16) for u in VECTOR[name]["u"]], COMPLAINER)
    assert passes is (name == "false")
    assert VECTOR[name]["convict"] == (COMPLAINER if passes else DEALER)


def test_the_hashes_of_the_fallback_by_hand() -> None:
    sid = bytes.fromhex(VECTOR["sid"])
    points = b"".join(bytes.fromhex(point) for point in VECTOR["parts"])
    assert naive.H("parts", sid, DEALER, COMPLAINER, points).hex() == VECTOR["parts_hash"]
    flat = [part for member, digest in VECTOR["list_hashes"] for part in (member, bytes.fromhex(digest))]
    assert naive.H("fallback", sid, DEALER, *flat).hex() == VECTOR["fallback_seed"]
