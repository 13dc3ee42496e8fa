"""The checked-in session: the code still makes it, and the formulas, computed naively, give it too."""

import json
from typing import Any

import pytest

from authnet_core.crypto import merkle, pok
from authnet_core.crypto.shamir import interpolate_at_zero
from tests.unit.dkg import naive
from tests.unit.dkg.make_vectors import PATH, build

VECTOR: dict[str, Any] = json.loads(PATH.read_text())
SID = bytes.fromhex(VECTOR["sid"])
EK = [naive.point(int(s, 16)) if s else bytes(33) for s in VECTOR["ek_secrets"]]


def test_the_code_makes_the_checked_in_session() -> None:
    assert build() == VECTOR


def test_sid_by_hand() -> None:
    identities = [bytes.fromhex(i) for i in VECTOR["identities"]]
    committee = naive.H("committee", 5, 3, 1, *identities)
    assert committee.hex() == VECTOR["committee_hash"]
    assert naive.H("sid", b"vectors-1", 1, committee, b"secp256k1", 3, 2, *EK) == SID


@pytest.mark.parametrize("i", range(1, 6))
def test_a_dealing_by_hand(i: int) -> None:
    v = VECTOR["dealers"][i - 1]
    e = bytes.fromhex(v["E"])
    f = naive.polynomials(bytes.fromhex(v["seed"]), SID, i, 4, 3)
    assert naive.point(int(v["e_secret"], 16)) == e
    for j in range(1, 5):
        shared = naive.times(int(VECTOR["ek_secrets"][j - 1], 16), e)
        assert naive.enc_key(SID, i, j, e, EK[j - 1], shared).hex() == v["keys"][j - 1]
    plaintext = b"".join(naive.value(row, 1).to_bytes(32, "big") for row in f) + bytes.fromhex(v["v"])
    assert naive.ctr(bytes.fromhex(v["keys"][0]), plaintext).hex() == v["ciphertext_for_1"]
    points = [naive.point(row[0]) for row in f]
    h = naive.H("alist", bytes.fromhex(v["salt"]), b"".join(points))
    c = naive.H("v", SID, i, bytes.fromhex(v["v"]))
    root = naive.H("root", SID, i, e, h, c, *(bytes.fromhex(leaf) for leaf in v["leaves"]))
    assert (h.hex(), c.hex(), root.hex()) == (v["h"], v["c"], v["R"])
    assert v["leaves"][4] == "00" * 32
    gamma = naive.gammas(SID, i, root, 3)
    u = [(sum(g * row[power] for g, row in zip(gamma, f, strict=False)) + f[3][power]) % naive.Q for power in range(3)]
    assert [c.to_bytes(32, "big").hex() for c in u] == v["u"]
    assert pok.verify(e, bytes.fromhex(v["pok_context"]), bytes.fromhex(v["pok"]))


@pytest.mark.parametrize("number", [0, 1])
def test_a_batch_by_hand(number: int) -> None:
    batch = VECTOR["batches"][number]
    q = batch["Q"]
    f = {i: naive.polynomials(bytes.fromhex(VECTOR["dealers"][i - 1]["seed"]), SID, i, 4, 3) for i in q}
    s = naive.H("S", SID, *(bytes.fromhex(VECTOR["dealers"][i - 1]["v"]) for i in q))
    assert s.hex() == batch["S"]
    assert len(batch["keys"]) == 2 * (len(q) - 2)
    for position, key in enumerate(batch["keys"]):
        output, b = divmod(position, 2)
        weights = {i: naive.alpha(i) ** output for i in q}
        shares = {j: sum(weights[i] * naive.value(f[i][b], j) for i in q) % naive.Q for j in range(1, 6)}
        nonce = int.from_bytes(naive.H("nonce", s, b, output), "big") % naive.Q
        assert key["share_of_3"] == shares[3].to_bytes(32, "big").hex()
        assert key["Y"] == naive.point(sum(weights[i] * f[i][b][0] for i in q) % naive.Q).hex()
        assert naive.point(interpolate_at_zero({j: shares[j] for j in (2, 4, 5)})).hex() == key["Y"]
        assert (key["nonce"], key["N"]) == (nonce.to_bytes(32, "big").hex(), naive.point(nonce).hex())
    leaves = [bytes.fromhex(key["Y"] + key["N"]) for key in batch["keys"]]
    assert merkle.root(leaves).hex() == batch["root"]
