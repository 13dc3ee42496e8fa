"""The checked-in vectors, and the same hashes made by hand from section 1 of docs/protocol/resharing.md."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from authnet_core.protocol.reshare import strings
from tests.unit.reshare.make_vectors import PATH, build
from tests.unit.reshare.setting import PARAMS

VECTOR: dict[str, Any] = json.loads(PATH.read_text())


def h(name: str, *parts: bytes | int) -> str:
    """H of section 1, written out."""
    text = f"authnet/reshare/v1/{name}".encode() + b"\0"
    for part in parts:
        raw = part.to_bytes(8, "big") if isinstance(part, int) else part
        text += len(raw).to_bytes(8, "big") + raw
    return hashlib.sha256(text).hexdigest()


def unhex(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


def test_nothing_has_changed() -> None:
    assert build() == VECTOR


def test_rid_covers_all_that_start_fixes() -> None:
    p = VECTOR["params"]
    eks = [bytes.fromhex(ek) or bytes(33) for ek in p["eks"]]
    old, new = bytes.fromhex(p["old_hash"]), bytes.fromhex(p["new_hash"])
    fixed = (p["first_index"], p["count"], p["mask_index"], p["attempt"], p["counter"])
    assert VECTOR["rid"] == h("rid", b"vectors-1", 1, old, 2, new, b"secp256k1", *fixed, *eks)


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": "other"},
        {"from_epoch": 3},
        {"old_hash": bytes(32)},
        {"to_epoch": 3},
        {"new_hash": bytes(32)},
        {"first_index": 0},
        {"count": 3},
        {"mask_index": 8},
        {"attempt": 1},
        {"counter": 1},
        {"eks": (b"",) * 5},
    ],
)
def test_another_start_is_another_rid(change: dict[str, Any]) -> None:
    assert replace(PARAMS, **change).rid != PARAMS.rid


def test_hashes_by_hand() -> None:
    rid, root = unhex("rid"), bytes.fromhex(VECTOR["params"]["root"])
    deal, dealer = VECTOR["deal"], VECTOR["deal"]["dealer"]
    rdeal = bytes.fromhex(deal["rdeal"])
    e, r = rdeal[32:65], rdeal[130:]
    assert rdeal[:32] == rid
    assert r.hex() == h("root", rid, dealer, e, *map(bytes.fromhex, deal["leaves"]))
    flat = [part for j, digest in sorted(VECTOR["roots"].items()) for part in (int(j), bytes.fromhex(digest))]
    assert VECTOR["gamma_seed"] == h("gamma", rid, root, *flat)
    q, total = VECTOR["q"], unhex("total")
    u = [bytes.fromhex(c) for j in q for c in VECTOR["tests"][str(j)]]
    assert VECTOR["ready"] == h("ready", rid, root, *q, total, *u)
    mine = [bytes.fromhex(c) for c in VECTOR["tests"][str(dealer)]]
    assert VECTOR["complaint"]["deal_hash"] == h("deal", rdeal, unhex("gamma_seed"), *mine)
    assert VECTOR["order"] == sorted(range(1, 6), key=lambda j: h("order", rid, j))
    assert deal["pok_context"] == h("pok/deal", b"vectors-1", 1, rid, dealer)
    assert VECTOR["complaint"]["context"] == h("dleq", b"vectors-1", 1, rid, dealer, 3)
    assert hashlib.sha256(bytes.fromhex(deal["ciphertext_of_receiver"])).hexdigest() == deal["leaves"][2]


def test_contexts_have_names_of_their_own() -> None:
    assert strings.enc_context(1, 2, bytes(33), bytes(33)).hex() == h("enc", 1, 2, bytes(33), bytes(33))
    assert strings.nonces_seed(bytes(32), bytes(32), bytes(32)).hex() == h("nonces", bytes(32), bytes(32), bytes(32))
