"""Writes tests/vectors/dkg_session.json: `python -m tests.unit.dkg.make_vectors`.

A changed value is another protocol."""

import json
from pathlib import Path
from typing import Any

from authnet_core.crypto.points import parse_points64
from authnet_core.protocol.dkg import check, deal, strings
from authnet_core.protocol.dkg.batch import compute_batch
from authnet_core.protocol.dkg.deal import Dealing
from authnet_core.protocol.dkg.keys import nonce_root
from authnet_core.protocol.dkg.params import SessionParams
from tests.unit.dkg.setting import ABSENT, CHAIN_ID, ek_secret, identity, make_dealings, make_params, seed_of

PATH = Path(__file__).parents[2] / "vectors" / "dkg_session.json"
ABOUT = """\
One session of key generation, n=5 k=3 t=1, B=2 rows, from fixed seeds. All bytes are hex, points 33-byte SEC1 \
unless they are said to be x||y, integers plain. H(name, ...) = SHA256("authnet/dkg/v1/" + name || 00 || \
parts, each with 8 bytes of length in front, integers as 8 bytes big-endian). committee_hash = H("committee", \
n, k, t, identities). sid = H("sid", chain_id, epoch, committee_hash, "secp256k1", counter, B, EK_1..EK_n), 33 \
zero bytes for the absent EK_5. A dealer's coefficients are 48-byte chunks mod q of AES-256-CTR(H("seed/f", \
seed, sid, i)), row by row, constant first; e_i = 1 + (48 bytes of AES-256-CTR(H("seed/e", seed, sid, i)) mod \
(q-1)); salt_i = H("seed/salt", seed, sid, i); v_i = H("seed/v", seed, sid, i). key_1 .. key_5 are the keys of \
enc(i,j), absent for receiver 5. gamma are 16-byte weights. u are the k coefficients, constant first. batches: \
for a set Q, S, own shares of party 3 and (nonce, Y, N) by position l*B+b, and the RFC 6962 root over Y||N. \
Proofs of knowledge are not recomputable by others (their nonce is the prover's); verify them: R (33) || s \
(32), s*G = R + c*E, c = SHA256("authnet/pok/v1/challenge" || 00 || context, E, R with lengths) mod q."""


def dealer_vector(params: SessionParams, i: int, dealing: Dealing) -> dict[str, Any]:
    sharing = deal.derive_sharing(params, i, seed_of(i))
    dealt = dealing.deal
    return {
        "seed": seed_of(i).hex(),
        "e_secret": sharing.e_secret.to_bytes(32, "big").hex(),
        "salt": sharing.salt.hex(),
        "v": sharing.contribution.hex(),
        "E": dealt.e.hex(),
        "pok_context": strings.deal_context(params.chain_id, params.sid, i).hex(),
        "pok": dealt.pok.hex(),
        "keys": [
            deal.dealer_key(params, i, j, sharing.e_secret).hex() if params.eks[j - 1] else None for j in params.parties
        ],
        "leaves": [leaf.hex() for leaf in dealing.bundle.leaves],
        "ciphertext_for_1": dealing.bundle.ciphertexts[0].hex(),
        "points64": dealing.points.points64.hex(),
        "h": dealt.list_hash.hex(),
        "c": dealt.nonce_hash.hex(),
        "R": dealt.root.hex(),
        "gamma": deal.gamma_weights(params, i, dealt.root).hex(),
        "u": [scalar.hex() for scalar in dealt.u],
    }


def batch_vector(params: SessionParams, dealings: dict[int, Dealing], q: tuple[int, ...]) -> dict[str, Any]:
    plains = {i: check.split(params, dealings[i].plaintexts[2]) for i in q}
    points = {i: parse_points64(dealings[i].points.points64) for i in q}
    batch = compute_batch(params, q, plains, points)
    keys = []
    for position in range(batch.keys.count):
        y, n = batch.keys.pair(position)
        own = batch.shares[64 * position : 64 * position + 64]
        keys.append({"share_of_3": own[:32].hex(), "nonce": own[32:].hex(), "Y": y.hex(), "N": n.hex()})
    seed = nonce_root(params.sid, {i: plains[i].contribution for i in q})
    return {"Q": list(q), "S": seed.hex(), "keys": keys, "root": batch.keys.root.hex()}


def build() -> dict[str, Any]:
    params = make_params()
    dealings = make_dealings(params)
    return {
        "about": ABOUT,
        "chain_id": CHAIN_ID,
        "epoch": 1,
        "counter": 3,
        "n": 5,
        "k": 3,
        "t": 1,
        "B": 2,
        "identities": [identity(j).hex() for j in params.parties],
        "ek_secrets": [None if j == ABSENT else ek_secret(j).hex() for j in params.parties],
        "committee_hash": params.committee_hash.hex(),
        "sid": params.sid.hex(),
        "enckey_context_member_2": strings.enckey_context(CHAIN_ID, 1, 3, 2).hex(),
        "dealers": [dealer_vector(params, i, dealing) for i, dealing in dealings.items()],
        "batches": [batch_vector(params, dealings, q) for q in ((1, 2, 3, 4, 5), (1, 2, 4, 5))],
    }


if __name__ == "__main__":
    PATH.write_text(json.dumps(build(), indent=1) + "\n")
