"""Writes tests/vectors/dkg_fallback.json: `python -m tests.unit.dkg.make_fallback_vectors`.

A changed value is another protocol."""

import json
from pathlib import Path
from typing import Any

from authnet_core.crypto.points import point64
from authnet_core.crypto.secp256k1 import scalar_bytes
from authnet_core.crypto.shamir import lagrange
from authnet_core.protocol.dkg import complaint, fallback, recovery, strings
from authnet_core.protocol.dkg.check import split
from tests.unit.dkg.setting import CHAIN_ID, ek_secret, make_dealings, make_params

PATH = Path(__file__).parents[2] / "vectors" / "dkg_fallback.json"
DEALER, HOLDERS = 2, (1, 2, 3, 4)
CONVICT, COMPLAINER, ANSWERING = 3, 1, (2, 3, 4)
ABOUT = """\
What happens to a dealer of Q that misbehaves, in the session of dkg_session.json (same sid, seeds, encryption \
keys; n=5 k=3 t=1, B=2). All bytes are hex, points x||y where it says so, else 33-byte SEC1. fallback: dealer 2 \
keeps its list. points64 of holder j are P_{j,b} = s_{2,b}(j)*G for b = 0, 1 and the spare mask b = 2; list_hash \
= H("parts", sid, 2, j, the points compressed and joined). seed = H("fallback", sid, 2, then for each member in \
index order its index and list hash). gamma = B weights of 16 bytes, AES-256-CTR(seed) from a zero counter; w = \
sum gamma_b s_{2,b}(j) + s_{2,B}(j) mod q. A64: A_{2,b} for b < B, which any three lists give by Lagrange \
interpolation at 0. recovery: member 1 gets its shares of dealer 3 (as if convicted) from members 2, 3, 4: D = \
ek_h * E_3; the proof is bound to context = H("dleq", chain_id, 1, sid, 3, h) and not recomputable by others \
(verify it: c || z, A_1 = z*G - c*EK_h, A_2 = z*E_3 - c*D, c = SHA256("authnet/dleq/v1/challenge" || 00 || \
context, EK_h, E_3, D, A_1, A_2 with lengths) mod q). coefficients are Lagrange's at 1 for the points 2, 3, 4; \
shares are s_{3,b}(1), b = 0..B+1."""


def holder_vector(j: int, seed: bytes) -> dict[str, Any]:
    params = make_params()
    plain = split(params, make_dealings(params)[DEALER].plaintexts[j - 1])
    parts = fallback.make_parts(params, DEALER, j, plain)
    return {
        "holder": j,
        "points64": parts.points64.hex(),
        "list_hash": fallback.hash_of(parts).hex(),
        "w": fallback.answer(params, plain, seed).hex(),
    }


def fallback_vector() -> dict[str, Any]:
    params = make_params()
    plaintexts = make_dealings(params)[DEALER].plaintexts
    parts = {j: fallback.make_parts(params, DEALER, j, split(params, plaintexts[j - 1])) for j in HOLDERS}
    seed = strings.fallback_seed(params.sid, DEALER, [(j, fallback.hash_of(parts[j])) for j in HOLDERS])
    lists = {j: fallback.parse_parts(parts[j].points64) or [] for j in HOLDERS[:3]}
    return {
        "dealer": DEALER,
        "holders": [holder_vector(j, seed) for j in HOLDERS],
        "seed": seed.hex(),
        "gamma": fallback.weights(params, seed).hex(),
        "A64": [point64(point).hex() for point in fallback.interpolate_points(params, lists)],
    }


def recovery_vector() -> dict[str, Any]:
    params = make_params()
    dealing = make_dealings(params)[CONVICT]
    answers = []
    for h in ANSWERING:
        shared, proof = complaint.prove_shared(params, CONVICT, h, dealing.deal.e, ek_secret(h))
        context = strings.complaint_context(CHAIN_ID, params.sid, CONVICT, h)
        answers.append({"holder": h, "context": context.hex(), "D": shared.hex(), "dleq": proof.hex()})
    plains = {h: split(params, dealing.plaintexts[h - 1]) for h in ANSWERING}
    found = recovery.interpolate_plain(plains, COMPLAINER)
    return {
        "dealer": CONVICT,
        "complainer": COMPLAINER,
        "ciphertexts": {str(h): dealing.bundle.ciphertexts[h - 1].hex() for h in ANSWERING},
        "answers": answers,
        "coefficients": [scalar_bytes(c).hex() for c in lagrange(ANSWERING, COMPLAINER).values()],
        "shares": found.shares.hex(),
        "v": found.contribution.hex(),
    }


def build() -> dict[str, Any]:
    return {
        "about": ABOUT,
        "sid": make_params().sid.hex(),
        "fallback": fallback_vector(),
        "recovery": recovery_vector(),
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
